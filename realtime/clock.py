"""The clocks of this process, read here and nowhere else in `realtime`.

Lives here: monotonic time and the conversion of kernel stamps.  May not live here: decisions.
"""

from __future__ import annotations

import struct
import time
from typing import Final

SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("@qq")
STAMP_SPACE: Final = 64
monotonic_ns = time.monotonic_ns


def wall_offset_ns() -> int:
    """Monotonic minus wall clock, now; valid until the wall clock is stepped."""
    return time.monotonic_ns() - time.time_ns()


def arrival_ns(ancillary: list[tuple[int, int, bytes]], offset_ns: int, floor_ns: int) -> int:
    """Monotonic arrival of a datagram from its kernel stamp.

    A stamp outside `floor_ns` … now was taken across a step of the wall clock, or is missing; the
    oldest possible instant is returned then, so that nothing looks fresher than it is.
    """
    now_ns = time.monotonic_ns()
    for _level, kind, payload in ancillary:
        if kind == SO_TIMESTAMPNS and len(payload) == _TIMESPEC.size:
            seconds, nanos = _TIMESPEC.unpack(payload)
            at_ns = int(seconds) * 1_000_000_000 + int(nanos) + offset_ns
            if floor_ns <= at_ns <= now_ns:
                return at_ns
    return min(floor_ns, now_ns)
