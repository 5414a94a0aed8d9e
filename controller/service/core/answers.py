"""What each command answers when it is done: one type per command, and the typed reply around it.

Lives here: the answers' fields with their ranges, and `REPLIES`, the type of everything that may
stand on `reply/<id>` for a command.  May not live here: finding an answer
(`controller.service.acts`).  An answer that does not fit its type is not sent.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, create_model

from controller.service.core.commands import COMMANDS, ConstancyPlan, Download, Strict
from controller.service.core.envelope import Chunk, Milliseconds, Progress, Reply
from controller.service.core.status import (
    Code,
    Count,
    FaultsSeen,
    ModeName,
    Status,
    Steps,
    WhyReason,
    Words,
)

Digest = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
Checksum = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Rate = Annotated[float, Field(ge=0)]
Key = Annotated[str, Field(min_length=1, max_length=80)]


class StateAnswer(Strict):
    """The machine; `pedals_up` null: not known."""

    dark: bool
    pedals_up: bool | None
    session_left_ms: Count
    status: Status


class WhyAnswer(Strict):
    """Every reason that keeps the beam dark now, the most fundamental first."""

    mode: ModeName
    reasons: Annotated[list[WhyReason], Field(max_length=128)]


class FaultsAnswer(Strict):
    """Faults held, the first cause first."""

    faults: FaultsSeen


class SelfTestReport(Strict):
    """Outcome of each step of the last self-test."""

    steps: Steps


class BeamCounters(Strict):
    """Since realtime started; null: it has never spoken."""

    pulses: Count | None
    skipped: Count | None
    late_turns: Count | None
    irradiation_ms: Count | None


class ImagingCounters(Strict):
    """Since imaging started; null: it has never spoken."""

    frames_read: Count | None
    frames_published: Count | None
    frames_missing: Count | None


class RecordCounters(Strict):
    """The durable copy of the black box."""

    ok: bool
    copied: Count
    unread: Count
    detail: Words


class ServiceCounters(Strict):
    """Of the service process since it started."""

    accepted: Count
    refused: Count
    dropped: Count
    connects: Count


class CountersAnswer(Strict):
    """Counters of everybody; `generator` is its persistent pulse counter."""

    beam: BeamCounters
    imaging: ImagingCounters
    records: RecordCounters
    generator: Count | None
    results_rejected: Count
    service: ServiceCounters


class ClockAnswer(Strict):
    """The clocks of the service process; `synchronised` null: the kernel cannot be asked."""

    service_ms: Milliseconds
    wall_ms: Milliseconds
    apart_ms: int
    monotonic_ns: Count
    synchronised: bool | None


class ConfigAnswer(Strict):
    """Configurations by digest; `toml` is the text of the one in force."""

    in_force: Digest
    toml: str
    queued: Annotated[str, Field(max_length=16)] | None
    proposals: Annotated[list[Digest], Field(max_length=64)]


class ConfigChecked(Strict):
    """A configuration that would be taken, and the keys it changes."""

    ok: Literal[True]
    changes: Annotated[list[Key], Field(max_length=512)]


class ConfigProposed(ConfigChecked):
    """The name under which it is kept."""

    proposal: Digest


class ConfigQueued(Strict):
    """What counts at the next start."""

    queued: Digest


class ConfigRolledBack(Strict):
    """`queued` null: the one in force stays; `given`: the file named at the start counts again."""

    taken_back: Annotated[str, Field(max_length=16)]
    queued: Annotated[str, Field(max_length=16)] | None


class ConstancyResult(Strict):
    """Irradiation time of the pulses; drift is from the first test of the same technique."""

    pulses: Annotated[int, Field(ge=2)]
    mean_us: Annotated[float, Field(gt=0)]
    spread_percent: Annotated[float, Field(ge=0)]
    drift_percent: float
    baseline: bool
    ok: bool


class ConstancyTest(ConstancyPlan):
    """A proposal, and what became of it at the board."""

    name: Annotated[str, Field(pattern="^test-[0-9]{1,9}$")]
    state: Literal["proposed", "taken", "concluded"]
    by: Annotated[str, Field(max_length=32)]
    proposed_ms: Milliseconds
    taken_ns: Count | None
    result: ConstancyResult | None


class ConstancyAnswer(Strict):
    """The newest tests, the newest last."""

    tests: Annotated[list[ConstancyTest], Field(max_length=16)]


class Downloaded(Strict):
    """What a receiver compares; `sha256` is over the whole file."""

    name: Annotated[str, Field(pattern="^[a-z]{1,16}\\.(jsonl\\.gz|zip)$")]
    bytes: Count
    chunks: Annotated[int, Field(ge=1)]
    sha256: Checksum


class Tested(Strict):
    """All steps were good; the machine is in STANDBY."""

    ok: Literal[True]
    mode: Literal["STANDBY"]
    self_test: Steps


class Acknowledged(Strict):
    """Who has seen the fault; it stays latched."""

    ok: Literal[True]
    fault: Code
    acknowledged_by: Annotated[str, Field(max_length=32)]


class Rates(Strict):
    """Telemetry topics and how often they speak, per second."""

    beam: Rate
    imaging: Rate
    generator: Rate
    service: Rate


class RatesAnswer(Strict):
    """All rates, the changed one among them."""

    rates_hz: Rates


class Restarted(Strict):
    """The process that was told to end."""

    ok: Literal[True]
    pid: Annotated[int, Field(ge=1)]


class LockedOut(Strict):
    """FAULT, until somebody resets at the board."""

    ok: Literal[True]
    mode: Literal["FAULT"]


ANSWERS: Final[dict[str, type[Strict]]] = {
    "state": StateAnswer, "why": WhyAnswer, "faults": FaultsAnswer,
    "self_test_report": SelfTestReport, "counters": CountersAnswer, "clock": ClockAnswer,
    "config_read": ConfigAnswer, "config_validate": ConfigChecked,
    "self_test": Tested, "dry_run": Tested, "fault_acknowledge": Acknowledged,
    "telemetry_rate": RatesAnswer, "config_propose": ConfigProposed,
    "config_queue": ConfigQueued, "config_roll_back": ConfigRolledBack,
    "constancy_report": ConstancyAnswer, "constancy_propose": ConstancyTest,
    "process_restart": Restarted, "lock_out": LockedOut,
    **{row.name: Downloaded for row in COMMANDS.values() if row.arguments is Download},
}  # fmt: skip
assert set(ANSWERS) == set(COMMANDS), "every command has an answer"


def _reply(name: str) -> type[Reply]:
    """The replies to one command; long ones tell progress, only downloads come in chunks."""
    download = COMMANDS[name].arguments is Download
    long = download or ANSWERS[name] is Tested
    fields: dict[str, Any] = {
        "command": (Literal[name], ...),
        "progress": (Progress | None if long else None, None),
        "chunk": (Chunk | None if download else None, None),
        "answer": (ANSWERS[name] | None, None),
    }
    doc = f"An answer to `{name}`; `accepted` may come several times, the others end it."
    made: type[Reply] = create_model(f"Reply_{name}", __base__=Reply, __doc__=doc, **fields)
    return made


REPLIES: Final = {name: _reply(name) for name in COMMANDS}
