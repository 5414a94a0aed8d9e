"""Reading a whole black box: the bytes of the file to records, oldest first.

Lives here: the walk over the ring and the row that `carm blackbox show` prints, for every reader
(`docs/black-box.md`).  May not live here: opening files, writing, or repairing; a damaged record is
reported in its place, and the walk goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from realtime.wire.record import (
    FLAG_REPAIRED,
    FLAG_TRUNCATED,
    MODES,
    REASONS,
    RECORD_BYTES,
    BlackBoxError,
    Record,
    RecordKind,
    RecordState,
    file_bytes,
    record_offset,
    unpack_head,
    unpack_record,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One place of the ring: its number from 0 for ever, and a record or what damaged it."""

    index: int
    record: Record | None
    damage: str


def walk(image: bytes | memoryview) -> Iterator[Entry]:
    """Entries oldest first; raises BlackBoxError when the header or the length is not a black box.

    The newest record may be missing from `written` when a crash fell between the two writes; it is
    found by its own checksum and its pulse id, and given last.
    """
    head = unpack_head(image)
    if len(image) < file_bytes(head.capacity):
        raise BlackBoxError("length", f"{len(image)} bytes, not {file_bytes(head.capacity)}")
    newest_id = -1
    for index in range(max(0, head.written - head.capacity), head.written):
        entry = _entry(image, index, head.capacity)
        if entry.record is not None:
            newest_id = max(newest_id, entry.record.pulse_id)
        yield entry
    beyond = _entry(image, head.written, head.capacity)
    if beyond.record is not None and beyond.record.pulse_id > newest_id:
        yield beyond


def _entry(image: bytes | memoryview, index: int, capacity: int) -> Entry:
    start = record_offset(index, capacity)
    try:
        return Entry(index, unpack_record(image[start : start + RECORD_BYTES]), "")
    except BlackBoxError as error:
        return Entry(index, None, str(error))


def margins_ns(record: Record) -> dict[str, int | None]:
    """From the window's opening to the start, and from the end to its closing; None: not known."""
    opened, closed = record.window_open_ns, record.window_close_ns
    return {
        "open": record.start_ns - opened if opened and record.start_ns else None,
        "close": closed - record.end_ns if closed and record.end_ns else None,
    }


def _named(names: tuple[Any, ...], number: int) -> str:
    return str(names[number]) if number < len(names) else f"unknown {number}"


def _end_reason(record: Record) -> str | None:
    if record.state is RecordState.INTENT:
        return None
    return _named(REASONS, record.end_reason)


def row(entry: Entry) -> dict[str, Any]:
    """The JSON object of one entry, `docs/schemas/blackbox-row.json`; a time not known is null."""
    record = entry.record
    if record is None:
        return {"index": entry.index, "kind": "damaged", "damage": entry.damage}
    return {
        "index": entry.index,
        "kind": "pulse" if record.kind is RecordKind.PULSE else "stray",
        "state": "intent" if record.state is RecordState.INTENT else "closed",
        "pulse_id": record.pulse_id,
        "run_id": record.run_id,
        "pulse_n": record.pulse_n,
        "mode": _named(MODES, record.mode),
        "technique_id": record.technique_id,
        "bank": record.bank,
        "order_id": f"{record.supervisor_epoch}.{record.order_seq}",
        "set_us": record.set_us,
        "due_ns": record.due_ns or None,
        "start_ns": record.start_ns or None,
        "end_ns": record.end_ns or None,
        "xray_on_ns": record.xray_on_ns or None,
        "xray_off_ns": record.xray_off_ns or None,
        "window_margins_ns": margins_ns(record),
        "end_reason": _end_reason(record),
        "truncated": bool(record.flags & FLAG_TRUNCATED),
        "repaired": bool(record.flags & FLAG_REPAIRED),
    }
