"""Invariant 10 in virtual time: what is recorded is what was emitted, at the end of every world.

Lives here: the comparison of the room's own count with the records and with what a reconciliation
would add to them.  May not live here: the reconciliation itself, which is the shipped one, or dose,
whose ledger does not exist yet.

A pulse that the executive could not see (its lines were lost, or its processor's power) is recorded
from the generator's memory, at rest or at the next start.  So the sum is asked for, and that
nothing in it is unknown and nothing was recorded that was not emitted.  X-rays that are on when a
process begins (two faults: a generator that shines on, and a restart) may stand there from before
and are recorded again: one too many rather than one too few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.core.reconcile import reconcile

if TYPE_CHECKING:
    from hil.sim.world import World


def unaccounted(world: World) -> list[str]:
    """The violation of invariant 10, if there is one, in words; none can be told in mid-pulse."""
    world.room_to_now()
    if world.box.in_pulse or world.room.generator.firing is not None:
        return []
    box, emitted = world.box, world.room.generator.pulse_count
    finding = reconcile(box.account, box.since_account(), world.bus.counter(), world.bus.recent())
    recorded, named = box.lit, len(finding.missing)
    over = recorded + named - finding.taken_back - emitted
    if 0 <= over <= box.on_before and not finding.unknown and finding.surplus <= box.on_before:
        return []
    counts = f"{emitted} pulses emitted, {recorded} recorded and {named} named by the generator"
    return [f"invariant 10: {counts}; {finding.unknown} unknown, {finding.surplus} too many"]
