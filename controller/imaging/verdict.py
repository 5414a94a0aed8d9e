"""Is this frame the picture of its pulse?  Facts in, one reason out.

Lives here: the questions asked of a raw frame, their order and their limits, and the running level
against which "no image" is judged.  May not live here: sockets, pairing, corrections.

"No image, no beam": realtime fires pulse n only when the verdict on frame n-2 or later was valid
(design §6).  So a frame is valid only if everything here is known to be good; the first reason
found is the one told.  A truncated pulse is not asked for its level: it may have been cut at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from realtime.wire.ring import FLAG_AFTER_IDLE

Pixels = npt.NDArray[np.uint16]
OK: Final = "ok"
TRUNCATED: Final = "truncated"

# Level, in digital units after offset, below which a frame shows no X-rays at all: a few times
# what an offset map drifts between two calibrations, far below any fluoroscopic dose.
SIGNAL_MIN_DU: Final = 5.0
# ... and as a part of the last valid level: above what any panel's lag adds up to, so that a ghost
# does not pass for a picture (F21).  Lag is ≤ 10 % in the first frame of amorphous silicon; that of
# a good panel is 0.4 %, but its slow part (1.5 s) piles up to 3 % within seconds of beam.
SIGNAL_PART_MIN: Final = 0.15
# A run begins with the ghost of the one before, which fades as slowly as its slowest part.
GHOST_FADE_NS: Final = 1_500_000_000
# Every 8th row is enough: the standard error of 2**17 pixels is 1/360 of the noise.
ROW_STEP: Final = 8
DARK_MEAN_MAX_DU: Final = 30.0
DARK_SIGMA_MIN_DU: Final = 0.1
DARK_SIGMA_MAX_DU: Final = 100.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one paired frame.  `level_du` is the mean after offset subtraction."""

    whole: bool
    shape_ok: bool
    checksum_ok: bool
    zero: bool
    repeat: bool
    flags: int
    calibrated: bool
    level_du: float
    truncated: bool


def is_zero(raw: Pixels) -> bool:
    """True when every pixel is 0 (F24); a working panel has an offset everywhere."""
    return not raw[0].any() and not raw.any()


def is_repeat(raw: Pixels, previous: Pixels) -> bool:
    """True when two frames are equal to the last bit (F24): noise makes that impossible."""
    return np.array_equal(raw[0], previous[0]) and np.array_equal(raw, previous)


def sampled_mean(frame: npt.NDArray[Any]) -> float:
    """Mean of every `ROW_STEP`-th row of a raw frame or an offset map, digital units."""
    return float(frame[::ROW_STEP].mean(dtype=np.float64))


def dark_level_du(raw: Pixels, offset: npt.NDArray[np.float32], good: Any) -> tuple[float, float]:
    """Mean and standard deviation of the good pixels after offset subtraction, digital units."""
    rest = raw.astype(np.float32) - offset
    values = rest[good]
    return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))


def dark_ok(mean_du: float, sigma_du: float) -> bool:
    """True when a dark frame looks like one: near its offset, with an amplifier's noise."""
    quiet = DARK_SIGMA_MIN_DU <= sigma_du <= DARK_SIGMA_MAX_DU
    return abs(mean_du) <= DARK_MEAN_MAX_DU and quiet


def judge(facts: Facts, floor_du: float) -> str:
    """The first reason against the frame, or `ok` / `truncated` when there is none."""
    against = (
        (not facts.shape_ok, "size"),
        (not facts.whole, "torn"),
        (not facts.checksum_ok, "checksum"),
        (bool(facts.flags & FLAG_AFTER_IDLE), "after_idle"),
        (facts.zero, "zero"),
        (facts.repeat, "frozen"),
        (not facts.calibrated, "no_calibration"),
        (not facts.truncated and not facts.level_du >= floor_du, "no_signal"),
    )
    for bad, reason in against:
        if bad:
            return reason
    return TRUNCATED if facts.truncated else OK


def is_valid(reason: str) -> bool:
    """True for the two reasons that let a frame pass."""
    return reason in (OK, TRUNCATED)


class SignalFloor:
    """The least level that counts as a picture, following the last valid one; stamps in ns.

    Within a run it stays: a level that falls further from one frame to the next is no picture.
    From run to run it fades with the ghost: another technique or patient may follow.
    """

    def __init__(self) -> None:
        self._last_du = 0.0
        self._last_ns = 0
        self._fades = False

    def start_run(self) -> None:
        """From here to the first valid frame the level of the run before only fades."""
        self._fades = True

    def valid(self, level_du: float, t_ns: int) -> None:
        """Remember the level of a valid frame that was not truncated."""
        self._last_du, self._last_ns, self._fades = level_du, t_ns, False

    def at(self, t_ns: int) -> float:
        """Limit for a frame whose integration ended at `t_ns`, digital units."""
        part = SIGNAL_PART_MIN
        if self._fades:
            part *= math.exp(-max(0, t_ns - self._last_ns) / GHOST_FADE_NS)
        return max(SIGNAL_MIN_DU, part * self._last_du)
