"""Injected faults in time: begin, watch for the effect, end, and say so in the truth log.

Lives here: the life of each injected fault.  May not live here: what a fault does (`faults`), or
when the room looks.  One injection per catalogue id at a time: a new one ends the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.room import faults
from hil.room.commands import Inject

if TYPE_CHECKING:
    from hil.room.room import Room


@dataclass(slots=True)
class _Active:
    row: faults.Fault
    target: str
    amount: float
    baseline: int
    number: int
    effect: bool = False


class Injector:
    """`active` by catalogue id; `watch` after every change in the room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._number = 0
        self._active: dict[str, _Active] = {}

    @property
    def active(self) -> list[str]:
        """Catalogue ids that are injected now, whether their effect was seen yet or not."""
        return list(self._active)

    def inject(self, t_ns: int, order: Inject) -> str:
        """Plan an injection; "" or the code of a refusal.  Raises faults.FaultError."""
        faults.row(order.fault, order.target)
        start_ns = t_ns + order.after_ns
        agenda = self._room.agenda

        def act(at_ns: int) -> None:
            self._begin(at_ns, order)

        if order.phase >= 0:
            planned = agenda.at_phase(start_ns, order.phase, order.phase_of, act)
        else:
            planned = agenda.at(start_ns, act)
        return "" if planned else "agenda_full"

    def clear(self, t_ns: int, fault: str) -> None:
        """End one fault, or all."""
        for name in [fault] if fault else self.active:
            self._end(t_ns, name)

    def watch(self, t_ns: int) -> None:
        """Write `fault_on` for every fault whose effect can be seen for the first time."""
        for name, active in self._active.items():
            if not active.effect and active.row.seen(self._room, active.target) > active.baseline:
                active.effect = True
                self._record(t_ns, "fault_on", name, active)

    def _begin(self, t_ns: int, order: Inject) -> None:
        self._end(t_ns, order.fault)
        row, target = faults.row(order.fault, order.target)
        seen = row.seen(self._room, target)
        baseline = 0 if isinstance(seen, bool) else seen
        self._number += 1
        active = _Active(row, target, order.amount or row.amount, baseline, self._number)
        self._active[order.fault] = active
        row.begin(self._room, target, active.amount)
        for_ns = order.for_ns or row.for_ns
        if for_ns:
            self._room.agenda.at(t_ns + for_ns, self._ending(order.fault, self._number))

    def _ending(self, fault: str, number: int) -> Callable[[int], None]:
        def act(t_ns: int) -> None:
            active = self._active.get(fault)
            if active is not None and active.number == number:
                self._end(t_ns, fault)

        return act

    def _end(self, t_ns: int, fault: str) -> None:
        active = self._active.pop(fault, None)
        if active is None:
            return
        active.row.end(self._room, active.target)
        if active.effect:
            self._record(t_ns, "fault_off", fault, active)

    def _record(self, t_ns: int, kind: str, fault: str, active: _Active) -> None:
        value = {"target": active.target, "amount": active.amount}
        self._room.out.record(t_ns, kind, fault, value)
