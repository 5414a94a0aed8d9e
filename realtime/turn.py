"""One whole turn: the executive proposes, the last gate disposes.

Lives here: the composition that the loop and the simulation share.  May not live here: anything
that only one of them needs.
"""

from __future__ import annotations

from realtime.executive import Executive
from realtime.inputs import Inputs, Letter, Outputs, Store
from realtime.permit import Gate
from realtime.wire.lines import Out, mask
from realtime.wire.record import Record

_PERMIT = mask(Out.PERMIT)
_PULSE = mask(Out.PULSE)


def rehearse(
    executive: Executive, gate: Gate, now_ns: int, packet: bytes, received_ns: int
) -> Record | None:
    """Walk the way of the coming rise without taking it; gives the record that would be written.

    Python code that has not run for a while is some five times slower; so it runs shortly before.
    """
    wanted = executive.outlines.sent | _PULSE
    gate.rehearse(now_ns, packet, received_ns, executive.book.raw, wanted)
    return executive.firing.rehearse(now_ns)


def strike(
    executive: Executive,
    gate: Gate,
    now_ns: int,
    inputs: Inputs,
    packet: bytes,
    received_ns: int,
) -> Outputs | None:
    """The shortest way from the due instant to PULSE, when nothing has moved since the last turn.

    None: something has moved, or the gate refuses; the whole turn that follows decides as ever.
    """
    if not executive.stands_still(now_ns, inputs):
        return None
    sent = executive.outlines.sent
    if gate.agree(now_ns, packet, received_ns, executive.book.raw, sent, sent | _PULSE):
        return None
    outputs = executive.strike(now_ns, inputs)
    executive.outlines.sent = outputs.lines
    return outputs


def turn(
    executive: Executive,
    gate: Gate,
    now_ns: int,
    inputs: Inputs,
    mail: list[Letter],
    store: Store,
    packet: bytes,
    received_ns: int,
    withdrawn: str = "",
) -> Outputs:
    """Step the executive and ask the gate where energy would rise.

    `packet` is the newest raw line packet, received at `received_ns`.  The result may be applied
    as it is: a refused PULSE or PERMIT edge is no longer in it.  `withdrawn` says why the gate took
    PULSE away before this turn ('': it did not).
    """
    outputs = executive.step(now_ns, inputs, mail, store)
    if withdrawn and outputs.lines & _PULSE:
        outputs = executive.withdraw(now_ns, withdrawn)
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
