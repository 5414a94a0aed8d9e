"""What the room reports: truth records, frames that are due, pulse results.  Values only.

Lives here: the dataclasses that models make and rig processes pass on, and the names of the truth
log.  May not live here: how they are made, or bytes.  `docs/truth.md` says what each truth kind,
name and value means; `pulse_id` is the generator's own pulse counter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

NEVER: Final = (1 << 63) - 1
KINDS: Final = (
    "contact", "interlock", "line", "hv", "photons_on", "photons_off", "window_open",
    "window_close", "frame", "fault_on", "fault_off", "process",
)  # fmt: skip

# Why a pulse ended: bit flags of a generator result.
FLAG_TRUNCATED: Final = 1
FLAG_BACKUP: Final = 2
FLAG_PERMIT: Final = 4
FLAG_CHAIN: Final = 8
FLAG_WINDOW: Final = 16
FLAG_UNASKED: Final = 32


class TruthRecord(NamedTuple):
    """One line of `truth.jsonl`; `pulse_id` 0 means: not about a pulse (left out of the line)."""

    t_ns: int
    kind: str
    name: str
    value: Any
    pulse_id: int


@dataclass(frozen=True, slots=True)
class Technique:
    """What a bank holds: tube kV, tube mA, set width in µs, filter by name."""

    technique_id: int
    kv: float
    ma: float
    set_us: int
    filter: str


@dataclass(frozen=True, slots=True)
class Exposure:
    """What one pulse gave to one frame.  mAs are at set kV: rise and tail count by (kV/set)².

    `mas_window` fell while the panel integrated, `mas_readout` while it was read out; `on_ns` is
    when photons began, `off_ns` when the tail ended (or the frame's close, if it shines on).
    """

    pulse_count: int
    technique_id: int
    kv: float
    ma: float
    filter: str
    mas_window: float
    mas_readout: float
    on_ns: int
    off_ns: int


@dataclass(frozen=True, slots=True)
class FrameDue:
    """At the close of the window: a frame whose pixels must be whole at `readout_end_ns`.

    `integrates` false: the panel says ready but collects nothing (F21).  `defect` is "" or what
    goes wrong on the way: missing, late, duplicate, wrong_id, torn, size, zero, frozen, foreign (it
    carries later stamps); `delay_ns` belongs to late and foreign.
    """

    frame_no: int
    integration_open_ns: int
    integration_close_ns: int
    readout_end_ns: int
    after_idle: bool
    integrates: bool
    defect: str
    delay_ns: int
    exposures: list[Exposure]


@dataclass(frozen=True, slots=True)
class ReadoutExposure:
    """More photons fell into the readout of a frame than its FrameDue could know."""

    frame_no: int
    exposures: list[Exposure]


@dataclass(frozen=True, slots=True)
class PulseResult:
    """The generator's own result of one pulse, at the end of its tail.

    `count` is its persistent counter; kV and mA delivered; `width_us` with kV ≥ 75 % of set; `mas`
    as in Exposure; `start_ns`, `end_ns` of hv; `flags` are FLAG_ bits.
    """

    count: int
    technique_id: int
    bank: int
    kv: float
    ma: float
    width_us: int
    mas: float
    start_ns: int
    end_ns: int
    flags: int


@dataclass(frozen=True, slots=True)
class GateCount:
    """Rises of (PULSE and WINDOW) at the generator's input so far, inverter supplied or not."""

    t_ns: int
    count: int
