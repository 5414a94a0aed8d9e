"""The fault catalogue: everything that takes readiness away, as data.

Lives here: id, severity, action, clear rule, cause, words for the operator, remedy, and the numbers
of the safety catalogue each row answers; and the list of faults held, first cause first.  May not
live here: the conditions that raise a fault (`controller.core.machine` and its parts).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

HELD_MAX: Final = 32


class Severity(StrEnum):
    """How bad it is for the patient or the record."""

    DANGER = "danger"
    FAILURE = "failure"
    NOTICE = "notice"


class Action(StrEnum):
    """What the machine does; further down takes precedence over further up."""

    RECORD = "record"
    STANDBY = "standby"
    FAULT = "fault"


class Clear(StrEnum):
    """What takes it away again."""

    LOCAL_RESET = "local_reset"
    NEXT_READY = "next_ready"


@dataclass(frozen=True, slots=True)
class Fault:
    """One row."""

    id: str
    severity: Severity
    action: Action
    clear: Clear
    cause: str
    text: str
    remedy: str
    covers: tuple[str, ...] = ()


def _danger(id_: str, covers: str, cause: str, text: str, remedy: str) -> Fault:
    return Fault(id_, Severity.DANGER, Action.FAULT, Clear.LOCAL_RESET, cause, text, remedy,
                 tuple(covers.split()))  # fmt: skip


def _failure(id_: str, covers: str, cause: str, text: str, remedy: str) -> Fault:
    return Fault(id_, Severity.FAILURE, Action.FAULT, Clear.LOCAL_RESET, cause, text, remedy,
                 tuple(covers.split()))  # fmt: skip


def _inhibit(id_: str, covers: str, cause: str, text: str, remedy: str) -> Fault:
    return Fault(id_, Severity.FAILURE, Action.STANDBY, Clear.NEXT_READY, cause, text, remedy,
                 tuple(covers.split()))  # fmt: skip


def _notice(id_: str, covers: str, cause: str, text: str, remedy: str) -> Fault:
    return Fault(id_, Severity.NOTICE, Action.RECORD, Clear.LOCAL_RESET, cause, text, remedy,
                 tuple(covers.split()))  # fmt: skip


CATALOGUE: Final[tuple[Fault, ...]] = (
    _failure("unclean_restart", "F29 F41", "the supervisor did not end cleanly last time",
             "The control program was restarted.", "Look at the log, then reset at the board."),
    _failure("latches_unreadable", "F41", "the file of latched faults is damaged",
             "The record of earlier faults cannot be read.",
             "Look at the log, then reset at the board; the file is written anew."),
    _failure("executive_lost", "F29", "realtime closed its socket or fell silent",
             "The beam control program stopped. The beam is off.",
             "Wait until it has restarted, then reset at the board."),
    _failure("executive_trip", "F01 F05 F07 F08 F09 F15 F28 F47", "realtime latched a trip",
             "The beam control program latched a fault.",
             "Remove the cause named in the detail, release all pedals, reset at the board."),
    _failure("run_end_lost", "F06 F30", "realtime ended a run and the report of it was lost",
             "The beam control program ended a run without saying so. The beam is off.",
             "Reset at the board; if it happens again, look at the log and the machine's load."),
    _failure("generator_lost", "F17", "three heartbeats of the generator were missed",
             "The generator does not answer on its bus.",
             "Check the generator's power and the bus cable, then reset at the board."),
    _failure("generator_fault", "F13 F14 F48", "the generator reports a fault of its own",
             "The generator reports a fault.", "See the generator's manual for the fault bits."),
    _failure("generator_emergency", "F17", "the generator sent an emergency message",
             "The generator reports an emergency.",
             "See the generator's manual for the error code, then reset at the board."),
    _danger("technique_mismatch", "F16", "a pulse was made with another technique than ordered",
            "A pulse was not made with the ordered technique.",
            "Do not use the generator until service has looked at it."),
    _danger("result_implausible", "F14 F16", "kV, width or mAs of a pulse is outside tolerance",
            "A pulse was not what was set.",
            "Do not use the generator until service has looked at it."),
    _danger("result_missing", "F16", "no result of a fired pulse came within its time",
            "The generator did not report a pulse.", "Check the bus, then reset at the board."),
    _danger("result_gap", "F15 F18", "the generator's pulse counter jumped",
            "The generator made pulses that it did not report.",
            "Check the bus; the missing pulses are added to the record at the next start."),
    _danger("pulse_unordered", "F15", "the generator reported a pulse that nobody fired",
            "The generator made a pulse by itself.",
            "Switch the generator off; it needs service."),
    _failure("commit_failed", "F16 F20", "a technique was not stored as it was written",
             "The generator did not accept the exposure settings.",
             "Check the bus and the generator, then reset at the board."),
    _failure("prep_failed", "F19", "rotor or filament did not become ready in time",
             "The tube did not become ready.", "Check the generator, then reset at the board."),
    _failure("self_test", "F02 F38 F46", "a step of the self-test failed",
             "The self-test failed.", "See the failed step, remove its cause, reset at the board."),
    _failure("order_lapsed", "F28 F31", "the run ended because the order was not renewed in time",
             "The control program was too slow. The beam is off.",
             "Reset at the board; if it happens again, look at the machine's load."),
    _failure("no_image", "F21 F22 F24", "two pictures in a row were missing or invalid",
             "The detector gave no picture. The beam is off.",
             "Check the detector, then reset at the board."),
    _inhibit("imaging_lost", "F26", "imaging closed its socket or fell silent",
             "The imaging program stopped. The beam is off.",
             "Wait until it has restarted, then make ready again."),
    _inhibit("generator_not_ready", "F17", "the generator's bus was lost while at rest",
             "The generator is not connected.", "Wait until it is back, then make ready again."),
    _inhibit("record_not_durable", "F40", "the copy of the pulse record cannot be written",
             "Pulses cannot be stored safely.", "Free or repair the storage, then make ready."),
    _failure("internal_error", "F30", "an exception, a full queue or a failed task",
             "The control program failed. The beam is off.",
             "Look at the log; report it; reset at the board."),
    _failure("locked_out", "F43", "service locked the machine out",
             "Service has locked the machine.",
             "Ask the engineer named in the detail, then reset at the board."),
    _notice("record_repaired", "F29 F41", "record and generator did not count the same pulses",
            "The record of pulses was put right from the generator's memory.",
            "No act needed; what was added or taken back carries a mark."),
)  # fmt: skip
BY_ID: Final = {fault.id: fault for fault in CATALOGUE}
assert len(BY_ID) == len(CATALOGUE), "one row per id"


@dataclass(frozen=True, slots=True)
class Held:
    """A fault that is present; `t_ns` is CLOCK_MONOTONIC of the host when it came."""

    id: str
    detail: str
    t_ns: int

    @property
    def fault(self) -> Fault:
        """Its row."""
        return BY_ID[self.id]

    def shown(self) -> dict[str, Any]:
        """For people, JSON-able."""
        row = self.fault
        return {
            "id": self.id, "severity": row.severity.value, "action": row.action.value,
            "clear": row.clear.value, "cause": row.cause, "text": row.text, "remedy": row.remedy,
            "detail": self.detail, "t_ns": self.t_ns,
        }  # fmt: skip


def added(held: tuple[Held, ...], new: Held) -> tuple[Held, ...]:
    """`held` and `new`: first cause first, one entry per id, at most HELD_MAX."""
    assert new.id in BY_ID, f"no row for {new.id}"
    if any(old.id == new.id for old in held) or len(held) >= HELD_MAX:
        return held
    return (*held, new)


def latched(held: Iterable[Held]) -> tuple[Held, ...]:
    """Those that hold the machine in FAULT."""
    return tuple(one for one in held if one.fault.action is Action.FAULT)


def without(held: Iterable[Held], clear: Clear) -> tuple[Held, ...]:
    """Those that an act of kind `clear` leaves."""
    return tuple(one for one in held if one.fault.clear is not clear)


def table() -> list[dict[str, Any]]:
    """The catalogue as the supervisor tells it; whoever shows it adds what proves each row."""
    return [
        {
            "id": row.id, "severity": row.severity.value, "action": row.action.value,
            "clear": row.clear.value, "cause": row.cause, "text": row.text, "remedy": row.remedy,
            "covers": list(row.covers), "status": "waiting_for", "scenarios": [],
        }
        for row in CATALOGUE
    ]  # fmt: skip
