"""Which pulse a frame belongs to, by overlap in time and by nothing else.

Lives here: the pairing of integration intervals with pulse intervals, as values.  May not live
here: clocks, pixels, or counters as evidence: a frame number only reveals a gap.

Theory of operation.  A pulse lasts from the rise to the fall of PULSE; a slot integrates from the
opening to the closing of the panel's window.  The slot that holds *more than half* of a pulse is
its frame: windows do not overlap each other, so at most one slot can.  Frames come in the order of
their windows; therefore a pulse that is still waiting when the frame of a later pulse has come has
lost its own.  A pulse's report is sent at its fall and normally precedes the frame by a readout;
a slot that comes first waits for the report (`waiting`, a few slots) and is claimed by it.

A slot whose stamps cannot be its own (it closed after it was read out, or after it is here) carries
those of another pulse.  It is refused at once and never waits: the pulse that it names has not
fired yet, and must not find a picture of somebody else's waiting for it (F27).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from realtime.wire.messages import PulseReport
from realtime.wire.ring import Slot

# At most two pulses may be ahead of their verdict (no image, no beam); the rest is margin.
PENDING_MAX: Final = 32
# Reports overtake readouts by ~20 ms; four slots of the fastest panel are twice that.
WAITING_MAX: Final = 4
PAIRED_MAX: Final = 16


class Outcome(StrEnum):
    """What a slot turned out to be."""

    PAIRED = "paired"
    UNPULSED = "unpulsed"
    DUPLICATE = "duplicate"
    PARTIAL = "partial"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Expected:
    """A reported pulse that waits for its frame until `deadline_ns`."""

    report: PulseReport
    deadline_ns: int


@dataclass(frozen=True, slots=True)
class Match:
    """Result for one slot: the pulse, if paired, and the pulses whose frames can no longer come."""

    outcome: Outcome
    pulse: PulseReport | None
    overtaken: tuple[PulseReport, ...]


def overlap_ns(open_ns: int, close_ns: int, start_ns: int, end_ns: int) -> int:
    """Length of the common part of two half-open intervals, ns; 0 when they do not meet."""
    return max(0, min(close_ns, end_ns) - max(open_ns, start_ns))


def holds(slot: Slot, pulse: PulseReport) -> bool:
    """True when more than half of the pulse lies inside the slot's integration interval."""
    length_ns = max(1, pulse.end_ns - pulse.start_ns)
    end_ns = pulse.start_ns + length_ns
    shared_ns = overlap_ns(
        slot.integration_open_ns, slot.integration_close_ns, pulse.start_ns, end_ns
    )
    return 2 * shared_ns > length_ns


def touches(slot: Slot, pulse: PulseReport) -> bool:
    """True when any part of the pulse lies inside the slot's integration interval."""
    end_ns = max(pulse.end_ns, pulse.start_ns + 1)
    return (
        overlap_ns(slot.integration_open_ns, slot.integration_close_ns, pulse.start_ns, end_ns) > 0
    )


def believable(slot: Slot, now_ns: int) -> bool:
    """True when the stamps can be those of a frame that is whole at `now_ns`."""
    closed_ns = slot.integration_close_ns
    return slot.integration_open_ns < closed_ns <= min(slot.readout_end_ns, now_ns)


class Pairing:
    """Pulses that wait for frames and frames that wait for pulses, both bounded."""

    def __init__(self) -> None:
        self._pending: deque[Expected] = deque()
        self._waiting: deque[Slot] = deque(maxlen=WAITING_MAX)
        self._paired: deque[PulseReport] = deque(maxlen=PAIRED_MAX)

    @property
    def pending(self) -> int:
        """Pulses that still wait for their frame."""
        return len(self._pending)

    def next_deadline_ns(self) -> int | None:
        """The earliest deadline of a waiting pulse, or None."""
        return min((e.deadline_ns for e in self._pending), default=None)

    def pulse(self, report: PulseReport, deadline_ns: int) -> tuple[Slot | None, list[PulseReport]]:
        """Take a report: a slot that was waiting for it, and pulses dropped because too many wait.

        The claimed slot still goes through `frame`, which pairs it.
        """
        dropped = []
        if len(self._pending) >= PENDING_MAX:
            dropped.append(self._pending.popleft().report)
        self._pending.append(Expected(report, deadline_ns))
        claimed = next((slot for slot in self._waiting if holds(slot, report)), None)
        if claimed is not None:
            self._waiting.remove(claimed)
        return claimed, dropped

    def frame(self, slot: Slot, now_ns: int) -> Match:
        """Pair one slot.  Only an unpulsed slot is kept, in case its report is still to come."""
        if not believable(slot, now_ns):
            return Match(Outcome.FOREIGN, None, ())
        for index, expected in enumerate(self._pending):
            if holds(slot, expected.report):
                overtaken = tuple(self._pending.popleft().report for _ in range(index))
                self._pending.popleft()
                self._paired.append(expected.report)
                return Match(Outcome.PAIRED, expected.report, overtaken)
        if any(holds(slot, report) for report in self._paired):
            return Match(Outcome.DUPLICATE, None, ())
        if any(touches(slot, expected.report) for expected in self._pending):
            return Match(Outcome.PARTIAL, None, ())
        self._waiting.append(slot)
        return Match(Outcome.UNPULSED, None, ())

    def expire(self, now_ns: int) -> list[PulseReport]:
        """Remove and return the pulses whose deadline has passed, oldest first."""
        late = [e.report for e in self._pending if e.deadline_ns <= now_ns]
        self._pending = deque(e for e in self._pending if e.deadline_ns > now_ns)
        return late

    def drop_all(self) -> list[PulseReport]:
        """Remove and return every waiting pulse, oldest first (the panel or the run is gone)."""
        lost = [e.report for e in self._pending]
        self._pending.clear()
        self._waiting.clear()
        return lost
