"""Corrections: the arithmetic, the defects, and files that must be refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.imaging.corrections import (
    Calibration,
    CalibrationError,
    Corrections,
    load_calibration,
    measure,
)


def maps(height: int = 32, width: int = 24, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "offset": np.full((height, width), 100.0, dtype=np.float32),
        "gain": np.full((height, width), 2.0, dtype=np.float32),
        "defects": np.zeros((height, width), dtype=bool),
    }
    return {**made, **changes}


def corrected(raw: Any, **changes: Any) -> Any:
    out = np.empty(raw.shape, dtype=np.uint16)
    Corrections(Calibration(**maps(*raw.shape, **changes))).apply(raw, out)
    return out


def test_offset_then_gain_rounded_and_clipped() -> None:
    raw = np.full((32, 24), 300, dtype=np.uint16)
    raw[0, 0], raw[0, 1] = 90, 65535
    out = corrected(raw)
    assert out[1, 1] == 400
    assert out[0, 0] == 0
    assert out[0, 1] == 65535
    shape = raw.shape
    halves = corrected(raw, gain=np.full(shape, 1.0), offset=np.full(shape, 99.6))
    assert halves[1, 1] == 200


def test_equal_x_rays_give_equal_pixels_whatever_the_gain() -> None:
    rng = np.random.default_rng(2)
    gain = rng.uniform(0.5, 2.0, (32, 24)).astype(np.float32)
    offset = rng.uniform(50, 150, (32, 24)).astype(np.float32)
    raw = np.rint(offset + 1000 / gain).astype(np.uint16)
    assert np.abs(corrected(raw, gain=gain, offset=offset).astype(int) - 1000).max() <= 2


def test_a_defect_becomes_the_mean_of_its_good_neighbours() -> None:
    raw = np.full((32, 24), 300, dtype=np.uint16)
    defects = np.zeros((32, 24), dtype=bool)
    defects[10, 10] = defects[0, 0] = defects[20, :] = defects[5:8, 5:8] = True
    raw[defects] = 60_000
    raw[9, :] = 200
    raw[11, :] = 400
    gain = np.full((32, 24), 2.0)
    gain[defects] = np.nan
    out = corrected(raw, defects=defects, gain=gain)
    assert out[0, 0] == 400
    assert (out[20] == 400).all()
    assert (out[5:8, 5:8] <= 400).all()
    assert out[10, 10] == 400
    raw[10, 11] = raw[10, 9] = 304
    assert corrected(raw, defects=defects, gain=gain)[10, 10] == 402


def test_a_cluster_too_large_to_replace_is_refused() -> None:
    defects = np.zeros((200, 200), dtype=bool)
    defects[50:80, 50:80] = True
    with pytest.raises(CalibrationError, match="too large"):
        Corrections(Calibration(**maps(200, 200, defects=defects)))


def test_a_good_file_loads(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    np.savez(path, **maps())
    calibration = load_calibration(path, 24, 32)
    assert calibration.offset.dtype == calibration.gain.dtype == np.float32
    assert calibration.defects.dtype == bool


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"offset": np.zeros((4, 4))}, "the panel"),
        ({"offset": np.full((32, 24), np.nan)}, "not finite"),
        ({"gain": np.full((32, 24), np.inf)}, "gain outside"),
        ({"gain": np.full((32, 24), 0.01)}, "gain outside"),
        ({"gain": np.full((32, 24), 21.0)}, "gain outside"),
        ({"defects": np.ones((32, 24), dtype=bool)}, "are bad"),
    ],
)
def test_an_implausible_file_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = tmp_path / "c.npz"
    np.savez(path, **maps(**changes))
    with pytest.raises(CalibrationError, match=words):
        load_calibration(path, 24, 32)


def test_a_missing_incomplete_or_broken_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    with pytest.raises(CalibrationError, match="calibrate the panel"):
        load_calibration(path, 24, 32)
    whole = maps()
    np.savez(path, offset=whole["offset"], gain=whole["gain"])
    with pytest.raises(CalibrationError):
        load_calibration(path, 24, 32)
    np.savez(path, **whole)
    content = path.read_bytes()
    for broken in (b"", content[:50], content[: len(content) // 2], b"PK" + bytes(40)):
        path.write_bytes(broken)
        with pytest.raises(CalibrationError):
            load_calibration(path, 24, 32)
    with path.open("wb") as file:
        np.save(file, whole["offset"])
    with pytest.raises(CalibrationError):
        load_calibration(path, 24, 32)


def test_measuring_field_is_the_central_quarter() -> None:
    picture = np.zeros((32, 24), dtype=np.uint16)
    picture[8:24, 6:18] = 500
    statistics = measure(picture)
    assert statistics.box == (6, 8, 12, 16)
    assert statistics.mean_du == 500.0
    assert statistics.sigma_du == 0.0
