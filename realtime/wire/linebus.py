"""The line bus packet: one numbered snapshot of a whole bank.

Lives here: the fixed 28-byte layout and its checks (`docs/line-bus.md` is its page).  May not
live here: sockets, ages, or what a gap means (`realtime.drivers.wire`, `hil.rig`).

Little-endian: magic `CLB1`, kind u8, version u8, reserved u16 = 0, seq u32, stamp_ns u64,
levels u32, crc32 u32 over the 24 bytes before it.  `seq` grows by one per packet and direction and
wraps at 2**32; `stamp_ns` is the sender's monotonic clock, for diagnosis only.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from realtime.wire.lines import IN_ALL, OUT_ALL

MAGIC = b"CLB1"
VERSION = 1
KIND_INPUTS = 1
KIND_OUTPUTS = 2
SEQ_MODULUS = 1 << 32
_BODY = struct.Struct("<4sBBHIQI")
_CRC = struct.Struct("<I")
_WHOLE = struct.Struct("<8sIQII")
PACKET_BYTES = _BODY.size + _CRC.size
_ALLOWED = {KIND_INPUTS: IN_ALL, KIND_OUTPUTS: OUT_ALL}
_INPUTS_HEAD = struct.pack("<4sBBH", MAGIC, KIND_INPUTS, VERSION, 0)
assert PACKET_BYTES == _WHOLE.size == 28


class Snapshot(NamedTuple):
    """One decoded packet: kind, seq, stamp in ns of the sender's clock, levels."""

    kind: int
    seq: int
    stamp_ns: int
    levels: int


class LineBusError(ValueError):
    """The peer sent something that is not a packet; `code` is the kind counted and logged."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


def encode(kind: int, seq: int, stamp_ns: int, levels: int) -> bytes:
    """Return the 28 bytes of a snapshot; raises struct.error on values out of range (our bug)."""
    body = _BODY.pack(MAGIC, kind, VERSION, 0, seq, stamp_ns, levels)
    return body + _CRC.pack(zlib.crc32(body))


def decode(packet: bytes, kind: int) -> Snapshot:
    """Decode a packet of the expected kind; raises LineBusError with a code otherwise."""
    if len(packet) != PACKET_BYTES:
        raise LineBusError("length", f"{len(packet)} bytes, not {PACKET_BYTES}")
    magic, got_kind, version, reserved, seq, stamp_ns, levels = _BODY.unpack_from(packet)
    if magic != MAGIC:
        raise LineBusError("magic", repr(magic))
    if version != VERSION:
        raise LineBusError("version", f"{version}, not {VERSION}")
    (crc,) = _CRC.unpack_from(packet, _BODY.size)
    if crc != zlib.crc32(packet[: _BODY.size]):
        raise LineBusError("crc", "checksum differs")
    if got_kind != kind or reserved != 0:
        raise LineBusError("kind", f"kind {got_kind}, reserved {reserved}")
    if levels & ~_ALLOWED[kind]:
        raise LineBusError("levels", f"unknown lines high: {levels & ~_ALLOWED[kind]:#x}")
    return Snapshot(got_kind, seq, stamp_ns, levels)


def repeats(packet: bytes, seq: int, levels: int) -> bool:
    """True when `packet` is sound, is the inputs' snapshot `seq` and says `levels` once more.

    Most packets are; this is `decode` for them, at a third of its price.
    """
    if len(packet) != PACKET_BYTES:
        return False
    head, got_seq, _stamp_ns, got_levels, crc = _WHOLE.unpack(packet)
    if got_seq != seq or got_levels != levels or head != _INPUTS_HEAD:
        return False
    return bool(crc == zlib.crc32(packet[: _BODY.size]))


def follows(previous_seq: int, seq: int) -> bool:
    """True when `seq` is the direct successor of `previous_seq`, wrap included."""
    return seq == (previous_seq + 1) % SEQ_MODULUS
