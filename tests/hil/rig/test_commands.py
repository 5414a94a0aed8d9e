"""What `carm rig …` returns, without a running rig."""

import json
from pathlib import Path

import numpy as np
import pytest

from hil.physics.spectra import OutsideTable
from hil.rig import commands
from realtime.wire.config import Config, load

PROFILE = Path(__file__).parents[3] / "controller/profiles/bench.toml"


@pytest.fixture
def config() -> Config:
    values = dict(load(PROFILE).values)
    return Config({**values, "panel.width": 96, "panel.height": 80, "panel.pitch_um": 3000})


def test_the_beam_has_the_keys_of_the_contract() -> None:
    row = commands.beam(80.0, "none")
    assert row.keys() == {"hvl_mm_al", "fluence_per_mm2_per_ugy", "kerma_ugy_per_mas_1m"}
    assert row["kerma_ugy_per_mas_1m"] == pytest.approx(82.0, rel=0.001)
    with pytest.raises(OutsideTable):
        commands.beam(10.0, "none")


@pytest.mark.parametrize("exact", [True, False])
def test_frames_come_with_what_was_delivered(config: Config, tmp_path: Path, exact: bool) -> None:
    out = tmp_path / "f.npy"
    told = commands.frames(config, 3, out, patient=False, exact=exact)
    pixels = np.load(out)
    assert pixels.shape == (3, 80, 96)
    assert pixels.dtype == np.uint16
    sidecar = json.loads((tmp_path / "f.npy.json").read_text(encoding="utf-8"))
    assert sidecar["delivered_mas"] == [pytest.approx(0.32)] * 3
    assert told["shape"] == [3, 80, 96]


def test_half_the_charge_is_half_the_picture(config: Config, tmp_path: Path) -> None:
    out = tmp_path / "f.npy"
    levels, told = [], {}
    for mas in (0.0, 0.0001, 0.0002):
        told = commands.frames(config, 4, out, mas, patient=False)
        levels.append(float(np.median(np.load(out))) - told["offset_du"])
    expected = told["expected_photons_per_pixel"][0]
    assert abs(levels[0]) < 10
    assert (levels[1] - levels[0]) / (levels[2] - levels[0]) == pytest.approx(0.5, abs=0.02)
    assert levels[2] / told["du_per_photon"] == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("count", [0, commands.FRAMES_MAX + 1])
def test_too_many_frames_are_refused(config: Config, tmp_path: Path, count: int) -> None:
    with pytest.raises(ValueError, match="allowed is 1"):
        commands.frames(config, count, tmp_path / "f.npy")
