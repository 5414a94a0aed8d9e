"""When something was so: a level over time with a bounded memory.

Lives here: `Spans`, the one answer to "was it so at t, within the last x, all the time from a to
b".  May not live here: what the level means.  Half-open intervals [start, end), ns.
"""

from __future__ import annotations

from collections import deque
from typing import Final

# 30 ms of bounce at one edge each 0.1 ms are 300 spans; this holds ten such releases.
SPANS_MAX: Final = 4096


class Spans:
    """Intervals in which a level was true.  Times come in ascending order."""

    def __init__(self) -> None:
        self._past: deque[tuple[int, int]] = deque(maxlen=SPANS_MAX)
        self.since_ns: int | None = None

    @property
    def now(self) -> bool:
        """The level after the last change."""
        return self.since_ns is not None

    def put(self, t_ns: int, level: bool) -> bool:
        """Take a level at `t_ns`; returns True when it changed."""
        if level == self.now:
            return False
        if self.since_ns is None:
            self.since_ns = t_ns
            return True
        self._past.append((self.since_ns, t_ns))
        self.since_ns = None
        return True

    def _within(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """True intervals that meet [start, end), oldest first, unclipped; open end = end."""
        found = []
        # From the newest back: what is asked for is nearly always the last second.
        for span in reversed(self._past):
            if span[1] <= start_ns:
                break
            if span[0] < end_ns:
                found.append(span)
        found.reverse()
        if self.since_ns is not None and self.since_ns < end_ns:
            found.append((self.since_ns, max(end_ns, self.since_ns)))
        return found

    def first_true_ns(self, start_ns: int, end_ns: int, lasting_ns: int = 0) -> int | None:
        """First instant of [start, end) at which it was so, for at least `lasting_ns`, or None."""
        for begin_ns, finish_ns in self._within(start_ns, end_ns):
            if begin_ns == self.since_ns or finish_ns - begin_ns >= lasting_ns:
                return max(start_ns, begin_ns)
        return None

    def first_lasted_ns(self, start_ns: int, end_ns: int, lasting_ns: int) -> int | None:
        """First instant of [start, end) at which it had been so for `lasting_ns`, or None."""
        for begin_ns, finish_ns in self._within(start_ns, end_ns):
            t_ns = max(start_ns, begin_ns + lasting_ns)
            if t_ns < min(finish_ns, end_ns):
                return t_ns
        return None

    def uncovered_ns(self, start_ns: int, end_ns: int, linger_ns: int = 0) -> int | None:
        """First instant of [start, end) at which it was not so within the last `linger_ns`."""
        reached_ns = start_ns
        for begin_ns, finish_ns in self._within(start_ns - linger_ns, end_ns):
            if begin_ns > reached_ns:
                return reached_ns
            reached_ns = max(reached_ns, finish_ns + linger_ns)
        return reached_ns if reached_ns < end_ns else None

    def last_true_ns(self, t_ns: int) -> int | None:
        """Latest instant up to `t_ns` at which it was so (an interval's end counts), or None."""
        if self.since_ns is not None and self.since_ns <= t_ns:
            return t_ns
        for begin_ns, finish_ns in reversed(self._past):
            if begin_ns <= t_ns:
                return min(finish_ns, t_ns)
        return None
