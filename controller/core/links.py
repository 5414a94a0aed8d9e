"""Links and faults: what the partners report of themselves, and what takes readiness away.

Lives here: the actions for connections, states, trips, emergencies and the end of the process, and
`fail`, the one way into FAULT.  May not live here: the run or the self-test.
"""

from __future__ import annotations

from typing import Final

from controller.core.condition import Core
from controller.core.events import (
    Broken,
    Command,
    DurableSeen,
    Emergency,
    ExecutiveDown,
    ExecutiveUp,
    Exit,
    FromExecutive,
    GeneratorDown,
    GeneratorUp,
    ImagingDown,
    ImagingSeen,
    ImagingUp,
    KeepAccount,
    Log,
    Persist,
    Prepare,
    Reconcile,
    Reconciled,
    Reply,
    Stop,
    ToExecutive,
)
from controller.core.faults import BY_ID, Action, Held, added
from controller.core.modes import Mode
from controller.core.reconcile import Account
from controller.core.refusal import Blame, Refusal
from controller.core.results import COUNTER_MODULUS
from realtime.wire.messages import Dark, Select

ACTIONS: Final = frozenset({
    "executive_up", "executive_gone", "executive_lost", "state_seen", "tripped", "refusal_seen",
    "imaging_up", "imaging_down", "imaging_seen", "generator_up", "generator_down",
    "emergency", "durable_seen", "reconciled", "stop", "broken",
})  # fmt: skip
_PRESSED: Final = (Mode.PREP, Mode.EXPOSING)
_AT_REST: Final = (Mode.READY, Mode.HOLD)
# A restart is common in CAN: 0x0000 says that an earlier emergency is over.
_RESTS: Final = (Mode.STANDBY, *_AT_REST, Mode.FAULT)
_EMCY_OVER: Final = 0
# All pedals let go for so long: copies and results have come, and nobody is about to press.
LET_GO_NS: Final = 1_000_000_000
EXIT_BUG: Final = 4


def dark(core: Core, code: str) -> list[Command]:
    """End the run in progress, if there is one."""
    run, core.run = core.run, None
    if run is None:
        return []
    core.ended = run
    return [ToExecutive(Dark(core.epoch, run.run_id, code))]


def fail(core: Core, fault_id: str, detail: str, now_ns: int) -> list[Command]:
    """Hold a fault and do its action; dark comes first, everything else after."""
    row = BY_ID[fault_id]
    known = any(held.id == fault_id for held in core.faults)
    core.faults = added(core.faults, Held(fault_id, detail, now_ns))
    log = Log("error", f"fault_{fault_id}", {"detail": detail, "action": row.action.value})
    if row.action is Action.RECORD:
        return [] if known else [log, Persist(clean=False)]
    commands = dark(core, fault_id)
    target = Mode.FAULT if row.action is Action.FAULT else Mode.STANDBY
    if core.mode not in (Mode.FAULT, target):
        core.mode = target
        commands += void(core)
        commands += _answer_test(core, fault_id, detail)
    if not known:
        commands += [log, Persist(clean=False)]
    return commands


def void(core: Core) -> list[Command]:
    """READY is over: nothing is committed any more and the tube goes to rest."""
    core.committed = core.committing = None
    core.held_image = False
    core.generator.prepared_until_ns = 0
    return [Prepare(False)]


def _answer_test(core: Core, code: str, detail: str) -> list[Command]:
    core.test = None
    token, core.test_token = core.test_token, None
    if token is None:
        return []
    refusal = Refusal(
        code, Blame.DEVICE, "self_test", detail, "every step passes", BY_ID[code].remedy
    )
    return [Reply(token, refusal.body)]


def executive_up(core: Core, event: ExecutiveUp, now_ns: int) -> list[Command]:
    """A hello; its state follows."""
    core.executive.up, core.executive.state = True, None
    core.executive.epoch, core.executive.pid = event.hello.epoch, event.hello.pid
    # realtime closes at its start what a crash left open, so the records may have changed.
    core.reconcile_due = True
    fields = {"epoch": event.hello.epoch, "pid": event.hello.pid}
    select = ToExecutive(Select(core.epoch, core.cine_mode))
    return [select, Log("info", "executive_up", fields)]


def executive_gone(core: Core, event: ExecutiveDown, now_ns: int) -> list[Command]:
    """While booting or latched, a missing realtime is waited for."""
    core.executive.up, core.executive.state = False, None
    return [Log("warning", "executive_down", {"detail": event.detail})]


def executive_lost(core: Core, event: ExecutiveDown, now_ns: int) -> list[Command]:
    """F29: realtime died; its outputs expire by themselves, we latch."""
    core.run = None
    core.pairing.forget()
    executive_gone(core, event, now_ns)
    return fail(core, "executive_lost", event.detail, now_ns)


def state_seen(core: Core, event: FromExecutive, now_ns: int) -> list[Command]:
    """Keep the state; a trip or an end that we were not told of is a fault all the same."""
    core.executive.state, core.executive.state_ns = event.message, now_ns
    if event.message.trips and core.mode is not Mode.FAULT:
        return fail(core, "executive_trip", event.message.trips[0], now_ns)
    ours = core.run.run_id if core.run is not None and core.mode in _PRESSED else None
    if ours is not None and event.message.run_id != ours:
        # Press, end and state come over one wire in order: the end of our run was lost (F06).
        return fail(core, "run_end_lost", f"run {ours}", now_ns)
    core.reconcile_due |= event.message.released_ns >= LET_GO_NS and apart(core)
    return _reconcile(core)


def _reconcile(core: Core) -> list[Command]:
    if not (core.reconcile_due and core.executive.state is not None and core.generator.up):
        return []
    core.reconcile_due, core.finding = False, None
    return [Reconcile()]


def tripped(core: Core, event: FromExecutive, now_ns: int) -> list[Command]:
    """Realtime latched."""
    trip = event.message
    detail = f"{trip.code}: {trip.detail}" if trip.detail else trip.code
    return fail(core, "executive_trip", detail, now_ns)


def refusal_seen(core: Core, event: FromExecutive, now_ns: int) -> list[Command]:
    """Realtime refused a message of ours; the beam is its own judge, we only tell."""
    refused = event.message
    fields = {"what": refused.what, "code": refused.code, "detail": refused.detail,
              "count": refused.count}  # fmt: skip
    return [Log("warning", f"refused_{refused.code}", fields)]


def imaging_up(core: Core, event: ImagingUp, now_ns: int) -> list[Command]:
    """A hello; its state follows."""
    core.imaging.up, core.imaging.state = True, None
    core.imaging.epoch, core.imaging.pid = event.hello.epoch, event.hello.pid
    return [Log("info", "imaging_up", {"epoch": event.hello.epoch, "pid": event.hello.pid})]


def imaging_down(core: Core, event: ImagingDown, now_ns: int) -> list[Command]:
    """F26: no pictures, no readiness."""
    core.imaging.up, core.imaging.state = False, None
    if core.mode is Mode.SELF_TEST:
        return fail(core, "self_test", f"imaging: {event.detail}", now_ns)
    if core.mode in _PRESSED or core.mode in _AT_REST:
        return fail(core, "imaging_lost", event.detail, now_ns)
    return [Log("warning", "imaging_down", {"detail": event.detail})]


def imaging_seen(core: Core, event: ImagingSeen, now_ns: int) -> list[Command]:
    """Keep the state."""
    core.imaging.state, core.imaging.state_ns = event.message, now_ns
    return []


def generator_up(core: Core, event: GeneratorUp, now_ns: int) -> list[Command]:
    """The bus is there; what the generator did without us is reconciled."""
    core.generator.up, core.generator.status = True, event.status
    core.generator.ups += 1
    core.committed = core.committing = None
    core.pairing.counter = event.counter
    core.reconcile_due = True
    log = Log("info", "generator_up", {"counter": event.counter})
    if core.mode in _PRESSED:
        # It was away for less than its heartbeats tell: its banks and its rotor are not known.
        return [log, *fail(core, "generator_lost", "came up again in a run", now_ns)]
    return [log, *_reconcile(core)]


def generator_down(core: Core, event: GeneratorDown, now_ns: int) -> list[Command]:
    """F17: disarm; latched when a pedal was pressed."""
    detail = f"{event.code}: {event.detail}"
    core.generator.up, core.generator.down_detail = False, detail
    if core.mode is Mode.SELF_TEST:
        return fail(core, "self_test", f"generator: {detail}", now_ns)
    if core.mode in _PRESSED:
        return fail(core, "generator_lost", detail, now_ns)
    if core.mode in _AT_REST:
        return fail(core, "generator_not_ready", detail, now_ns)
    return [Log("warning", "generator_down", {"detail": detail})]


def emergency(core: Core, event: Emergency, now_ns: int) -> list[Command]:
    """F17: an emergency message disarms and latches."""
    if event.code == _EMCY_OVER:
        return [Log("info", "emergency_over", {"detail": event.detail})]
    return fail(core, "generator_emergency", f"{event.code:#06x} {event.detail}", now_ns)


def durable_seen(core: Core, event: DurableSeen, now_ns: int) -> list[Command]:
    """Keep how the durable copy stands."""
    was, durable = core.durable.ok, core.durable
    durable.ok, durable.copied = event.ok, event.copied
    durable.unread, durable.detail = event.unread, event.detail
    durable.failed_ns = 0 if event.ok else durable.failed_ns or now_ns
    if event.ok:
        return _keep_account(core)
    if core.mode in _AT_REST:
        return fail(core, "record_not_durable", event.detail, now_ns)
    return [Log("error", "record_not_durable", {"detail": event.detail})] if was else []


def _keep_account(core: Core) -> list[Command]:
    """Move the account on, only to a moment at which generator and records agree."""
    kept, counter = core.account, core.pairing.counter
    if kept is None or counter is None or core.run is not None or counter == kept.counter:
        return []
    if _short(core) != 0:
        return []
    core.account = Account(counter, core.durable.copied)
    return [KeepAccount(core.account)]


def _short(core: Core) -> int:
    """Pulses that the generator has counted since the account and the durable copy does not hold;
    0 where one of them is not known.
    """
    kept, counter = core.account, core.pairing.counter
    if kept is None or counter is None:
        return 0
    return (counter - kept.counter) % COUNTER_MODULUS - (core.durable.copied - kept.records)


def apart(core: Core) -> bool:
    """At rest, with everything copied and paired, a pulse is still missing.

    The generator remembers its last results only: asked at the next start it may have forgotten.
    READY and every press wait for the answer, so that no pulse is fired between the two counts.
    """
    settled = core.mode in _RESTS and core.finding is not None and not core.pairing.waiting
    return settled and core.durable.ok and not core.durable.unread and _short(core) > 0


def reconciled(core: Core, event: Reconciled, now_ns: int) -> list[Command]:
    """Keep the finding; a repair is told, not hidden."""
    core.finding, core.account = event.finding, event.account
    core.durable.copied = event.account.records
    finding = event.finding
    if finding.missing or finding.taken_back or not finding.ok:
        return fail(core, "record_repaired", finding.detail, now_ns)
    return [Log("info", "reconciled", {"detail": finding.detail})]


def stop(core: Core, event: Stop, now_ns: int) -> list[Command]:
    """Dark first, the tube to rest, the latches written, then the end."""
    commands = dark(core, "shutdown")
    core.mode = Mode.SHUTDOWN
    log = Log("info", "shutdown", {"reason": event.reason})
    return [*commands, *void(core), Persist(clean=True), log, Exit(0)]


def broken(core: Core, event: Broken, now_ns: int) -> list[Command]:
    """F30: never half alive: dark, latch, end; the next start comes up latched."""
    return [
        *fail(core, "internal_error", event.detail, now_ns),
        Persist(clean=False),
        Exit(EXIT_BUG),
    ]
