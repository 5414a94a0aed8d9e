"""The panel: quanta first, electronics after, and every fault of the detector where it belongs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.physics.anatomy import Plane
from hil.physics.lag import LAG
from hil.physics.panel import (
    DU_PER_QUANTUM,
    ELECTRONICS_QUANTA_SQ,
    SATURATION_DU,
    Panel,
    Pixels,
    Shot,
)
from hil.physics.patient import Patient

SHAPE = (256, 256)
PITCH_UM = 296
KV, FILTER = 70.0, "3Al+0.1Cu"
FAR_NS = 10_000_000_000
MAS = 0.05


@pytest.fixture
def panel() -> Panel:
    return Panel(*SHAPE, PITCH_UM)


def shot(mas: float, readout: float = 0.0, **span: float) -> Shot:
    return Shot(KV, FILTER, mas, readout, 0, **span)


def take(
    panel: Panel, shots: list[Shot], t_ns: int, exact: bool = False, after_idle: bool = False
) -> Pixels:
    out = np.empty(SHAPE, np.uint16)
    panel.frame(shots, None, out, t_ns, after_idle, exact)
    return out


def signal(panel: Panel, pixels: Pixels) -> Plane:
    """Quanta per pixel over good pixels, offset and gain taken out with the panel's own truth."""
    quanta = (pixels - panel.offset_du) / np.where(panel.defects, 1, panel.gain) / DU_PER_QUANTUM
    good: Plane = quanta[~panel.defects].astype(np.float32)
    return good


def test_the_mean_follows_from_the_delivered_charge(panel: Panel) -> None:
    expected = panel.charge_quanta(KV, FILTER, MAS)
    assert signal(panel, take(panel, [shot(MAS)], FAR_NS)).mean() == pytest.approx(
        expected, rel=0.01
    )


def test_half_a_pulse_gives_half_the_mean(panel: Panel) -> None:
    whole = signal(panel, take(panel, [shot(MAS)], FAR_NS)).mean()
    half = signal(panel, take(panel, [shot(MAS / 2)], 2 * FAR_NS)).mean()
    assert half / whole == pytest.approx(0.5, abs=0.01)


def test_no_pulse_gives_offset_only(panel: Panel) -> None:
    dark = signal(panel, take(panel, [], FAR_NS))
    assert dark.mean() == pytest.approx(0.0, abs=0.05)
    assert dark.var() == pytest.approx(ELECTRONICS_QUANTA_SQ, rel=0.1)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("mas", [0.001, 0.02])
def test_noise_is_that_of_quanta(panel: Panel, exact: bool, mas: float) -> None:
    quanta = signal(panel, take(panel, [shot(mas)], FAR_NS, exact))
    expected = panel.charge_quanta(KV, FILTER, mas)
    assert quanta.mean() == pytest.approx(expected, rel=0.02)
    assert quanta.var() == pytest.approx(expected + ELECTRONICS_QUANTA_SQ, rel=0.05)


@pytest.mark.parametrize("exact", [False, True])
def test_noise_of_successive_frames_does_not_correlate(panel: Panel, exact: bool) -> None:
    frames = [signal(panel, take(panel, [shot(MAS)], FAR_NS * k, exact)) for k in range(1, 9)]
    for a, b in itertools.pairwise(frames):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.05


def test_photons_in_the_readout_give_a_gradient_and_the_rest_comes_later(panel: Panel) -> None:
    first = take(panel, [shot(0.0, MAS)], FAR_NS)
    second = take(panel, [], 2 * FAR_NS)
    full = panel.charge_quanta(KV, FILTER, MAS)
    rows = [np.where(panel.defects, np.nan, (p - panel.offset_du) / np.where(
        panel.defects, 1, panel.gain) / DU_PER_QUANTUM) for p in (first, second)]  # fmt: skip
    here, later = (np.nanmean(row, axis=1) for row in rows)
    assert here[:8].mean() < 0.06 * full
    assert here[-8:].mean() > 0.94 * full
    assert np.nanmean(here + later) == pytest.approx(full, rel=0.02)
    third = signal(panel, take(panel, [], 3 * FAR_NS)).mean()
    assert third == pytest.approx(0.0, abs=0.05)


def test_photons_that_come_after_the_frame_are_added_or_carried(panel: Panel) -> None:
    pixels = take(panel, [], FAR_NS)
    panel.late([shot(0.0, MAS, from_row=0.5, to_row=1.0)], None, pixels)
    quanta = np.where(panel.defects, 0, pixels - panel.offset_du) / DU_PER_QUANTUM
    full = panel.charge_quanta(KV, FILTER, MAS)
    assert abs(quanta[:100].mean()) < 0.02 * full
    assert quanta[-8:].mean() > 0.85 * full
    rest = signal(panel, take(panel, [], 2 * FAR_NS)).mean()
    assert rest == pytest.approx(0.75 * full, rel=0.05)
    panel.afterglow(shot(MAS / 2, MAS / 2))
    assert signal(panel, take(panel, [], 3 * FAR_NS)).mean() == pytest.approx(full, rel=0.02)


def test_two_exposures_add_up(panel: Panel) -> None:
    both = signal(panel, take(panel, [shot(MAS), shot(MAS / 2)], FAR_NS)).mean()
    assert both == pytest.approx(1.5 * panel.charge_quanta(KV, FILTER, MAS), rel=0.01)


def test_lag_is_small_and_fades(panel: Panel) -> None:
    lit = signal(panel, take(panel, [shot(MAS)], FAR_NS)).mean()
    left = [
        signal(panel, take(panel, [], FAR_NS + frame * 66_000_000)).mean() / lit
        for frame in range(1, 30)
    ]
    assert left[0] == pytest.approx(sum(share for share, _ in LAG), rel=0.1)
    assert left[0] < 0.005
    assert left[24] == pytest.approx(0.00054, abs=0.0004)


def test_a_steady_run_stays_steady(panel: Panel) -> None:
    means = [signal(panel, take(panel, [shot(MAS)], FAR_NS + k * 66_000_000)).mean()
             for k in range(60)]  # fmt: skip
    assert max(means) / min(means) < 1.03
    assert abs(means[-1] / means[-2] - 1) < 0.002


def test_the_first_frame_after_idle_is_saturated(panel: Panel) -> None:
    assert take(panel, [], FAR_NS, after_idle=True).min() == SATURATION_DU


def test_too_much_saturates_and_never_wraps(panel: Panel) -> None:
    pixels = take(panel, [shot(20.0)], FAR_NS)
    assert pixels[~panel.defects].min() > 60_000


def test_defects_do_not_follow_the_signal(panel: Panel) -> None:
    low, high = take(panel, [shot(0.01)], FAR_NS), take(panel, [shot(0.05)], 2 * FAR_NS)
    assert np.array_equal(low[panel.defects], high[panel.defects])
    line = SHAPE[0] * 5 // 8
    assert panel.defects[line, SHAPE[1] * 3 // 8 :].all()
    assert panel.defects[SHAPE[0] // 4 : SHAPE[0] // 4 + 3, SHAPE[1] // 3 : SHAPE[1] // 3 + 3].all()


def test_the_makers_calibration_flattens_a_flat_field(panel: Panel) -> None:
    makers = panel.makers()
    assert np.array_equal(makers.defects, panel.defects)
    good = ~makers.defects
    assert np.abs(makers.offset_du - panel.offset_du)[good].mean() < 2.0
    flat = (take(panel, [shot(0.1)], FAR_NS, exact=True) - makers.offset_du) * makers.gain
    raw = (flat / makers.gain)[good]
    quanta = flat[good].mean() / DU_PER_QUANTUM
    spread = flat[good].std() / flat[good].mean()
    assert raw.std() / raw.mean() > spread
    assert spread == pytest.approx(1 / np.sqrt(quanta), rel=0.15)


def test_the_same_serial_is_the_same_panel() -> None:
    a, b, other = Panel(64, 64, 296), Panel(64, 64, 296), Panel(64, 64, 296, serial=2)
    assert np.array_equal(a.gain, b.gain)
    assert not np.array_equal(a.gain, other.gain)


def test_a_patient_in_the_beam_is_seen(panel: Panel) -> None:
    patient = Patient(*SHAPE, pitch_um=1184)
    out = np.empty(SHAPE, np.uint16)
    panel.frame([shot(0.5)], patient, out, FAR_NS)
    quanta = signal(panel, out)
    assert np.percentile(quanta, 95) > 5 * np.percentile(quanta, 5)


def test_warming_leaves_no_trace(panel: Panel) -> None:
    panel.warm(Patient(*SHAPE, pitch_um=1184), np.empty(SHAPE, np.uint16))
    assert signal(panel, take(panel, [], 1)).mean() == pytest.approx(0.0, abs=0.05)


_SMALL = Panel(64, 64, 296)


@given(st.floats(0, 0.2), st.floats(0, 0.2), st.floats(0, 1), st.floats(0, 1))
def test_no_photon_is_lost_between_two_frames(
    window: float, readout: float, a: float, b: float
) -> None:
    first, last = sorted((a, b))
    here, later = _SMALL._row_shares(Shot(KV, FILTER, window, readout, 0, first, last))
    assert np.allclose(here + later, window + readout, atol=1e-5)
    assert here.min() >= 0
    assert later.min() >= 0
    assert (np.diff(here) >= -1e-7).all()
