"""The breathing patient: which path lengths lie in the beam at a given instant.

Lives here: breath, heartbeat and the advancing catheter as functions of time, and banks of path
lengths, computed once.  May not live here: shapes (`anatomy`), photons (`panel`), or a clock: the
caller says what time it is.

Start-up computes one plane of tissue per breath position and a few of bone, at most `BANK_BYTES`
together.  A frame then costs two passes over a plane, one small patch for the heart and the pixels
of the catheter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hil.physics import anatomy
from hil.physics.anatomy import Plane
from hil.physics.spectra import Beam

BANK_BYTES: Final = 176 << 20
TISSUE_POSITIONS_MAX: Final = 32
BONE_POSITIONS_MAX: Final = 8
BEATS: Final = 8
BREATH_NS: Final = 4_200_000_000
BEAT_NS: Final = 880_000_000
CATHETER_NS: Final = 24_000_000_000
PATIENT_SOD_MM: Final = 760.0
SID_MM: Final = 1020.0
CENTRE_MM: Final = (12.0, 4.0)
BLOCK_ROWS: Final = 64

# Way of the catheter in mm: up the descending aorta, over the arch, down into the left ventricle.
_WAY: Final = (
    (19, 125), (19, 90), (20, 55), (20, 20), (20, -15), (18, -38), (10, -52), (-2, -53), (-9, -42),
    (-9, -26), (-4, -9), (4, 4), (14, 15), (26, 22), (38, 30), (47, 39), (50, 48),
)  # fmt: skip
_WIRE_MM: Final = 0.95  # half-width of the catheter's shadow at the patient
_STEEL_BODY_MM: Final = 0.34
_STEEL_TIP_MM: Final = 0.75
_TIP_MM: Final = 6.0
_HALF_MM: Final = 185.0  # along the way, on top of the arch
_ADVANCE_MM: Final = (238.0, 352.0)  # length inside the way when drawn back and when advanced


class Posture(NamedTuple):
    """Where the patient is: fractions inhaled and contracted, length of catheter in mm."""

    inhaled: float
    contracted: float
    catheter_mm: float


def posture(t_ns: int) -> Posture:
    """Posture at an instant: breath with a rest at its end, beat, catheter to and fro."""
    breath = 0.5 - 0.5 * np.cos(2 * np.pi * (t_ns % BREATH_NS) / BREATH_NS)
    beat = (t_ns % BEAT_NS) / BEAT_NS
    contracted = np.sin(np.pi * beat / 0.42) ** 2 if beat < 0.42 else 0.0
    travel = 0.5 - 0.5 * np.cos(2 * np.pi * (t_ns % CATHETER_NS) / CATHETER_NS)
    low, high = _ADVANCE_MM
    return Posture(float(breath**1.25), float(contracted), float(low + (high - low) * travel))


class _Wire(NamedTuple):
    """Pixels of the whole way: flat index, place along the way in mm, cross-section share 0…1."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    along_mm: Plane
    share: Plane


def _way() -> tuple[Any, Any]:
    """Points of a smooth way every 0.2 mm and their length from the entry, mm."""
    knots = np.asarray(_WAY, float)
    fine = np.linspace(0, len(knots) - 1, 4000)
    points = np.stack([np.interp(fine, np.arange(len(knots)), knots[:, i]) for i in (0, 1)], 1)
    kernel = np.hanning(401) / np.hanning(401).sum()
    padded = np.pad(points, ((200, 200), (0, 0)), mode="edge")
    smooth = np.stack([np.convolve(padded[:, i], kernel, "valid") for i in (0, 1)], 1)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(smooth, axis=0).T))])
    return smooth, along


def _wire(x0: float, y0: float, pixel_mm: float, shape: tuple[int, int]) -> _Wire:
    points, along = _way()
    reach = int(np.ceil(_WIRE_MM / pixel_mm)) + 1
    # the way crosses itself: each half has its own pixels there
    best: dict[tuple[int, int, bool], tuple[float, float]] = {}
    for (px, py), s in zip(points, along, strict=True):
        column, row = (px - x0) / pixel_mm, (py - y0) / pixel_mm
        for r in range(int(row) - reach, int(row) + reach + 1):
            for c in range(int(column) - reach, int(column) + reach + 1):
                off = np.hypot(c - column, r - row) * pixel_mm
                if off < _WIRE_MM and off < best.get((r, c, s > _HALF_MM), (_WIRE_MM, 0.0))[0]:
                    best[r, c, s > _HALF_MM] = (off, s)
    keys = [k for k in best if 0 <= k[0] < shape[0] and 0 <= k[1] < shape[1]]
    keys.sort(key=lambda k: best[k][1])
    off = np.array([best[k][0] for k in keys], np.float32)
    return _Wire(
        np.array([k[0] for k in keys], np.int64), np.array([k[1] for k in keys], np.int64),
        np.array([best[k][1] for k in keys], np.float32),
        np.sqrt(np.maximum(1.0 - (off / _WIRE_MM) ** 2, 0.0)).astype(np.float32),
    )  # fmt: skip


def _enlarged(plane: Plane, shape: tuple[int, int]) -> Plane:
    """Twice the size, linear in between, cut to `shape`."""
    wide = np.empty((plane.shape[0], 2 * plane.shape[1]), np.float32)
    wide[:, ::2] = plane
    wide[:, 1:-1:2] = 0.5 * (plane[:, 1:] + plane[:, :-1])
    wide[:, -1] = plane[:, -1]
    tall = np.empty((2 * plane.shape[0], wide.shape[1]), np.float32)
    tall[::2] = wide
    tall[1:-1:2] = 0.5 * (wide[1:] + wide[:-1])
    tall[-1] = wide[-1]
    return np.ascontiguousarray(tall[: shape[0], : shape[1]])


class Patient:
    """Path lengths for a panel of (height, width) pixels of `pitch_um`; start-up about 2 s."""

    def __init__(self, height: int, width: int, pitch_um: float) -> None:
        self.shape = (height, width)
        self._pixel_mm = pitch_um / 1000.0 * PATIENT_SOD_MM / SID_MM
        self._x0 = CENTRE_MM[0] - self._pixel_mm * width / 2
        self._y0 = CENTRE_MM[1] - self._pixel_mm * height / 2
        self._coarse = 2 if min(height, width) >= 512 else 1
        planes = max(BANK_BYTES // (4 * height * width), 4)
        bones = int(np.clip(planes // 5, 2, BONE_POSITIONS_MAX))
        self._x, self._y = self._axes(self._coarse)
        vessel = anatomy.vessel_mm(self._x, self._y)
        standing = anatomy.standing_bone_mm(self._x, self._y)
        self._tissue = self._bank(
            min(planes - bones, TISSUE_POSITIONS_MAX),
            lambda f: anatomy.tissue_mm(self._x, self._y, f, vessel),
        )
        self._bone = self._bank(bones, lambda f: anatomy.bone_mm(self._x, self._y, f, standing))
        self._beat = self._beats()
        self._wire = _wire(self._x0, self._y0, self._pixel_mm, self.shape)
        self._scratch = np.empty((BLOCK_ROWS, width), np.float32)

    def _axes(self, coarse: int) -> tuple[Plane, Plane]:
        height, width = ((n + coarse - 1) // coarse for n in self.shape)
        step = self._pixel_mm * coarse
        x = (self._x0 + step * np.arange(width)).astype(np.float32)[None, :]
        y = (self._y0 + step * np.arange(height)).astype(np.float32)[:, None]
        return x, y

    def _bank(self, count: int, make: Callable[[float], Plane]) -> list[Plane]:
        planes = [make(place / (count - 1)) for place in range(count)]
        if self._coarse == 1:
            return planes
        return [_enlarged(plane, self.shape) for plane in planes]

    def _beats(self) -> list[Plane]:
        """Air that the contracting heart leaves, as tissue lost in mm, for its surroundings."""
        filled = anatomy.heart_mm(self._x, self._y, 0.5, 0.0)
        edge = 1.0 / (1.0 + np.exp((self._y - anatomy.dome_mm(self._x, 0.5) + 12.0) / 4.0))
        lost = [
            (0.8 * anatomy.LUNG_AIR * edge
             * (anatomy.heart_mm(self._x, self._y, 0.5, k / (BEATS - 1)) - filled))
            .astype(np.float32) for k in range(BEATS)
        ]  # fmt: skip
        rows = np.flatnonzero(np.abs(lost[-1]).max(axis=1) > 0.05)
        columns = np.flatnonzero(np.abs(lost[-1]).max(axis=0) > 0.05)
        if not len(rows):
            self._beat_at = (0, 0)
            return [np.zeros((1, 1), np.float32)] * BEATS
        at = (int(rows[0]), int(columns[0]))
        self._beat_at = (at[0] * self._coarse, at[1] * self._coarse)
        cut = [plane[at[0] : rows[-1] + 1, at[1] : columns[-1] + 1] for plane in lost]
        if self._coarse == 1:
            return cut
        return [_enlarged(p, (2 * p.shape[0], 2 * p.shape[1])) for p in cut]

    def attenuation(self, t_ns: int, beam: Beam, out: Plane) -> None:
        """Write −ln(transmission) of every ray at `t_ns` into `out` (float32, panel's shape)."""
        now = posture(t_ns)
        tissue = self._tissue[round(now.inhaled * (len(self._tissue) - 1))]
        bone = self._bone[round(now.inhaled * (len(self._bone) - 1))]
        mu_tissue, mu_bone = (
            np.float32(beam.mu_tissue_per_cm / 10),
            np.float32(beam.mu_bone_per_cm / 10),
        )
        for top in range(0, self.shape[0], BLOCK_ROWS):
            rows = slice(top, min(top + BLOCK_ROWS, self.shape[0]))
            block, scratch = out[rows], self._scratch[: rows.stop - top]
            np.multiply(tissue[rows], mu_tissue, out=block)
            np.multiply(bone[rows], mu_bone, out=scratch)
            np.add(block, scratch, out=block)
        self._beat_into(out, now, float(mu_tissue))
        self._wire_into(out, now, beam.mu_steel_per_cm / 10)

    def _beat_into(self, out: Plane, now: Posture, mu_tissue: float) -> None:
        patch = self._beat[round(now.contracted * (BEATS - 1))]
        travel_mm = 0.45 * anatomy.DIAPHRAGM_TRAVEL_MM * (now.inhaled - 0.5)
        top = self._beat_at[0] + round(travel_mm / self._pixel_mm)
        left, height, width = self._beat_at[1], *self.shape
        skip = max(-top, 0)
        patch = patch[skip : max(height - top, skip), : width - left]
        place = out[top + skip : top + skip + patch.shape[0], left : left + patch.shape[1]]
        place += patch * np.float32(mu_tissue)

    def _wire_into(self, out: Plane, now: Posture, mu_steel_per_mm: float) -> None:
        wire = self._wire
        count = int(np.searchsorted(wire.along_mm, now.catheter_mm))
        if not count:
            return
        along, share = wire.along_mm[:count], wire.share[:count]
        tip = along > now.catheter_mm - _TIP_MM
        steel = share * np.where(tip, _STEEL_TIP_MM, _STEEL_BODY_MM).astype(np.float32)
        # what lies in the heart rides with breath and beat, what lies in the aorta does not
        rides = np.clip((along - _HALF_MM) / 90.0, 0.0, 1.0)
        shift_mm = 0.45 * anatomy.DIAPHRAGM_TRAVEL_MM * now.inhaled - 2.5 * now.contracted
        row = wire.row[:count] + np.floor(rides * (shift_mm / self._pixel_mm)).astype(np.int64)
        # Where the wire is stretched a row would stay empty: each pixel also covers the next one.
        # Of several values for a pixel numpy keeps the last, which is its own.
        rows = np.concatenate((row + 1, row))
        inside = (rows >= 0) & (rows < self.shape[0])
        flat = (rows * self.shape[1] + np.tile(wire.column[:count], 2))[inside]
        added = np.tile(steel * np.float32(mu_steel_per_mm), 2)[inside]
        out.reshape(-1)[flat] += added
