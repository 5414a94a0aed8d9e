"""What is to happen in the room at a later instant, or at a phase of the pulse cycle.

Lives here: waiting entries and the instants at which they come due.  May not live here: what they
do.  An entry with a phase waits for the next pulse: phase φ of the cycle is φ of the last distance
between two rises of PULSE after such a rise; φ of the pulse is φ of its set width after hv began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hil.room.records import NEVER

ENTRIES_MAX: Final = 64
PERIOD_MAX_NS: Final = 2_500_000_000
CYCLE: Final = "cycle"
PULSE: Final = "pulse"


@dataclass(slots=True)
class _Entry:
    due_ns: int
    not_before_ns: int
    phase: float
    phase_of: str
    act: Callable[[int], None]
    drops: int = 0


class Agenda:
    """Bounded: `add` says False when it is full."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._due_ns = NEVER
        self._rise_ns: int | None = None

    def at(self, due_ns: int, act: Callable[[int], None]) -> bool:
        """Call `act(due_ns)` when the room gets there."""
        return self._add(_Entry(due_ns, due_ns, 0.0, "", act))

    def at_phase(
        self,
        not_before_ns: int,
        phase: float,
        phase_of: str,
        act: Callable[[int], None],
        drops: int = 0,
    ) -> bool:
        """Call `act(t_ns)` at a phase of the first fitting pulse from `not_before_ns` on.

        `drops` are the inputs that fall at that very instant, as far as they can be foreseen.
        """
        return self._add(_Entry(NEVER, not_before_ns, phase, phase_of, act, drops))

    def next_drops(self) -> int:
        """Inputs that fall when the next entry comes; 0 when none is due or none is foreseen."""
        due = [entry for entry in self._entries if entry.due_ns < NEVER]
        return min(due, key=lambda entry: entry.due_ns).drops if due else 0

    def next_ns(self) -> int:
        """When the next entry is due, or NEVER."""
        return self._due_ns

    def advance(self, t_ns: int) -> None:
        """Do what is due up to `t_ns`, earliest first."""
        due = sorted((e for e in self._entries if e.due_ns <= t_ns), key=lambda e: e.due_ns)
        self._entries = [entry for entry in self._entries if entry.due_ns > t_ns]
        self._find_due()
        for entry in due:
            entry.act(entry.due_ns)

    def forget(self) -> None:
        """Drop what was to come at a phase, whether its pulse has come or not; times are kept."""
        self._entries = [entry for entry in self._entries if not entry.phase_of]
        self._find_due()

    def pulse_rose(self, t_ns: int) -> None:
        """PULSE rose: entries by phase of the cycle come due, once the period is known."""
        before, self._rise_ns = self._rise_ns, t_ns
        if before is not None and t_ns - before <= PERIOD_MAX_NS:
            self._schedule(CYCLE, t_ns, t_ns - before)

    def hv_rose(self, t_ns: int, set_ns: int) -> None:
        """High voltage came on: entries by phase of the pulse come due."""
        self._schedule(PULSE, t_ns, set_ns)

    def _schedule(self, phase_of: str, t_ns: int, span_ns: int) -> None:
        for entry in self._entries:
            waits = entry.due_ns == NEVER and entry.phase_of == phase_of
            if waits and t_ns >= entry.not_before_ns:
                entry.due_ns = t_ns + round(entry.phase * span_ns)
        self._find_due()

    def _add(self, entry: _Entry) -> bool:
        if len(self._entries) >= ENTRIES_MAX:
            return False
        self._entries.append(entry)
        self._find_due()
        return True

    def _find_due(self) -> None:
        self._due_ns = min((entry.due_ns for entry in self._entries), default=NEVER)
