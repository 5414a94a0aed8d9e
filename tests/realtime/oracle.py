"""The oracle of the miniature room: judges every turn from what the room itself knows.

Lives here: the requirements on a turn with PULSE high, in the words of safety.md.  May not live
here: the executive's own view of pedals, pictures or credit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from realtime.limits import MS, US
from realtime.wire.lines import INTERLOCKS, NC_CONTACTS, NO_CONTACTS, In, Out
from realtime.wire.messages import Pedal, PulseReport

if TYPE_CHECKING:
    from tests.realtime.miniroom import Room

CONTACTS = {
    Pedal.FLUORO: (In.FLUORO_NO, In.FLUORO_NC),
    Pedal.HIGH: (In.HIGH_NO, In.HIGH_NC),
    Pedal.CINE: (In.CINE_NO, In.CINE_NC),
}
_PULSE = 1 << Out.PULSE


@dataclass
class Oracle:
    """What the room knows about pedals and pictures."""

    pressed_since_ns: dict[Pedal, int] = field(default_factory=dict)
    up_since_ns: int = 0
    rested: bool = False
    valid_n: int = -1

    def stop(self, now_ns: int) -> None:
        """Boot, fault, mode change, reset: all pedals must be seen up together once more."""
        self.rested = False
        self.up_since_ns = now_ns if self.up_since_ns else 0

    def watch(self, now_ns: int, levels: int) -> None:
        """Contacts as they truly are at `now_ns`."""
        for pedal, (no, nc) in CONTACTS.items():
            if levels >> no & 1 and not levels >> nc & 1:
                self.pressed_since_ns.setdefault(pedal, now_ns)
            else:
                self.pressed_since_ns.pop(pedal, None)
        if self.up_since_ns and now_ns - self.up_since_ns >= 50 * MS:
            self.rested = True
        if levels & (NC_CONTACTS | NO_CONTACTS) != NC_CONTACTS:
            self.up_since_ns = 0
        elif not self.up_since_ns:
            self.up_since_ns = now_ns


def judge(room: Room, before: int, lines: int) -> None:
    """Hold one turn against the requirements; `before` and `lines` are output banks."""
    if room.executive.exercise is not None or not lines & _PULSE:
        return
    assert room.executive.state.value == "pulse", "PULSE outside of PULSE"
    assert room.link, "PULSE without fresh lines"
    assert room.levels & INTERLOCKS == INTERLOCKS, "PULSE with an open interlock"
    run = room.executive.run
    assert run is not None, "PULSE without a run"
    assert run.pedal in room.oracle.pressed_since_ns, "PULSE without the pedal"
    if not before & _PULSE:
        _judge_rise(room, run.run_id, run.pedal)


def _judge_rise(room: Room, run_id: int, pedal: Pedal) -> None:
    seen, now_ns, order = room.oracle, room.now_ns, room.last_order
    assert seen.rested, "no fresh edge"
    assert now_ns - seen.pressed_since_ns[pedal] >= 35 * MS, "bounce"
    assert order is not None, "PULSE without an order"
    assert order.run_id == run_id == room.run_id, "PULSE on a foreign order"
    planned_ns = (order.rise_us + order.set_us + order.tail_us) * US
    assert order.expires_ns > now_ns + planned_ns, "the order ends first"
    n = len([report for report in room.sent(PulseReport) if report.run_id == run_id])
    assert n <= order.last_pulse_n, "PULSE without credit"
    assert n < 2 or seen.valid_n >= n - 2, "PULSE without a picture"
    assert room.levels >> In.WINDOW & 1, "PULSE outside WINDOW"
    assert now_ns - room.window_rise_ns >= room.timing.guard_open_ns, "PULSE too early"
    closes_ns = room.window_rise_ns + room.timing.window_ns - room.timing.guard_close_ns
    assert now_ns + planned_ns <= closes_ns, "PULSE outlives WINDOW"
    spacing_ns = room.timing.spacing_min_ns
    assert not room.rises or now_ns - room.rises[-1] >= spacing_ns, "PULSE too soon"
