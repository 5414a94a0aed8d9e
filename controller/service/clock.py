"""Service time: milliseconds since 1970 that no step of the wall clock disturbs.

Lives here: reading the wall clock, which is done at the start and whenever somebody at the board
opens a session, and nowhere else.  May not live here: decisions.  Between those two moments service
time follows CLOCK_MONOTONIC, so a stepped clock neither revives nor kills a command.
"""

from __future__ import annotations

import ctypes
import time
from typing import Any, Final

_UNSYNCHRONISED: Final = 5  # TIME_ERROR of adjtimex(2)


class ServiceClock:
    """`now_ms()` by the wall clock as it was when last taken."""

    def __init__(self) -> None:
        self.take()

    def take(self) -> None:
        """Believe the wall clock as it is now."""
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        return (time.monotonic_ns() + self._offset_ns) // 1_000_000

    def report(self) -> dict[str, Any]:
        """Both clocks, how far they are apart, and what the kernel says of synchronisation."""
        wall_ms = time.time_ns() // 1_000_000
        return {
            "service_ms": self.now_ms(),
            "wall_ms": wall_ms,
            "apart_ms": wall_ms - self.now_ms(),
            "monotonic_ns": time.monotonic_ns(),
            "synchronised": synchronised(),
        }


def synchronised() -> bool | None:
    """Whether the kernel's clock is disciplined; None where it cannot be asked."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        # struct timex is 208 bytes on 64-bit Linux; with modes = 0 the call only reads.
        room = ctypes.create_string_buffer(256)
        state: int = libc.adjtimex(room)
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _UNSYNCHRONISED
