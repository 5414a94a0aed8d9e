"""A room for tests, and a hand on its lines.  No clock: time is what the test says."""

from __future__ import annotations

from typing import Any

from hil.room.commands import Action, BankSet, Clear, Inject, Prepare, Reply, Wiring
from hil.room.parameters import MS, Parameters
from hil.room.records import FrameDue, PulseResult, Technique, TruthRecord
from hil.room.room import Levels, Room
from realtime.wire.lines import In, Out

TECHNIQUE = Technique(7, 70.0, 40.0, 8000, "3Al+0.1Cu")
LONG = Technique(9, 70.0, 40.0, 45_000, "none")
OTHER = Technique(8, 80.0, 50.0, 5000, "none")


def parameters(**changes: Any) -> Parameters:
    """The bench profile's numbers, with changes."""
    numbers: dict[str, Any] = {
        "panel_master": False, "window_ns": 13 * MS, "readout_ns": 18 * MS,
        "trigger_delay_ns": 100_000, "base_rate_hz": 30.0, "guard_open_us": 300,
        "guard_close_us": 300, "width_cap_us": 50_000, "spacing_min_us": 30_000,
        "rise_ns": 300_000, "capacitance_pf": 150, "kv": (40.0, 120.0), "ma": (1.0, 200.0),
        "ms": (1.0, 50.0),
    }  # fmt: skip
    return Parameters(**(numbers | changes))


class Bench:
    """A room with its time; `t_ns` goes forward by `wait`."""

    def __init__(self, **changes: Any) -> None:
        self.room = Room(parameters(**changes), 0)
        self.t_ns = 0
        self.outputs = 0

    def wait(self, ns: int) -> Bench:
        """Let time pass."""
        self.t_ns += ns
        self.room.advance(self.t_ns)
        return self

    def drive(self, **levels: int) -> Bench:
        """Set output lines by name, all in one packet."""
        for name, level in levels.items():
            bit = 1 << Out[name.upper()]
            self.outputs = self.outputs | bit if level else self.outputs & ~bit
        self.room.apply(self.t_ns, Levels(self.outputs))
        return self

    def toggle(self) -> Bench:
        """One toggle of PERMIT."""
        return self.drive(permit=0 if self.outputs >> Out.PERMIT & 1 else 1)

    def obey(self, command: Any) -> Reply:
        """Give a command; the reply."""
        reply = self.room.apply(self.t_ns, command)
        assert reply is not None
        return reply

    def act(self, text: str, phase: float = -1.0, phase_of: str = "") -> Reply:
        """An act in words."""
        return self.obey(Action(1, text, phase, phase_of))

    def inject(self, fault: str, target: str = "", amount: float = 0.0, for_ns: int = 0) -> Reply:
        """A fault, now."""
        return self.obey(Inject(1, fault, target, amount, 0, for_ns, -1.0, ""))

    def clear(self, fault: str = "") -> Reply:
        """End a fault, or all."""
        return self.obey(Clear(1, fault))

    def wire(
        self, gate: bool = True, chain: bool = True, preset: bool = True, backup: bool = True
    ) -> Bench:
        """Switch the rig's wiring."""
        self.obey(Wiring(1, gate, chain, preset, backup))
        return self

    def ready(self) -> Bench:
        """Banks stored, rotor at speed, pedal down and at rest."""
        self.obey(BankSet(1, 0, TECHNIQUE))
        self.obey(BankSet(2, 1, OTHER))
        self.obey(Prepare(3, True))
        self.wait(1500 * MS)
        self.act("press fluoro")
        return self.wait(60 * MS)

    def obey_long_technique(self) -> Bench:
        """Bank 0 fires 45 ms: long enough that something else must end the pulse."""
        self.obey(BankSet(1, 0, LONG))
        return self

    def alive(self) -> Bench:
        """PERMIT toggled until the monostable holds."""
        return self.toggle().wait(3 * MS).toggle()

    def open_window(self) -> Bench:
        """Trigger the panel and wait until its window has been open for 400 µs."""
        self.drive(panel_trigger=1).wait(500_000)
        return self.drive(panel_trigger=0)

    def keep_alive(self, ns: int) -> Bench:
        """Let time pass with PERMIT toggling every 3 ms."""
        end_ns = self.t_ns + ns
        while self.t_ns + 3 * MS < end_ns:
            self.wait(3 * MS).toggle()
        return self.wait(end_ns - self.t_ns)

    def pulse(self, high_ns: int = 9 * MS) -> Bench:
        """A whole, proper pulse: permit, window, PULSE for `high_ns`, readout."""
        self.alive().open_window()
        self.drive(pulse=1).keep_alive(high_ns)
        return self.drive(pulse=0).wait(40 * MS)

    def high(self, line: In) -> bool:
        """The input line is high now."""
        return bool(self.room.inputs >> line & 1)

    def truth(self, kind: str, name: str = "") -> list[TruthRecord]:
        """Truth records of a kind so far."""
        return [r for r in self.room.out.truth if r.kind == kind and name in ("", r.name)]

    def frames(self) -> list[FrameDue]:
        """Frames that became due so far."""
        return [r for r in self.room.out.reports if isinstance(r, FrameDue)]

    def results(self) -> list[PulseResult]:
        """Pulse results so far."""
        return [r for r in self.room.out.reports if isinstance(r, PulseResult)]
