"""Black-box bytes: round trip, and every damaged byte is refused with a code."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.wire import record
from realtime.wire.record import (
    CAPACITY_MIN,
    PAGE,
    RECORD_BYTES,
    BlackBoxError,
    Head,
    Record,
    RecordKind,
    RecordState,
    pack_head,
    pack_record,
    write_consumer,
)

U8, U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
WIDTHS = (U8, U8, U8, U8, U32, U32, *([U64] * 11), U32)
RECORDS = st.builds(
    Record, st.sampled_from(RecordKind), st.sampled_from(RecordState), *WIDTHS
)  # fmt: skip
GOOD = record.pack_record(
    Record(RecordKind.PULSE, RecordState.CLOSED, *([1] * len(WIDTHS)))
)  # fmt: skip
HEAD = Head(record.CAPACITY_MIN, 1, 2, 3, 4, 5, 0)


def test_the_fields_fill_the_body() -> None:
    assert len(Record._fields) == 2 + len(WIDTHS)
    assert len(GOOD) == record.RECORD_BYTES


@given(RECORDS)
def test_a_record_round_trips(each: Record) -> None:
    assert record.unpack_record(record.pack_record(each)) == each


@given(st.integers(0, record.RECORD_BYTES - 1), st.integers(1, 255))
def test_any_spoiled_byte_of_a_record_is_found(at: int, by: int) -> None:
    spoiled = bytearray(GOOD)
    spoiled[at] ^= by
    with pytest.raises(BlackBoxError) as caught:
        record.unpack_record(bytes(spoiled))
    assert caught.value.code == "crc"


def signed(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (GOOD[:-1], "length"),
        (GOOD + b"\0", "length"),
        (bytes(128), "crc"),
        (signed(b"\0\0" + GOOD[2:124]), "magic"),
        (signed(GOOD[:2] + b"\2" + GOOD[3:124]), "magic"),
        (signed(GOOD[:3] + b"\7" + GOOD[4:124]), "value"),
        (signed(GOOD[:4] + b"\7" + GOOD[5:124]), "value"),
    ],
)
def test_each_damage_of_a_record_has_its_code(raw: bytes, code: str) -> None:
    with pytest.raises(BlackBoxError) as caught:
        record.unpack_record(raw)
    assert caught.value.code == code


HEADS = st.builds(
    Head, st.integers(record.CAPACITY_MIN, (1 << 32) - 1), U32, U64, U64, U64, U64, U64
)  # fmt: skip


@given(HEADS)
def test_a_head_round_trips(head: Head) -> None:
    page = record.pack_head(head).ljust(record.PAGE, b"\0")
    assert record.unpack_head(page) == head


@given(st.integers(0, 67), st.integers(1, 255))
def test_any_spoiled_byte_of_the_head_is_found(at: int, by: int) -> None:
    page = bytearray(record.pack_head(HEAD).ljust(record.PAGE, b"\0"))
    page[at] ^= by
    with pytest.raises(BlackBoxError) as caught:
        record.unpack_head(bytes(page))
    assert caught.value.code in {"magic", "crc"}


def test_a_short_page_and_a_small_capacity_are_refused() -> None:
    with pytest.raises(BlackBoxError, match="length"):
        record.unpack_head(bytes(100))
    small = record.pack_head(HEAD._replace(capacity=record.CAPACITY_MIN - 1))
    with pytest.raises(BlackBoxError, match="capacity"):
        record.unpack_head(small.ljust(record.PAGE, b"\0"))


@given(U64)
def test_the_consumer_round_trips_and_a_torn_one_reads_zero(consumed: int) -> None:
    page = memoryview(bytearray(record.PAGE))
    record.write_consumer(page, consumed)
    assert record.read_consumer(page) == consumed
    page[128] ^= 1
    assert record.read_consumer(page) == 0


def test_a_consumer_never_written_reads_zero() -> None:
    assert record.read_consumer(bytes(record.PAGE)) == 0


@given(st.integers(0, 1 << 40))
def test_records_lie_apart_and_wrap(index: int) -> None:
    capacity = record.CAPACITY_MIN
    at = record.record_offset(index, capacity)
    assert record.PAGE <= at <= record.file_bytes(capacity) - record.RECORD_BYTES
    assert (at - record.PAGE) % record.RECORD_BYTES == 0
    assert record.record_offset(index + capacity, capacity) == at
    assert record.record_offset(index + 1, capacity) != at


def test_the_layout_is_the_documented_one() -> None:
    """docs/black-box.md; writer and reader are ours, so a round trip alone would not notice."""
    assert (PAGE, RECORD_BYTES, CAPACITY_MIN) == (4096, 128, 32_768)
    assert {kind.name: kind.value for kind in RecordKind} == {"PULSE": 1, "STRAY": 2}
    assert {state.name: state.value for state in RecordState} == {"INTENT": 1, "CLOSED": 2}
    raw = pack_record(Record(RecordKind.STRAY, RecordState.CLOSED, *range(2, 20)))
    assert raw[:8] == bytes.fromhex("dec0 01 02 02 02 03 04")
    page = bytearray(PAGE)
    write_consumer(memoryview(page), 7)
    assert page[128:136] == (7).to_bytes(8, "little")
    assert page[136:140] == zlib.crc32(bytes(page[128:136])).to_bytes(4, "little")
    assert not any(page[:128])
    assert not any(page[140:])
    head = pack_head(Head(CAPACITY_MIN, 1, 2, 3, 4, 5, 6))
    assert head[:8] == b"CBBX0001"
    assert (len(head), head[64:]) == (68, zlib.crc32(head[:64]).to_bytes(4, "little"))
