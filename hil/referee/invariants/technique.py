"""Invariant 6, technique atomicity: a pulse uses exactly one committed, range-checked technique.

Lives here: what the generator latched against what its bank held, the ranges, the BANK line, a
frame's technique ids, and that one id never means two things.  May not live here: what the black
box says (`crosscheck`).  Every pulse is an occasion.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from hil.referee.invariants.judge import Judge
from hil.referee.scene import Pulse, Scene
from hil.referee.score import Score
from hil.referee.truth import Truth

FIELDS: Final = ("technique_id", "kv", "ma", "set_us", "filter")
REMEMBERED_MAX: Final = 4096


class Technique(Judge):
    """Compares the latched technique of each pulse with the committed one."""

    n = 6
    watches = frozenset({"process", "frame"})

    def __init__(self, scene: Scene, score: Score) -> None:
        super().__init__(scene, score)
        self._known: OrderedDict[int, tuple[Any, ...]] = OrderedDict()
        self._fired: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._torn: dict[int, str] = {}

    def record(self, record: Truth) -> None:
        """Bank writes under a running pulse, and the ids a frame carries."""
        if record.kind == "process" and record.name in ("bank0", "bank1"):
            for pulse in self.scene.pulses.values():
                if pulse.technique.get("bank") == int(record.name[-1]):
                    self._torn[pulse.pulse_id] = f"{record.name} written during its pulse"
        elif record.kind == "frame":
            self._frame(record)

    def _frame(self, record: Truth) -> None:
        pairs = zip(record.value["pulse_ids"], record.value["technique_ids"], strict=False)
        for pulse_id, technique_id in pairs:
            fired = self._fired.get(pulse_id)
            if fired is not None and fired[0] != technique_id:
                wrong = f"frame says technique {technique_id}, pulse {pulse_id} used {fired[0]}"
                self.saw(fired[1], record.t_ns, wrong)

    def pulse(self, pulse: Pulse) -> None:
        """One committed technique, whole, in range, under its own id."""
        latched = tuple(pulse.technique.get(name) for name in FIELDS)
        torn = self._torn.pop(pulse.pulse_id, None)
        if not pulse.technique:
            self.saw(pulse.on_ns, pulse.x_off_ns, f"pulse {pulse.pulse_id}: nothing latched")
            return
        wrong = torn or self._committed(pulse, latched) or self._range(pulse) or self._id(latched)
        self.saw(pulse.on_ns, pulse.x_off_ns, f"pulse {pulse.pulse_id}: {wrong}" if wrong else None)
        self._fired[pulse.pulse_id] = (pulse.technique.get("technique_id", -1), pulse.on_ns)
        if len(self._fired) > REMEMBERED_MAX:
            self._fired.popitem(last=False)

    def _committed(self, pulse: Pulse, latched: tuple[Any, ...]) -> str | None:
        bank = pulse.technique.get("bank")
        if pulse.bank_line is not None and pulse.bank_line != bank:
            return f"latched bank {bank}, the line says {pulse.bank_line}"
        if not isinstance(pulse.bank_then, dict):
            return f"bank {bank} held no whole technique"
        held = tuple(pulse.bank_then.get(name) for name in FIELDS)
        return None if held == latched else f"latched {latched}, committed {held}"

    def _range(self, pulse: Pulse) -> str | None:
        params, used = self.scene.params, pulse.technique
        for name, value in (("kv", used["kv"]), ("ma", used["ma"]), ("ms", used["set_us"] / 1000)):
            low, high = params[name]
            if not low <= value <= high:
                return f"{name} = {value}, allowed {low} … {high}"
        return None

    def _id(self, latched: tuple[Any, ...]) -> str | None:
        known = self._known.setdefault(latched[0], latched)
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return None if known == latched else f"id {latched[0]} meant {known}, now {latched}"
