"""Local operation: what somebody at the board asks for, and the answers.

Lives here: the actions of ready, reset, set, select, self-test, timer and the read-only questions.
May not live here: the socket (`controller.supervisor.local`).  Acts are possible only while dark;
STANDBY → READY and leaving FAULT happen here and nowhere else.
"""

from __future__ import annotations

from typing import Any, Final

from controller.core import report
from controller.core.boot import start
from controller.core.condition import Core
from controller.core.events import (
    Command,
    Local,
    Log,
    Persist,
    Reply,
    ResetGenerator,
    Tick,
    ToExecutive,
)
from controller.core.faults import Clear, latched, without
from controller.core.links import dark, void
from controller.core.modes import Mode
from controller.core.refusal import Blame, Refusal, busy
from controller.core.selftest import SHORT, WHOLE
from controller.core.technique import edited
from controller.core.why import Blocks, proven, standing
from realtime.wire.messages import Mode as Function
from realtime.wire.messages import Reset, ResetTimer, Select

ACTIONS: Final = frozenset({
    "ask", "ready", "ready_again", "refuse_ready", "reset", "reset_at_rest", "fault_tick", "edit",
    "select", "self_test", "reset_timer", "refuse_busy",
})  # fmt: skip
# realtime answers a Reset with a State on its next turn; a second is generous.
RESET_MAX_NS: Final = 1_000_000_000
CINE_MODES: Final = (Function.ONE_SHOT, Function.CINE, Function.DSA)


def _no(event: Local, refusal: Refusal) -> list[Command]:
    fields = {"what": event.what, "code": refusal.code}
    return [Reply(event.token, refusal.body), Log("info", "local_refused", fields)]


def _yes(event: Local, **body: Any) -> list[Command]:
    return [
        Reply(event.token, {"ok": True, **body}),
        Log("info", "local_act", {"what": event.what}),
    ]


def _blocked(event: Local, core: Core, now_ns: int, what: Blocks) -> list[Command]:
    blockers = standing(core, now_ns, what)
    if not blockers:
        return []
    first = blockers[0]
    return _no(event, Refusal(first.code, Blame.MACHINE, event.what, first.value, first.limit,
                              first.remedy))  # fmt: skip


def ask(core: Core, event: Local, now_ns: int) -> list[Command]:
    """Read-only questions, answered in every mode."""
    return [Reply(event.token, report.ANSWERS[event.what](core, now_ns))]


def ready(core: Core, event: Local, now_ns: int) -> list[Command]:
    """STANDBY → READY, through the self-test that is due; faults that clear here are cleared."""
    core.faults = without(core.faults, Clear.NEXT_READY)
    blocked = _blocked(event, core, now_ns, Blocks.READY)
    if blocked:
        return blocked
    steps = SHORT if proven(core) else WHOLE
    log = Log("info", "local_act", {"what": event.what})
    return [log, Persist(clean=False), *start(core, steps, Mode.READY, event.token, now_ns)]


def ready_again(core: Core, event: Local, now_ns: int) -> list[Command]:
    """Already there."""
    return _yes(event, mode=core.mode.value)


def refuse_ready(core: Core, event: Local, now_ns: int) -> list[Command]:
    """Not from here; a latched fault is named."""
    held = latched(core.faults)
    if core.mode is Mode.FAULT and held:
        return _no(event, Refusal(f"fault_{held[0].id}", Blame.MACHINE, "mode", core.mode.value,
                                  "no latched fault", held[0].fault.remedy))  # fmt: skip
    return refuse_busy(core, event, now_ns)


def reset(core: Core, event: Local, now_ns: int) -> list[Command]:
    """FAULT: ask realtime and generator to clear what they hold; `fault_tick` sees the outcome."""
    blocked = _blocked(event, core, now_ns, Blocks.RESET)
    if blocked:
        return blocked
    if core.reset_token is not None:
        return _no(event, busy("reset", "a reset is in progress"))
    core.reset_token, core.reset_sent_ns, core.voided_ns = event.token, now_ns, now_ns
    return [ToExecutive(Reset(core.epoch)), ResetGenerator()]


def fault_tick(core: Core, event: Tick, now_ns: int) -> list[Command]:
    """A reset in progress: leave FAULT once nobody holds anything any more."""
    if core.reset_token is None:
        return []
    state, status = core.executive.state, core.generator.status
    seen = state is not None and state.t_ns > core.reset_sent_ns
    blockers = standing(core, now_ns, Blocks.RESET)
    clear = seen and state is not None and not state.trips and not blockers
    clear = clear and status is not None and not status.faults
    waited = now_ns - core.reset_sent_ns > RESET_MAX_NS
    # A partner that is only just coming back is waited for, so that the self-test can follow.
    if clear and (waited or proven(core) or _testable(core, now_ns)):
        return _leave_fault(core, now_ns)
    if not waited:
        return []
    token, core.reset_token = core.reset_token, None
    held = [*(state.trips if state is not None else []), *(r.code for r in blockers)]
    value = held[0] if held else "generator faults"
    refusal = Refusal("cause_still_present", Blame.MACHINE, "reset", value, "cause gone",
                      "remove the cause, release all pedals, then reset again")  # fmt: skip
    return [Reply(token, refusal.body)]


def _testable(core: Core, now_ns: int) -> bool:
    """Nothing but the faults that are about to be cleared stands against a self-test."""
    return all(r.code.startswith("fault_") for r in standing(core, now_ns, Blocks.TEST))


def _leave_fault(core: Core, now_ns: int) -> list[Command]:
    token, core.reset_token = core.reset_token, None
    assert token is not None
    cleared = [held.id for held in core.faults]
    core.faults = without(core.faults, Clear.LOCAL_RESET)
    # What was lost before the fault would only be found missing once more: the next result is
    # the new beginning, and the account still tells what the records lack.
    core.pairing.forget()
    core.pairing.counter = None
    log = Log("info", "reset", {"cleared": ",".join(cleared)})
    if not proven(core) and not standing(core, now_ns, Blocks.TEST):
        return [log, Persist(clean=False), *start(core, WHOLE, Mode.STANDBY, token, now_ns)]
    core.mode = Mode.STANDBY
    body = {"ok": True, "mode": core.mode.value, "cleared": cleared}
    return [log, Persist(clean=False), Reply(token, body)]


def reset_at_rest(core: Core, event: Local, now_ns: int) -> list[Command]:
    """Nothing is latched here; notices are taken away."""
    cleared = [held.id for held in core.faults]
    core.faults = without(core.faults, Clear.LOCAL_RESET)
    core.voided_ns = now_ns
    answer = _yes(event, mode=core.mode.value, cleared=cleared)
    return [ToExecutive(Reset(core.epoch)), Persist(clean=False), *answer]


def edit(core: Core, event: Local, now_ns: int) -> list[Command]:
    """F20: another technique; READY is over until it is applied again, also in PREP."""
    try:
        technique = edited(core.wanted, event.arguments, core.config)
    except Refusal as refusal:
        return _no(event, refusal)
    commands: list[Command] = []
    if core.mode in (Mode.READY, Mode.HOLD, Mode.PREP):
        commands = [*dark(core, "technique_edited"), *void(core)]
        core.mode = Mode.STANDBY
    core.wanted = core.numbered(technique)
    answer = _yes(event, mode=core.mode.value, technique=core.wanted.shown())
    return [*commands, *answer]


def select(core: Core, event: Local, now_ns: int) -> list[Command]:
    """Function of the cine pedal; realtime wants a fresh edge afterwards."""
    wanted = event.arguments.get("cine_mode")
    if wanted not in [mode.value for mode in CINE_MODES]:
        allowed = ", ".join(mode.value for mode in CINE_MODES)
        return _no(event, Refusal("unknown_function", Blame.INPUT, "cine_mode", wanted, allowed,
                                  "choose one of them"))  # fmt: skip
    core.cine_mode, core.voided_ns = Function(wanted), now_ns
    message = ToExecutive(Select(core.epoch, core.cine_mode))
    return [message, *_yes(event, mode=core.mode.value, cine_mode=core.cine_mode.value)]


def self_test(core: Core, event: Local, now_ns: int) -> list[Command]:
    """The whole self-test, back to STANDBY; the one way to prove a lamp or buzzer again."""
    blocked = _blocked(event, core, now_ns, Blocks.TEST)
    if blocked:
        return blocked
    commands = void(core) if core.mode is not Mode.STANDBY else []
    return [*commands, *start(core, WHOLE, Mode.STANDBY, event.token, now_ns)]


def reset_timer(core: Core, event: Local, now_ns: int) -> list[Command]:
    """Irradiation time back to zero."""
    return [ToExecutive(ResetTimer(core.epoch)), *_yes(event, mode=core.mode.value)]


def refuse_busy(core: Core, event: Local, now_ns: int) -> list[Command]:
    """Only while dark and at rest."""
    return _no(event, busy(event.what, core.mode.value))
