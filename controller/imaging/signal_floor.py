"""The running level against which "no image" is judged (F21).

Lives here: the least level that counts as a picture.  May not live here: pixels (`verdict` measures
their level), or an array library: virtual time runs this with the standard library alone.
"""

from __future__ import annotations

import math
from typing import Final

# Level, in digital units after offset, below which a frame shows no X-rays at all: a few times
# what an offset map drifts between two calibrations, far below any fluoroscopic dose.
SIGNAL_MIN_DU: Final = 5.0
# ... and as a part of the last valid level: above what any panel's lag adds up to, so that a ghost
# does not pass for a picture (F21).  Lag is ≤ 10 % in the first frame of amorphous silicon; that of
# a good panel is 0.4 %, but its slow part (1.5 s) piles up to 3 % within seconds of beam.
SIGNAL_PART_MIN: Final = 0.15
# A run begins with the ghost of the one before, which fades as slowly as its slowest part.
GHOST_FADE_NS: Final = 1_500_000_000
# A ghost only fades: while no picture is known yet, one stands above the self-test's dark frame.
DARK_FACTOR: Final = 1.5


class SignalFloor:
    """The least level that counts as a picture, following the last valid one; stamps in ns.

    Within a run it stays: a level that falls further from one frame to the next is no picture.
    From run to run it fades with the ghost: another technique or patient may follow.
    """

    def __init__(self) -> None:
        self._last_du = 0.0
        self._last_ns = 0
        self._fades = False
        self._dark_du = 0.0

    def dark(self, level_du: float) -> None:
        """Remember the level of a frame of which it is known that no X-rays are in it."""
        self._dark_du = level_du

    def start_run(self) -> None:
        """From here to the first valid frame the level of the run before only fades."""
        self._fades = True

    def valid(self, level_du: float, t_ns: int) -> None:
        """Remember the level of a valid frame that was not truncated."""
        self._last_du, self._last_ns, self._fades = level_du, t_ns, False

    def at(self, t_ns: int) -> float:
        """Limit for a frame whose integration ended at `t_ns`, digital units."""
        if not self._last_ns:
            return max(SIGNAL_MIN_DU, DARK_FACTOR * self._dark_du)
        part = SIGNAL_PART_MIN
        if self._fades:
            part *= math.exp(-max(0, t_ns - self._last_ns) / GHOST_FADE_NS)
        return max(SIGNAL_MIN_DU, part * self._last_du)
