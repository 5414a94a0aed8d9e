"""The supervisor's mode machine under exploration: the shipped `step`, and anything that may come.

Theory of operation.  A state is kept as one concrete core that has it; two cores are the same state
when they agree in what any decision looks at: mode, classes of faults held, what each partner last
said and whether that is too old, the run, the self-test, what is waited for.  Times count only as
before or after their threshold, and the environment has a pause that passes each threshold.  Events
go straight to `step`, as the inbox hands them over one by one; a later one may be of an earlier run.

Lives here: the events, the canonical form and the rules.  May not live here: what any row does.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import controller
from controller.core import events
from controller.core.condition import EXECUTIVE_AGE_MAX_NS, IMAGING_AGE_MAX_NS, Core
from controller.core.events import Command, Event, GeneratorStatus, Kind, Origin
from controller.core.faults import Action
from controller.core.local import RESET_MAX_NS
from controller.core.machine import Machine
from controller.core.modes import Mode
from controller.core.order import AHEAD_NS
from controller.core.reconcile import Account, Finding
from controller.core.results import PulseResult
from controller.core.selftest import EXERCISES, Step
from controller.core.technique import from_config
from controller.core.why import proven
from realtime.wire.config import load
from realtime.wire.lines import INTERLOCKS, NC_CONTACTS, In
from realtime.wire.messages import (
    Dark,
    DarkFrameResult,
    EndReason,
    Exercise,
    ExerciseResult,
    Hello,
    ImagingState,
    Order,
    Pedal,
    Press,
    PulseReport,
    Refused,
    RunEnd,
    Skip,
    SkipReason,
    State,
    Trip,
)
from realtime.wire.messages import Mode as Function

_MS: Final = 1_000_000
_T0_NS: Final = 1_000_000 * _MS
_RESTING: Final = INTERLOCKS | NC_CONTACTS
_IDLE, _PREPARED = GeneratorStatus(1, False, False, 0, 0), GeneratorStatus(3, True, True, 0, 0)
_FAULTY: Final = GeneratorStatus(5, True, True, 1, 0)
# Written from the requirements, apart from the machine's own table (design §7).
_DISTANCE: Final = {"STANDBY": 1, "READY": 2, "HOLD": 2, "PREP": 3, "EXPOSING": 4}
PAUSES: Final = {"tick": 20, "beat": 20, "pause 150 ms": 150, "pause 700 ms": 700,
                 "pause 4 s": 4_000, "pause 31 s": 31_000}  # fmt: skip
RULES: Final = (
    "no network input brings the machine nearer to X-rays",
    "an order goes out only in EXPOSING, on a run; its first with technique and tube ready",
    "no order while a latched fault is held or a partner is missing",
    "READY is reached only through the self-test of a local ready, or back from a run",
    "FAULT is left only by a local reset that was asked for",
    "a trip, an emergency or a failure of ours leads to FAULT",
    "a run that the supervisor gives up is told dark at once",
    "a latched fault is never held outside of FAULT",
    "no assertion of ours fails",
)  # fmt: skip


def _state(now_ns: int, **changes: Any) -> State:
    fields: dict[str, Any] = {
        "t_ns": now_ns, "realtime_epoch": 7, "beam": "dark", "run_id": 0, "lines_in": _RESTING,
        "lines_out": 0, "link": True, "trips": [], "inhibits": [], "released_ns": 10_000 * _MS,
        "pulses": 0, "skipped": 0, "irradiation_ms": 0, "late_max_ns": 0, "late_turns": 0,
        "late_cause": "", "black_box_unread": 0, "black_box_capacity": 32768,
    }  # fmt: skip
    return State(**{**fields, **changes})


def _imaging(now_ns: int, panel: bool = True) -> ImagingState:
    return ImagingState(now_ns, panel, True, 0, 0, 0, 0, "")


def _run_id(core: Core) -> int:
    return core.run.run_id if core.run is not None else 500


def _report(core: Core, truncated: bool = False) -> PulseReport:
    technique_id = core.lease.technique.technique_id if core.lease is not None else 1
    n = core.run.checked_n + 1 if core.run is not None else 0
    n += len(core.pairing._reports)
    return PulseReport(_run_id(core), n, 100, n, technique_id, core.bank, Function.FLUORO, 1, 1, 1,
                       2, 8000, 0, 0, EndReason.SET, truncated)  # fmt: skip


def _result(core: Core, **changes: Any) -> PulseResult:
    technique = core.lease.technique if core.lease is not None else core.wanted
    fields: dict[str, Any] = {
        "counter": (core.pairing.counter or 0) + 1, "technique_id": technique.technique_id,
        "tube_kv": technique.tube_kv, "width_us": technique.set_us,
        "mas": technique.tube_ma * technique.set_us / 1e6,
    }  # fmt: skip
    return PulseResult(**{**fields, **changes})


def _exercised(core: Core, ok: bool) -> ExerciseResult:
    test = core.test
    step = test.current if test is not None else None
    what = EXERCISES.get(step, Exercise.CHAIN) if step is not None else Exercise.CHAIN
    return ExerciseResult(test.number if test is not None else 0, what, ok, 1.0, "ms", "")


def _from(message: Any) -> Event:
    return events.FromExecutive(message)


def _local(kind: Kind, what: str = "", **arguments: Any) -> Event:
    return events.Local(1, kind, what or kind.value, arguments)


def _committed(core: Core, ok: bool) -> Event:
    wanted = core.committing
    return events.BankCommitted(core.committing_bank, wanted.technique_id if wanted else 1, ok, "")


def _gate_count(core: Core) -> Event:
    return events.GateCounted(5 + (core.test_gate_before is not None))


Made = Callable[[Core, int], Event]
EVENTS: Final[dict[str, Made]] = {
    "executive up": lambda c, t: events.ExecutiveUp(Hello("realtime", 7, 70, 1, "")),
    "executive restarted": lambda c, t: events.ExecutiveUp(Hello("realtime", 8, 71, 1, "")),
    "executive down": lambda c, t: events.ExecutiveDown("gone"),
    "state at rest": lambda c, t: _from(_state(t)),
    "state: pedal down": lambda c, t: _from(_state(t, lines_in=_RESTING | 1 << In.FLUORO_NO,
                                                   released_ns=0)),
    "state: door open": lambda c, t: _from(_state(t, lines_in=_RESTING & ~(1 << In.DOOR))),
    "state: tripped": lambda c, t: _from(_state(t, trips=["interlock_estop"])),
    "press fluoro": lambda c, t: _from(Press(501, Pedal.FLUORO, Function.FLUORO, t)),
    "press cine": lambda c, t: _from(Press(501, Pedal.CINE, Function.CINE, t)),
    "run ends: release": lambda c, t: _from(RunEnd(_run_id(c), t, EndReason.RELEASE, "", 1, 0)),
    "run ends: no image": lambda c, t: _from(RunEnd(_run_id(c), t, EndReason.NO_IMAGE, "", 1, 0)),
    "an earlier run ends": lambda c, t: _from(RunEnd(499, t, EndReason.RELEASE, "", 1, 0)),
    "pulse": lambda c, t: _from(_report(c)),
    "result": lambda c, t: events.ResultSeen(_result(c)),
    "result: other technique": lambda c, t: events.ResultSeen(_result(c, technique_id=77)),
    "result: counter jumps": lambda c, t: events.ResultSeen(
        _result(c, counter=(c.pairing.counter or 0) + 3)),
    "skip": lambda c, t: _from(Skip(_run_id(c), 1, t, SkipReason.LATE)),
    "trip": lambda c, t: _from(Trip("stall", t, "")),
    "refused": lambda c, t: _from(Refused("Order", "seq", "", 1)),
    "exercise good": lambda c, t: _from(_exercised(c, True)),
    "exercise bad": lambda c, t: _from(_exercised(c, False)),
    "dark frame good": lambda c, t: events.DarkFrameSeen(
        DarkFrameResult(c.test.number if c.test else 0, True, 0.1, 7.0, "")),
    "gate counted": lambda c, t: _gate_count(c),
    "gate not counted": lambda c, t: events.GateCounted(-1),
    "imaging up": lambda c, t: events.ImagingUp(Hello("imaging", 8, 80, 0, "")),
    "imaging down": lambda c, t: events.ImagingDown("gone"),
    "imaging well": lambda c, t: events.ImagingSeen(_imaging(t)),
    "imaging: no panel": lambda c, t: events.ImagingSeen(_imaging(t, False)),
    "generator up": lambda c, t: events.GeneratorUp(40, _IDLE),
    "generator down": lambda c, t: events.GeneratorDown("heartbeat", "three missed"),
    "generator prepared": lambda c, t: events.GeneratorSeen(_PREPARED),
    "generator idle": lambda c, t: events.GeneratorSeen(_IDLE),
    "generator faulty": lambda c, t: events.GeneratorSeen(_FAULTY),
    "emergency": lambda c, t: events.Emergency(0x4210, ""),
    "emergency over": lambda c, t: events.Emergency(0, ""),
    "committed": lambda c, t: _committed(c, True),
    "commit failed": lambda c, t: _committed(c, False),
    "records kept": lambda c, t: events.DurableSeen(True, 10, 0, ""),
    "records not kept": lambda c, t: events.DurableSeen(False, 10, 5, "no space"),
    "reconciled": lambda c, t: events.Reconciled(Finding(True, 0, 0, (), 0, 0, ""),
                                                 Account(40, 10)),
    "records repaired": lambda c, t: events.Reconciled(Finding(False, 0, 0, (), 1, 0, ""),
                                                       Account(40, 10)),
    "ask": lambda c, t: _local(Kind.ASK, "why"),
    "ready": lambda c, t: _local(Kind.READY),
    "reset": lambda c, t: _local(Kind.RESET),
    "set": lambda c, t: _local(Kind.SET, kv=71.0),
    "select": lambda c, t: _local(Kind.SELECT, cine_mode="cine"),
    "self test": lambda c, t: _local(Kind.SELF_TEST),
    "reset timer": lambda c, t: _local(Kind.RESET_TIMER),
    "session opened": lambda c, t: _local(Kind.SERVICE, "service_open", minutes=30),
    "session closed": lambda c, t: _local(Kind.SERVICE, "service_close"),
    "remote ask": lambda c, t: events.Remote(1, True, "picture", "nobody", {}),
    "remote self test": lambda c, t: events.Remote(1, False, "self_test", "nobody", {}),
    "remote lock out": lambda c, t: events.Remote(1, False, "lock_out", "nobody", {}),
    "stop": lambda c, t: events.Stop("SIGTERM"),
    "broken": lambda c, t: events.Broken("a bug"),
}  # fmt: skip
WELL: Final = frozenset({
    "beat", "pause 4 s", "executive up", "state at rest", "run ends: release", "exercise good",
    "dark frame good", "gate counted", "imaging up", "imaging well", "generator up",
    "generator prepared", "generator idle", "committed", "records kept", "reconciled", "ready",
    "reset", "session closed",
})  # fmt: skip


# A study follows its own events; at the first states of every mode all others are judged as well.
PARTNERS: Final = (
    "tick", "beat", "pause 700 ms", "executive up", "executive down", "state at rest",
    "state: tripped", "exercise good", "exercise bad", "dark frame good", "gate counted",
    "imaging up", "imaging down", "imaging well", "generator up", "generator down",
    "committed", "reconciled", "records kept", "ready", "reset", "stop",
)  # fmt: skip
RUN: Final = (
    "tick", "beat", "pause 150 ms", "pause 31 s", "state at rest", "press fluoro", "press cine",
    "run ends: release", "run ends: no image", "an earlier run ends", "pulse", "result",
    "result: other technique", "result: counter jumps", "trip", "generator prepared",
    "generator idle", "generator faulty", "emergency", "committed", "commit failed", "set",
    "select", "session opened", "session closed", "imaging down", "generator down",
    "records not kept", "remote lock out", "ready", "exercise good", "reset", "imaging up",
    "imaging well", "generator up", "records kept", "reconciled", "gate counted",
    "dark frame good", "executive up", "pause 4 s", "stop",
)  # fmt: skip
TO_READY: Final = (
    "executive up", "imaging up", "state at rest", "imaging well", "generator up", "records kept",
    "reconciled", "tick", *["exercise good"] * 3, "gate counted", "exercise good", "gate counted",
    "exercise good", "exercise good", "dark frame good", "committed", "committed", "ready",
    *["exercise good"] * 3, "committed",
)  # fmt: skip
FIRST_STATES: Final = 12


_OF_A_RUN: Final = frozenset({Mode.READY, Mode.HOLD, Mode.PREP, Mode.EXPOSING})
_EVERY: Final = (*PAUSES, *EVENTS)


class Modes:
    """The subject of the search; `start` are the moves before it begins."""

    always = RULES
    well = WELL

    def __init__(self, name: str, usual: tuple[str, ...], start: tuple[str, ...] = (),
                 wide: frozenset[Mode] = frozenset(Mode)) -> None:  # fmt: skip
        self.name = f"modes: {name}"
        profile = Path(controller.__file__).parent / "profiles" / "bench.toml"
        self._config = load(profile)
        core = Core(self._config, 3, from_config(self._config))
        core.wanted = core.numbered(core.wanted)
        self.machine = Machine(core)
        self.now_ns = _T0_NS
        self._kept: dict[Any, bytes] = {}
        self._usual = usual
        self._met: dict[Mode, int] = {}
        self._wide = wide
        self._narrow = tuple(move for move in usual if move in WELL)
        self._laid: Any = None
        self._peeks = False
        for move in start:
            assert not self.make(move), move

    def starts(self) -> list[Any]:
        """BOOT with nobody there yet, or where the first moves have led."""
        return [self.read()]

    def read(self) -> Any:
        """See `search.Subject`; the first core that has a state stands for it."""
        if self._peeks:
            return self._laid  # judged, and not followed: it is not of this study
        key = canonical(self.machine.core, self.now_ns)
        if key not in self._kept:
            core = self.machine.core
            core.config = None  # type: ignore[assignment]
            core.results, core.last_run = [], {}
            self._kept[key] = pickle.dumps((core, self.now_ns), pickle.HIGHEST_PROTOCOL)
            core.config = self._config
        return key

    def lay(self, state: Any) -> None:
        """See `search.Subject`."""
        self._laid, self._peeks = state, False
        self.machine.core, self.now_ns = pickle.loads(self._kept[state])  # noqa: S301 - our own
        self.machine.core.config = self._config

    def moves(self) -> tuple[str, ...]:
        """Every event at the first states of each mode, the usual ones at all."""
        mode = self.machine.core.mode
        self._met[mode] = self._met.get(mode, 0) + 1
        if self._met[mode] <= FIRST_STATES:
            return _EVERY
        return self._usual if mode in self._wide else self._narrow

    def marks(self) -> tuple[str, ...]:
        """The mode; an ending process is at its goal."""
        mode = self.machine.core.mode.value
        return (f"mode {mode}", *(("ready or ended",) if mode in ("READY", "SHUTDOWN") else ()))

    def make(self, move: str) -> tuple[str, ...]:
        """See `search.Subject`."""
        self._peeks = self._laid is not None and move not in self._usual
        self.now_ns += PAUSES.get(move, 1) * _MS
        try:
            if move == "beat":
                core = self.machine.core
                if core.executive.up:
                    self.machine.step(_from(_state(self.now_ns)), self.now_ns)
                if core.imaging.up:
                    self.machine.step(events.ImagingSeen(_imaging(self.now_ns)), self.now_ns)
            if move in PAUSES:
                return self._judged(events.Tick())
            return self._judged(EVENTS[move](self.machine.core, self.now_ns))
        except AssertionError as error:
            return (f"no assertion of ours fails ({error})",)

    def _judged(self, event: Event) -> tuple[str, ...]:
        core = self.machine.core
        before = core.mode
        asked = core.reset_token is not None
        goal = core.test_goal
        run_before = core.run.run_id if core.run is not None else 0
        up = core.executive.up
        commands = self.machine.step(event, self.now_ns)
        orders = [c for c in commands
                  if isinstance(c, events.ToExecutive) and isinstance(c.message, Order)]  # fmt: skip
        broken = _orders(core, orders, self.now_ns, before) if orders else []
        after = core.mode
        if event.origin is Origin.NETWORK and _far(after) > _far(before):
            broken.append(RULES[0])
        if after is Mode.READY and before not in (Mode.READY, Mode.PREP):
            if before is not Mode.SELF_TEST or goal is not Mode.READY:
                broken.append(RULES[3])
        if after is Mode.SELF_TEST and core.test_goal is Mode.READY and before is not after:
            if event.kind is not Kind.READY:
                broken.append(RULES[3])
        if before is Mode.FAULT and after not in (Mode.FAULT, Mode.SHUTDOWN) and not asked:
            broken.append(RULES[4])
        if event.kind in (Kind.TRIP, Kind.BROKEN) and after not in (Mode.FAULT, Mode.SHUTDOWN):
            broken.append(RULES[5])
        gone = run_before and core.run is None and event.kind is not Kind.RUN_END
        if gone and up and core.executive.up and not _told_dark(commands, run_before):
            broken.append(RULES[6])
        held = any(one.fault.action is Action.FAULT for one in core.faults)
        if held and after not in (Mode.FAULT, Mode.BOOT, Mode.SHUTDOWN):
            broken.append(RULES[7])
        return tuple(broken)


def _far(mode: Mode) -> int:
    return _DISTANCE.get(mode.value, 0)


def _told_dark(commands: list[Command], run_id: int) -> bool:
    return any(isinstance(c, events.ToExecutive) and isinstance(c.message, Dark)
               and c.message.run_id == run_id for c in commands)  # fmt: skip


def _orders(core: Core, orders: list[Any], now_ns: int, before: Mode) -> list[str]:
    order, run, status = orders[0].message, core.run, core.generator.status
    ready = before is Mode.EXPOSING or (
        core.committed is not None and status is not None and status.prepared
    )
    broken = []
    if core.mode is not Mode.EXPOSING or run is None or not ready or order.run_id != run.run_id:
        broken.append(RULES[1])
    latched = any(one.fault.action is Action.FAULT for one in core.faults)
    there = core.executive.up and core.imaging.up and core.generator.up
    if latched or not there or now_ns < core.session_until_ns:
        broken.append(RULES[2])
    return broken


def canonical(core: Core, now_ns: int) -> tuple[Any, ...]:
    """What any decision looks at, times as before or after their threshold."""
    held = {one.fault.action for one in core.faults}
    generator, status, run, test = core.generator, core.generator.status, core.run, core.test
    pairing = core.pairing
    if core.mode is Mode.SHUTDOWN:
        return (core.mode,)  # final: nothing is looked at any more
    seen, shown = core.executive.state, core.imaging.state
    return (
        core.mode, Action.FAULT in held, Action.STANDBY in held, Action.RECORD in held,
        (core.executive.up, core.proof is not None and core.executive.epoch, seen and (seen.lines_in, bool(seen.trips)),
         seen is not None and now_ns - core.executive.state_ns > EXECUTIVE_AGE_MAX_NS),
        (core.imaging.up, shown and shown.panel_link,
         shown is not None and now_ns - core.imaging.state_ns > IMAGING_AGE_MAX_NS),
        (generator.up, status and (status.prepared, bool(status.faults)),
         bool(generator.prepared_until_ns), now_ns > generator.prepared_until_ns),
        core.durable.ok, core.finding is None, core.reconcile_due, pairing.counter is None,
        core.committed is not None and core.committed.technique_id == core.wanted.technique_id,
        core.committed is None, core.committing is None,
        run and (run.came_from, now_ns > run.give_up_ns, run.checked_n >= 0),
        core.lease is None,
        core.late_ns > AHEAD_NS,
        test and (len(test.steps), len(test.done), test.asked, now_ns > test.deadline_ns,
                  core.test_gate_before is None and test.current is Step.WINDOW_GATE,
                  core.test_goal, core.test_token is None),
        proven(core),
        core.reset_token is not None and (
            now_ns - core.reset_sent_ns > RESET_MAX_NS,
            seen is not None and seen.t_ns > core.reset_sent_ns),
        now_ns < core.session_until_ns,
        (min(len(pairing._reports), 2), min(len(pairing._results), 2)),
    )  # fmt: skip


def studies() -> tuple[Modes, ...]:
    """The partners from BOOT on, and the run from READY on."""
    return Modes("partners", PARTNERS), Modes("run", RUN, TO_READY, _OF_A_RUN)
