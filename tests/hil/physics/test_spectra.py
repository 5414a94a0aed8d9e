"""The beam tables against the numbers of the field.

Lives here: kerma, half-value layer and power law as `docs` and textbooks have them.  May not live
here: anything computed by the code under test.
"""

import itertools
import math

import pytest

from hil.physics.spectra import FILTERS, OutsideTable, beam, quanta_per_mm2

# W 12°, µGy/mAs at 1 m
KERMA = {
    ("none", 60.0): 48.9, ("none", 80.0): 82.0, ("none", 100.0): 118.9, ("none", 120.0): 158.7,
    ("3Al+0.1Cu", 60.0): 16.5, ("3Al+0.1Cu", 80.0): 35.1, ("3Al+0.1Cu", 100.0): 59.5,
    ("3Al+0.1Cu", 120.0): 88.4,
}  # fmt: skip


@pytest.mark.parametrize(("filter_name", "kv"), KERMA)
def test_kerma_is_that_of_the_tube(filter_name: str, kv: float) -> None:
    share = 0.001 if filter_name == "none" else 0.035  # copper's exact thickness is not published
    expected = KERMA[filter_name, kv]
    assert beam(kv, filter_name).kerma_ugy_per_mas_1m == pytest.approx(expected, rel=share)


def test_a_quality_near_rqa5_has_its_fluence() -> None:
    # 30,000 photons/mm²/µGy at RQA5, HVL 7.1 mm Al; softer beams have less
    assert 22_000 < beam(80.0, "3Al+0.1Cu").fluence_per_mm2_per_ugy < 28_000
    assert 4.0 < beam(80.0, "3Al+0.1Cu").hvl_mm_al < 5.5


@pytest.mark.parametrize(
    ("low", "high", "power"), [(60, 70, 4.9), (70, 80, 4.5), (80, 100, 4.0), (100, 120, 3.5)]
)
def test_signal_behind_20_cm_grows_with_the_known_power(
    low: float, high: float, power: float
) -> None:
    def signal(kv: float) -> float:
        row = beam(kv, "3Al+0.1Cu")
        quanta = quanta_per_mm2(kv, "3Al+0.1Cu", 1.0, 1000.0)
        return quanta * row.kev_per_quantum * math.exp(-20.0 * row.mu_tissue_per_cm)

    found = math.log(signal(high) / signal(low)) / math.log(high / low)
    assert found == pytest.approx(power, abs=0.9)


def test_five_cm_of_water_leave_a_third() -> None:
    assert math.exp(-5.0 * beam(75.0, "3Al+0.1Cu").mu_tissue_per_cm) == pytest.approx(
        0.32, abs=0.04
    )


@pytest.mark.parametrize("filter_name", FILTERS)
def test_everything_moves_one_way_with_kv(filter_name: str) -> None:
    rows = [beam(float(kv), filter_name) for kv in range(40, 121)]
    for a, b in itertools.pairwise(rows):
        assert b.kerma_ugy_per_mas_1m > a.kerma_ugy_per_mas_1m
        assert b.hvl_mm_al > a.hvl_mm_al
        assert b.mu_tissue_per_cm < a.mu_tissue_per_cm
        assert b.mu_bone_per_cm > b.mu_tissue_per_cm


def test_between_two_rows_lies_their_mean() -> None:
    low, middle, high = (beam(kv, "none").kerma_ugy_per_mas_1m for kv in (70.0, 71.0, 72.0))
    assert middle == pytest.approx((low + high) / 2)
    assert beam(40.0, "none").kv == 40.0
    assert beam(120.0, "none").kv == 120.0


def test_the_inverse_square_holds() -> None:
    near, far = (quanta_per_mm2(70.0, "none", 1.0, mm) for mm in (500.0, 1000.0))
    assert near == pytest.approx(4 * far)


@pytest.mark.parametrize(("kv", "filter_name"), [(39.9, "none"), (120.1, "none"), (70.0, "lead")])
def test_what_the_tables_lack_is_refused(kv: float, filter_name: str) -> None:
    with pytest.raises(OutsideTable):
        beam(kv, filter_name)
