"""What is published: retained state, events and telemetry, as types.

Lives here: one type per topic; the JSON Schemas and `docs/asyncapi.yaml` are made from them.  May
not live here: how a value is found (`controller.service.core.picture`).

Times ending in `_ms` are milliseconds since 1970, UTC, by the clock of the service process.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, create_model

from controller.service.core.commands import Strict
from controller.service.core.envelope import Milliseconds
from controller.service.core.reasons import Reason
from controller.service.core.status import (
    BeamName,
    Count,
    FaultTold,
    Level,
    ModeName,
    Steps,
    WhyReason,
    Words,
)
from realtime.wire.lines import INTERLOCKS, PEDALS, In

Text = Annotated[str, Field(max_length=400)]


def _by_line(name: str, mask: int, kind: Any) -> type[Strict]:
    """One field for each line of a mask."""
    fields: dict[str, Any] = {
        line.name.lower(): (kind, ...) for line in In if mask >> line & 1
    }  # fmt: skip
    made: type[Strict] = create_model(name, __base__=Strict, **fields)
    return made


InterlockLines = _by_line("InterlockLines", INTERLOCKS, Literal["closed", "open"])
PedalContacts = _by_line("PedalContacts", PEDALS, Level)


class Presence(Strict):
    """Birth and last will of the service process.  `epoch` null: the supervisor is not there."""

    online: bool
    device: Annotated[str, Field(min_length=1, max_length=200)]
    epoch: Count | None
    pid: Count
    started_ms: Milliseconds
    commands: Literal["signed", "none"]


class ModeState(Strict):
    """The supervisor's mode; `dark` is false from the press to the end of a run."""

    mode: ModeName
    distance: Annotated[int, Field(ge=0, le=4)]
    dark: bool


class WhyState(Strict):
    """Every reason that keeps the beam dark now, the most fundamental first."""

    reasons: Annotated[list[WhyReason], Field(max_length=128)]


class InterlockState(Strict):
    """`known` false: nobody reads the lines, and everything counts as open."""

    known: bool
    lines: InterlockLines  # type: ignore[valid-type]


class PedalState(Strict):
    """Levels of the normally open and closed contacts; `up` and `contacts` null: not known."""

    known: bool
    up: bool | None
    contacts: PedalContacts | None  # type: ignore[valid-type]


class FaultHeld(FaultTold):
    """A fault with its cause and remedy."""

    acknowledged_by: Annotated[str, Field(max_length=32)] | None


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


class ProcessesSeen(Strict):
    """Those that the supervisor sees by itself."""

    realtime: ProcessState
    imaging: ProcessState


class ProcessesState(Strict):
    """The processes and the generator's bus."""

    processes: ProcessesSeen
    generator: bool


class VersionState(Strict):
    """What runs here."""

    carm: Annotated[str, Field(min_length=1, max_length=40)]
    python: Annotated[str, Field(min_length=1, max_length=40)]
    contract: Literal["1"]


class SessionState(Strict):
    """The service session opened at the board."""

    open: bool
    until_ms: Milliseconds | None


class SelfTestState(Strict):
    """The last self-test, step by step."""

    steps: Steps


class SecurityState(Strict):
    """Refused commands by reason since this process started, and the head of the audit log."""

    refused: dict[Reason, Count]
    accepted: Count
    audit_seq: Count
    audit_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


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

    fault: Annotated[str, Field(pattern="^[a-z_]{1,40}$")]
    change: Literal["raised", "cleared", "acknowledged"]
    detail: Words


class SessionEvent(Event):
    """A service session was opened or ended at the board."""

    open: bool


class ProcessEvent(Event):
    """A partner came or went."""

    process: Literal["realtime", "imaging"]
    up: bool


class SecurityEvent(Event):
    """A command was refused; `count` > 1 when several were told as one, because they flooded."""

    reason: Reason
    command: Annotated[str, Field(max_length=80)]
    by: Annotated[str, Field(max_length=32)] | None
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
    beam: BeamName
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
