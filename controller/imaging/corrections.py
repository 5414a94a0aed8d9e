"""Offset, gain and defects: raw digital units to a flat picture.

Lives here: the panel's calibration file and the arithmetic, in buffers allocated once.  May not
live here: verdicts, display, or lag and noise filters (other steps of the chain).

Order (domain §3): raw − offset → × gain → defect replacement.  Offset and gain are folded into one
multiplication and one addition per pixel: `raw·g + (½ − offset·g)`; the ½ makes truncation round.
A defective pixel becomes the mean of its nearest good neighbours, found once at load.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint16]
NAMES: Final = ("offset", "gain", "defects")
GAIN_MIN: Final = 0.05
GAIN_MAX: Final = 20.0
NEIGHBOURS: Final = 8
DEFECTS_PART_MAX: Final = 0.05
SEARCH_RADIUS_MAX: Final = 12
# What numpy raises on files that are missing, cut, damaged, or no archive at all.
_UNREADABLE: Final = (
    OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class CalibrationError(ValueError):
    """The calibration file is missing or not of this panel; says what to do."""


@dataclass(frozen=True)
class Calibration:
    """Maps of shape (height, width): offset in digital units, gain as a factor, defects as bool."""

    offset: Floats
    gain: Floats
    defects: npt.NDArray[np.bool_]


def load_calibration(path: Path, width: int, height: int) -> Calibration:
    """Read `offset`, `gain`, `defects` from an .npz; raises CalibrationError."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            maps = {name: archive[name] for name in NAMES}
    except _UNREADABLE as error:
        raise CalibrationError(f"{path.name}: {error}; calibrate the panel") from None
    for name, values in maps.items():
        if values.shape != (height, width):
            raise CalibrationError(
                f"{path.name}: {name} is {values.shape}, the panel {(height, width)}"
            )
    offset = maps["offset"].astype(np.float32)
    gain = maps["gain"].astype(np.float32)
    defects = maps["defects"].astype(bool)
    _refuse_implausible(path.name, offset, gain, defects)
    return Calibration(offset, gain, defects)


def _refuse_implausible(name: str, offset: Floats, gain: Floats, defects: Any) -> None:
    if not np.isfinite(offset).all():
        raise CalibrationError(f"{name}: offset is not finite everywhere")
    good = gain[~defects]
    if not (np.isfinite(good).all() and (good >= GAIN_MIN).all() and (good <= GAIN_MAX).all()):
        raise CalibrationError(f"{name}: gain outside {GAIN_MIN} … {GAIN_MAX}")
    if defects.mean() > DEFECTS_PART_MAX:
        raise CalibrationError(f"{name}: more than {DEFECTS_PART_MAX:.0%} of the pixels are bad")


def _good_neighbours(defects: npt.NDArray[np.bool_], row: int, column: int) -> list[int]:
    """Flat indices of the nearest good pixels, nearest ring first, at most `NEIGHBOURS`."""
    height, width = defects.shape
    for radius in range(1, SEARCH_RADIUS_MAX + 1):
        rows = slice(max(0, row - radius), min(height, row + radius + 1))
        columns = slice(max(0, column - radius), min(width, column + radius + 1))
        r, c = np.nonzero(~defects[rows, columns])
        if len(r) >= 2:
            distance = (r + rows.start - row) ** 2 + (c + columns.start - column) ** 2
            nearest = np.argsort(distance, kind="stable")[:NEIGHBOURS]
            return list((r[nearest] + rows.start) * width + c[nearest] + columns.start)
    raise CalibrationError(f"a cluster of defects around {row}, {column} is too large to replace")


class Corrections:
    """The arithmetic for one calibration; not reentrant: its buffers are reused every frame."""

    applied: Final = ("offset", "gain", "defects")

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        gain = np.where(calibration.defects, np.float32(1), calibration.gain)
        self._gain: Floats = np.ascontiguousarray(gain, dtype=np.float32)
        self._shift: Floats = np.float32(0.5) - calibration.offset * self._gain
        self._flat: Floats = np.empty_like(self._gain)
        self._bad = np.flatnonzero(calibration.defects)
        self._sources = self._neighbour_table(calibration.defects)

    def _neighbour_table(self, defects: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """(defects, NEIGHBOURS) flat indices; a short list is repeated until the row is full."""
        table = np.empty((len(self._bad), NEIGHBOURS), dtype=np.intp)
        for entry, flat in enumerate(self._bad):
            found = _good_neighbours(defects, *divmod(int(flat), defects.shape[1]))
            table[entry] = np.resize(np.array(found, dtype=np.intp), NEIGHBOURS)
        return table

    def apply(self, raw: Pixels, out: Pixels) -> None:
        """Correct `raw` into `out`, both uint16 of the panel's shape; clipped to 0 … 65535."""
        flat = self._flat
        np.multiply(raw, self._gain, out=flat, dtype=np.float32)
        np.add(flat, self._shift, out=flat)
        if len(self._bad):
            line = flat.reshape(-1)
            line[self._bad] = line[self._sources].mean(axis=1)
        np.clip(flat, 0.0, 65535.0, out=flat)
        np.copyto(out, flat, casting="unsafe")


@dataclass(frozen=True, slots=True)
class FieldStatistics:
    """Measuring field: x, y, width, height in pixels; mean and spread in digital units."""

    box: tuple[int, int, int, int]
    mean_du: float
    sigma_du: float


def measure(picture: Pixels) -> FieldStatistics:
    """Statistics of the central quarter of a corrected frame, every other row and column."""
    height, width = picture.shape
    top, left = height // 4, width // 4
    rows, columns = height // 2, width // 2
    field = picture[top : top + rows : 2, left : left + columns : 2].astype(np.float32)
    return FieldStatistics((left, top, columns, rows), float(field.mean()), float(field.std()))
