"""What the room looked like: the log's records put together into pedals, interlocks and pulses.

Lives here: the shared picture that every judge looks at, made from truth alone.  May not live
here: any limit or verdict.  Unknown is the safe level: released, open, low, no technique.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from hil.referee import limits
from hil.referee.spans import Spans
from hil.referee.truth import Truth

PEDALS: Final = ("fluoro", "high", "cine")
INTERLOCKS: Final = (
    "estop", "door", "collision", "barrier", "cooling", "key", "generator_ready", "panel_ready",
)  # fmt: skip
# hv(t) that never ended is held here; a log with more at once is no longer a generator's.
OPEN_PULSES_MAX: Final = 64


@dataclass
class Pulse:
    """One emission.  `hv` is [on, hv_off), `x` is [on, x_off); 0 = not yet.

    `unasked`: no rise of PULSE of its own; `stray`: and F15 is why, once per onset.
    """

    pulse_id: int
    on_ns: int
    hv_off_ns: int = 0
    x_off_ns: int = 0
    width_us: float = 0.0
    technique: dict[str, Any] = field(default_factory=dict)
    bank_then: Any = None
    bank_line: int | None = None
    press_no: int = 0
    unasked: bool = False
    stray: bool = False


class Pedal:
    """Contacts of one pedal at its connector; pressed is NO = 1 and NC = 0."""

    def __init__(self) -> None:
        self.no = 0
        self.nc = 1
        self.pressed = Spans()

    def put(self, t_ns: int, contact: str, level: int) -> bool:
        """Take a contact level; returns True when pressed changed."""
        if contact == "no":
            self.no = level
        else:
            self.nc = level
        return self.pressed.put(t_ns, self.no == 1 and self.nc == 0)


class Scene:
    """The room up to the last record; `take` returns the pulse that this record finished."""

    def __init__(self) -> None:
        self.t_ns = 0
        self.params: dict[str, Any] = {}
        self.pedals = {name: Pedal() for name in PEDALS}
        self.pressed = Spans()
        # What the hard-wired chain knows of pedals: some NO contact is closed.
        self.chained = Spans()
        self.open = {name: Spans() for name in INTERLOCKS}
        self.lines: dict[str, int] = {}
        self.banks: dict[int, Any] = {0: None, 1: None}
        self.faults: dict[str, Spans] = {}
        self.pulses: dict[int, Pulse] = {}
        self.press_no = 0
        self.pulse_count = 0
        self._rise = 0
        self._strays = 0
        self._newest: Pulse | None = None

    def take(self, record: Truth) -> Pulse | None:
        """Add one record, in the order of stamps."""
        if self.t_ns == 0:
            for spans in self.open.values():
                spans.put(record.t_ns, True)
        self.t_ns = record.t_ns
        if record.kind == "contact":
            self._contact(record)
        elif record.kind == "interlock" and record.name in self.open:
            self.open[record.name].put(record.t_ns, not record.value)
        elif record.kind == "line":
            self.lines[record.name] = record.value
            if record.name == "pulse":
                # A rise that nothing followed is spent when PULSE falls.
                self._rise = record.value
        elif record.kind in ("fault_on", "fault_off"):
            self._fault(record)
        elif record.kind == "process":
            self._process(record)
        else:
            return self._beam(record)
        return None

    def _fault(self, record: Truth) -> None:
        begins = record.kind == "fault_on"
        self.faults.setdefault(record.name, Spans()).put(record.t_ns, begins)
        if record.name != limits.STRAY_FAULT:
            return
        # One pulse per onset: the very one by which the effect showed, or the next.
        newest = self._newest
        shows = newest is not None and newest.unasked and newest.on_ns == record.t_ns
        if begins and shows and newest is not None:
            newest.stray = True
        self._strays = int(begins and not shows)

    def _contact(self, record: Truth) -> None:
        pedal, _, contact = record.name.rpartition("_")
        if pedal not in self.pedals:
            return
        self.pedals[pedal].put(record.t_ns, contact, record.value)
        self.chained.put(record.t_ns, any(each.no for each in self.pedals.values()))
        down = any(each.pressed.now for each in self.pedals.values())
        if self.pressed.put(record.t_ns, down) and down:
            self.press_no += 1

    def _process(self, record: Truth) -> None:
        if record.name == "rig":
            self.params = record.value
        elif record.name in ("bank0", "bank1"):
            self.banks[int(record.name[-1])] = record.value

    def _start(self, record: Truth) -> Pulse:
        pulse_id = record.pulse_id
        assert pulse_id is not None
        if pulse_id not in self.pulses:
            self.pulse_count += 1
            self.pulses[pulse_id] = Pulse(pulse_id, record.t_ns, press_no=self.press_no)
        while len(self.pulses) > OPEN_PULSES_MAX:
            self.pulses.pop(next(iter(self.pulses)))
        return self.pulses[pulse_id]

    def _asked(self, pulse: Pulse) -> None:
        pulse.unasked = not self._rise
        if pulse.unasked:
            pulse.stray, self._strays = bool(self._strays), 0
        self._rise = 0
        self._newest = pulse

    def _beam(self, record: Truth) -> Pulse | None:
        if record.kind == "photons_on":
            pulse = self._start(record)
            pulse.technique = record.value
            pulse.bank_then = self.banks.get(record.value["bank"])
            pulse.bank_line = self.lines.get("bank")
        elif record.kind == "hv" and record.value:
            self._asked(self._start(record))
        elif record.kind == "hv":
            self._start(record).hv_off_ns = record.t_ns
        elif record.kind == "photons_off":
            pulse = self._start(record)
            pulse.x_off_ns = record.t_ns
            pulse.hv_off_ns = pulse.hv_off_ns or record.t_ns
            pulse.width_us = record.value["width_us"]
            return self.pulses.pop(pulse.pulse_id)
        return None

    def cut(self) -> list[Pulse]:
        """Pulses still on when the log ended, ended there."""
        left = list(self.pulses.values())
        for pulse in left:
            pulse.hv_off_ns = pulse.hv_off_ns or self.t_ns
            pulse.x_off_ns = self.t_ns
        self.pulses.clear()
        return left

    @property
    def bare(self) -> bool:
        """The rig has taken the back-up timer away, to prove that the monostable alone is enough.

        Nothing then bounds the width of a pulse or keeps it in its window once software is gone.
        """
        return not self.params.get("wiring", {}).get("backup", True)

    def beam_on(self) -> bool:
        """True while high voltage is driven."""
        return any(pulse.hv_off_ns == 0 for pulse in self.pulses.values())

    def struck(self, pulse: Pulse, *faults: str) -> bool:
        """True when one of these faults showed its effect while the pulse was driven."""
        return any(
            self.faults[name].first_true_ns(pulse.on_ns, pulse.hv_off_ns + 1) is not None
            for name in faults
            if name in self.faults
        )

    def limit_ns(self, own_ns: int, faults: dict[str, int], start_ns: int, end_ns: int) -> int:
        """The invariant's own limit, or the longest of the faults active in [start, end]."""
        active = (
            limit
            for name, limit in faults.items()
            if name in self.faults
            and self.faults[name].first_true_ns(start_ns, end_ns + 1) is not None
        )
        return max(own_ns, *active, 0)
