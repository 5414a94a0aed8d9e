"""The slot ring: layout, the slot protocol, and every damage of the header page."""

import itertools
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.wire import ring
from realtime.wire.ring import Layout, RingError, Slot

LAYOUT = Layout(4, 64, 48, 296)


def fresh(layout: Layout = LAYOUT) -> memoryview:
    buffer = memoryview(bytearray(layout.total_bytes))
    ring.write_head(buffer, layout)
    return buffer


def write(buffer: memoryview, seq: int, meta: bytes = b"") -> Slot:
    payload = ring.begin(buffer, LAYOUT, seq)
    payload[:] = bytes([seq % 256]) * LAYOUT.payload_bytes
    slot = Slot(seq, seq + 5, 10, 20, 30, 64, 48, ring.FLAG_AFTER_IDLE, LAYOUT.payload_bytes,
                zlib.crc32(payload), len(meta))  # fmt: skip
    ring.commit(buffer, LAYOUT, slot, meta)
    return slot


@given(st.builds(Layout, st.integers(1, 8), st.integers(1, 200), st.integers(1, 200),
                 st.integers(1, 1000)))  # fmt: skip
def test_the_head_round_trips_and_slots_lie_apart(layout: Layout) -> None:
    assert ring.read_head(fresh(layout)) == layout
    offsets = [layout.slot_offset(seq) for seq in range(1, layout.slots + 1)]
    assert offsets[0] == ring.PAGE
    assert all(offset % ring.PAGE == 0 for offset in offsets)
    assert all(b - a >= ring.PAGE + layout.payload_bytes
               for a, b in itertools.pairwise(offsets))  # fmt: skip
    assert offsets[-1] + layout.stride == layout.total_bytes


def test_a_written_slot_is_read_whole() -> None:
    buffer = fresh()
    slot = write(buffer, 1, b"meta")
    assert ring.read_slot(buffer, LAYOUT, 1) == slot
    assert ring.read_meta(buffer, LAYOUT, slot) == b"meta"
    assert zlib.crc32(ring.payload_at(buffer, LAYOUT, 1)) == slot.crc32


def test_a_slot_being_written_or_holding_another_frame_is_none() -> None:
    buffer = fresh()
    assert ring.read_slot(buffer, LAYOUT, 1) is None
    write(buffer, 1)
    ring.begin(buffer, LAYOUT, 5)
    assert ring.read_slot(buffer, LAYOUT, 1) is None
    assert ring.read_slot(buffer, LAYOUT, 5) is None
    write(buffer, 5)
    assert ring.read_slot(buffer, LAYOUT, 1) is None
    assert ring.read_slot(buffer, LAYOUT, 5) is not None


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_the_newest_frames_are_always_readable(steps: list[int]) -> None:
    buffer = fresh()
    seq = 0
    for _ in steps:
        seq += 1
        write(buffer, seq)
    for held in range(max(1, seq - LAYOUT.slots + 1), seq + 1):
        slot = ring.read_slot(buffer, LAYOUT, held)
        assert slot is not None
        assert slot.seq == held


def head(*, magic: bytes = ring.MAGIC, slots: int = 4, dtype: int = 1, stride: int = LAYOUT.stride,
         payload: int = LAYOUT.payload_bytes, width: int = 64, height: int = 48,
         reserved: int = 0) -> memoryview:  # fmt: skip
    buffer = fresh()
    struct.pack_into("<8sIIQQIIII", buffer, 0, magic, slots, dtype, stride, payload, width, height,
                     296, reserved)  # fmt: skip
    return buffer


@pytest.mark.parametrize(
    ("buffer", "code"),
    [
        (head()[:100], "length"),
        (head()[: ring.PAGE], "length"),
        (head(magic=b"CRING002"), "magic"),
        (head(dtype=2), "dtype"),
        (head(reserved=1), "dtype"),
        (head(slots=0), "shape"),
        (head(slots=4097), "shape"),
        (head(width=0), "shape"),
        (head(height=8193), "shape"),
        (head(stride=LAYOUT.stride + 1), "stride"),
        (head(payload=1), "stride"),
        (head(slots=5), "length"),
    ],
)
def test_each_damage_of_the_head_has_its_code(buffer: memoryview, code: str) -> None:
    with pytest.raises(RingError) as caught:
        ring.read_head(buffer)
    assert caught.value.code == code


def test_meta_must_fit_its_page_and_be_announced() -> None:
    buffer = fresh()
    slot = write(buffer, 1)
    with pytest.raises(AssertionError):
        ring.commit(buffer, LAYOUT, slot, b"x")
    long = b"x" * (ring.META_BYTES_MAX + 1)
    with pytest.raises(AssertionError):
        ring.commit(buffer, LAYOUT, slot._replace(meta_bytes=len(long)), long)


def test_a_wild_meta_length_reads_no_further_than_its_page() -> None:
    buffer = fresh()
    slot = write(buffer, 1)._replace(meta_bytes=1 << 31)
    assert len(ring.read_meta(buffer, LAYOUT, slot)) == ring.META_BYTES_MAX
