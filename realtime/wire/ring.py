"""Layout of the shared-memory slot rings: raw frames from the panel, finished frames to readers.

Lives here: byte offsets, the slot protocol, and a writer and a reader over any buffer
(`docs/raw-ring.md` is its page).  May not live here: pixels (numpy), sockets, corrections.

One header page, then `slots` slots of equal stride; slot payloads start on a page.  One writer; any
number of readers, who never slow it.  A slot is written as: begin_seq := n, fields and payload,
end_seq := n.  A reader takes the header, the payload, then the header again: valid only when
begin_seq == end_seq == n both times.  Slot of frame n (from 1) is (n - 1) % slots.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

MAGIC: Final = b"CRING001"
PAGE: Final = 4096
META_BYTES_MAX: Final = PAGE - 128
_HEAD: Final = struct.Struct("<8sIIQQIIII")
_SLOT: Final = struct.Struct("<QQQQQQIIIIII")
_SEQ: Final = struct.Struct("<Q")
_META_OFFSET: Final = 128
FLAG_AFTER_IDLE: Final = 1
FLAG_OVERRUN: Final = 2
FLAG_ALL: Final = FLAG_AFTER_IDLE | FLAG_OVERRUN
assert _SLOT.size <= _META_OFFSET

DTYPES: Final = {1: "<u2"}


class RingError(ValueError):
    """The buffer is not a ring of this layout; `code` is the kind counted and logged."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class Slot(NamedTuple):
    """Header of one slot.  Times are CLOCK_MONOTONIC of the host in ns; pixels are `<u2`."""

    seq: int
    frame_no: int
    integration_open_ns: int
    integration_close_ns: int
    readout_end_ns: int
    width: int
    height: int
    flags: int
    payload_bytes: int
    crc32: int
    meta_bytes: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape of a ring: number of slots, pixels per frame, pixel pitch in µm."""

    slots: int
    width: int
    height: int
    pitch_um: int

    @property
    def payload_bytes(self) -> int:
        """Bytes of one frame, 16 bit per pixel."""
        return self.width * self.height * 2

    @property
    def stride(self) -> int:
        """Bytes from slot to slot: a header page and the payload, rounded up to whole pages."""
        return PAGE + (self.payload_bytes + PAGE - 1) // PAGE * PAGE

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole shared memory."""
        return PAGE + self.slots * self.stride

    def slot_offset(self, seq: int) -> int:
        """Offset of the slot that holds frame `seq` (from 1)."""
        return PAGE + (seq - 1) % self.slots * self.stride


def write_head(buffer: memoryview, layout: Layout) -> None:
    """Write the header page; the buffer must hold `layout.total_bytes`."""
    _HEAD.pack_into(
        buffer, 0, MAGIC, layout.slots, 1, layout.stride, layout.payload_bytes,
        layout.width, layout.height, layout.pitch_um, 0,
    )  # fmt: skip


def read_head(buffer: memoryview) -> Layout:
    """Read and check the header page; raises RingError when it is not ours or does not fit."""
    if len(buffer) < PAGE:
        raise RingError("length", f"{len(buffer)} bytes")
    magic, slots, dtype, stride, payload, width, height, pitch, reserved = _HEAD.unpack_from(buffer)
    if magic != MAGIC:
        raise RingError("magic", repr(magic))
    if dtype not in DTYPES or reserved != 0:
        raise RingError("dtype", f"{dtype}")
    if not (1 <= slots <= 4096 and 1 <= width <= 8192 and 1 <= height <= 8192):
        raise RingError("shape", f"{slots} slots of {width} x {height}")
    layout = Layout(slots, width, height, pitch)
    if stride != layout.stride or payload != layout.payload_bytes:
        raise RingError("stride", f"{stride} / {payload}")
    if len(buffer) < layout.total_bytes:
        raise RingError("length", f"{len(buffer)} bytes, not {layout.total_bytes}")
    return layout


def payload_at(buffer: memoryview, layout: Layout, seq: int) -> memoryview:
    """The payload bytes of the slot that holds frame `seq`."""
    start = layout.slot_offset(seq) + PAGE
    return buffer[start : start + layout.payload_bytes]


def begin(buffer: memoryview, layout: Layout, seq: int) -> memoryview:
    """Mark the slot as being written and return its payload to fill."""
    _SEQ.pack_into(buffer, layout.slot_offset(seq), seq)
    return payload_at(buffer, layout, seq)


def commit(buffer: memoryview, layout: Layout, slot: Slot, meta: bytes = b"") -> None:
    """Write the slot's header and mark it whole; `meta` is at most META_BYTES_MAX bytes."""
    assert len(meta) <= META_BYTES_MAX, "meta must fit the slot's header page"
    assert slot.meta_bytes == len(meta), "the slot says how long its meta is"
    at = layout.slot_offset(slot.seq)
    buffer[at + _META_OFFSET : at + _META_OFFSET + len(meta)] = meta
    _SLOT.pack_into(
        buffer, at, slot.seq, 0, slot.frame_no, slot.integration_open_ns,
        slot.integration_close_ns, slot.readout_end_ns, slot.width, slot.height,
        slot.flags, slot.payload_bytes, slot.crc32, slot.meta_bytes,
    )  # fmt: skip
    _SEQ.pack_into(buffer, at + 8, slot.seq)


def read_slot(buffer: memoryview, layout: Layout, seq: int) -> Slot | None:
    """Header of frame `seq`, or None when the slot is being written or holds another frame."""
    begin_seq, end_seq, *rest = _SLOT.unpack_from(buffer, layout.slot_offset(seq))
    if begin_seq != seq or end_seq != seq:
        return None
    return Slot(seq, *rest)


def read_meta(buffer: memoryview, layout: Layout, slot: Slot) -> bytes:
    """The meta bytes of a slot (empty in a raw ring)."""
    at = layout.slot_offset(slot.seq) + _META_OFFSET
    return bytes(buffer[at : at + min(slot.meta_bytes, META_BYTES_MAX)])
