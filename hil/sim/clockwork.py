"""Virtual time: what happens next, and the host's clock beside the rig's.

Lives here: the queue of events, ordered by (time, seeded tie, sequence), and the conversion between
the rig's time, in which truth is told, and the host's monotonic clock, which all processes read.
May not live here: what an event does.  All times are integer ns; `t_ns` is the rig's.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

from hil.sim.chance import Stream

# Far more than ever wait in a healthy world; an endless cascade is our bug and ends here.
WAITING_MAX: Final = 20_000
PPM: Final = 1_000_000


class Clockwork:
    """The queue.  `now_ns` is the instant of the event in progress."""

    __slots__ = ("_heap", "_seq", "_tie", "done", "now_ns")

    def __init__(self, seed: int, now_ns: int) -> None:
        self.now_ns = now_ns
        self.done = 0
        self._heap: list[tuple[int, int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._seq = 0
        self._tie = Stream(seed, "ties").tie

    def at(self, t_ns: int, act: Callable[..., None], *arguments: Any) -> None:
        """Call `act(*arguments)` at `t_ns`, or now if that has passed."""
        assert len(self._heap) < WAITING_MAX, "events make more events than they use up"
        self._seq += 1
        due_ns = max(self.now_ns, t_ns)
        heappush(self._heap, (due_ns, self._tie(), self._seq, act, arguments))

    def next_ns(self, none: int) -> int:
        """When the next event is due; `none` when nothing waits."""
        return self._heap[0][0] if self._heap else none

    def turn(self) -> None:
        """Do the next event."""
        t_ns, _, _, act, arguments = heappop(self._heap)
        self.now_ns = t_ns
        self.done += 1
        act(*arguments)


class HostClock:
    """The host's CLOCK_MONOTONIC against the rig's time: an offset and a drift.

    `of` and `when` are monotonic and each other's inverse, rounded so that `of(when(h)) >= h`.
    """

    __slots__ = ("_offset_ns", "_origin_ns", "_ppm")

    def __init__(self, origin_ns: int, offset_ns: int, drift_ppm: int) -> None:
        assert -1000 <= drift_ppm <= 1000, "a crystal, not a broken one"
        self._origin_ns = origin_ns
        self._offset_ns = offset_ns
        self._ppm = drift_ppm

    def of(self, t_ns: int) -> int:
        """The host's clock at the rig's `t_ns`."""
        return t_ns + self._offset_ns + (t_ns - self._origin_ns) * self._ppm // PPM

    def when(self, host_ns: int) -> int:
        """The first rig time at which the host's clock has reached `host_ns`."""
        passed_ns = host_ns - self._offset_ns - self._origin_ns
        t_ns = self._origin_ns + passed_ns * PPM // (PPM + self._ppm)
        while self.of(t_ns) < host_ns:
            t_ns += 1
        while self.of(t_ns - 1) >= host_ns:
            t_ns -= 1
        return t_ns
