"""The machine's status as types: what `carm status` shows, and `state` over MQTT answers.

Lives here: the shape of `carm.status/1`.  May not live here: how it is found
(`controller.core.report`).  What a partner says of itself is left out while it has never spoken;
such fields are null here.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, create_model

from controller.service.core.commands import Strict
from controller.service.core.envelope import Scalar
from realtime.wire.lines import In
from realtime.wire.vocabulary import EndReason

Count = Annotated[int, Field(ge=0)]
Level = Annotated[int, Field(ge=0, le=1)]
Words = Annotated[str, Field(max_length=1000)]
Code = Annotated[str, Field(pattern="^[a-z_]{1,60}$")]
Codes = Annotated[list[Code], Field(max_length=32)]
ModeName = Literal["BOOT", "SELF_TEST", "STANDBY", "READY", "PREP", "EXPOSING", "HOLD", "FAULT",
                   "SHUTDOWN"]  # fmt: skip
BeamName = Literal["dark", "called", "clearing", "armed", "pulse", "readout", "tripped"]
_LEVELS: Final[dict[str, Any]] = {line.name.lower(): (Level, ...) for line in In}
Lines: type[Strict] = create_model("Lines", __base__=Strict, **_LEVELS)


class Technique(Strict):
    """Tube voltage in kV, current in mA, width in ms, field at the receptor in mm."""

    technique_id: Count
    kv: float
    ma: float
    ms: float
    filter: Annotated[str, Field(max_length=40)]
    field_mm: float
    tail_us: Count
    pulses_per_s: float


class Executive(Strict):
    """realtime; `age_ms` is the age of everything below it."""

    up: bool
    pid: Count
    epoch: Count
    age_ms: Count | None = None
    beam: BeamName | None = None
    run_id: Count | None = None
    line_bus: bool | None = None
    lines: Lines | None = None  # type: ignore[valid-type]
    trips: Codes | None = None
    inhibits: Codes | None = None
    pulses: Count | None = None
    skipped: Count | None = None
    irradiation_ms: Count | None = None
    late_max_us: Annotated[float, Field(ge=0)] | None = None
    late_turns: Count | None = None
    late_cause: Words | None = None
    black_box_unread: Count | None = None


class Imaging(Strict):
    """imaging; `age_ms` is the age of everything below it."""

    up: bool
    pid: Count
    epoch: Count
    age_ms: Count | None = None
    panel_link: bool | None = None
    executive_link: bool | None = None
    frames_read: Count | None = None
    frames_published: Count | None = None
    frames_missing: Count | None = None
    detail: Words | None = None


class Generator(Strict):
    """The generator; `faults` are its own bits, `counter` its pulses for ever."""

    up: bool
    detail: Words
    rotor_ready: bool | None = None
    filament_ready: bool | None = None
    faults: Count | None = None
    heat_per_mille: Count | None = None
    counter: Count | None = None


class Durable(Strict):
    """The copy of the black box that survives power."""

    ok: bool
    copied: Count
    unread: Count
    detail: Words


class FaultTold(Strict):
    """A fault with its cause and remedy, as everybody is told of it."""

    id: Annotated[str, Field(pattern="^[a-z_]{1,40}$")]
    severity: Literal["danger", "failure", "notice"]
    action: Literal["record", "standby", "fault"]
    clear: Literal["local_reset", "next_ready"]
    cause: Words
    text: Words
    remedy: Words
    detail: Words


class Fault(FaultTold):
    """A fault held, with its cause and remedy; `t_ns` is CLOCK_MONOTONIC."""

    t_ns: Count


class FaultSeen(Fault):
    """Also by whom it was acknowledged."""

    acknowledged_by: Annotated[str, Field(max_length=32)] | None


class Step(Strict):
    """Outcome of one step of the self-test."""

    id: Annotated[str, Field(pattern="^[a-z_]{1,40}$")]
    ok: bool
    value: float
    unit: Annotated[str, Field(max_length=16)]
    detail: Words


class LastRun(Strict):
    """The last run and why it ended; `warm`: the rotor was at speed at the press."""

    run_id: Count
    reason: EndReason
    code: Words
    pulses: Count
    skipped: Count
    warm: bool
    duration_ms: int


Faults = Annotated[list[Fault], Field(max_length=32)]
FaultsSeen = Annotated[list[FaultSeen], Field(max_length=32)]
Steps = Annotated[list[Step], Field(max_length=16)]


class WhyReason(Strict):
    """One thing that keeps the beam dark."""

    code: Annotated[str, Field(min_length=1, max_length=80)]
    value: Scalar
    limit: Words
    remedy: Words


class Status(Strict):
    """`carm.status/1`; `distance` from X-rays is 0 in FAULT and 4 while EXPOSING."""

    schema_: Annotated[Literal["carm.status/1"], Field(alias="schema")]
    mode: ModeName
    distance: Annotated[int, Field(ge=0, le=4)]
    device: Annotated[str, Field(min_length=1, max_length=200)]
    epoch: Count
    run_id: Count | None
    cine_mode: Literal["one_shot", "cine", "dsa"]
    technique: Technique
    committed_id: Count | None
    bank: Level
    editable: Annotated[list[Literal["kv", "ma", "ms", "rate"]], Field(max_length=4)]
    rates: Annotated[list[float], Field(min_length=1, max_length=16)]
    executive: Executive
    imaging: Imaging
    generator: Generator
    durable: Durable
    faults: Faults
    self_test: Steps
    reconciliation: Words | None
    held_image: bool
    last_run: LastRun | None
    results_rejected: Count
