"""What the rules remember of the room: the truth about contacts, pulses and pictures of the run.

Lives here: those few facts, and their canonical form both ways.  May not live here: rules, or
anything the executive thinks of itself.
"""

from __future__ import annotations

from typing import Any, Final

from hil.explore.beam_room import LONG_AGO_NS, NOW_NS
from realtime.limits import MS
from realtime.wire.messages import Mode, Pedal

NONE: Final = 1  # as a relative time: later than now, so never a time that has passed
OLD: Final = -60 * MS


def since(t_ns: int, now_ns: int, floor_ns: int = OLD) -> int:
    """A time relative to now, not older than the longest threshold that looks at it."""
    return max(t_ns - now_ns, floor_ns)


class Eye:
    """The facts; times are absolute, 0 where there is none."""

    __slots__ = ("away_ns", "function", "lifted", "opened", "pressed_ns", "rested", "rise_ns",
                 "rises", "turn_ns", "up_ns", "valid_n")  # fmt: skip

    def __init__(self) -> None:
        self.up_ns = 0
        self.rested = False
        self.lifted = 0
        # Of the turn in progress only: an interlock is open, or was since the last turn.
        self.opened = False
        self.pressed_ns = 0
        self.rises = 0
        self.valid_n = -1
        self.turn_ns = NOW_NS
        self.away_ns = 0
        self.rise_ns = LONG_AGO_NS
        self.function: tuple[Pedal, Mode] | None = None

    def read(self, now_ns: int, in_run: bool, shift: int, spacing_ns: int) -> tuple[Any, ...]:
        """The canonical state; pulse numbers of the run are shifted down."""
        return (
            NONE if not self.up_ns or self.rested else since(self.up_ns, now_ns, -50 * MS),
            self.rested, self.lifted,
            NONE if not self.pressed_ns else since(self.pressed_ns, now_ns, -35 * MS),
            self.rises - shift if in_run else 0, max(-1, self.valid_n - shift) if in_run else -1,
            since(self.rise_ns, now_ns, -spacing_ns) if in_run else -spacing_ns,
            self.function if in_run else None,
        )  # fmt: skip

    def lay(self, kept: tuple[Any, ...]) -> None:
        """Remember what `kept` says, at NOW_NS."""
        up, self.rested, self.lifted, pressed, self.rises, self.valid_n, rise, self.function = kept
        self.up_ns = 0 if up == NONE else NOW_NS + up
        self.pressed_ns = 0 if pressed == NONE else NOW_NS + pressed
        self.turn_ns, self.away_ns, self.rise_ns = NOW_NS, 0, NOW_NS + rise
