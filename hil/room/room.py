"""The room: all parts wired together, told levels and commands, moved through time.

Lives here: the wiring between the parts, in the one order in which a change travels, and the truth
log of levels.  May not live here: a clock, a socket, or what a single part does.

Use: `apply(t_ns, event)` with event times that do not go back, `advance(t_ns)` for time alone,
`next_event_ns()` for when to come back; then empty `out`.  Both clocks, real and virtual, use
exactly this.  Wiring, in order: contacts and interlocks → chain; PERMIT → monostable; TRIGGER →
panel; PULSE, BANK, window, permit, supply → generator; all of them → the input bank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from hil.room import acts, bits, faults
from hil.room.agenda import CYCLE, PULSE, Agenda
from hil.room.bits import OUT_BITS, PEDAL_BITS, PEDAL_NAMES, TRUTH_BITS, TRUTH_INPUTS
from hil.room.chain import Chain
from hil.room.commands import (
    Action,
    BankClear,
    BankSet,
    Clear,
    Command,
    GeneratorFault,
    Inject,
    Mark,
    Prepare,
    Reply,
    Wiring,
)
from hil.room.contacts import Pedal
from hil.room.frames import FrameFaults
from hil.room.generator import Generator, Inputs
from hil.room.injector import Injector
from hil.room.interlocks import NAMES, Interlocks
from hil.room.monostable import Monostable
from hil.room.outbox import Edge, Outbox
from hil.room.panel_timing import PanelTiming, Slot
from hil.room.parameters import Parameters
from hil.room.records import NEVER, FrameDue, ReadoutExposure
from hil.room.wire import LineWire
from realtime.wire.lines import OUT_ALL, Out, mask

STEPS_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Levels:
    """An event: the controller's output bank."""

    bank: int


class Room:
    """See the module's head.  Starts at `t_ns` with nobody in it: pedals up, doors closed."""

    def __init__(self, parameters: Parameters, t_ns: int) -> None:
        self.parameters = parameters
        self.out = Outbox()
        self.t_ns = t_ns
        self.pedals: dict[str, Pedal] = {name: Pedal(name, parameters.seed) for name in PEDAL_NAMES}
        self.interlocks: Interlocks = Interlocks()
        self.monostable = Monostable(parameters.hold_ns, parameters.apart_ns)
        self.chain = Chain(parameters.chain_pick_up_ns, parameters.chain_drop_out_ns)
        self.panel: PanelTiming = PanelTiming(parameters, t_ns)
        self.generator: Generator = Generator(parameters, self.out)
        self.frames: FrameFaults = FrameFaults()
        self.wire: LineWire = LineWire()
        self.agenda: Agenda = Agenda()
        self.injector = Injector(self)
        self.wiring = {"window_gate": True, "chain": True, "preset": True, "backup": True}
        self.reset_button = 0
        self.dead_signals: set[str] = set()
        self.outputs = 0
        self.inputs = -1
        self._reset_shown = 0
        # What only people, faults and commands move is looked at again when one of them did.
        self._stirred = True
        self._still = 0
        self._signals = 0
        self._contacts_due_ns = NEVER
        self._due_ns = NEVER
        self._pulse_count = 0
        self._told: tuple[list[float], str] = ([], "")
        self._open_with_the_state(t_ns)
        self._settle(t_ns)

    # ── the one way in ───────────────────────────────────────────────────────────────────────

    def apply(self, t_ns: int, event: Levels | Command) -> Reply | None:
        """Something happens at `t_ns`; a time before the room's own counts as its own."""
        self.advance(t_ns)
        if isinstance(event, Levels):
            self._levels(self.t_ns, event.bank & OUT_ALL)
            return None
        self._stirred = True
        reply = self._obey(self.t_ns, event)
        self._run_agenda(self.t_ns)
        self._settle(self.t_ns)
        return reply

    def advance(self, t_ns: int) -> None:
        """Let time pass: everything due up to `t_ns` happens at its own instant."""
        for _ in range(STEPS_MAX):
            due_ns = self.next_event_ns()
            if due_ns > t_ns:
                self.t_ns = max(self.t_ns, t_ns)
                return
            self._step(max(due_ns, self.t_ns))
        raise AssertionError(f"the room does not come to rest before {t_ns}")

    def next_event_ns(self) -> int:
        """When something happens by itself next, or NEVER."""
        return min(self._due_ns, self.agenda.next_ns())

    def next_act_ns(self) -> int:
        """When a contact or a planned act or fault moves next, or NEVER."""
        return min(self.agenda.next_ns(), self._contacts_due_ns)

    def foreseen(self, act_ns: int) -> int | None:
        """The input bank right after the act that is due at `act_ns`, where it can be known.

        A contact that opens is on its wire at once; the rest of what follows takes its own time.
        """
        drops = self.agenda.next_drops() if self.agenda.next_ns() == act_ns else 0
        if not drops or self.injector.active or self.next_event_ns() < act_ns:
            return None
        return self.inputs & ~drops

    def rehearse(self) -> None:
        """Carry no change through all parts: nothing happens, but the way is warm for the next."""
        self._stirred = True
        self._settle(self.t_ns)

    def commanded(self, signal: str) -> bool:
        """The controller drives this output (`tone`, `lamp`, …) high."""
        return bool(self.outputs >> OUT_BITS[signal] & 1)

    # ── time ─────────────────────────────────────────────────────────────────────────────────

    def _step(self, t_ns: int) -> None:
        self.t_ns = t_ns
        if self._contacts_due_ns <= t_ns:
            self._stirred = True
            for pedal in self.pedals.values():
                pedal.advance(t_ns)
        self.chain.advance(t_ns)
        self.monostable.advance(t_ns)
        self.generator.advance(t_ns)
        for what, slot in self.panel.advance(t_ns):
            self._panel_event(t_ns, what, slot)
        self._run_agenda(t_ns)
        self._settle(t_ns)

    def _run_agenda(self, t_ns: int) -> None:
        while self.agenda.next_ns() <= t_ns:
            self._stirred = True
            self.agenda.advance(t_ns)

    def _panel_event(self, t_ns: int, what: str, slot: Slot) -> None:
        if what == "open":
            self.out.record(t_ns, "window_open", "panel", slot.frame_no)
            return
        if what == "close":
            self.out.record(t_ns, "window_close", "panel", slot.frame_no)
            # The gate closes the generator's input before the frame's photons are counted.
            self._settle_generator(t_ns)
            self._frame_due(t_ns, slot)
            return
        self._frame_whole(t_ns, slot)

    # ── frames ───────────────────────────────────────────────────────────────────────────────

    def _frame_due(self, t_ns: int, slot: Slot) -> None:
        exposures = self.generator.exposures(
            slot.open_ns, slot.close_ns, slot.readout_end_ns, t_ns
        )  # fmt: skip
        self.frames.count(slot.integrates)
        reason = self.frames.reason(slot.integrates)
        self._told = ([e.mas_readout for e in exposures], reason)
        self.out.reports.append(
            FrameDue(
                slot.frame_no, slot.open_ns, slot.close_ns, slot.readout_end_ns, slot.after_idle,
                slot.integrates, self.frames.defect, self.frames.delay_ns,
                exposures if slot.integrates else [],
            )
        )  # fmt: skip

    def _frame_whole(self, t_ns: int, slot: Slot) -> None:
        exposures = self.generator.exposures(
            slot.open_ns, slot.close_ns, slot.readout_end_ns, t_ns
        )  # fmt: skip
        told, reason = self._told
        if slot.integrates and [e.mas_readout for e in exposures] != told:
            self.out.reports.append(ReadoutExposure(slot.frame_no, exposures))
        inside = [e for e in exposures if e.mas_window > 0]
        value: dict[str, Any] = {
            "frame_no": slot.frame_no,
            "integration_open_ns": slot.open_ns,
            "integration_close_ns": slot.close_ns,
            "pulse_ids": [e.pulse_count for e in inside],
            "technique_ids": [e.technique_id for e in inside],
            "after_idle": slot.after_idle,
            "valid": not reason,
            "reason": reason,
        }
        self.out.record(t_ns, "frame", "panel", value)

    # ── levels ───────────────────────────────────────────────────────────────────────────────

    def _levels(self, t_ns: int, outputs: int) -> None:
        changed = outputs ^ self.outputs
        self.outputs = outputs
        for name, bit in bits.OUT_CHANGES[changed]:
            self.out.record(t_ns, "line", name, outputs >> bit & 1)
        if (changed & outputs) >> bits.PULSE & 1:
            self.agenda.pulse_rose(t_ns)
            self._run_agenda(t_ns)
        self._settle(t_ns)

    def _settle_generator(self, t_ns: int) -> None:
        wiring, outputs = self.wiring, self.outputs
        self.generator.settle(
            t_ns,
            Inputs(
                outputs >> bits.PULSE & 1,
                outputs >> bits.BANK & 1,
                self.panel.window if wiring["window_gate"] else 1,
                self.monostable.ok,
                self.chain.ok or not wiring["chain"],
            ),
        )
        firing = self.generator.firing
        if firing is not None and firing.count != self._pulse_count:
            self._pulse_count = firing.count
            self.agenda.hv_rose(firing.on_ns, firing.technique.set_us * 1000)

    def _settle(self, t_ns: int) -> None:
        """Carry a change through all parts, in the order of the wires."""
        if self._stirred:
            self._stirred = False
            self._settle_people(t_ns)
        self.monostable.permit(t_ns, self.outputs >> bits.PERMIT & 1)
        self.panel.trigger(t_ns, self.outputs >> bits.TRIGGER & 1)
        self._settle_generator(t_ns)
        self._show(t_ns)
        self.injector.watch(t_ns)
        self._due_ns = min(
            self.monostable.next_ns(), self.chain.next_ns(), self.panel.next_ns(),
            self.generator.next_ns(), self._contacts_due_ns,
        )  # fmt: skip

    def _settle_people(self, t_ns: int) -> None:
        """Contacts, interlocks and the chain they feed: what no output of ours can move."""
        contacts = self._record_contacts(t_ns)
        self.interlocks.closed["generator_ready"] = not self.generator.fault_bits
        for name, level in self.interlocks.changes():
            self.out.record(t_ns, "interlock", name, level)
        some_pedal = any(pedal.no for pedal in self.pedals.values())
        room_safe = self.interlocks.level("estop") and self.interlocks.level("door")
        self.chain.feed(t_ns, bool(some_pedal and room_safe))
        self._contacts_due_ns = min(pedal.next_ns() for pedal in self.pedals.values())
        self._still = contacts | self.interlocks.bank() << bits.INTERLOCKS
        alive = (OUT_BITS[name] for name in bits.SIGNALS if name not in self.dead_signals)
        self._signals = mask(*alive)

    def _record_contacts(self, t_ns: int) -> int:
        bank = 0
        for name, pedal in self.pedals.items():
            for contact, level in pedal.changes():
                self.out.record(t_ns, "contact", contact, level)
            no_bit, nc_bit = PEDAL_BITS[name]
            bank |= pedal.no << no_bit | pedal.nc << nc_bit
        if self.reset_button != self._reset_shown:
            self._reset_shown = self.reset_button
            self.out.record(t_ns, "contact", "reset", self.reset_button)
        return bank | self.reset_button << bits.RESET

    def _show(self, t_ns: int) -> None:
        bank = (
            self._still | (self.outputs & self._signals) << bits.READ_BACK
            | self.panel.window << bits.WINDOW | self.generator.xray_on << bits.XRAY_ON
            | self.monostable.ok << bits.PERMIT_OK | self.chain.ok << bits.CHAIN_OK
        )  # fmt: skip
        changed = bank ^ self.inputs
        if not changed:
            return
        first, self.inputs = self.inputs < 0, bank
        for name, bit in TRUTH_BITS:
            if changed >> bit & 1 and not first:
                self.out.record(t_ns, "line", name, bank >> bit & 1)
        self.out.edges.append(Edge(t_ns, bank))

    def _open_with_the_state(self, t_ns: int) -> None:
        """The head of a truth log: parameters, then every level once."""
        self.out.record(t_ns, "process", "rig", self.parameters.header(dict(self.wiring)))
        for pedal in self.pedals.values():
            self.out.record(t_ns, "contact", f"{pedal.name}_no", pedal.no)
            self.out.record(t_ns, "contact", f"{pedal.name}_nc", pedal.nc)
        self.out.record(t_ns, "contact", "reset", 0)
        for name in NAMES:
            self.out.record(t_ns, "interlock", name, self.interlocks.level(name))
        for line in (*Out, *TRUTH_INPUTS):
            self.out.record(t_ns, "line", line.name.lower(), 0)

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    def _obey(self, t_ns: int, command: Command) -> Reply:
        try:
            code, detail = self._carry_out(t_ns, command), ""
        except (acts.ActError, faults.FaultError) as error:
            code, detail = error.code, str(error)[:200]
        return Reply(command.request_id, not code, t_ns, code, detail)

    def _carry_out(self, t_ns: int, command: Command) -> str:
        """Do it; "" or the code of a refusal."""
        match command:
            case BankSet():
                return self._store(t_ns, command)
            case BankClear():
                return self._store(t_ns, command)
            case Prepare():
                self.generator.preparation.prepare(t_ns, command.on)
            case GeneratorFault():
                self.generator.fault_bits = command.bits
            case Action():
                return self._act(t_ns, command)
            case Inject():
                return self.injector.inject(t_ns, command) if _fits(command) else "bad_phase"
            case Clear():
                self.injector.clear(t_ns, command.fault)
            case Wiring():
                self._rewire(t_ns, command)
            case Mark():
                self.out.record(command.t_ns or t_ns, "process", command.name, command.value)
        return ""

    def _act(self, t_ns: int, command: Action) -> str:
        act = acts.read(command.text)
        if not _fits(command):
            return "bad_phase"

        def then(at_ns: int) -> None:
            act(self, at_ns)

        if command.phase >= 0:
            drops = acts.DROPS.get(command.text, 0)
            planned = self.agenda.at_phase(t_ns, command.phase, command.phase_of, then, drops)
            return "" if planned else "agenda_full"
        act(self, t_ns)
        return ""

    def _store(self, t_ns: int, command: BankSet | BankClear) -> str:
        technique = command.technique if isinstance(command, BankSet) else None
        if command.bank not in (0, 1):
            return "no_such_bank"
        if not self.generator.store(command.bank, technique):
            return "bank_busy"
        value = None
        if technique is not None:
            value = {
                "technique_id": technique.technique_id, "kv": technique.kv, "ma": technique.ma,
                "set_us": technique.set_us, "filter": technique.filter,
            }  # fmt: skip
        self.out.record(t_ns, "process", f"bank{command.bank}", value)
        return ""

    def _rewire(self, t_ns: int, command: Wiring) -> None:
        self.wiring = {
            "window_gate": command.window_gate,
            "chain": command.chain,
            "preset": command.preset,
            "backup": command.backup,
        }
        self.generator.preset = command.preset
        self.generator.backup = command.backup
        self.out.record(t_ns, "process", "rig", self.parameters.header(dict(self.wiring)))


def _fits(command: Action | Inject) -> bool:
    return command.phase < 0 or (command.phase <= 1 and command.phase_of in (CYCLE, PULSE))


__all__ = ["NEVER", "PEDAL_NAMES", "Levels", "Room"]
