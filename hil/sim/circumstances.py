"""What a world is told from outside: its circumstances, and the faults that strike it.

Lives here: clocks, counters and pace of a world as one value, and what a fault window looks like to
the world.  May not live here: configuration (`realtime.wire.config`), or what a fault does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

MS: Final = 1_000_000


class Shown(Protocol):
    """A fault window that wants to know when its effect shows (`hil.sim.injection`)."""

    number: str
    of_room: bool
    effect_ns: int

    def look(self) -> None:
        """Something happened in which the effect may show."""

    def saw(self, t_ns: int) -> None:
        """The effect shows."""

    def cleared(self, t_ns: int) -> None:
        """The effect is over."""

    def end(self) -> None:
        """End the window."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What of a world is not its configuration: clocks, counters, the supervisor's beat.

    `beat_ns` is the distance of the supervisor's main steps while it has something to do; the
    shipped one is 20 ms, and a lease is renewed at each.
    """

    host_offset_ns: int = 0
    drift_ppm: int = 0
    line_seq: int = 0
    pulse_counter: int = 0
    pulse_id: int = 1
    beat_ns: int = 20 * MS
    skips_idle: bool = True
    keep_journal: bool = False
