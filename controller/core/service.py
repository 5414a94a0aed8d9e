"""Service at the supervisor: the session opened at the board, and the few wishes of the network.

Lives here: the second, authoritative check of every remote wish, and what it leads to.  May not
live here: signatures or MQTT (`controller.service`), which are not trusted here.  No wish brings
the machine nearer to X-rays: the mode table has no row for it, and `may_raise` would refuse it.

A session is opened and closed by local acts only, ends by itself, and READY is impossible while it
is open: whoever examines a patient and whoever repairs are never at work at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from controller.core import report
from controller.core.boot import start
from controller.core.condition import EXECUTIVE_AGE_MAX_NS, IMAGING_AGE_MAX_NS, Core
from controller.core.events import Command, EndProcess, Local, Log, Remote, Reply
from controller.core.faults import HELD_MAX
from controller.core.links import fail, void
from controller.core.modes import Mode
from controller.core.refusal import Blame, Refusal, busy
from controller.core.selftest import DRY, WHOLE, Step
from controller.core.why import Blocks, standing
from realtime.wire.lines import NC_CONTACTS, PEDALS, In
from realtime.wire.messages import ImagingState, State

ACTIONS: Final = frozenset({"service_session", "remote_ask", "remote_act", "refuse_remote"})
MINUTES_MAX: Final = 240
_MINUTE_NS: Final = 60_000_000_000


def session_open(core: Core, now_ns: int) -> bool:
    """Whether somebody at the board has opened a session that has not run out."""
    return now_ns < core.session_until_ns


def _left_ms(core: Core, now_ns: int) -> int:
    """What is left of the session, whole ms."""
    return max(0, (core.session_until_ns - now_ns) // 1_000_000)


def is_dark(core: Core) -> bool:
    """No run anywhere, and no kV seen.  Without realtime nothing can hold the permit up."""
    if core.run is not None or core.mode in (Mode.PREP, Mode.EXPOSING):
        return False
    state = core.executive.state
    if not core.executive.up or state is None:
        return True
    return state.run_id == 0 and not state.lines_in >> In.XRAY_ON & 1


def pedals_up(core: Core, now_ns: int) -> bool | None:
    """Whether all pedals are up; None when realtime or its lines do not tell."""
    state = core.executive.state
    if not core.executive.up or state is None or not state.link:
        return None
    if now_ns - core.executive.state_ns > EXECUTIVE_AGE_MAX_NS:
        return None
    return state.lines_in & PEDALS == NC_CONTACTS


def picture(core: Core, now_ns: int) -> dict[str, Any]:
    """Everything that service shows of the machine, `now_ns` in CLOCK_MONOTONIC."""
    held = [one.shown() | {"acknowledged_by": core.acknowledged.get(one.id)} for one in core.faults]
    return {
        "t_ns": now_ns,
        "dark": is_dark(core),
        "pedals_up": pedals_up(core, now_ns),
        "session_left_ms": _left_ms(core, now_ns),
        "test": _test(core),
        "status": report.status(core, now_ns),
        "why": report.why(core, now_ns)["reasons"],
        "faults": held,
    }


def visible(core: Core, now_ns: int) -> tuple[object, ...]:
    """What a picture at `now_ns` is made of, without what time alone moves in it.

    Equal ones give pictures with the same essence; cheap enough for every main step.
    """
    executive, imaging, generator = core.executive, core.imaging, core.generator
    durable = core.durable
    return (
        core.mode, core.faults, core.acknowledged, core.run.run_id if core.run is not None else 0,
        core.wanted, core.committed, core.bank, core.cine_mode, core.held_image, core.last_run,
        core.proof, core.finding, core.pairing.counter, core.pairing.rejected,
        len(core.test.done) if core.test is not None else -1, tuple(core.results),
        session_open(core, now_ns),
        executive.up, executive.pid, executive.epoch, _shown_of_executive(executive.state),
        now_ns - executive.state_ns > EXECUTIVE_AGE_MAX_NS,
        imaging.up, imaging.pid, imaging.epoch, _shown_of_imaging(imaging.state),
        now_ns - imaging.state_ns > IMAGING_AGE_MAX_NS,
        generator.up, generator.ups, generator.status, generator.down_detail,
        durable.ok, durable.copied, durable.unread, durable.detail,
    )  # fmt: skip


def _shown_of_executive(state: State | None) -> tuple[object, ...] | None:
    if state is None:
        return None
    return (state.beam, state.run_id, state.link, state.lines_in, state.trips, state.inhibits,
            state.pulses, state.skipped, state.irradiation_ms, state.black_box_unread,
            state.black_box_capacity)  # fmt: skip


def _shown_of_imaging(state: ImagingState | None) -> tuple[object, ...] | None:
    if state is None:
        return None
    return (state.panel_link, state.executive_link, state.frames_read, state.frames_published,
            state.frames_missing, state.detail)  # fmt: skip


def _test(core: Core) -> dict[str, int] | None:
    """How far the self-test in progress has come."""
    return {"done": len(core.test.done), "total": len(core.test.steps)} if core.test else None


def service_session(core: Core, event: Local, now_ns: int) -> list[Command]:
    """Open or close a session at the board.  Opening takes READY away."""
    if event.what == "service_close":
        core.session_until_ns = 0
        return _told(event, core, now_ns)
    minutes = event.arguments.get("minutes")
    if type(minutes) is not int or not 1 <= minutes <= MINUTES_MAX:
        refusal = Refusal("minutes", Blame.INPUT, "minutes", minutes, f"1 … {MINUTES_MAX}",
                          "carm service open --minutes 30")  # fmt: skip
        return [Reply(event.token, refusal.body)]
    commands: list[Command] = []
    if core.mode in (Mode.READY, Mode.HOLD):
        commands, core.mode = void(core), Mode.STANDBY
    core.session_until_ns = now_ns + minutes * _MINUTE_NS
    return [*commands, *_told(event, core, now_ns)]


def _told(event: Local, core: Core, now_ns: int) -> list[Command]:
    left_ms = _left_ms(core, now_ns)
    body = {"ok": True, "mode": core.mode.value, "session_left_ms": left_ms}
    return [Reply(event.token, body), Log("info", event.what, {"left_ms": left_ms})]


def remote_ask(core: Core, event: Remote, now_ns: int) -> list[Command]:
    """Looking is free, in every mode."""
    return [Reply(event.token, picture(core, now_ns))]


def refuse_remote(core: Core, event: Remote, now_ns: int) -> list[Command]:
    """The process is ending."""
    return _no(event, busy(event.what, core.mode.value))


def remote_act(core: Core, event: Remote, now_ns: int) -> list[Command]:
    """One wish: checked here again, whatever the service process found."""
    refusal = _refused(core, event, now_ns)
    if refusal is not None:
        return _no(event, refusal)
    done = Log("info", "remote_act", {"what": event.what, "by": event.by})
    return [done, *WISHES[event.what](core, event, now_ns)]


def _refused(core: Core, event: Remote, now_ns: int) -> Refusal | None:
    if event.what not in WISHES:
        return Refusal("unknown", Blame.INPUT, "what", event.what, ", ".join(sorted(WISHES)),
                       "ask for one of them")  # fmt: skip
    if not is_dark(core):
        return Refusal("beam_on", Blame.INPUT, event.what, core.mode.value, "while dark",
                       "wait until the run has ended")  # fmt: skip
    if not pedals_up(core, now_ns):
        return Refusal("pedal_down", Blame.INPUT, event.what, pedals_up(core, now_ns),
                       "all pedals known to be up", "release all pedals")  # fmt: skip
    if not session_open(core, now_ns):
        return Refusal("no_session", Blame.INPUT, event.what, 0, "within a session",
                       "at the board: carm service open --minutes 30")  # fmt: skip
    return None


def _no(event: Remote, refusal: Refusal) -> list[Command]:
    fields = {"what": event.what, "by": event.by, "code": refusal.code}
    return [Reply(event.token, refusal.body), Log("warning", "remote_refused", fields)]


def _permit(core: Core, event: Remote, now_ns: int) -> list[Command]:
    """The service process changes something of its own; here it is only allowed and logged."""
    return [Reply(event.token, {"ok": True})]


def _self_test(core: Core, event: Remote, now_ns: int) -> list[Command]:
    return _tested(core, event, WHOLE, now_ns)


def _dry_run(core: Core, event: Remote, now_ns: int) -> list[Command]:
    """Every step that needs no PERMIT, which stays at rest throughout."""
    return _tested(core, event, DRY, now_ns)


def _tested(core: Core, event: Remote, steps: tuple[Step, ...], now_ns: int) -> list[Command]:
    blockers = standing(core, now_ns, Blocks.TEST)
    if core.mode is not Mode.STANDBY:
        return _no(event, Refusal("busy", Blame.MACHINE, event.what, core.mode.value, "STANDBY",
                                  "leave this mode at the board first"))  # fmt: skip
    if blockers:
        first = blockers[0]
        return _no(event, Refusal(first.code, Blame.MACHINE, event.what, first.value, first.limit,
                                  first.remedy))  # fmt: skip
    return start(core, steps, Mode.STANDBY, event.token, now_ns)


def _acknowledge(core: Core, event: Remote, now_ns: int) -> list[Command]:
    held = [one.id for one in core.faults]
    wanted = event.arguments.get("fault")
    if wanted not in held:
        allowed = ", ".join(held) or "none is held"
        return _no(event, Refusal("not_held", Blame.INPUT, "fault", wanted, allowed,
                                  "see carm faults"))  # fmt: skip
    kept = {id_: by for id_, by in core.acknowledged.items() if id_ in held}
    core.acknowledged = {**kept, wanted: event.by}
    assert len(core.acknowledged) <= HELD_MAX
    return [Reply(event.token, {"ok": True, "fault": wanted, "acknowledged_by": event.by})]


def _restart(core: Core, event: Remote, now_ns: int) -> list[Command]:
    pids: Mapping[str, int] = {
        # No wish comes so far unless realtime says that the pedals are up.
        "realtime": core.executive.pid,
        "imaging": core.imaging.pid if core.imaging.up else 0,
    }
    wanted = event.arguments.get("process")
    pid = pids.get(str(wanted), 0)
    if not pid:
        return _no(event, Refusal("not_running", Blame.INPUT, "process", wanted,
                                  ", ".join(sorted(name for name in pids if pids[name])),
                                  "see carm status"))  # fmt: skip
    return [EndProcess(str(wanted), pid), Reply(event.token, {"ok": True, "pid": pid})]


def _lock_out(core: Core, event: Remote, now_ns: int) -> list[Command]:
    detail = f"{event.by}: {event.arguments.get('reason', '')}"[:160]
    commands = fail(core, "locked_out", detail, now_ns)
    return [*commands, Reply(event.token, {"ok": True, "mode": core.mode.value})]


WISHES: Final[Mapping[str, Callable[[Core, Remote, int], list[Command]]]] = {
    "permit": _permit, "self_test": _self_test, "dry_run": _dry_run, "acknowledge": _acknowledge,
    "restart": _restart, "lock_out": _lock_out,
}  # fmt: skip
