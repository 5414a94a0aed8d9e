"""Messages on the Unix sockets around the beam executive, as data.

Lives here: one frozen dataclass per message with the range of every field; its words come from
`realtime.wire.vocabulary`.  May not live here: bytes (`realtime.wire.codec`), who may send what.

Wire form: one msgpack map per seqpacket datagram, `{"m": name, "v": 1, field: value, ...}`; exactly
the fields of the class, no more, no fewer.  `_ns` fields are CLOCK_MONOTONIC of the host.
Identifiers are opaque integers below 2**63.  `docs/messages.md` is generated from this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from realtime.wire.vocabulary import EndReason as EndReason
from realtime.wire.vocabulary import Exercise as Exercise
from realtime.wire.vocabulary import Mode as Mode
from realtime.wire.vocabulary import Pedal as Pedal
from realtime.wire.vocabulary import SkipReason as SkipReason
from realtime.wire.vocabulary import Topology as Topology

VERSION: Final = 1
MESSAGE_BYTES_MAX: Final = 4096
ORDER_AHEAD_NS_MAX: Final = 100_000_000
CREDIT_AHEAD_MAX: Final = 2
INT_MAX: Final = (1 << 63) - 1


class Message:
    """Base of all messages; `bounds` gives (low, high) for integers and floats where narrower."""

    bounds: ClassVar[dict[str, tuple[float, float]]] = {}


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """First on every connection, both ways.  Epochs fence: a lower one is refused ever after."""

    role: str
    epoch: int
    pid: int
    pulse_id_floor: int
    detail: str


@dataclass(frozen=True, slots=True)
class Order(Message):
    """Supervisor to realtime: the lease to radiate.  Renewed while all is well."""

    bounds: ClassVar[dict[str, tuple[float, float]]] = {
        "level": (0, 1),
        "bank": (0, 1),
        "technique_id": (1, (1 << 32) - 1),
        "last_pulse_n": (-1, INT_MAX),
        "period_num_ns": (1_000_000, 10_000_000_000_000),
        "period_den": (1, 1000),
        "set_us": (100, 1_000_000),
        "rise_us": (0, 5_000),
        "tail_us": (0, 50_000),
    }

    supervisor_epoch: int
    order_seq: int
    run_id: int
    mode: Mode
    level: int
    technique_id: int
    bank: int
    last_pulse_n: int
    expires_ns: int
    topology: Topology
    period_num_ns: int
    period_den: int
    set_us: int
    rise_us: int
    tail_us: int


@dataclass(frozen=True, slots=True)
class Dark(Message):
    """Supervisor to realtime: end the run now.  Also the answer that refuses a press."""

    supervisor_epoch: int
    run_id: int
    code: str


@dataclass(frozen=True, slots=True)
class Select(Message):
    """Supervisor to realtime: function of the cine pedal; counts as a mode change."""

    supervisor_epoch: int
    cine_mode: Mode


@dataclass(frozen=True, slots=True)
class Reset(Message):
    """Supervisor to realtime after a local act: clear latches whose cause is gone."""

    supervisor_epoch: int


@dataclass(frozen=True, slots=True)
class ResetTimer(Message):
    """Supervisor to realtime after a local act: irradiation time back to zero, signal off."""

    supervisor_epoch: int


@dataclass(frozen=True, slots=True)
class Exercised(Message):
    """Supervisor to realtime: do one self-test step; answered by `ExerciseResult`."""

    supervisor_epoch: int
    exercise_id: int
    what: Exercise


@dataclass(frozen=True, slots=True)
class ExerciseResult(Message):
    """Realtime to supervisor: outcome of one step, `value` in `unit`."""

    exercise_id: int
    what: Exercise
    ok: bool
    value: float
    unit: str
    detail: str


@dataclass(frozen=True, slots=True)
class Press(Message):
    """Realtime to supervisor: a debounced press; `run_id` is minted here."""

    run_id: int
    pedal: Pedal
    mode: Mode
    t_ns: int


@dataclass(frozen=True, slots=True)
class RunStart(Message):
    """Realtime to imaging: the run is armed and its first panel cycle begins."""

    run_id: int
    mode: Mode
    topology: Topology
    period_num_ns: int
    period_den: int
    t_ns: int


@dataclass(frozen=True, slots=True)
class RunEnd(Message):
    """Realtime to both: the run is over.  `pulses` fired, `skipped` counted."""

    run_id: int
    t_ns: int
    reason: EndReason
    code: str
    pulses: int
    skipped: int


@dataclass(frozen=True, slots=True)
class PulseReport(Message):
    """Realtime to both, at the fall of PULSE.  Times are the sends of the edges.

    `slot_k` is the index of the due time; `pulse_n` counts fired pulses of the run from 0;
    `pulse_id` counts pulses of the machine for ever.
    """

    run_id: int
    pulse_n: int
    pulse_id: int
    slot_k: int
    technique_id: int
    bank: int
    mode: Mode
    order_seq: int
    due_ns: int
    start_ns: int
    end_ns: int
    set_us: int
    window_open_ns: int
    window_close_ns: int
    end_reason: EndReason
    truncated: bool


@dataclass(frozen=True, slots=True)
class Skip(Message):
    """Realtime to both: the pulse due at `due_ns` did not fire."""

    run_id: int
    slot_k: int
    due_ns: int
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Verdict(Message):
    """Imaging to realtime: the frame that belongs to a pulse is valid, or why not."""

    run_id: int
    pulse_n: int
    frame_no: int
    valid: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Refused(Message):
    """Realtime to a peer: a message was refused; counted, reported once per kind and second."""

    what: str
    code: str
    detail: str
    count: int


@dataclass(frozen=True, slots=True)
class Trip(Message):
    """Realtime to supervisor: a latched fault (`code` of `realtime.trips`)."""

    code: str
    t_ns: int
    detail: str


@dataclass(frozen=True, slots=True)
class State(Message):
    """Realtime to supervisor, every 50 ms and on change: what realtime sees and holds.

    `beam` names the state; `trips` and `inhibits` are code lists, first cause first;
    `lines_in`, `lines_out` are banks; `released_ns` is how long all pedals have been up (0: not).
    Lateness of the last 50 ms in ns; `black_box_unread` of `black_box_capacity` records.
    """

    t_ns: int
    realtime_epoch: int
    beam: str
    run_id: int
    lines_in: int
    lines_out: int
    link: bool
    trips: list[str]
    inhibits: list[str]
    released_ns: int
    pulses: int
    skipped: int
    irradiation_ms: int
    late_max_ns: int
    late_turns: int
    late_cause: str
    black_box_unread: int
    black_box_capacity: int


@dataclass(frozen=True, slots=True)
class Series(Message):
    """Supervisor to imaging, before the first order of a run: what the pictures are of."""

    run_id: int
    series_id: str
    protocol: str
    orientation: str
    pulses_per_s: float


@dataclass(frozen=True, slots=True)
class Committed(Message):
    """Supervisor to imaging: a technique that was read back; set values, not delivered ones."""

    technique_id: int
    kv: float
    ma: float
    ms: float
    filter_name: str
    field_mm: float
    tail_us: int


@dataclass(frozen=True, slots=True)
class Delivered(Message):
    """Supervisor to imaging: what the generator says it delivered for one pulse."""

    run_id: int
    pulse_n: int
    technique_id: int
    kv: float
    ma: float
    ms: float
    mas: float


@dataclass(frozen=True, slots=True)
class DarkFrame(Message):
    """Supervisor to imaging: the next unpulsed frame is a self-test; answer `DarkFrameResult`."""

    request_id: int


@dataclass(frozen=True, slots=True)
class DarkFrameResult(Message):
    """Imaging to supervisor: mean offset-corrected level in digital units and its spread."""

    request_id: int
    ok: bool
    mean_du: float
    sigma_du: float
    detail: str


@dataclass(frozen=True, slots=True)
class ImagingState(Message):
    """Imaging to supervisor, every 50 ms: proof of life and counters.

    `panel_link`: the panel is connected and its calibration loaded.
    """

    t_ns: int
    panel_link: bool
    executive_link: bool
    frames_read: int
    frames_published: int
    frames_missing: int
    last_verdict_n: int
    detail: str


CATALOGUE: Final[dict[str, type[Message]]] = {
    "hello": Hello,
    "order": Order,
    "dark": Dark,
    "select": Select,
    "reset": Reset,
    "reset_timer": ResetTimer,
    "exercise": Exercised,
    "exercise_result": ExerciseResult,
    "press": Press,
    "run_start": RunStart,
    "run_end": RunEnd,
    "pulse": PulseReport,
    "skip": Skip,
    "verdict": Verdict,
    "refused": Refused,
    "trip": Trip,
    "state": State,
    "series": Series,
    "committed": Committed,
    "delivered": Delivered,
    "dark_frame": DarkFrame,
    "dark_frame_result": DarkFrameResult,
    "imaging_state": ImagingState,
}
