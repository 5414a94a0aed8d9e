"""Layout of the black box: a ring of fixed-size pulse records in a file on tmpfs.

Lives here: header and record bytes with their checks, for every reader (`docs/black-box.md`).  May
not live here: the writer's policy (`realtime.blackbox`) or the durable copy (`controller`).

One header page, then `capacity` records of 128 bytes.  Record i (from 0) is at slot i % capacity.
A pulse is written as INTENT before PULSE rises and written again as CLOSED in the same place.
An INTENT that a restart finds is a pulse of unknown end: it is closed with reason `crash`.
"""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum
from typing import Final, NamedTuple

from realtime.wire.messages import EndReason, Mode

MAGIC: Final = b"CBBX0001"
PAGE: Final = 4096
RECORD_BYTES: Final = 128
CAPACITY_MIN: Final = 32_768
_HEAD: Final = struct.Struct("<8sIIQQQQQ")
_HEAD_CRC: Final = struct.Struct("<I")
_CRC_OFFSET: Final = 64
_CONSUMER_OFFSET: Final = 128
_CONSUMER: Final = struct.Struct("<QI")
_BODY: Final = struct.Struct("<HBBBBBBBIIQQQQQQQQQQQI")
_CRC: Final = struct.Struct("<I")
RECORD_MAGIC: Final = 0xC0DE
VERSION: Final = 1
MODES: Final = tuple(Mode)
REASONS: Final = tuple(EndReason)
assert _BODY.size + _CRC.size <= RECORD_BYTES


class RecordState(IntEnum):
    """Life of a record."""

    INTENT = 1
    CLOSED = 2


class RecordKind(IntEnum):
    """What happened: a pulse we asked for, or `XRAY_ON` that nobody asked for."""

    PULSE = 1
    STRAY = 2


class Head(NamedTuple):
    """File header.  `written` counts records for ever; `running` is 1 until a clean stop."""

    capacity: int
    running: int
    written: int
    pulse_id_next: int
    realtime_epoch: int
    latched: int
    reserved: int


class Record(NamedTuple):
    """One record.  Times are CLOCK_MONOTONIC ns of the host; 0 = not known."""

    kind: RecordKind
    state: RecordState
    mode: int
    bank: int
    end_reason: int
    flags: int
    pulse_n: int
    technique_id: int
    pulse_id: int
    run_id: int
    order_seq: int
    supervisor_epoch: int
    due_ns: int
    start_ns: int
    end_ns: int
    window_open_ns: int
    window_close_ns: int
    xray_on_ns: int
    xray_off_ns: int
    set_us: int


FLAG_TRUNCATED: Final = 1
FLAG_REPAIRED: Final = 2


class BlackBoxError(ValueError):
    """The file is not a black box of this layout, or a record is damaged."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


def file_bytes(capacity: int) -> int:
    """Size of the file in bytes."""
    return PAGE + capacity * RECORD_BYTES


def pack_head(head: Head) -> bytes:
    """The first 68 bytes of the file."""
    body = _HEAD.pack(MAGIC, head.capacity, *head[1:]).ljust(_CRC_OFFSET, b"\0")
    return body + _HEAD_CRC.pack(zlib.crc32(body))


def unpack_head(page: bytes | memoryview) -> Head:
    """Read the header; raises BlackBoxError (length, magic, crc, capacity)."""
    if len(page) < PAGE:
        raise BlackBoxError("length", f"{len(page)} bytes")
    body = bytes(page[:_CRC_OFFSET])
    magic, capacity, *rest = _HEAD.unpack_from(body)
    if magic != MAGIC:
        raise BlackBoxError("magic", repr(magic))
    (crc,) = _HEAD_CRC.unpack_from(page, _CRC_OFFSET)
    if crc != zlib.crc32(body):
        raise BlackBoxError("crc", "header checksum differs")
    if capacity < CAPACITY_MIN:
        raise BlackBoxError("capacity", f"{capacity} below {CAPACITY_MIN}")
    return Head(capacity, *rest)


def write_consumer(page: memoryview, consumed: int) -> None:
    """Set how many records the durable copy holds; written by the one consumer only."""
    body = struct.pack("<Q", consumed)
    _CONSUMER.pack_into(page, _CONSUMER_OFFSET, consumed, zlib.crc32(body))


def read_consumer(page: bytes | memoryview) -> int:
    """How many records the durable copy holds; 0 when never written or torn."""
    consumed, crc = _CONSUMER.unpack_from(page, _CONSUMER_OFFSET)
    return consumed if zlib.crc32(struct.pack("<Q", consumed)) == crc else 0


def record_offset(index: int, capacity: int) -> int:
    """Byte offset of record number `index` (from 0, for ever)."""
    return PAGE + index % capacity * RECORD_BYTES


def pack_record(record: Record) -> bytes:
    """The 128 bytes of a record."""
    body = _BODY.pack(RECORD_MAGIC, VERSION, *record).ljust(RECORD_BYTES - _CRC.size, b"\0")
    return body + _CRC.pack(zlib.crc32(body))


def unpack_record(raw: bytes | memoryview) -> Record:
    """Decode a record; raises BlackBoxError (length, crc, magic, value)."""
    if len(raw) != RECORD_BYTES:
        raise BlackBoxError("length", f"{len(raw)} bytes")
    body = bytes(raw[: RECORD_BYTES - _CRC.size])
    (crc,) = _CRC.unpack_from(raw, RECORD_BYTES - _CRC.size)
    if crc != zlib.crc32(body):
        raise BlackBoxError("crc", "record checksum differs")
    magic, version, kind, state, *rest = _BODY.unpack_from(body)
    if magic != RECORD_MAGIC or version != VERSION:
        raise BlackBoxError("magic", f"{magic:#x} version {version}")
    try:
        return Record(RecordKind(kind), RecordState(state), *rest)
    except ValueError as error:
        raise BlackBoxError("value", str(error)) from None
