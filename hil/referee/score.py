"""The score: occasions and violations per invariant, with the rig's own late moments set apart.

Lives here: counting.  May not live here: judging.  An occasion is held back for 5 s, because the
rig can only say afterwards that it was late; what overlaps a late interval counts for nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from hil.referee import limits

HOLD_NS: Final = 5_000_000_000
LATE_KEPT_MAX: Final = 1024
EXAMPLES_MAX: Final = 5


class Occasion(NamedTuple):
    """A real chance to break invariant `n` in [start, end]; `wrong` says how it was broken."""

    n: int
    start_ns: int
    end_ns: int
    wrong: str | None


@dataclass
class Tally:
    """Counts of one invariant."""

    exercised: int = 0
    violations: int = 0
    set_apart: int = 0
    first_t_ns: int | None = None
    examples: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """`violated`, `holds` or `not_exercised`."""
        if self.violations:
            return "violated"
        return "holds" if self.exercised else "not_exercised"


class Score:
    """Collects occasions; `settle` moves those that are old enough into the tallies."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self.tallies = {n: Tally() for n in numbers}
        self.late_count = 0
        self.late_worst_ns = 0
        self.late_total_ns = 0
        self._late: deque[tuple[int, int]] = deque(maxlen=LATE_KEPT_MAX)
        self._held: deque[Occasion] = deque()

    def saw(self, n: int, start_ns: int, end_ns: int, wrong: str | None = None) -> None:
        """An occasion for invariant `n`; `wrong` None means it was kept."""
        self._held.append(Occasion(n, start_ns, max(start_ns, end_ns), wrong))

    def rig_late(self, t_ns: int, late_ns: int) -> None:
        """The rig woke at `t_ns`, `late_ns` after it should have."""
        if late_ns > limits.RIG_LATE_NS:
            self.late_count += 1
            self.late_worst_ns = max(self.late_worst_ns, late_ns)
            self.late_total_ns += late_ns
            self._late.append((t_ns - late_ns, t_ns))

    def settle(self, now_ns: int) -> None:
        """Count every occasion that came in more than 5 s ago."""
        while self._held and self._held[0].end_ns < now_ns - HOLD_NS:
            self._count(self._held.popleft())

    def finish(self) -> None:
        """Count what is left."""
        while self._held:
            self._count(self._held.popleft())

    def _count(self, occasion: Occasion) -> None:
        tally = self.tallies[occasion.n]
        if any(a <= occasion.end_ns and occasion.start_ns <= b for a, b in self._late):
            tally.set_apart += 1
            return
        tally.exercised += 1
        if occasion.wrong is None:
            return
        tally.violations += 1
        if tally.first_t_ns is None or occasion.start_ns < tally.first_t_ns:
            tally.first_t_ns = occasion.start_ns
        if len(tally.examples) < EXAMPLES_MAX:
            tally.examples = (*tally.examples, f"{occasion.start_ns}: {occasion.wrong}")

    def rows(self) -> list[dict[str, Any]]:
        """`{n, exercised, violations, first_t_ns, status, set_apart, examples}` per invariant."""
        return [
            {
                "n": n,
                "exercised": tally.exercised,
                "violations": tally.violations,
                "first_t_ns": tally.first_t_ns,
                "status": tally.status,
                "set_apart": tally.set_apart,
                "examples": list(tally.examples),
            }
            for n, tally in sorted(self.tallies.items())
        ]
