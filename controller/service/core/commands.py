"""The commands that exist: name, level, role, arguments and what it means, as one table.

Lives here: argument types with their ranges, from which the JSON Schemas are made.  May not live
here: what a command does (`controller.service.acts`), or a row for a subject that does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.service.core.levels import Level, Role
from controller.service.core.limits import TELEMETRY_HZ_MAX


class Strict(BaseModel):
    """Exactly the fields named, of exactly their types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


TelemetryName = Literal["beam", "imaging", "generator", "service"]
ProcessName = Literal["realtime", "imaging", "service"]


class Nothing(Strict):
    """No arguments."""


class Download(Strict):
    """Chunks come one by one on the reply topic."""

    from_chunk: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class FaultNamed(Strict):
    """A held fault of the catalogue."""

    fault: Annotated[str, Field(pattern="^[a-z_]{1,40}$")]


class TelemetryRate(Strict):
    """0 switches it off."""

    name: TelemetryName
    hz: Annotated[float, Field(ge=0, le=TELEMETRY_HZ_MAX, strict=False)]


class ConfigText(Strict):
    """A whole configuration file."""

    toml: Annotated[str, Field(min_length=1, max_length=8192)]


class ConfigNamed(Strict):
    """A proposal, by the name that `config_propose` gave it."""

    proposal: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


class ProcessNamed(Strict):
    """A process that whoever started it starts again."""

    process: ProcessName


class Because(Strict):
    """A reason for the record and for the person at the board."""

    reason: Annotated[str, Field(min_length=1, max_length=120)]


class ConstancyPlan(Strict):
    """Tube voltage in kV, current in mA, width in ms, and how many pulses of it."""

    kv: Annotated[float, Field(ge=30, le=150, strict=False)]
    ma: Annotated[float, Field(ge=0.1, le=1000, strict=False)]
    ms: Annotated[float, Field(ge=0.1, le=50, strict=False)]
    pulses: Annotated[int, Field(ge=3, le=100)]
    reason: Annotated[str, Field(min_length=1, max_length=120)]


@dataclass(frozen=True, slots=True)
class Command:
    """One row."""

    name: str
    level: Level
    role: Role
    arguments: type[Strict]
    meaning: str


def _ask(name: str, meaning: str) -> Command:
    return Command(name, Level.ASK, Role.ANYBODY, Nothing, meaning)


def _fetch(name: str, arguments: type[Strict], meaning: str) -> Command:
    return Command(name, Level.FETCH, Role.OBSERVER, arguments, meaning)


def _change(name: str, role: Role, arguments: type[Strict], meaning: str) -> Command:
    return Command(name, Level.CHANGE, role, arguments, meaning)


_TABLE: Final = (
    _ask("state", "mode, links, technique and counters, as `carm status` shows them"),
    _ask("why", "every reason that keeps the beam dark now, with value, limit and remedy"),
    _ask("faults", "faults held, with cause and remedy, and who acknowledged them"),
    _ask("self_test_report", "outcome of each step of the last self-test"),
    _ask("counters", "pulses, skips, frames, records and the counters of this process"),
    _ask("clock", "the clocks of this process and whether the kernel's is synchronised"),
    _ask("config_read", "the configuration in force, queued and proposed, by digest"),
    _ask("constancy_report", "constancy tests of the tube, proposed, taken and concluded"),
    _fetch("config_validate", ConfigText, "checks a configuration and stores nothing"),
    _fetch("log_download", Download, "the event log, JSON lines"),
    _fetch("audit_download", Download, "the audit log, JSON lines with their hash chain"),
    _fetch("blackbox_download", Download, "the records of all pulses, JSON lines"),
    _fetch("incident", Download, "one offline file: black box, faults, configuration, versions, "
           "headers, timing picture"),
    _change("self_test", Role.ENGINEER, Nothing, "runs the whole self-test; ends in STANDBY"),
    _change("dry_run", Role.ENGINEER, Nothing, "every step of the self-test that needs no PERMIT, "
            "which stays at rest; proves nothing for READY and ends in STANDBY"),
    _change("fault_acknowledge", Role.ENGINEER, FaultNamed,
            "notes that somebody has seen a fault; it stays latched"),
    _change("telemetry_rate", Role.ENGINEER, TelemetryRate, "how often a telemetry topic speaks"),
    _change("config_propose", Role.ENGINEER, ConfigText, "checks a configuration and stores it"),
    _change("config_queue", Role.ADMINISTRATOR, ConfigNamed,
            "puts a proposal into force at the next start"),
    _change("config_roll_back", Role.ADMINISTRATOR, Nothing,
            "takes a queued one back, or queues the one before"),
    _change("constancy_propose", Role.ENGINEER, ConstancyPlan,
            "proposes a constancy test to whoever stands at the board; a foot makes every pulse"),
    _change("process_restart", Role.ENGINEER, ProcessNamed,
            "ends a process cleanly, so that it is started again; dark until a local act"),
    _change("lock_out", Role.ENGINEER, Because, "FAULT until somebody resets at the board"),
)  # fmt: skip
COMMANDS: Final = {row.name: row for row in _TABLE}
assert len(COMMANDS) == len(_TABLE), "one row per name"
assert all(row.level is Level.CHANGE or row.role <= Role.OBSERVER for row in _TABLE)
assert all(row.role >= Role.ENGINEER for row in _TABLE if row.level is Level.CHANGE)
