"""A chest from geometry: millimetres of tissue and bone along each ray, for one breath position.

Lives here: shapes and their path lengths as functions of position and of the inhaled fraction.  May
not live here: X-rays (`spectra`, `panel`), time or motion over time (`patient`).

Coordinates in mm at the patient's mid-plane, seen from the front as on a radiograph: x grows to
the patient's left (right in the picture), y towards the feet, the origin in the midline at the
height of the seventh thoracic vertebra.  Arrays are float32; lengths in the result are mm.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

BODY_HALF_WIDTH_MM: Final = 165.0
BODY_DEPTH_MM: Final = 178.0
LUNG_DEPTH_MM: Final = 145.0
LUNG_AIR: Final = 0.74  # share of a lung's path that is air
DIAPHRAGM_TRAVEL_MM: Final = 24.0
RIBS: Final = range(2, 12)
VERTEBRA_PITCH_MM: Final = 25.0
# Calcium is sparse in a vertebral body: cortical bone with the same shadow, mm per mm.
SPONGIOSA: Final = 0.13


def _chord(radius: float, distance_sq: Any) -> Any:
    return 2.0 * np.sqrt(np.maximum(radius * radius - distance_sq, 0.0))


def _soft_step(x: Any, width: float) -> Any:
    """0 to 1 over `width` around x = 0."""
    ramp = np.clip(x / width + 0.5, 0.0, 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)


def dome_mm(x: Any, inhaled: float) -> Any:
    """Height of the diaphragm's upper edge at x; the right dome stands higher."""
    right, left = x < -8.0, x >= -8.0
    centre = np.where(right, -62.0, 62.0)
    top = np.where(right, 34.0, 46.0) + DIAPHRAGM_TRAVEL_MM * inhaled
    across = (x - centre) / 66.0
    # the sulcus at the side opens and falls with the breath
    lateral = np.maximum(np.abs(x) - 92.0, 0.0)
    return top + 15.0 * across**2 + (0.05 + 0.02 * inhaled) * lateral**2 - 3.0 * left


def _lungs(x: Plane, y: Plane, inhaled: float) -> Any:
    """Path through lung, mm, heart not yet taken out."""
    side = np.abs(x)
    outer = (124.0 + 2.5 * inhaled) * np.sqrt(
        np.clip(1.0 - (np.minimum(y - 40.0, 0.0) / 176.0) ** 2, 0.01, 1.0)
    )
    inner = 15.0 + 5.0 * np.exp(-(((y + 15.0) / 26.0) ** 2))
    across = (2.0 * side - outer - inner) / (outer - inner)
    depth = np.sqrt(np.clip(1.0 - np.abs(across) ** 3, 0.0, 1.0))
    below = y - dome_mm(x, inhaled)
    # behind the dome the lung reaches deeper: a thin wedge remains below the edge
    recess = 0.2 * np.exp(-np.maximum(below, 0.0) / 26.0)
    share = recess + (1.0 - recess) * (1.0 - _soft_step(below, 2.2))
    return LUNG_DEPTH_MM * depth * share


def heart_mm(x: Any, y: Any, inhaled: float, beat: float) -> Any:
    """Depth of heart, aortic arch and vessels' root, mm; `beat` 0 filled … 1 contracted."""
    y = y - 0.45 * DIAPHRAGM_TRAVEL_MM * inhaled
    tilt_cos, tilt_sin = 0.82, 0.57
    shrink = 1.0 - 0.075 * beat
    u = (tilt_cos * (x - 24.0) + tilt_sin * (y - 22.0)) / (57.0 * shrink)
    v = (tilt_cos * (y - 22.0) - tilt_sin * (x - 24.0)) / (43.0 * shrink)
    ventricles = 105.0 * np.sqrt(np.maximum(1.0 - u * u - v * v, 0.0))
    atrium_sq = ((x + 12.0) / 27.0) ** 2 + ((y - 18.0) / 36.0) ** 2
    atrium = 90.0 * np.sqrt(np.maximum(1.0 - atrium_sq, 0.0))
    arch = _chord(14.0, (x - 15.0) ** 2 + (y + 46.0) ** 2) * 2.2
    root_sq = ((x - 8.0) / 22.0) ** 2 + ((y + 18.0) / 42.0) ** 2
    root = 75.0 * np.sqrt(np.maximum(1.0 - root_sq, 0.0))
    return np.maximum(np.maximum(ventricles, atrium), np.maximum(arch, root))


def vessels() -> list[tuple[float, float, float, float, float]]:
    """Branches of the lung vessels as (x0, y0, x1, y1, radius) in mm; always the same tree."""
    chance = np.random.default_rng(1895)
    tree: list[tuple[float, float, float, float, float]] = []

    def grow(x: float, y: float, heading: float, radius: float, left: int) -> None:
        length = 9.0 + 5.0 * radius * chance.random()
        x1, y1 = x + length * np.cos(heading), y + length * np.sin(heading)
        tree.append((x, y, float(x1), float(y1), radius))
        if left:
            grow(x1, y1, heading + 0.18 + 0.3 * chance.random(), radius * 0.8, left - 1)
            grow(x1, y1, heading - 0.18 - 0.3 * chance.random(), radius * 0.72, left - 1)

    for side in (-1.0, 1.0):
        for up in (-0.95, -0.1, 0.75):
            heading = up if side > 0 else np.pi - up
            grow(side * 26.0, -6.0 + 8.0 * up, float(heading), 4.6, 4)
    return tree


def _near(x: Plane, y: Plane, box: tuple[float, float, float, float]) -> tuple[slice, slice]:
    rows = np.searchsorted(y[:, 0], (box[1], box[3]))
    columns = np.searchsorted(x[0], (box[0], box[2]))
    return slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))


def vessel_mm(x: Plane, y: Plane) -> Plane:
    """Depth of lung vessels at rest, mm; the caller lets them ride with the breath."""
    depth = np.zeros((len(y), x.shape[1]), np.float32)
    for x0, y0, x1, y1, radius in vessels():
        box = (
            min(x0, x1) - radius,
            min(y0, y1) - radius,
            max(x0, x1) + radius,
            max(y0, y1) + radius,
        )
        rows, columns = _near(x, y, box)
        px, py = x[:, columns] - x0, y[rows] - y0
        dx, dy = x1 - x0, y1 - y0
        along = np.clip((px * dx + py * dy) / (dx * dx + dy * dy), 0.0, 1.0)
        off_sq = (px - along * dx) ** 2 + (py - along * dy) ** 2
        patch = depth[rows, columns]
        np.maximum(patch, 2.0 * _chord(radius, off_sq), out=patch)
    return depth


def tissue_mm(x: Plane, y: Plane, inhaled: float, vessel: Plane) -> Plane:
    """Path through tissue with the lungs' air taken out, for columns x (1, w) and rows y (h, 1)."""
    body = BODY_DEPTH_MM * np.sqrt(np.clip(1.0 - np.abs(x / BODY_HALF_WIDTH_MM) ** 3, 0.0, 1.0))
    lung = _lungs(x, y, inhaled)
    lung = np.maximum(lung - 1.15 * heart_mm(x, y, inhaled, 0.0), 0.0)
    lung = np.maximum(lung - np.minimum(vessel, lung * 0.6), 0.0)
    gas_y = 74.0 + DIAPHRAGM_TRAVEL_MM * inhaled
    gas = 48.0 * np.sqrt(
        np.maximum(1.0 - ((x - 58.0) / 25.0) ** 2 - ((y - gas_y) / 10.0) ** 2, 0.0)
    )
    trachea = _chord(8.0, (x + 1.0) ** 2) * (1.0 - _soft_step(y + 52.0, 8.0))
    tissue: Plane = (body - LUNG_AIR * lung - gas - 0.9 * trachea).astype(np.float32)
    return tissue


def _rib(x: Plane, y: Plane, bone: Plane, number: int, inhaled: float) -> None:
    """One pair: a tilted hoop, seen from the front an ellipse; its anterior ends are missing."""
    back = -153.0 + 25.0 * number - 2.5 * inhaled
    half_drop = (30.0 + 1.1 * number) * (1.0 - 0.10 * inhaled)
    reach = (86.0 + 42.0 * np.sin(min(number, 9) / 9.0 * np.pi / 2)) * (1.0 + 0.02 * inhaled)
    depth_half = 78.0
    radius, cortex = 5.9, 1.25
    middle = back + half_drop
    rows, columns = _near(
        x, y, (-reach - radius, back - radius, reach + radius, middle + half_drop + radius)
    )
    px, py = x[:, columns], y[rows] - middle
    level = (px / reach) ** 2 + (py / half_drop) ** 2 - 1.0
    slope_sq = (px / reach**2) ** 2 + (py / half_drop**2) ** 2
    off_sq = level * level / (4.0 * slope_sq + 1e-9)
    off_sq = np.minimum(off_sq, 1e4)
    wall = _chord(radius, off_sq) - 0.82 * _chord(radius - cortex, off_sq)
    # where the hoop runs along the ray its path is longer
    sine_sq = np.clip((px / reach) ** 2, 0.0, 1.0)
    run_sq = reach**2 * (1.0 - sine_sq) + half_drop**2 * sine_sq
    steep = np.minimum(np.sqrt(1.0 + depth_half**2 * sine_sq / run_sq), 2.2)
    side = np.abs(px)
    end_mm = 38.0 + 4.0 * number
    kept = np.where(py < 0.0, _soft_step(side - 13.0, 4.0), _soft_step(side - end_mm, 9.0))
    patch = bone[rows, columns]
    patch += (0.62 * wall * steep * kept).astype(np.float32)


def _spine(x: Plane, y: Plane) -> Any:
    place = np.mod(y + 5.0, VERTEBRA_PITCH_MM) - VERTEBRA_PITCH_MM / 2
    half_width = 14.5 + y * 0.012 - 1.8 * np.cos(place / 10.0 * np.pi / 2) ** 2
    in_body = _soft_step(half_width - np.abs(x), 1.6) * _soft_step(10.3 - np.abs(place), 1.4)
    endplate = np.exp(-(((np.abs(place) - 9.6) / 0.9) ** 2)) * _soft_step(half_width - np.abs(x), 2)
    side_wall = np.exp(-(((np.abs(x) - half_width + 0.8) / 0.9) ** 2)) * in_body
    ring = ((np.abs(x) - 9.5) / 3.2) ** 2 + ((place + 3.0) / 4.8) ** 2
    pedicle = np.exp(-(((ring - 1.0) / 0.35) ** 2))
    spinous = np.exp(-((x / 2.3) ** 2) - ((place - 6.0) / 5.5) ** 2)
    discs = 0.45 * SPONGIOSA * _soft_step(half_width - np.abs(x), 3)
    body = SPONGIOSA * in_body + discs
    return 30.0 * body + 2.6 * endplate + 2.2 * side_wall + 2.8 * pedicle + 3.0 * spinous


def _clavicles(x: Plane, y: Plane) -> Any:
    side = np.abs(x)
    centre = -89.0 - 0.10 * (side - 14.0) - 5.5 * np.sin((side - 14.0) / 34.0)
    radius = 5.4 + 1.6 * np.exp(-(((side - 16.0) / 9.0) ** 2))
    off_sq = (y - centre) ** 2
    outer = 2.0 * np.sqrt(np.maximum(radius**2 - off_sq, 0.0))
    inner = 2.0 * np.sqrt(np.maximum((radius - 1.7) ** 2 - off_sq, 0.0))
    return 0.75 * (outer - 0.75 * inner) * _soft_step(side - 14.0, 2.5)


def standing_bone_mm(x: Plane, y: Plane) -> Plane:
    """Spine and clavicles: cortical bone equivalent along each ray, mm."""
    standing: Plane = (_spine(x, y) + _clavicles(x, y)).astype(np.float32)
    return standing


def bone_mm(x: Plane, y: Plane, inhaled: float, standing: Plane) -> Plane:
    """All bone at a breath position; `standing` from `standing_bone_mm`."""
    bone = standing.copy()
    for number in RIBS:
        _rib(x, y, bone, number, inhaled)
    return bone
