"""The generator's bus in virtual time: writes, read-backs, results, status, heartbeats.

Lives here: what the supervisor's driver asks of the bus and hears from it, as delays and as the
faults of the bus.  May not live here: the generator itself (`hil.room.generator`), which decides
what it delivers; or CANopen, whose bytes are tested over a real bus.  Heartbeats are not events;
three that do not come are one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.core.commands import Commit
from controller.core.events import (
    BankCommitted,
    Emergency,
    GateCounted,
    GeneratorDown,
    GeneratorSeen,
    GeneratorStatus,
    GeneratorUp,
    ResultSeen,
)
from controller.core.results import COUNTER_MODULUS, PulseResult
from hil.room import commands, records
from hil.sim.chance import Stream
from hil.sim.wires import Wire

if TYPE_CHECKING:
    from hil.sim.world import World

MS: Final = 1_000_000
WRITE_NS: Final = (8 * MS, 25 * MS)
TURNAROUND_NS: Final = (1 * MS, 4 * MS)
RESULT_NS: Final = (400_000, 2 * MS)
UP_NS: Final = (60 * MS, 180 * MS)
HEARTBEATS: Final = 3
RESULTS_KEPT: Final = 256
RESULT_FAULTS: Final = ("lose_result", "duplicate_result", "wrong_kv", "reorder_result")


class GeneratorBus:
    """One driver at one generator.  `count_offset` puts its pulse counter near a wrap (F37)."""

    def __init__(self, world: World, heartbeat_ms: int, count_offset: int) -> None:
        self._world = world
        self._chance = Stream(world.seed, "generator bus")
        self._heartbeat_ns = heartbeat_ms * MS
        self._offset = count_offset
        self.silent = False
        self.up = False
        self.stores_other = 0
        self.result_fault = ""
        self.spoiled = 0
        self.unanswered = 0
        self._held: PulseResult | None = None
        self._recent: list[PulseResult] = []
        self._status: GeneratorStatus | None = None
        self.results = Wire(
            world.clockwork, world.seed, "results", RESULT_NS, self._result, world.look
        )
        self.results.connect()
        # One sender, one identifier: on a CAN bus no report of its state overtakes another.
        self._states = Wire(
            world.clockwork, world.seed, "states", RESULT_NS, self._tell, world.look
        )
        self._states.connect()

    # ── what the supervisor asks ─────────────────────────────────────────────────────────────

    def connect(self) -> None:
        """The driver is there: it reports the generator once heartbeats come."""
        self.up = False
        self._world.after(self._chance.between(*UP_NS), self._come_up)

    def commit(self, command: Commit) -> None:
        """Write five values and the check, then read all of them back."""
        self._world.after(1 * MS, self._half_written, command.bank)
        self._world.after(self._chance.between(*WRITE_NS), self._written, command)

    def prepare(self, on: bool) -> None:
        """Rotor and filament."""
        self._world.after(self._chance.between(*TURNAROUND_NS), self._prepare, on)

    def read_gate_count(self) -> None:
        """Answered by GateCounted."""
        self._world.after(self._chance.between(*TURNAROUND_NS), self._gate_count)

    def reset(self) -> None:
        """Clear the generator's own fault bits."""
        self._world.after(self._chance.between(*TURNAROUND_NS), self._reset)

    def recent(self) -> list[PulseResult]:
        """The last 256 results, in order."""
        return list(self._recent)

    def counter(self) -> int:
        """Its pulse counter as the bus gives it."""
        return (self._world.room.generator.pulse_count + self._offset) % COUNTER_MODULUS

    # ── what the bus reports ─────────────────────────────────────────────────────────────────

    def pulse(self, pulse: records.PulseResult) -> None:
        """The generator ended a pulse."""
        kv = pulse.kv * (0.88 if self.result_fault == "wrong_kv" else 1.0)
        result = PulseResult(
            (pulse.count + self._offset) % COUNTER_MODULUS, pulse.technique_id,
            round(kv * 10) / 10, pulse.width_us, round(pulse.mas * 1000) / 1000,
        )  # fmt: skip
        self._recent.append(result)
        del self._recent[:-RESULTS_KEPT]
        if self.silent:
            self.unanswered += 1
            return
        fault = self.result_fault
        if fault:
            self.spoil()
        if fault == "lose_result":
            return
        if fault == "reorder_result" and self._held is None:
            self._held = result
            return
        self.results.send(result)
        if fault == "duplicate_result":
            self.results.send(result)
        if self._held is not None:
            held, self._held = self._held, None
            self.results.send(held)

    def spoil(self) -> None:
        """Something on the bus is not as it should be, from now on."""
        self.spoiled += 1
        self._world.look()

    def fall_silent(self) -> None:
        """No heartbeat and nothing else from now on."""
        self.silent = True
        self._world.after(HEARTBEATS * self._heartbeat_ns, self._missed)

    def speak_again(self) -> None:
        """Heartbeats come again."""
        self.silent = False
        self._world.after(self._chance.between(*UP_NS), self._come_up)

    def emergency(self, code: int) -> None:
        """An EMCY message."""
        self._world.tell_supervisor(Emergency(code, "by the bench"))

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _come_up(self) -> None:
        if self.silent or self.up or not self._world.supervisor.alive:
            return
        self.up = True
        self._status = self._now()
        self._world.tell_supervisor(GeneratorUp(self.counter(), self._status))

    def _missed(self) -> None:
        if self.silent and self.up:
            self.up = False
            self.unanswered += 1
            self._world.tell_supervisor(GeneratorDown("heartbeat", "three missed"))

    def _now(self) -> GeneratorStatus:
        generator = self._world.room.generator
        preparation = generator.preparation
        return GeneratorStatus(
            1, preparation.rotor == "ready", preparation.filament == "ready",
            generator.fault_bits, 0,
        )  # fmt: skip

    def watch(self) -> None:
        """Rotor, filament or fault bits may have changed: tell, and look again when due."""
        preparation = self._world.room.generator.preparation
        due_ns = preparation.next_ns()
        if due_ns != records.NEVER:
            self._world.clockwork.at(due_ns, self._look)
        status = self._now()
        if self.up and status != self._status:
            self._status = status
            self._states.send(status)

    def _look(self) -> None:
        self._world.room_to_now()
        self.watch()

    def _tell(self, status: GeneratorStatus) -> None:
        if self.up and not self.silent:
            self._world.tell_supervisor(GeneratorSeen(status))

    def _prepare(self, on: bool) -> None:
        if not self.silent:
            self._world.command(commands.Prepare(0, on))
            self.watch()

    def _reset(self) -> None:
        if not self.silent:
            self._world.command(commands.GeneratorFault(0, 0))
            self.watch()

    def _gate_count(self) -> None:
        count = -1 if self.silent else self._world.room.generator.gate_count
        self._world.tell_supervisor(GateCounted(count))

    def _half_written(self, bank: int) -> None:
        if not self.silent:
            self._world.command(commands.BankClear(0, bank))

    def _written(self, command: Commit) -> None:
        wanted = command.technique
        if self.silent:
            answer = BankCommitted(command.bank, wanted.technique_id, False, "no answer")
            self._world.tell_supervisor(answer)
            return
        kv = (wanted.kv_tenths + self.stores_other) / 10
        if self.stores_other:
            self.spoil()
        stored = records.Technique(wanted.technique_id, kv, wanted.tube_ma, wanted.set_us,
                                   wanted.filter_name)  # fmt: skip
        reply = self._world.command(commands.BankSet(0, command.bank, stored))
        ok = reply is not None and reply.ok and not self.stores_other
        detail = "" if ok else "read back differs"
        self._world.tell_supervisor(BankCommitted(command.bank, wanted.technique_id, ok, detail))

    def _result(self, result: PulseResult) -> None:
        self._world.tell_supervisor(ResultSeen(result))
