"""Rest: nothing can shine and nobody touches a pedal, so packets need not wake the loop.

Theory of operation.  At rest the beam is dark, no exercise runs, the bank is fresh, every pedal has
been seen released, no X-rays are on, and tone and lamp read back what they were sent.  Then nothing
on the lines is urgent: the loop leaves packets in the socket, turns every REST_TURN_NS and takes
them all at once; the driver keeps their edges.  Mail wakes it as ever.  A turn that finds the same
bank and no edge changes nothing but the time of the last turn (`passes`); with every report of
state a whole turn looks at everything anew.  Whatever else is found ends the rest on that turn.

Lives here: what rest is.  May not live here: what a turn does, or waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from realtime.beam import BeamState
from realtime.irradiation import SignalState
from realtime.limits import STALL_NS
from realtime.wire.lines import NC_CONTACTS, PEDALS, In, Out, mask

if TYPE_CHECKING:
    from realtime.executive import Executive
    from realtime.inputs import Inputs

_DARK: Final = frozenset({BeamState.DARK, BeamState.TRIPPED})
_XRAY: Final = mask(In.XRAY_ON)
_READBACKS: Final = (
    (mask(Out.TONE), mask(In.TONE_READBACK)),
    (mask(Out.LAMP), mask(In.LAMP_READBACK)),
)


def at_rest(beam: Executive) -> bool:
    """True when nothing that could happen on the lines is urgent."""
    levels, sent = beam.inputs.levels, beam.outlines.sent
    return (
        beam.state in _DARK
        and beam.exercise is None
        and beam.inputs.link
        and levels & (PEDALS | _XRAY) == NC_CONTACTS
        and beam.pedals.rested
        and beam.irradiation.state is SignalState.QUIET
        and all(bool(sent & out) == bool(levels & back) for out, back in _READBACKS)
    )


def passes(beam: Executive, now_ns: int, inputs: Inputs) -> bool:
    """Let a turn at rest pass; False, and nothing done, when it needs a whole step.

    The caller has seen that no socket has news, and that the turn before this one was at rest.
    """
    before = beam.inputs
    if (
        inputs.levels != before.levels
        or inputs.epoch != before.epoch
        or not inputs.link
        or inputs.unsafe_edges | inputs.xray_rises
        or now_ns >= beam.state_due_ns
        or now_ns - beam.last_turn_ns > STALL_NS
    ):
        return False
    beam.last_turn_ns = now_ns
    return True
