"""A supervisor's core with well-behaved partners, for tests that spoil one thing at a time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from controller.core import events
from controller.core.condition import Core
from controller.core.events import Command, Event, GeneratorStatus, Kind
from controller.core.machine import Machine
from controller.core.modes import Mode
from controller.core.reconcile import Account, Finding
from controller.core.results import PulseResult
from controller.core.selftest import Step
from controller.core.technique import from_config
from realtime.wire.config import Config, load
from realtime.wire.lines import INTERLOCKS, NC_CONTACTS
from realtime.wire.messages import (
    DarkFrame,
    DarkFrameResult,
    EndReason,
    Exercised,
    ExerciseResult,
    Hello,
    ImagingState,
    Order,
    Pedal,
    Press,
    PulseReport,
    RunEnd,
    State,
)
from realtime.wire.messages import Mode as Function

BENCH: Config = load(Path(__file__).parents[3] / "controller/profiles/bench.toml")
MS = 1_000_000
T0 = 1_000_000_000_000
RESTING = INTERLOCKS | NC_CONTACTS
IDLE = GeneratorStatus(1, False, False, 0, 0)
PREPARED = GeneratorStatus(3, True, True, 0, 0)


def bench(**changes: Any) -> Config:
    """The bench configuration with some keys changed (dots as double underscores)."""
    return Config({**BENCH.values, **{k.replace("__", "."): v for k, v in changes.items()}})


def state(now_ns: int, **changes: Any) -> State:
    """What a resting realtime reports."""
    fields: dict[str, Any] = {
        "t_ns": now_ns, "realtime_epoch": 7, "beam": "dark", "run_id": 0, "lines_in": RESTING,
        "lines_out": 0, "link": True, "trips": [], "inhibits": [], "released_ns": 10_000 * MS,
        "pulses": 0, "skipped": 0, "irradiation_ms": 0, "late_max_ns": 0, "late_turns": 0,
        "late_cause": "", "black_box_unread": 0, "black_box_capacity": 32768,
    }  # fmt: skip
    return State(**{**fields, **changes})


def imaging_state(now_ns: int, **changes: Any) -> ImagingState:
    """What a resting imaging reports."""
    fields: dict[str, Any] = {
        "t_ns": now_ns, "panel_link": True, "executive_link": True, "frames_read": 0,
        "frames_published": 0, "frames_missing": 0, "last_verdict_n": 0, "detail": "",
    }  # fmt: skip
    return ImagingState(**{**fields, **changes})


def report(run_id: int, n: int, technique_id: int, **changes: Any) -> PulseReport:
    """Realtime's report of a whole pulse of 8 ms."""
    fields: dict[str, Any] = {
        "run_id": run_id, "pulse_n": n, "pulse_id": 100 + n, "slot_k": n,
        "technique_id": technique_id, "bank": 1, "mode": Function.FLUORO, "order_seq": 1,
        "due_ns": T0, "start_ns": T0, "end_ns": T0 + 9 * MS, "set_us": 8000,
        "window_open_ns": T0, "window_close_ns": T0, "end_reason": EndReason.SET,
        "truncated": False,
    }  # fmt: skip
    return PulseReport(**{**fields, **changes})


def result(counter: int, technique_id: int, **changes: Any) -> PulseResult:
    """The generator's result of a pulse of 70 kV, 40 mA, 8 ms."""
    fields: dict[str, Any] = {
        "counter": counter, "technique_id": technique_id, "tube_kv": 70.0, "width_us": 8000,
        "mas": 0.325,
    }  # fmt: skip
    return PulseResult(**{**fields, **changes})


class Scene:
    """A machine and a clock; `tell` steps it and keeps the commands."""

    def __init__(self, config: Config = BENCH) -> None:
        self.now_ns = T0
        core = Core(config, 3, from_config(config))
        core.wanted = core.numbered(core.wanted)
        self.machine = Machine(core)
        self.core = core
        self.last: list[Command] = []
        self.counter = 40
        self.run_id = 500

    def mode(self) -> Mode:
        return self.machine.mode

    def tell(self, event: Event, after_ms: float = 0) -> list[Command]:
        self.now_ns += round(after_ms * MS)
        self.last = self.machine.step(event, self.now_ns)
        return self.last

    def hear(self, message: Any, after_ms: float = 0) -> list[Command]:
        """A message of realtime."""
        return self.tell(events.FromExecutive(message), after_ms)

    def tick(self, after_ms: float = 20) -> list[Command]:
        return self.tell(events.Tick(), after_ms)

    def refresh(self, **changes: Any) -> None:
        """Fresh states of realtime and imaging."""
        run = self.core.run
        self.hear(state(self.now_ns, **({"run_id": run.run_id if run else 0} | changes)))
        self.tell(events.ImagingSeen(imaging_state(self.now_ns)))

    def ask(self, do: Kind, what: str = "", token: int = 1, **arguments: Any) -> list[Command]:
        return self.tell(events.Local(token, do, what or do.value, arguments))

    def connect(self) -> Scene:
        """All partners are there, records reconciled; still in BOOT."""
        self.tell(events.ExecutiveUp(Hello("realtime", 7, 70, 1, "")))
        self.tell(events.ImagingUp(Hello("imaging", 8, 80, 0, "")))
        self.refresh()
        self.tell(events.GeneratorUp(self.counter, IDLE))
        self.tell(events.DurableSeen(True, 10, 0, ""))
        finding = Finding(True, 0, 0, (), 0, 0, "")
        self.tell(events.Reconciled(finding, Account(self.counter, 10)))
        return self

    def answer(self, commands: Iterable[Command]) -> list[Command]:
        """Let the partners answer one batch of commands well; returns what follows."""
        follow: list[Command] = []
        for command in commands:
            match command:
                case events.ToExecutive(Exercised(_, number, what)):
                    follow += self.hear(ExerciseResult(number, what, True, 1.0, "ms", ""))
                case events.ToImaging(DarkFrame(number)):
                    follow += self.tell(
                        events.DarkFrameSeen(DarkFrameResult(number, True, 0.1, 7.0, ""))
                    )
                case events.ReadGateCount():
                    passed = 0 if self.core.test_gate_before is None else 1
                    follow += self.tell(events.GateCounted(5 + passed))
                case events.Commit(bank, technique):
                    follow += self.tell(
                        events.BankCommitted(bank, technique.technique_id, True, "")
                    )
                case events.Prepare(on):
                    follow += self.tell(events.GeneratorSeen(PREPARED if on else IDLE))
        return follow

    def settle(self, commands: list[Command]) -> list[Command]:
        """Answer until nobody asks any more; every command seen."""
        seen = list(commands)
        while commands := self.answer(commands):
            seen += commands
        return seen

    def standby(self) -> Scene:
        """Booted and tested."""
        self.connect()
        self.settle(self.tick())
        assert self.mode() is Mode.STANDBY
        assert [one.step for one in self.core.results] == list(Step)
        return self

    def ready(self) -> Scene:
        """READY, tube at speed, technique committed."""
        self.standby()
        self.settle(self.ask(Kind.READY))
        assert self.mode() is Mode.READY
        assert self.core.committed is not None
        return self

    def press(self, pedal: Pedal = Pedal.FLUORO, mode: Function = Function.FLUORO) -> list[Command]:
        self.run_id += 1
        return self.hear(Press(self.run_id, pedal, mode, self.now_ns))

    def exposing(self) -> Scene:
        """In a run, with its first order sent."""
        self.ready()
        self.press()
        assert self.mode() is Mode.EXPOSING
        return self

    def pulse(self, n: int, **changes: Any) -> list[Command]:
        """A fired pulse and its result."""
        assert self.core.lease is not None
        technique_id = self.core.lease.technique.technique_id
        self.counter += 1
        seen = list(self.hear(report(self.run_id, n, technique_id)))
        fields = {"technique_id": technique_id, **changes}
        return seen + self.tell(events.ResultSeen(result(self.counter, **fields)))

    def end(self, reason: EndReason = EndReason.RELEASE, code: str = "") -> list[Command]:
        return self.hear(RunEnd(self.run_id, self.now_ns, reason, code, 2, 0))

    def faults(self) -> list[str]:
        return [held.id for held in self.core.faults]


def sent(commands: Iterable[Command], kind: type) -> list[Any]:
    """Messages of a class that were sent to realtime or imaging, and commands of that class."""
    out: list[Any] = [c for c in commands if isinstance(c, kind)]
    for command in commands:
        if isinstance(command, events.ToExecutive | events.ToImaging):
            out += [command.message] if isinstance(command.message, kind) else []
    return out


def replies(commands: Iterable[Command]) -> list[Any]:
    """Bodies of the replies."""
    return [command.body for command in commands if isinstance(command, events.Reply)]


def orders(commands: Iterable[Command]) -> list[Order]:
    """Orders sent."""
    return sent(commands, Order)
