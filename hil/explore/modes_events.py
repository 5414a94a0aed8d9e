"""What can come to the mode machine: every kind of event, good, bad, late and foreign.

Lives here: how each event is made for the core as it is.  May not live here: when it comes, or what
must follow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from controller.core import events
from controller.core.condition import Core
from controller.core.events import Event, GeneratorStatus, Kind
from controller.core.reconcile import Account, Finding
from controller.core.results import PulseResult
from controller.core.selftest import EXERCISES
from realtime.wire.lines import INTERLOCKS, NC_CONTACTS, In
from realtime.wire.messages import (
    DarkFrameResult,
    EndReason,
    Exercise,
    ExerciseResult,
    Hello,
    ImagingState,
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
_RESTING: Final = INTERLOCKS | NC_CONTACTS
_IDLE, _PREPARED = GeneratorStatus(1, False, False, 0, 0), GeneratorStatus(3, True, True, 0, 0)
_FAULTY: Final = GeneratorStatus(5, True, True, 1, 0)


def state_of(now_ns: int, **changes: Any) -> State:
    """What a resting realtime reports; some fields changed."""
    fields: dict[str, Any] = {
        "t_ns": now_ns, "realtime_epoch": 7, "beam": "dark", "run_id": 0, "lines_in": _RESTING,
        "lines_out": 0, "link": True, "trips": [], "inhibits": [], "released_ns": 10_000 * _MS,
        "pulses": 0, "skipped": 0, "irradiation_ms": 0, "late_max_ns": 0, "late_turns": 0,
        "late_cause": "", "black_box_unread": 0, "black_box_capacity": 32768,
    }  # fmt: skip
    return State(**{**fields, **changes})


def imaging_of(now_ns: int, panel: bool = True) -> ImagingState:
    """What a resting imaging reports."""
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


def heard(message: Any) -> Event:
    """A message of realtime, as an event."""
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
    "state at rest": lambda c, t: heard(state_of(t)),
    "state: pedal down": lambda c, t: heard(state_of(t, lines_in=_RESTING | 1 << In.FLUORO_NO,
                                                   released_ns=0)),
    "state: door open": lambda c, t: heard(state_of(t, lines_in=_RESTING & ~(1 << In.DOOR))),
    "state: tripped": lambda c, t: heard(state_of(t, trips=["interlock_estop"])),
    "press fluoro": lambda c, t: heard(Press(501, Pedal.FLUORO, Function.FLUORO, t)),
    "press cine": lambda c, t: heard(Press(501, Pedal.CINE, Function.CINE, t)),
    "run ends: release": lambda c, t: heard(RunEnd(_run_id(c), t, EndReason.RELEASE, "", 1, 0)),
    "run ends: no image": lambda c, t: heard(RunEnd(_run_id(c), t, EndReason.NO_IMAGE, "", 1, 0)),
    "an earlier run ends": lambda c, t: heard(RunEnd(499, t, EndReason.RELEASE, "", 1, 0)),
    "pulse": lambda c, t: heard(_report(c)),
    "result": lambda c, t: events.ResultSeen(_result(c)),
    "result: other technique": lambda c, t: events.ResultSeen(_result(c, technique_id=77)),
    "result: counter jumps": lambda c, t: events.ResultSeen(
        _result(c, counter=(c.pairing.counter or 0) + 3)),
    "skip": lambda c, t: heard(Skip(_run_id(c), 1, t, SkipReason.LATE)),
    "trip": lambda c, t: heard(Trip("stall", t, "")),
    "refused": lambda c, t: heard(Refused("Order", "seq", "", 1)),
    "exercise good": lambda c, t: heard(_exercised(c, True)),
    "exercise bad": lambda c, t: heard(_exercised(c, False)),
    "dark frame good": lambda c, t: events.DarkFrameSeen(
        DarkFrameResult(c.test.number if c.test else 0, True, 0.1, 7.0, "")),
    "gate counted": lambda c, t: _gate_count(c),
    "gate not counted": lambda c, t: events.GateCounted(-1),
    "imaging up": lambda c, t: events.ImagingUp(Hello("imaging", 8, 80, 0, "")),
    "imaging down": lambda c, t: events.ImagingDown("gone"),
    "imaging well": lambda c, t: events.ImagingSeen(imaging_of(t)),
    "imaging: no panel": lambda c, t: events.ImagingSeen(imaging_of(t, False)),
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
