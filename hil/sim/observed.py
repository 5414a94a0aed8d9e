"""What was seen of one run: beam, modes, faults, trips, refusals, tones, what outsiders heard.

Lives here: the record that reactions are judged on, filled from the truth and from what the
processes show to everybody (mode, held faults, answers).  May not live here: a judgement.  A run of
a scenario is short; a longer one keeps the newest part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from hil.room.records import TruthRecord

KEPT_MAX: Final = 20_000


@dataclass(slots=True)
class Beam:
    """One pulse: high voltage in [on, off); off 0 while it lasts."""

    pulse_id: int
    on_ns: int
    off_ns: int = 0


def _kept() -> deque[tuple[int, str]]:
    return deque(maxlen=KEPT_MAX)


@dataclass(slots=True)
class Observed:
    """`t0_ns` is the start of the timeline, `end_ns` its end."""

    t0_ns: int = 0
    end_ns: int = 0
    period_ns: int = 0
    beams: deque[Beam] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))
    modes: deque[tuple[int, str]] = field(default_factory=_kept)
    faults: deque[tuple[int, str]] = field(default_factory=_kept)
    trips: deque[tuple[int, str]] = field(default_factory=_kept)
    refusals: deque[tuple[int, str]] = field(default_factory=_kept)
    tones: deque[tuple[int, str]] = field(default_factory=_kept)
    told: deque[tuple[int, str]] = field(default_factory=_kept)

    def truth(self, record: TruthRecord) -> None:
        """Take one record of truth."""
        if record.kind == "hv":
            if record.value:
                self.beams.append(Beam(record.pulse_id, record.t_ns))
            else:
                for beam in reversed(self.beams):
                    if beam.pulse_id == record.pulse_id:
                        beam.off_ns = record.t_ns
                        break
        elif record.kind == "line" and record.name == "tone" and record.value:
            self.tones.append((record.t_ns, "tone"))

    def mode(self, t_ns: int, mode: str) -> None:
        """The supervisor's mode has changed."""
        self.modes.append((t_ns, mode))

    def held(self, t_ns: int, before: Iterable[str], now: Iterable[str]) -> None:
        """The supervisor holds other faults than before."""
        known = set(before)
        self.faults.extend((t_ns, name) for name in now if name not in known)

    def tripped(self, t_ns: int, before: Iterable[str], now: Iterable[str]) -> None:
        """The executive's latched trips have changed."""
        known = set(before)
        self.trips.extend((t_ns, str(code)) for code in now if code not in known)

    def refused(self, t_ns: int, code: str) -> None:
        """Somebody at the board was refused."""
        self.refusals.append((t_ns, code))

    def tell(self, t_ns: int, word: str) -> None:
        """Somebody outside was told something: who listens to frames, or to the network."""
        self.told.append((t_ns, word))

    def driven_until_ns(self, from_ns: int, to_ns: int) -> int:
        """The last instant in [from, to] at which high voltage was driven; 0: none."""
        last_ns = 0
        for beam in self.beams:
            off_ns = beam.off_ns or to_ns
            if beam.on_ns < to_ns and off_ns > from_ns:
                last_ns = max(last_ns, min(off_ns, to_ns))
        return last_ns

    def starts(self, from_ns: int, to_ns: int) -> list[int]:
        """Starts of high voltage in (from, to]."""
        return [beam.on_ns for beam in self.beams if from_ns < beam.on_ns <= to_ns]
