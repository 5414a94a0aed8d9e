"""The run: from a press over preparation and orders to its end, and every pulse's result.

Lives here: the actions of READY, PREP, EXPOSING and HOLD.  May not live here: building an order
(`order`), pairing (`results`), or what blocks (`why`), each in its own file beside this one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from controller.core.boot import bank_answered, commit
from controller.core.condition import Core, Run
from controller.core.events import (
    BankCommitted,
    Command,
    FromExecutive,
    GeneratorSeen,
    Log,
    Prepare,
    ResultSeen,
    Tick,
    ToExecutive,
    ToImaging,
)
from controller.core.links import fail
from controller.core.modes import Mode
from controller.core.order import AHEAD_NS, Lease, order
from controller.core.results import Finding, Matched
from controller.core.technique import Technique
from controller.core.why import Blocks, Reason, partners, standing
from realtime.wire.messages import (
    Dark,
    Delivered,
    EndReason,
    Press,
    PulseReport,
    RunEnd,
    Series,
    Topology,
)
from realtime.wire.messages import Mode as Function

ACTIONS: Final = frozenset({
    "press", "refuse_press", "prep_tick", "prep_ended", "expose_tick", "run_ended", "end_told",
    "rest_tick", "pulse_fired", "skip_counted", "result_seen", "generator_seen", "bank_committed",
})  # fmt: skip
# A copy that fails once and goes on is not a fault; one that fails this long is.
DURABLE_FAILS_NS: Final = 250_000_000
# Functions whose protection does not exist yet: refused, never approximated.
NOT_YET: Final = {
    Function.HIGH_LEVEL: "high_level_needs_dose_limits",
    Function.ONE_SHOT: "one_shot_needs_recorder",
    Function.CINE: "cine_needs_recorder",
    Function.DSA: "dsa_needs_recorder",
}
# A silent or missing partner while a pedal is pressed, by the reason's code.
_LOST: Final = {
    "executive_silent": "executive_lost", "imaging_silent": "imaging_lost",
    "panel_not_connected": "imaging_lost", "verdicts_not_connected": "imaging_lost",
    "imaging_not_connected": "imaging_lost", "generator_not_connected": "generator_lost",
    "generator_faults": "generator_fault",
}  # fmt: skip
_ENDS_IN_FAULT: Final = {EndReason.ORDER: "order_lapsed", EndReason.NO_IMAGE: "no_image"}
_S: Final = 1_000_000_000
PROTOCOL: Final = "fixed"
ORIENTATION: Final = "as acquired"


def press(core: Core, event: FromExecutive, now_ns: int) -> list[Command]:
    """A debounced press in READY or HOLD: refuse with a code, or prepare."""
    call: Press = event.message
    if call.mode in NOT_YET:
        return _refuse(core, call, NOT_YET[call.mode])
    blockers = standing(core, now_ns, Blocks.PRESS)
    if blockers:
        return _refuse(core, call, blockers[0].code)
    status = core.generator.status
    warm = status is not None and status.prepared and core.committed is not None
    longest_ns = core.config["supervisor.prep_max_s"] * _S
    core.run = Run(call.run_id, call.mode, call.t_ns, core.mode, warm, now_ns + longest_ns)
    core.generator.prepared_until_ns = now_ns + longest_ns
    core.mode = Mode.PREP
    series = Series(call.run_id, f"{core.config['device']}.{core.epoch}.{call.run_id}", PROTOCOL,
                    ORIENTATION, core.wanted.pulses_per_s)  # fmt: skip
    commands: list[Command] = [ToImaging(series), Prepare(True)]
    if core.committed is None and core.committing is None:
        commands += commit(core)
    if core.committed is not None:
        commands.append(ToImaging(core.committed.announcement()))
    return commands + _proceed(core, now_ns)


def _refuse(core: Core, call: Press, code: str) -> list[Command]:
    fields = {"run_id": call.run_id, "pedal": call.pedal.value, "code": code}
    return [
        ToExecutive(Dark(core.epoch, call.run_id, code)),
        Log("warning", "press_refused", fields),
    ]


def refuse_press(core: Core, event: FromExecutive, now_ns: int) -> list[Command]:
    """Not in this mode."""
    return _refuse(core, event.message, f"mode_{core.mode.value.lower()}")


def _proceed(core: Core, now_ns: int) -> list[Command]:
    """PREP → EXPOSING with the first order, as soon as tube and technique are ready."""
    run, status, technique = core.run, core.generator.status, core.committed
    assert run is not None
    if technique is None or status is None or not status.prepared:
        return []
    if standing(core, now_ns, Blocks.RENEW):
        return []
    core.lease = Lease(core.epoch, run.run_id, run.function, technique, core.bank,
                       Topology(core.config["panel.topology"]))  # fmt: skip
    core.mode = Mode.EXPOSING
    waited_ms = (now_ns - run.press_ns) // 1_000_000
    log = Log("info", "first_order", {"run_id": run.run_id, "after_press_ms": waited_ms,
                                      "warm": run.warm})  # fmt: skip
    return [_order(core, now_ns), log]


def _order(core: Core, now_ns: int) -> Command:
    assert core.lease is not None and core.run is not None
    core.order_seq += 1
    return ToExecutive(order(core.lease, core.order_seq, core.run.checked_n, now_ns))


def prep_tick(core: Core, event: Tick, now_ns: int) -> list[Command]:
    """Go on when ready; give up with a code when the tube does not come."""
    assert core.run is not None
    lost = _lost(core, standing(core, now_ns, Blocks.RENEW), now_ns)
    if lost:
        return lost
    if now_ns > core.run.give_up_ns:
        return fail(core, "prep_failed", "rotor, filament or technique not ready", now_ns)
    return _proceed(core, now_ns)


def prep_ended(core: Core, event: FromExecutive, now_ns: int) -> list[Command]:
    """Released before the first order."""
    if core.run is None or event.message.run_id != core.run.run_id:
        return []
    core.mode, core.run = core.run.came_from, None
    return []


def expose_tick(core: Core, event: Tick, now_ns: int) -> list[Command]:
    """Renew, unless something stands against it: then the order ends by itself."""
    findings = _judge(core, core.pairing.expired(now_ns), now_ns)
    if core.mode is not Mode.EXPOSING:
        return findings
    if core.late_ns > AHEAD_NS:
        away_ms = core.late_ns // 1_000_000
        return findings + fail(core, "order_lapsed", f"no beat for {away_ms} ms", now_ns)
    blockers = standing(core, now_ns, Blocks.RENEW)
    if blockers:
        return findings + _lost(core, blockers, now_ns)
    return [*findings, _order(core, now_ns)]


def _lost(core: Core, blockers: list[Reason], now_ns: int) -> list[Command]:
    for reason in blockers:
        if reason.code in _LOST:
            return fail(core, _LOST[reason.code], f"{reason.code}: {reason.value}", now_ns)
    return []


def run_ended(core: Core, event: FromExecutive, now_ns: int) -> list[Command]:
    """Realtime says the run is over; the image is held, unless the end itself was a fault."""
    end = event.message
    run = core.run
    if run is None or end.run_id != run.run_id:
        return end_told(core, event, now_ns)
    core.run, core.held_image = None, True
    log = _account_of(core, run, end)
    if end.reason in _ENDS_IN_FAULT:
        return [log, *fail(core, _ENDS_IN_FAULT[end.reason], end.code or end.reason.value, now_ns)]
    core.mode = Mode.HOLD
    core.generator.prepared_until_ns = now_ns + core.config["supervisor.prep_max_s"] * _S
    return [log]


def end_told(core: Core, event: FromExecutive, now_ns: int) -> list[Command]:
    """The end of a run that was already over here: only its account is still missing."""
    run = core.ended
    if run is None or event.message.run_id != run.run_id:
        return []
    core.ended = None
    return [_account_of(core, run, event.message)]


def _account_of(core: Core, run: Run, end: RunEnd) -> Log:
    core.last_run = {
        "run_id": run.run_id, "reason": end.reason.value, "code": end.code,
        "pulses": end.pulses, "skipped": end.skipped, "warm": run.warm,
        "duration_ms": (end.t_ns - run.press_ns) // 1_000_000,
    }  # fmt: skip
    return Log("info", "run_end", dict(core.last_run))


def rest_tick(core: Core, event: Tick, now_ns: int) -> list[Command]:
    """At rest: late results, silent partners, and the tube back to rest after its time."""
    commands = _judge(core, core.pairing.expired(now_ns), now_ns)
    if core.mode in (Mode.READY, Mode.HOLD):
        commands += _rest_lost(core, now_ns)
        commands += _not_durable(core, now_ns)
    until_ns, status = core.generator.prepared_until_ns, core.generator.status
    if until_ns and now_ns > until_ns and status is not None:
        core.generator.prepared_until_ns = 0
        core.generator.status = replace(status, rotor_ready=False, filament_ready=False)
        commands.append(Prepare(False))
    return commands


def _rest_lost(core: Core, now_ns: int) -> list[Command]:
    if core.late_ns > AHEAD_NS:
        # We were away ourselves: what they sent meanwhile is still in the sockets.
        return []
    silent = {"imaging_silent", "executive_silent", "panel_not_connected", "generator_faults"}
    return _lost(core, [r for r in partners(core, now_ns) if r.code in silent], now_ns)


def _not_durable(core: Core, now_ns: int) -> list[Command]:
    """The copy failed during the run, which might finish (F40): now it takes readiness away."""
    durable = core.durable
    if not durable.failed_ns or now_ns - durable.failed_ns < DURABLE_FAILS_NS:
        return []
    return fail(core, "record_not_durable", durable.detail, now_ns)


def _ordered(core: Core, run_id: int) -> Technique | None:
    return core.lease.technique if core.lease is not None and core.lease.run_id == run_id else None


def pulse_fired(core: Core, event: FromExecutive, now_ns: int) -> list[Command]:
    """A pulse was fired; its result is waited for."""
    report: PulseReport = event.message
    if core.run is not None and core.run.run_id == report.run_id:
        core.run.fired += 1
    outcomes = core.pairing.fired(report, _ordered(core, report.run_id), now_ns)
    return _judge(core, outcomes, now_ns)


def skip_counted(core: Core, event: FromExecutive, now_ns: int) -> list[Command]:
    """A pulse did not fire: counted, and told once per kind."""
    skip = event.message
    if core.run is not None and core.run.run_id == skip.run_id:
        core.run.skipped += 1
    return [Log("warning", f"skip_{skip.reason.value}", {"run_id": skip.run_id, "k": skip.slot_k})]


def result_seen(core: Core, event: ResultSeen, now_ns: int) -> list[Command]:
    """The generator reports a pulse."""
    if not core.executive.up:
        # Its report died with realtime; reconciliation accounts for it.
        core.pairing.counter = event.result.counter
        return []
    technique = core.lease.technique if core.lease is not None else None
    return _judge(core, core.pairing.delivered(event.result, technique, now_ns), now_ns)


def _judge(core: Core, outcomes: list[Matched] | list[Finding] | list[Matched | Finding],
           now_ns: int) -> list[Command]:  # fmt: skip
    commands: list[Command] = []
    for outcome in outcomes:
        if isinstance(outcome, Finding):
            commands += fail(core, outcome.fault_id, outcome.detail, now_ns)
        else:
            commands.append(_matched(core, outcome))
    return commands


def _matched(core: Core, pair: Matched) -> Command:
    report, result = pair.report, pair.result
    run = core.run
    if run is not None and run.run_id == report.run_id:
        assert report.pulse_n > run.checked_n, "reports of a run come in order"
        run.checked_n = report.pulse_n
    return ToImaging(Delivered(
        report.run_id, report.pulse_n, result.technique_id, result.tube_kv,
        result.mean_ma, result.width_us / 1000, result.mas,
    ))  # fmt: skip


def generator_seen(core: Core, event: GeneratorSeen, now_ns: int) -> list[Command]:
    """A status: a fault bit latches; a tube that became ready lets a preparation go on."""
    core.generator.status = event.status
    if event.status.faults and core.mode not in (Mode.BOOT, Mode.FAULT):
        return fail(core, "generator_fault", f"bits {event.status.faults:#x}", now_ns)
    return _proceed(core, now_ns) if core.mode is Mode.PREP else []


def bank_committed(core: Core, event: BankCommitted, now_ns: int) -> list[Command]:
    """A bank was read back: every field agreed, or no order will ever name it."""
    if core.mode is Mode.SELF_TEST:
        return bank_answered(core, event, now_ns)
    wanted = core.committing
    if wanted is None or event.technique_id != wanted.technique_id:
        return []
    core.committing = None
    if not event.ok:
        return fail(core, "commit_failed", event.detail, now_ns)
    core.committed, core.bank = wanted, event.bank
    commands: list[Command] = [ToImaging(wanted.announcement())]
    return commands + (_proceed(core, now_ns) if core.mode is Mode.PREP else [])
