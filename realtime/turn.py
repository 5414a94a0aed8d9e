"""One whole turn: the executive proposes, the last gate disposes.

Lives here: the composition that the loop and the simulation share.  May not live here: anything
that only one of them needs.
"""

from __future__ import annotations

from realtime.executive import Executive
from realtime.inputs import Inputs, Letter, Outputs, Store
from realtime.permit import Gate
from realtime.wire.lines import Out, mask

_PERMIT = mask(Out.PERMIT)
_PULSE = mask(Out.PULSE)


def turn(
    executive: Executive,
    gate: Gate,
    now_ns: int,
    inputs: Inputs,
    mail: list[Letter],
    store: Store,
    packet: bytes,
    received_ns: int,
) -> Outputs:
    """Step the executive and ask the gate where energy would rise.

    `packet` is the newest raw line packet, received at `received_ns`.  The result may be applied
    as it is: a refused PULSE or PERMIT edge is no longer in it.
    """
    outputs = executive.step(now_ns, inputs, mail, store)
    sent = executive.outlines.sent
    if (outputs.lines ^ sent) & _PERMIT or outputs.lines & ~sent & _PULSE:
        if executive.exercise is not None:
            code = gate.agree_exercise(now_ns, packet, received_ns, outputs.lines)
        else:
            raw = executive.book.raw
            code = gate.agree(now_ns, packet, received_ns, raw, sent, outputs.lines)
        if code:
            outputs = executive.veto(now_ns, outputs.lines, code)
    executive.outlines.sent = outputs.lines
    return outputs
