"""The chest is a chest: lungs, diaphragm, heart, ribs and spine lie where they lie in people."""

import numpy as np
import pytest

from hil.physics import anatomy
from hil.physics.anatomy import Plane

X = np.arange(-110, 111, dtype=np.float32)[None, :]
Y = np.arange(-110, 111, dtype=np.float32)[:, None]


def tissue(inhaled: float) -> Plane:
    return anatomy.tissue_mm(X, Y, inhaled, anatomy.vessel_mm(X, Y))


def at(plane: Plane, x: int, y: int) -> float:
    return float(plane[y + 110, x + 110])


def test_lungs_let_more_through_than_liver_and_mediastinum() -> None:
    plane = tissue(0.0)
    lung, liver, spine = at(plane, -70, -20), at(plane, -70, 90), at(plane, 0, 30)
    assert lung < 0.6 * liver
    assert lung < 0.6 * spine
    assert plane.min() > 0.0
    assert plane.max() <= anatomy.BODY_DEPTH_MM


def test_breathing_in_lowers_the_diaphragm() -> None:
    for x in (-60, 60):
        fall = float(anatomy.dome_mm(np.float32(x), 1.0) - anatomy.dome_mm(np.float32(x), 0.0))
        assert fall == pytest.approx(anatomy.DIAPHRAGM_TRAVEL_MM, rel=0.1)
    between = int(anatomy.dome_mm(np.float32(-70), 0.0)) + 10
    assert at(tissue(1.0), -70, between) < 0.7 * at(tissue(0.0), -70, between)


def test_the_right_dome_stands_higher() -> None:
    assert anatomy.dome_mm(np.float32(-62), 0.0) < anatomy.dome_mm(np.float32(62), 0.0)


def test_the_heart_lies_to_the_left_and_shrinks_with_the_beat() -> None:
    filled, contracted = (anatomy.heart_mm(X, Y, 0.0, beat) for beat in (0.0, 1.0))
    middle = float((filled * X).sum() / filled.sum())
    assert 5.0 < middle < 40.0
    assert contracted.sum() < 0.95 * filled.sum()


def test_ribs_come_in_pairs_and_move_a_little() -> None:
    none = np.zeros((221, 221), np.float32)
    out, full = (anatomy.bone_mm(X, Y, inhaled, none) for inhaled in (0.0, 1.0))
    assert np.allclose(out, out[:, ::-1], atol=1e-3)
    crossings = np.count_nonzero(np.diff((out[:, 40] > 1.0).astype(int)) == 1)
    assert crossings >= 7
    assert 0.0 < float(np.abs(full - out).mean()) < float(out.mean())


def test_a_rib_is_brighter_at_its_edges() -> None:
    ribs = anatomy.bone_mm(X, Y, 0.0, np.zeros((221, 221), np.float32))
    fine_y = np.arange(-60, 60, 0.2, dtype=np.float32)[:, None]
    line = anatomy.bone_mm(X, fine_y, 0.0, np.zeros((600, 221), np.float32))[:, 110 - 40]
    lit = np.flatnonzero(line > 0)
    first = lit[: np.flatnonzero(np.diff(lit) > 1)[0] + 1] if np.any(np.diff(lit) > 1) else lit
    assert line[first].max() > 1.3 * line[first[len(first) // 2]]
    assert ribs.max() > 0


def test_vertebrae_repeat() -> None:
    standing = anatomy.standing_bone_mm(X, Y)
    column = standing[60:, 110]
    pitch = int(anatomy.VERTEBRA_PITCH_MM)
    assert np.corrcoef(column[:-pitch], column[pitch:])[0, 1] > 0.95


def test_the_vessels_are_always_the_same() -> None:
    assert anatomy.vessels() == anatomy.vessels()
    assert len(anatomy.vessels()) == 6 * 31
