"""Why it is dark: every reason, in order, with value, limit and remedy, and what each one blocks.

Lives here: the one list of conditions.  READY, a press, an order's renewal and a reset all ask this
list, so that what `carm why` shows is what is enforced.  May not live here: what happens then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any, Final

from controller.core.condition import EXECUTIVE_AGE_MAX_NS, IMAGING_AGE_MAX_NS, Core
from controller.core.faults import Action, latched
from controller.core.modes import Mode
from realtime.wire.lines import INTERLOCKS, LATCHING, NC_CONTACTS, PEDALS, In


class Blocks(Flag):
    """What a reason stands in the way of."""

    RESET = auto()
    TEST = auto()
    READY = auto()
    PRESS = auto()
    RENEW = auto()


ARMING: Final = Blocks.TEST | Blocks.READY | Blocks.PRESS | Blocks.RENEW
EVERYTHING: Final = ARMING | Blocks.RESET
AT_REST: Final = Blocks.RESET | Blocks.TEST | Blocks.READY
# What realtime says of a resting machine that is neither an act nor a failure.
_PASSING: Final = frozenset({"pedals_not_released", "exercise_running"})
_PEDALS_UP: Final = NC_CONTACTS
_NS_PER_MS: Final = 1_000_000
_INTERLOCK_LINES: Final = tuple(line for line in In if INTERLOCKS >> line & 1)


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that keeps the beam dark."""

    code: str
    value: Any
    limit: str
    remedy: str
    blocks: Blocks

    def shown(self) -> dict[str, Any]:
        """For people, JSON-able."""
        return {"code": self.code, "value": self.value, "limit": self.limit,
                "remedy": self.remedy}  # fmt: skip


def reasons(core: Core, now_ns: int) -> list[Reason]:
    """Every reason at `now_ns` (CLOCK_MONOTONIC), the most fundamental first."""
    return [
        *_faults(core),
        *_executive(core, now_ns),
        *_lines(core),
        *_imaging(core, now_ns),
        *_generator(core),
        *_records(core),
        *_session(core, now_ns),
        *_readiness(core),
    ]


def standing(core: Core, now_ns: int, what: Blocks) -> list[Reason]:
    """Those that block `what`."""
    return [reason for reason in reasons(core, now_ns) if what in reason.blocks]


def partners(core: Core, now_ns: int) -> list[Reason]:
    """What realtime, imaging and generator give for reasons; cheaper than all, for every beat."""
    return [*_executive(core, now_ns), *_imaging(core, now_ns), *_generator(core)]


def _faults(core: Core) -> Iterator[Reason]:
    for held in latched(core.faults):
        yield Reason(f"fault_{held.id}", held.detail or held.fault.cause, "no latched fault",
                     held.fault.remedy, ARMING)  # fmt: skip
    for held in core.faults:
        if held.fault.action is Action.STANDBY:
            yield Reason(f"fault_{held.id}", held.detail or held.fault.cause, "cause gone",
                         held.fault.remedy, Blocks.PRESS | Blocks.RENEW)  # fmt: skip


def _executive(core: Core, now_ns: int) -> Iterator[Reason]:
    link, state = core.executive, core.executive.state
    if not link.up or state is None:
        yield Reason("executive_not_connected", False, "connected",
                     "start realtime or wait until it has restarted", EVERYTHING)  # fmt: skip
        return
    age_ms = (now_ns - link.state_ns) // _NS_PER_MS
    if age_ms > EXECUTIVE_AGE_MAX_NS // _NS_PER_MS:
        yield Reason(
            "executive_silent",
            age_ms,
            f"≤ {EXECUTIVE_AGE_MAX_NS // _NS_PER_MS} ms",
            "look at the load of the machine and at realtime's log",
            EVERYTHING,
        )
    for trip in state.trips:
        yield Reason(f"trip_{trip}", True, "no trip", "remove the cause, then carm reset", ARMING)
    if not state.link:
        yield Reason("lines_not_fresh", False, "a snapshot every 5 ms",
                     "check the line bus", EVERYTHING)  # fmt: skip


def _blocked_by(line: In) -> Blocks:
    if LATCHING >> line & 1:
        return EVERYTHING
    # A self-test works with the door open; it cannot without its partners.
    partner = line in (In.GENERATOR_READY, In.PANEL_READY)
    return ARMING if partner else ARMING & ~Blocks.TEST


def _lines(core: Core) -> Iterator[Reason]:
    state = core.executive.state
    if state is None or not core.executive.up:
        return
    known = set()
    for line in _INTERLOCK_LINES:
        if not state.lines_in >> line & 1:
            code = f"interlock_{line.name.lower()}"
            known.add(code)
            yield Reason(code, "open", "closed", f"close {line.name.lower()}", _blocked_by(line))
    if state.lines_in & PEDALS != _PEDALS_UP:
        yield Reason("pedal_down", True, "all pedals up", "release all pedals", AT_REST)
    for code in state.inhibits:
        if code not in known | _PASSING | {"lines_not_fresh"}:
            yield Reason(f"inhibit_{code}", True, "no inhibit", "see realtime's log",
                         Blocks.READY | Blocks.PRESS)  # fmt: skip


def _imaging(core: Core, now_ns: int) -> Iterator[Reason]:
    link, state = core.imaging, core.imaging.state
    if not link.up or state is None:
        yield Reason("imaging_not_connected", False, "connected",
                     "start imaging or wait until it has restarted", ARMING)  # fmt: skip
        return
    age_ms = (now_ns - link.state_ns) // _NS_PER_MS
    if age_ms > IMAGING_AGE_MAX_NS // _NS_PER_MS:
        yield Reason("imaging_silent", age_ms, f"≤ {IMAGING_AGE_MAX_NS // _NS_PER_MS} ms",
                     "look at the load of the machine and at imaging's log", ARMING)  # fmt: skip
    if not state.panel_link:
        yield Reason("panel_not_connected", False, "connected and calibrated",
                     "check the detector and its calibration", ARMING)  # fmt: skip
    if not state.executive_link:
        yield Reason("verdicts_not_connected", False, "connected",
                     "wait until imaging has reached realtime", ARMING)  # fmt: skip


def _generator(core: Core) -> Iterator[Reason]:
    generator = core.generator
    if not generator.up or generator.status is None:
        yield Reason("generator_not_connected", generator.down_detail, "heartbeats on the bus",
                     "check the generator's power and the bus", EVERYTHING)  # fmt: skip
    elif generator.status.faults:
        yield Reason("generator_faults", f"{generator.status.faults:#x}", "no fault bit",
                     "see the generator's manual", ARMING)  # fmt: skip


def _records(core: Core) -> Iterator[Reason]:
    if core.finding is None:
        yield Reason(
            "records_not_reconciled",
            False,
            "compared with the generator",
            "wait until the generator is connected and has answered",
            Blocks.TEST | Blocks.READY | Blocks.PRESS,
        )
    if not core.durable.ok:
        yield Reason("record_not_durable", core.durable.detail, "copied and on disk",
                     "free or repair the storage of the run directory",
                     Blocks.READY | Blocks.PRESS)  # fmt: skip
    state = core.executive.state
    if state is not None and state.black_box_unread * 2 > state.black_box_capacity:
        yield Reason("black_box_half_full", state.black_box_unread,
                     f"≤ {state.black_box_capacity // 2} records",
                     "wait until the durable copy has caught up", Blocks.PRESS)  # fmt: skip


def proven(core: Core) -> bool:
    """The whole self-test passed with these very partners."""
    return (
        core.proof is not None
        and core.proof.executive_epoch == core.executive.epoch
        and core.proof.generator_ups == core.generator.ups
    )


def _session(core: Core, now_ns: int) -> Iterator[Reason]:
    left_s = (core.session_until_ns - now_ns) // 1_000_000_000
    if now_ns < core.session_until_ns:
        yield Reason("service_session_open", f"{left_s} s left", "closed", "carm service close",
                     Blocks.READY | Blocks.PRESS)  # fmt: skip


def _readiness(core: Core) -> Iterator[Reason]:
    if not proven(core):
        yield Reason("self_test_not_passed", core.mode.value, "passed since the last connection",
                     "carm ready runs it", Blocks.PRESS)  # fmt: skip
    if core.committed is None or core.committed.technique_id != core.wanted.technique_id:
        yield Reason("technique_not_committed", core.wanted.technique_id, "committed and read back",
                     "carm ready commits it", Blocks(0))  # fmt: skip
    if core.mode in (Mode.BOOT, Mode.SELF_TEST, Mode.STANDBY):
        yield Reason("not_ready", core.mode.value, "READY", "carm ready", Blocks(0))
    elif core.mode in (Mode.READY, Mode.HOLD):
        yield Reason("no_press", core.mode.value, "a pedal pressed", "press the pedal", Blocks(0))
    elif core.mode is Mode.PREP:
        yield Reason("preparing", core.mode.value, "tube, technique and imaging ready",
                     "keep the pedal pressed", Blocks(0))  # fmt: skip
