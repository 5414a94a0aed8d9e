"""The beam: DARK → CALLED → CLEARING → ARMED → PULSE → READOUT → ARMED …; TRIPPED is latched.

Theory of operation.  A press calls a run, an order arms it, the clearing cycle of the panel comes
first, then each pulse fires out of ARMED and leaves through READOUT.  STOP leads to DARK from
everywhere and TRIP to TRIPPED from everywhere; only a local reset leaves TRIPPED, and only to
DARK.  Outputs belong to states: PULSE is high in PULSE and nowhere else, so nothing has to be
remembered to be switched off.

Lives here: the table and what each state puts on the lines.  May not live here: the conditions
that make the events (`realtime.executive`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from realtime.wire.lines import Out, mask


class BeamState(StrEnum):
    """State of the beam."""

    DARK = "dark"
    CALLED = "called"
    CLEARING = "clearing"
    ARMED = "armed"
    PULSE = "pulse"
    READOUT = "readout"
    TRIPPED = "tripped"


class BeamEvent(StrEnum):
    """What can happen to the beam."""

    PRESS = "press"
    ORDER = "order"
    CLEARED = "cleared"
    FIRE = "fire"
    FALL = "fall"
    VETO = "veto"
    WINDOW_CLOSED = "window_closed"
    STOP = "stop"
    TRIP = "trip"
    RESET = "reset"


_S, _E = BeamState, BeamEvent
ROWS: Final = {
    (_S.DARK, _E.PRESS): _S.CALLED,
    (_S.DARK, _E.TRIP): _S.TRIPPED,
    (_S.CALLED, _E.ORDER): _S.CLEARING,
    (_S.CALLED, _E.STOP): _S.DARK,
    (_S.CALLED, _E.TRIP): _S.TRIPPED,
    (_S.CLEARING, _E.CLEARED): _S.ARMED,
    (_S.CLEARING, _E.STOP): _S.DARK,
    (_S.CLEARING, _E.TRIP): _S.TRIPPED,
    (_S.ARMED, _E.FIRE): _S.PULSE,
    (_S.ARMED, _E.STOP): _S.DARK,
    (_S.ARMED, _E.TRIP): _S.TRIPPED,
    (_S.PULSE, _E.FALL): _S.READOUT,
    (_S.PULSE, _E.VETO): _S.ARMED,
    (_S.PULSE, _E.STOP): _S.DARK,
    (_S.PULSE, _E.TRIP): _S.TRIPPED,
    (_S.READOUT, _E.WINDOW_CLOSED): _S.ARMED,
    (_S.READOUT, _E.STOP): _S.DARK,
    (_S.READOUT, _E.TRIP): _S.TRIPPED,
    (_S.TRIPPED, _E.RESET): _S.DARK,
}
_NO_RUN = "no run to act on"
_IN_RUN = "one function: the run in progress keeps the beam"
_NOT_PULSING = "PULSE is low already"
IGNORED: Final[dict[tuple[BeamState, BeamEvent], str]] = {
    **{(_S.DARK, e): _NO_RUN for e in (_E.ORDER, _E.CLEARED, _E.FIRE, _E.STOP)},
    **{(s, _E.FALL): _NOT_PULSING for s in _S if s is not _S.PULSE},
    **{(s, _E.VETO): _NOT_PULSING for s in _S if s is not _S.PULSE},
    **{(s, _E.PRESS): _IN_RUN for s in _S if s not in (_S.DARK, _S.TRIPPED)},
    **{(s, _E.RESET): "nothing is latched" for s in _S if s is not _S.TRIPPED},
    **{(s, _E.WINDOW_CLOSED): "no pulse waits for it" for s in _S if s is not _S.READOUT},
    **{(_S.CALLED, e): "not armed yet" for e in (_E.CLEARED, _E.FIRE)},
    **{(_S.CLEARING, e): "the clearing cycle comes first" for e in (_E.ORDER, _E.FIRE)},
    **{(_S.ARMED, e): "armed already" for e in (_E.ORDER, _E.CLEARED)},
    **{(_S.PULSE, e): "the pulse in progress ends first" for e in (_E.ORDER, _E.CLEARED, _E.FIRE)},
    **{(_S.READOUT, e): "the readout ends first" for e in (_E.ORDER, _E.CLEARED, _E.FIRE)},
    **{(_S.TRIPPED, e): "latched: only a local reset leads out"
       for e in (_E.PRESS, _E.ORDER, _E.CLEARED, _E.FIRE, _E.STOP, _E.TRIP)},
}  # fmt: skip
# Not Final: an exploration puts a table in its place that notes which rows fire.
NEXT: dict[tuple[BeamState, BeamEvent], BeamState] = {**{pair: pair[0] for pair in IGNORED}, **ROWS}

RUN_STATES: Final = frozenset({_S.CALLED, _S.CLEARING, _S.ARMED, _S.PULSE, _S.READOUT})
ARMED_STATES: Final = RUN_STATES - {_S.CALLED}
# Moore outputs.  PERMIT, BANK and PANEL_TRIGGER depend on time as well: `realtime.outlines`.
LINES: Final = {
    _S.DARK: 0,
    _S.CALLED: 0,
    _S.CLEARING: mask(Out.LAMP),
    _S.ARMED: mask(Out.LAMP),
    _S.PULSE: mask(Out.LAMP, Out.PULSE),
    _S.READOUT: mask(Out.LAMP),
    _S.TRIPPED: 0,
}
PERMIT_STATES: Final = frozenset({_S.ARMED, _S.PULSE, _S.READOUT})
