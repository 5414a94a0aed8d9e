"""What is published: retained state, events and telemetry, as types.

Lives here: one type per topic; the JSON Schemas and `docs/asyncapi.yaml` are made from them.  May
not live here: how a value is found (`controller.service.core.picture`).

Times ending in `_ms` are milliseconds since 1970, UTC, by the clock of the service process.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from controller.service.core.commands import Strict
from controller.service.core.envelope import Milliseconds, Reason

Count = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(max_length=400)]
ModeName = Literal["BOOT", "SELF_TEST", "STANDBY", "READY", "PREP", "EXPOSING", "HOLD", "SERVICE",
                   "FAULT", "SHUTDOWN"]  # fmt: skip


class Presence(Strict):
    """Birth and last will of the service process.  `epoch` null: the supervisor is not there."""

    online: bool
    device: str
    epoch: Count | None
    pid: Count
    started_ms: Milliseconds
    commands: Literal["signed", "none"]


class ModeState(Strict):
    """The supervisor's mode; `dark` is false from the press to the end of a run."""

    mode: ModeName
    distance: Annotated[int, Field(ge=0, le=4)]
    dark: bool


class WhyReason(Strict):
    """One thing that keeps the beam dark."""

    code: str
    value: Any
    limit: str
    remedy: str


class WhyState(Strict):
    """Every reason that keeps the beam dark now, the most fundamental first."""

    reasons: Annotated[list[WhyReason], Field(max_length=128)]


class InterlockState(Strict):
    """`known` false: nobody reads the lines, and everything counts as open."""

    known: bool
    lines: dict[str, Literal["closed", "open"]]


class PedalState(Strict):
    """`up` null: not known.  `contacts` are the levels of the normally open and closed contacts."""

    known: bool
    up: bool | None
    contacts: dict[str, Annotated[int, Field(ge=0, le=1)]]


class FaultHeld(Strict):
    """A fault with its cause and remedy."""

    id: str
    severity: Literal["danger", "failure", "notice"]
    action: Literal["record", "standby", "fault"]
    clear: Literal["local_reset", "next_ready"]
    cause: str
    text: str
    remedy: str
    detail: str
    acknowledged_by: str | None


class FaultState(Strict):
    """Faults held, the first cause first."""

    faults: Annotated[list[FaultHeld], Field(max_length=32)]


class TechniqueState(Strict):
    """The operator's technique; `committed` says that the generator has read it back."""

    id: Count
    kv: float
    ma: float
    ms: float
    filter: str
    field_mm: float
    pulses_per_s: float
    committed: bool


class IrradiationState(Strict):
    """Irradiation time is the duration of pedal pressure in runs, not the sum of pulses."""

    irradiation_ms: Count
    pulses: Count
    skipped: Count


class HeatState(Strict):
    """Share of the tube's heat capacity in use, in per mille; null: the generator is silent."""

    per_mille: Count | None


class ProcessState(Strict):
    """A partner as the supervisor sees it."""

    up: bool
    pid: Count
    epoch: Count


class ProcessesState(Strict):
    """The processes and the generator's bus."""

    processes: dict[str, ProcessState]
    generator: bool


class VersionState(Strict):
    """What runs here."""

    carm: str
    python: str
    contract: Literal["1"]


class SessionState(Strict):
    """The service session opened at the board."""

    open: bool
    until_ms: Milliseconds | None


class StepState(Strict):
    """Outcome of one step of the self-test."""

    id: str
    ok: bool
    value: float
    unit: str
    detail: str


class SelfTestState(Strict):
    """The last self-test, step by step."""

    steps: Annotated[list[StepState], Field(max_length=16)]


class SecurityState(Strict):
    """Refused commands by reason since this process started, and the head of the audit log."""

    refused: dict[Reason, Count]
    accepted: Count
    audit_seq: Count
    audit_hash: str


STATES: Final[dict[str, type[Strict]]] = {
    "service": Presence, "mode": ModeState, "why": WhyState, "interlocks": InterlockState,
    "pedals": PedalState, "faults": FaultState, "technique": TechniqueState,
    "irradiation": IrradiationState, "heat": HeatState, "processes": ProcessesState,
    "versions": VersionState, "session": SessionState, "self_test": SelfTestState,
    "security": SecurityState,
}  # fmt: skip


class Event(Strict):
    """Events are numbered from 1 in each life of the service process; a gap is a loss."""

    seq: Annotated[int, Field(ge=1)]
    t_ms: Milliseconds


class ModeEvent(Event):
    """The mode changed."""

    before: ModeName | None
    mode: ModeName


class FaultEvent(Event):
    """A fault came, went or was seen by somebody."""

    fault: str
    change: Literal["raised", "cleared", "acknowledged"]
    detail: str


class SessionEvent(Event):
    """A service session was opened or ended at the board."""

    open: bool


class ProcessEvent(Event):
    """A partner came or went."""

    process: str
    up: bool


class SecurityEvent(Event):
    """A command was refused; `count` > 1 when several were told as one, because they flooded."""

    reason: Reason
    command: str
    by: str | None
    detail: Text
    count: Annotated[int, Field(ge=1)]


class BrokerEvent(Event):
    """The way to the broker was lost and found again."""

    change: Literal["connected", "duplicate_client_id"]
    detail: Text


EVENTS: Final[dict[str, type[Event]]] = {
    "mode": ModeEvent, "fault": FaultEvent, "session": SessionEvent, "process": ProcessEvent,
    "security": SecurityEvent, "broker": BrokerEvent,
}  # fmt: skip


class BeamTelemetry(Strict):
    """How realtime is doing."""

    t_ms: Milliseconds
    beam: str
    pulses: Count
    skipped: Count
    irradiation_ms: Count
    late_max_us: Annotated[float, Field(ge=0)]
    late_turns: Count
    black_box_unread: Count


class ImagingTelemetry(Strict):
    """How imaging is doing."""

    t_ms: Milliseconds
    frames_read: Count
    frames_published: Count
    frames_missing: Count


class GeneratorTelemetry(Strict):
    """How the generator is doing; `faults` are its own bits."""

    t_ms: Milliseconds
    rotor_ready: bool
    filament_ready: bool
    faults: Count
    heat_per_mille: Count


class ServiceTelemetry(Strict):
    """How this process is doing."""

    t_ms: Milliseconds
    accepted: Count
    refused: Count
    waiting: Count
    dropped: Count
    connects: Count
    rss_kib: Count


class Beat(Strict):
    """Once a second with QoS 1: its acknowledgement proves the way to the broker."""

    t_ms: Milliseconds
    beat: Count


TELEMETRY: Final[dict[str, type[Strict]]] = {
    "beat": Beat, "beam": BeamTelemetry, "imaging": ImagingTelemetry,
    "generator": GeneratorTelemetry, "service": ServiceTelemetry,
}  # fmt: skip
