"""Virtual time: what happens next, and the host's clock beside the rig's.

Lives here: the queue of events, ordered by (time, seeded tie, sequence), and the conversion between
the rig's time, in which truth is told, and the host's monotonic clock, which all processes read.
May not live here: what an event does.  All times are integer ns; `t_ns` is the rig's.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

from hil.sim.chance import TIE_BITS, Stream

# Far more than ever wait in a healthy world; an endless cascade is our bug and ends here.
WAITING_MAX: Final = 20_000
PPM: Final = 1_000_000


class Clockwork:
    """The queue.  `now_ns` is the instant of the event in progress; `waiting` is a heap by time."""

    __slots__ = ("_bits", "_seq", "done", "now_ns", "waiting")

    def __init__(self, seed: int, now_ns: int) -> None:
        self.now_ns = now_ns
        self.done = 0
        self.waiting: list[tuple[int, int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._seq = 0
        self._bits = Stream(seed, "ties").bits

    def at(self, t_ns: int, act: Callable[..., None], *arguments: Any) -> None:
        """Call `act(*arguments)` at `t_ns`, or now if that has passed."""
        waiting = self.waiting
        assert len(waiting) < WAITING_MAX, "events make more events than they use up"
        self._seq = seq = self._seq + 1
        due_ns = max(self.now_ns, t_ns)
        heappush(waiting, (due_ns, self._bits(TIE_BITS), seq, act, arguments))

    def turn(self) -> None:
        """Do the next event."""
        self.now_ns, _, _, act, arguments = heappop(self.waiting)
        self.done += 1
        act(*arguments)


class HostClock:
    """The host's CLOCK_MONOTONIC against the rig's time: an offset and a drift.

    `of` and `when` are monotonic and each other's inverse, rounded so that `of(when(h)) >= h`.
    """

    __slots__ = ("_origin_host_ns", "_origin_ns", "_rate")

    def __init__(self, origin_ns: int, offset_ns: int, drift_ppm: int) -> None:
        assert -1000 <= drift_ppm <= 1000, "a crystal, not a broken one"
        self._origin_ns = origin_ns
        self._origin_host_ns = origin_ns + offset_ns
        self._rate = PPM + drift_ppm

    def of(self, t_ns: int) -> int:
        """The host's clock at the rig's `t_ns`."""
        return self._origin_host_ns + (t_ns - self._origin_ns) * self._rate // PPM

    def when(self, host_ns: int) -> int:
        """The first rig time at which the host's clock has reached `host_ns`."""
        return self._origin_ns - (self._origin_host_ns - host_ns) * PPM // self._rate
