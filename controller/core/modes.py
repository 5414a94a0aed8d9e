"""The mode table of the supervisor: every mode × every kind of event, a row or a written ignore.

Theory of operation.  BOOT waits for realtime, imaging, the generator and the reconciled records.
SELF_TEST runs the named steps, all dark.  STANDBY is dark at rest; a local `ready` with nothing in
the way leads to READY (through a short self-test).  A press leads to PREP, and when tube, technique
and imaging are ready, the first order to EXPOSING.  The end of the run leads to HOLD, from which
the next press starts again.  FAULT is latched and left by a local reset with the cause gone and all
pedals up.  A service session is no mode but a condition beside it, because it is needed most in
FAULT (`controller.core.service`).  SHUTDOWN is final.  EXPOSING and HOLD only follow realtime's
reports: realtime owns the beam.

Lives here: the table, the order of distance from X-rays, and the rule about who may come nearer.
May not live here: what a row's action does (`controller.core.machine`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from controller.core.events import Kind, Origin


class Mode(StrEnum):
    """Modes of the supervisor (not to be confused with the five functions of the pedals)."""

    BOOT = "BOOT"
    SELF_TEST = "SELF_TEST"
    STANDBY = "STANDBY"
    READY = "READY"
    PREP = "PREP"
    EXPOSING = "EXPOSING"
    HOLD = "HOLD"
    FAULT = "FAULT"
    SHUTDOWN = "SHUTDOWN"


# FAULT < STANDBY < READY < PREP < EXPOSING; the modes without a pedal stand with FAULT, and HOLD
# stands with READY: in both only a press is missing.
DISTANCE: Final = {
    Mode.SHUTDOWN: 0, Mode.FAULT: 0, Mode.BOOT: 0, Mode.SELF_TEST: 0,
    Mode.STANDBY: 1, Mode.READY: 2, Mode.HOLD: 2, Mode.PREP: 3, Mode.EXPOSING: 4,
}  # fmt: skip


def may_raise(origin: Origin, before: Mode, after: Mode) -> bool:
    """Whether an event of this origin may lead from `before` to `after` (invariant 14)."""
    return origin is not Origin.NETWORK or DISTANCE[after] <= DISTANCE[before]


@dataclass(frozen=True, slots=True)
class Row:
    """`action` is done; the mode afterwards is the old one or one of `targets`."""

    action: str
    targets: frozenset[Mode]


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing is done, because of `reason`."""

    reason: str


M = Mode
_ALL: Final = frozenset(Mode)
_LIVE: Final = _ALL - {M.SHUTDOWN}
_REST: Final = frozenset({M.STANDBY, M.READY, M.HOLD})
_ARMED: Final = frozenset({M.READY, M.HOLD})
_BEAM: Final = frozenset({M.PREP, M.EXPOSING})
_EARLY: Final = frozenset({M.BOOT, M.SELF_TEST})
_DARK_REST: Final = _REST | {M.FAULT}
_F: Final = frozenset({M.FAULT})
_S: Final = frozenset({M.STANDBY})
_SF: Final = _S | _F
_WAITING: Final = frozenset({M.BOOT, M.STANDBY, M.FAULT})
_NONE: Final[frozenset[Mode]] = frozenset()
_ENDING: Final = "the process is ending and dark; nothing can change that"

_Rows = list[tuple[Kind, frozenset[Mode], Row | Ignore]]
_ROWS: Final[_Rows] = [
    (Kind.TICK, frozenset({M.BOOT}), Row("boot_tick", frozenset({M.SELF_TEST, M.FAULT}))),
    (Kind.TICK, frozenset({M.SELF_TEST}), Row("test_tick", _F)),
    (Kind.TICK, _REST, Row("rest_tick", _SF)),
    (Kind.TICK, frozenset({M.PREP}),
     Row("prep_tick", frozenset({M.EXPOSING, M.STANDBY, M.FAULT}))),
    (Kind.TICK, frozenset({M.EXPOSING}), Row("expose_tick", frozenset({M.STANDBY, M.FAULT}))),
    (Kind.TICK, _F, Row("fault_tick", frozenset({M.STANDBY, M.SELF_TEST}))),
    (Kind.EXECUTIVE_UP, _LIVE, Row("executive_up", _NONE)),
    (Kind.EXECUTIVE_DOWN, frozenset({M.BOOT, M.FAULT}), Row("executive_gone", _NONE)),
    (Kind.EXECUTIVE_DOWN, _LIVE - {M.BOOT, M.FAULT}, Row("executive_lost", _F)),
    (Kind.STATE, _LIVE, Row("state_seen", _F)),
    (Kind.PRESS, _ARMED, Row("press", frozenset({M.PREP, M.EXPOSING}))),
    (Kind.PRESS, _ALL - _ARMED, Row("refuse_press", _NONE)),
    (Kind.RUN_END, frozenset({M.PREP}), Row("prep_ended", frozenset({M.READY, M.HOLD}))),
    (Kind.RUN_END, frozenset({M.EXPOSING}), Row("run_ended", frozenset({M.HOLD, M.FAULT}))),
    (Kind.RUN_END, _DARK_REST | {M.SELF_TEST}, Row("end_told", _NONE)),
    (Kind.RUN_END, frozenset({M.BOOT}), Ignore("a run of the process before this one")),
    (Kind.PULSE, _LIVE, Row("pulse_fired", _F)),
    (Kind.SKIP, _LIVE, Row("skip_counted", _NONE)),
    (Kind.TRIP, _LIVE, Row("tripped", _F)),
    (Kind.REFUSED, _LIVE, Row("refusal_seen", _NONE)),
    (Kind.EXERCISED, frozenset({M.SELF_TEST}),
     Row("step_answered", frozenset({M.STANDBY, M.READY, M.FAULT}))),
    (Kind.EXERCISED, _LIVE - {M.SELF_TEST}, Ignore("late answer of a step that was given up")),
    (Kind.IMAGING_UP, _LIVE, Row("imaging_up", _NONE)),
    (Kind.IMAGING_DOWN, frozenset({M.SELF_TEST}), Row("imaging_down", _F)),
    (Kind.IMAGING_DOWN, _ARMED | _BEAM, Row("imaging_down", _S)),
    (Kind.IMAGING_DOWN, _WAITING, Row("imaging_down", _NONE)),
    (Kind.IMAGING_STATE, _LIVE, Row("imaging_seen", _NONE)),
    (Kind.DARK_FRAME, frozenset({M.SELF_TEST}),
     Row("dark_frame_answered", frozenset({M.STANDBY, M.READY, M.FAULT}))),
    (Kind.DARK_FRAME, _LIVE - {M.SELF_TEST}, Ignore("late answer of a step that was given up")),
    (Kind.GENERATOR_UP, _BEAM, Row("generator_up", _F)),
    (Kind.GENERATOR_UP, _LIVE - _BEAM, Row("generator_up", _NONE)),
    (Kind.GENERATOR_DOWN, _BEAM | {M.SELF_TEST}, Row("generator_down", _F)),
    (Kind.GENERATOR_DOWN, _ARMED, Row("generator_down", _S)),
    (Kind.GENERATOR_DOWN, _WAITING, Row("generator_down", _NONE)),
    (Kind.GENERATOR_STATUS, frozenset({M.PREP}),
     Row("generator_seen", frozenset({M.EXPOSING, M.FAULT}))),
    (Kind.GENERATOR_STATUS, frozenset({M.BOOT, M.FAULT}), Row("generator_seen", _NONE)),
    (Kind.GENERATOR_STATUS, _LIVE - {M.PREP, M.BOOT, M.FAULT}, Row("generator_seen", _F)),
    (Kind.RESULT, _LIVE, Row("result_seen", _F)),
    (Kind.EMERGENCY, _LIVE, Row("emergency", _F)),
    (Kind.COMMITTED, frozenset({M.SELF_TEST}),
     Row("bank_committed", frozenset({M.STANDBY, M.READY, M.FAULT}))),
    (Kind.COMMITTED, frozenset({M.PREP}), Row("bank_committed", frozenset({M.EXPOSING, M.FAULT}))),
    (Kind.COMMITTED, _LIVE - {M.SELF_TEST, M.PREP}, Row("bank_committed", _F)),
    (Kind.GATE_COUNT, frozenset({M.SELF_TEST}),
     Row("gate_counted", frozenset({M.STANDBY, M.READY, M.FAULT}))),
    (Kind.GATE_COUNT, _LIVE - {M.SELF_TEST}, Ignore("late answer of a step that was given up")),
    (Kind.DURABLE, _ARMED, Row("durable_seen", _S)),
    (Kind.DURABLE, _LIVE - _ARMED, Row("durable_seen", _NONE)),
    (Kind.RECONCILED, _LIVE, Row("reconciled", _NONE)),
    (Kind.ASK, _ALL, Row("ask", _NONE)),
    (Kind.READY, frozenset({M.STANDBY}), Row("ready", frozenset({M.SELF_TEST}))),
    (Kind.READY, _ARMED, Row("ready_again", _NONE)),
    (Kind.READY, _LIVE - _ARMED - {M.STANDBY}, Row("refuse_ready", _NONE)),
    (Kind.RESET, _F, Row("reset", _NONE)),
    (Kind.RESET, _REST, Row("reset_at_rest", _NONE)),
    (Kind.RESET, _EARLY | _BEAM, Row("refuse_busy", _NONE)),
    (Kind.SET, _ARMED | {M.PREP}, Row("edit", _S)),
    (Kind.SET, _DARK_REST - _ARMED, Row("edit", _NONE)),
    (Kind.SET, _EARLY | {M.EXPOSING}, Row("refuse_busy", _NONE)),
    (Kind.SELECT, _DARK_REST, Row("select", _NONE)),
    (Kind.SELECT, _EARLY | _BEAM, Row("refuse_busy", _NONE)),
    (Kind.SELF_TEST, _ARMED | {M.STANDBY}, Row("self_test", frozenset({M.SELF_TEST}))),
    (Kind.SELF_TEST, _LIVE - _ARMED - {M.STANDBY}, Row("refuse_busy", _NONE)),
    (Kind.RESET_TIMER, _DARK_REST, Row("reset_timer", _NONE)),
    (Kind.RESET_TIMER, _EARLY | _BEAM, Row("refuse_busy", _NONE)),
    (Kind.SERVICE, _ARMED, Row("service_session", _S)),
    (Kind.SERVICE, _DARK_REST - _ARMED, Row("service_session", _NONE)),
    (Kind.SERVICE, _EARLY | _BEAM, Row("refuse_busy", _NONE)),
    (Kind.REMOTE_ASK, _ALL, Row("remote_ask", _NONE)),
    (Kind.REMOTE, frozenset({M.STANDBY}), Row("remote_act", frozenset({M.SELF_TEST, M.FAULT}))),
    (Kind.REMOTE, _LIVE - {M.STANDBY, M.FAULT}, Row("remote_act", _F)),
    (Kind.REMOTE, _F, Row("remote_act", _NONE)),
    (Kind.REMOTE, frozenset({M.SHUTDOWN}), Row("refuse_remote", _NONE)),
    (Kind.STOP, _LIVE, Row("stop", frozenset({M.SHUTDOWN}))),
    (Kind.BROKEN, _LIVE, Row("broken", _F)),
]  # fmt: skip
_LOCAL_ACTS: Final = frozenset(
    {Kind.READY, Kind.RESET, Kind.SET, Kind.SELECT, Kind.SELF_TEST, Kind.RESET_TIMER,
     Kind.SERVICE}
)  # fmt: skip
_ROWS.extend(
    (kind, frozenset({M.SHUTDOWN}), Row("refuse_busy", _NONE)) for kind in sorted(_LOCAL_ACTS)
)
_AT_THE_END: Final = set(Kind) - _LOCAL_ACTS - {
    Kind.ASK, Kind.PRESS, Kind.REMOTE_ASK, Kind.REMOTE,
}  # fmt: skip
_ROWS.extend((kind, frozenset({M.SHUTDOWN}), Ignore(_ENDING)) for kind in sorted(_AT_THE_END))

TABLE: Final[dict[tuple[Mode, Kind], Row | Ignore]] = {
    (mode, kind): row for kind, modes, row in _ROWS for mode in modes
}
assert sum(len(modes) for _, modes, _ in _ROWS) == len(TABLE), "no pair has two rows"
assert len(TABLE) == len(Mode) * len(Kind), "every pair has a row"
