"""Is this frame the picture of its pulse?  Facts in, one reason out.

Lives here: the questions asked of a raw frame, their order and their limits.  May not live here:
the running level against which "no image" is judged (`signal_floor`), sockets, pairing,
corrections.

"No image, no beam": realtime fires pulse n only when the verdict on frame n-2 or later was valid
(design §6).  So a frame is valid only if everything here is known to be good; the first reason
found is the one told.  A truncated pulse is not asked for its level: it may have been cut at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from realtime.wire.ring import FLAG_AFTER_IDLE

Pixels = npt.NDArray[np.uint16]
OK: Final = "ok"
TRUNCATED: Final = "truncated"

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
