"""Messages between the two rig processes over `room.sock`, and their bytes.

Lives here: their names, `pack` and `unpack`; what the room itself is told or reports is defined in
`hil.room`.  May not live here: sockets, or
what a message does to the room.  The bus is private to the rig: a Unix seqpacket socket on which
rig-line is the server and rig-world the one client; a newer client replaces an older one.

One msgpack map per datagram, `{"m": class name, field: value, ...}`.  `_ns` fields are
CLOCK_MONOTONIC of the host.  Sends never block at either end: rig-line keeps at most
`QUEUE_MAX` datagrams for a slow world, counts what it had to drop, and says so in `LineState`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, get_args, get_type_hints

import msgpack

from hil.room.commands import (
    Action,
    BankClear,
    BankSet,
    Clear,
    Command,
    GeneratorFault,
    Inject,
    Mark,
    Prepare,
    Reply,
    Wiring,
)
from hil.room.records import (
    Exposure,
    FrameDue,
    GateCount,
    PulseResult,
    ReadoutExposure,
    Technique,
    TruthRecord,
)

__all__ = [
    "Action", "BankClear", "BankSet", "Clear", "Command", "Exposure", "FrameDue", "GateCount",
    "GeneratorFault", "Hello", "Inject", "LineState", "Mark", "Prepare", "PulseResult",
    "ReadoutExposure", "Reply", "Report", "RoomBusError", "RoomMessage", "Technique", "Truth",
    "TruthRecord", "Wiring", "pack", "unpack",
]  # fmt: skip

DATAGRAM_BYTES_MAX: Final = 65_536
QUEUE_MAX: Final = 4096
TRUTH_BATCH_MAX: Final = 64
COMMAND_TEXT_MAX: Final = 200


class RoomBusError(ValueError):
    """The other rig process sent something that is not a message of this bus."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


# ── rig-line → rig-world ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Truth:
    """A batch of truth records in order of their making, to be appended to `truth.jsonl`."""

    records: list[TruthRecord]


@dataclass(frozen=True, slots=True)
class LineState:
    """What rig-line sees, every 50 ms and at each change of rotor, filament or generator fault.

    `rotor` is rest, run_up, ready or braking; `filament` is standby, boost or ready; `faults` are
    the catalogue ids active now; `dosimeter` is the integral of kV²·mA·s since start.
    """

    t_ns: int
    rotor: str
    filament: str
    generator_ready: bool
    generator_faults: int
    pulse_count: int
    gate_count: int
    refused: int
    lines_in: int
    lines_out: int
    client: bool
    frame_no: int
    triggers_ignored: int
    malformed: int
    dropped: int
    late_max_ns: int
    degraded: list[str]
    faults: list[str]
    dosimeter: float


@dataclass(frozen=True, slots=True)
class Hello:
    """First message of rig-world: the generator's counter as its file has it."""

    pulse_count: int


Report = FrameDue | ReadoutExposure | PulseResult | GateCount | Truth | LineState | Reply
RoomMessage = Report | Hello | Command
_KINDS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind for kind in (*get_args(Report), Hello, *get_args(Command))
}
_NESTED: Final[dict[str, type[Any]]] = {
    "exposures": Exposure,
    "technique": Technique,
    "records": TruthRecord,
}
_HINTS: Final = {kind: get_type_hints(kind) for kind in (*_KINDS.values(), *_NESTED.values())}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return [_plain(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def pack(message: RoomMessage) -> bytes:
    """Return the datagram of a message."""
    body = {field.name: _plain(getattr(message, field.name)) for field in fields(message)}
    datagram: bytes = msgpack.packb({"m": type(message).__name__, **body})
    assert len(datagram) <= DATAGRAM_BYTES_MAX, f"{type(message).__name__}: {len(datagram)} bytes"
    return datagram


def _checked(hint: Any, value: Any) -> Any:
    if hint is float and type(value) is int:
        return float(value)
    if hint in (int, float, bool, str) and type(value) is not hint:
        raise RoomBusError("value", f"{value!r:.40} is not {hint.__name__}")
    if hint == list[str] and not (type(value) is list and all(type(item) is str for item in value)):
        raise RoomBusError("value", f"{value!r:.40} is not a list of texts")
    return value


def _nested(kind: type[Any], values: Any) -> Any:
    hints = _HINTS[kind]
    if type(values) is not list or len(values) != len(hints):
        raise RoomBusError("fields", f"{kind.__name__} has {len(hints)} fields")
    return kind(*(_checked(h, v) for h, v in zip(hints.values(), values, strict=True)))


def _field(name: str, hint: Any, value: Any) -> Any:
    if name not in _NESTED:
        return _checked(hint, value)
    if name == "technique":
        return _nested(Technique, value)
    if type(value) is not list:
        raise RoomBusError("value", f"{name} is not a list")
    return [_nested(_NESTED[name], item) for item in value]


def unpack(datagram: bytes) -> RoomMessage:
    """Decode one datagram; raises RoomBusError (length, msgpack, name, fields, value)."""
    if not 0 < len(datagram) <= DATAGRAM_BYTES_MAX:
        raise RoomBusError("length", f"{len(datagram)} bytes")
    try:
        body = msgpack.unpackb(datagram)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise RoomBusError("msgpack", str(error)[:80]) from None
    if type(body) is not dict or type(body.get("m")) is not str or body["m"] not in _KINDS:
        raise RoomBusError("name", "not a map with a known name under 'm'")
    kind = _KINDS[body.pop("m")]
    hints = _HINTS[kind]
    if body.keys() != hints.keys():
        raise RoomBusError("fields", f"{kind.__name__} has {', '.join(hints)}")
    message: RoomMessage = kind(*(_field(n, hints[n], body[n]) for n in hints))
    return message
