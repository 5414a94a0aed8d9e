"""Interlocks: eight lines that must be closed, in two classes.

Theory of operation.  An interlock that is open, or was open at any time since the last turn, ends
the run on this turn.  A latching one (e-stop, collision, barrier) trips and needs a reset; an
inhibiting one only forbids the next start while it is open, and the run it ended does not resume
because a run needs a fresh press (F08, F09).  Where the lines are not fresh nothing is known and
the executive does not ask here: unknown is open.

Lives here: which interlocks are open and what follows.  May not live here: the line table.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from realtime.trips import INHIBIT_OF_LINE, TRIP_OF_LINE, Inhibit, TripCode
from realtime.wire.lines import INTERLOCKS, LATCHING

_TRIPS: Final = tuple((1 << line, code) for line, code in TRIP_OF_LINE.items())
_INHIBITS: Final = tuple((1 << line, code) for line, code in INHIBIT_OF_LINE.items())


class Judgement(NamedTuple):
    """Whether the run must end, what trips, what inhibits."""

    opened: bool
    trips: list[TripCode]
    inhibits: list[Inhibit]


_ALL_CLOSED: Final = Judgement(False, [], [])


def judge(levels: int, unsafe_edges: int) -> Judgement:
    """Judge the bank of this turn; edges to the unsafe side are believed over the level."""
    opened = (INTERLOCKS & ~levels) | (INTERLOCKS & unsafe_edges)
    if not opened:
        return _ALL_CLOSED
    trips = [code for bit, code in _TRIPS if opened & LATCHING & bit]
    inhibits = [code for bit, code in _INHIBITS if INTERLOCKS & ~levels & bit]
    return Judgement(True, trips, inhibits)


def cause_gone(code: TripCode, levels: int) -> bool:
    """True when the interlock behind a trip reads closed (other trips: nothing to read)."""
    return all(levels & bit for bit, trip in _TRIPS if trip is code)
