"""The durable copy: black-box records from tmpfs to a log that survives power loss.

Lives here: the log's entries, the copier, and reconciliation's file side.  May not live here: the
ring's layout (`realtime.wire.record`) or the comparison (`controller.core.reconcile`).

`state/pulses.log` is a row of 144-byte entries: u64 index in the ring (2⁶⁴−1: added by
reconciliation, 2⁶⁴−2: taken back by it), u32 zero, u32 CRC-32 of the 140 other bytes, the record.
A record that a crash left open counts as a pulse until it is taken back.  Entries are appended and
synced before the consumer index moves, so a crash repeats records, and repeated ones are passed
over by their identity.  A torn tail is cut at the next start.  All methods block: own thread only.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import zlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from controller.core.reconcile import Account, Finding, Recorded, reconcile
from controller.core.results import PulseResult
from realtime.wire.messages import EndReason
from realtime.wire.record import (
    CAPACITY_MIN,
    FLAG_REPAIRED,
    PAGE,
    REASONS,
    RECORD_BYTES,
    BlackBoxError,
    Record,
    RecordKind,
    RecordState,
    pack_record,
    read_consumer,
    record_offset,
    unpack_head,
    unpack_record,
    write_consumer,
)

_FRONT: Final = struct.Struct("<QII")
ENTRY_BYTES: Final = _FRONT.size + RECORD_BYTES
INDEX_ADDED: Final = (1 << 64) - 1
INDEX_TAKEN_BACK: Final = (1 << 64) - 2
# One sync for at most this many records; at 30 pulses/s a sync covers one or two.
BATCH_MAX: Final = 1024
_CRASH: Final = REASONS.index(EndReason.CRASH)
Key = tuple[int, int, int, int]


def pack_entry(index: int, record: bytes) -> bytes:
    """The 144 bytes of an entry."""
    crc = zlib.crc32(struct.pack("<QI", index, 0) + record)
    return _FRONT.pack(index, 0, crc) + record


def unpack_entry(entry: bytes) -> tuple[int, Record]:
    """(index, record); raises BlackBoxError on damage."""
    if len(entry) != ENTRY_BYTES:
        raise BlackBoxError("length", f"{len(entry)} bytes")
    index, reserved, crc = _FRONT.unpack_from(entry)
    if crc != zlib.crc32(struct.pack("<QI", index, reserved) + entry[_FRONT.size :]):
        raise BlackBoxError("crc", "entry checksum differs")
    return index, unpack_record(entry[_FRONT.size :])


def key_of(record: Record) -> Key:
    """What makes a record itself: kind, number and start, however often it is read."""
    return (int(record.kind), record.pulse_id, record.start_ns, record.xray_on_ns)


def is_lit(record: Record) -> bool:
    """High voltage was seen, or a crash hid whether it was."""
    return bool(record.xray_on_ns) or record.end_reason == _CRASH


def is_sure(record: Record) -> bool:
    """High voltage was seen, or the generator has told of it (such a record has no due time)."""
    return bool(record.xray_on_ns) or not record.due_ns


@dataclass(slots=True)
class PulseLog:
    """The open log; `lit` counts records of pulses that the generator must have counted too."""

    path: Path
    fd: int = -1
    lit: int = 0
    last_pulse_id: int = 0
    cut_bytes: int = 0
    records: deque[Recorded] = field(default_factory=lambda: deque(maxlen=2 * CAPACITY_MIN))
    unsure: deque[Record] = field(default_factory=lambda: deque(maxlen=CAPACITY_MIN))
    seen: dict[Key, None] = field(default_factory=dict)

    def open(self) -> None:
        """Read what is there, cut a torn tail, be ready to append; OSError where that fails."""
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        good = 0
        with os.fdopen(os.dup(self.fd), "rb") as source:
            while entry := source.read(ENTRY_BYTES):
                try:
                    self._note(*unpack_entry(entry))
                except BlackBoxError:
                    break
                good += len(entry)
        size = os.fstat(self.fd).st_size
        self.cut_bytes = size - good
        if self.cut_bytes:
            # Kept beside the log: an unacknowledged tail may vanish, but not silently.
            torn = os.pread(self.fd, min(self.cut_bytes, 1 << 20), good)
            self.path.with_suffix(".torn").write_bytes(torn)
            os.ftruncate(self.fd, good)
        os.lseek(self.fd, good, os.SEEK_SET)

    def append(self, fresh: list[tuple[int, Record]]) -> None:
        """Add records that are not there yet, and sync."""
        new = [(index, record) for index, record in fresh if key_of(record) not in self.seen]
        if not new:
            return
        self._write(b"".join(pack_entry(index, pack_record(r)) for index, r in new))
        for index, record in new:
            self._note(index, record)

    def take_back(self, count: int) -> None:
        """Of the records that a crash left open, the newest `count` were never emitted; synced."""
        wrong = [self.unsure[-1 - place] for place in range(count)]
        if not wrong:
            return
        self._write(b"".join(pack_entry(INDEX_TAKEN_BACK, pack_record(r)) for r in wrong))
        for record in wrong:
            self._note(INDEX_TAKEN_BACK, record)

    def _write(self, entries: bytes) -> None:
        # A partial write (full disk) must not leave half an entry before later whole ones.
        before = os.lseek(self.fd, 0, os.SEEK_CUR)
        try:
            if os.write(self.fd, entries) != len(entries):
                raise OSError(errno.ENOSPC, "no space for the pulse record", str(self.path))
            os.fsync(self.fd)
        except OSError:
            os.ftruncate(self.fd, before)
            os.lseek(self.fd, before, os.SEEK_SET)
            raise

    def close(self) -> None:
        """Close the file."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def since(self, lit: int) -> list[Recorded]:
        """The lit records after the first `lit` ones, as far as they are kept."""
        wanted = max(0, self.lit - lit)
        return list(self.records)[max(0, len(self.records) - wanted) :] if wanted else []

    def _note(self, index: int, record: Record) -> None:
        if index == INDEX_TAKEN_BACK:
            self._forget(record)
            return
        if len(self.seen) >= 2 * CAPACITY_MIN:
            self.seen.pop(next(iter(self.seen)))
        self.seen[key_of(record)] = None
        self.last_pulse_id = max(self.last_pulse_id, record.pulse_id)
        if is_lit(record):
            self.lit += 1
            self.records.append(Recorded(record.technique_id, True, is_sure(record)))
            if not is_sure(record):
                self.unsure.append(record)

    def _forget(self, record: Record) -> None:
        # Newest first: what is taken back was left open by one of the last crashes.
        self.unsure.remove(record)
        self.lit -= 1
        for place in reversed(range(len(self.records))):
            if not self.records[place].sure:
                del self.records[place]
                return


@dataclass(slots=True)
class Copier:
    """Moves records from the ring to the log; `copied` counts them."""

    ring_path: Path
    log: PulseLog
    copied: int = 0
    _map: mmap.mmap | None = None
    _inode: tuple[int, int] = (0, 0)

    def copy(self) -> int:
        """Copy what is new; returns how many records are still unread.

        Raises OSError (storage) or BlackBoxError (the ring is missing or damaged).
        """
        self._attach()
        assert self._map is not None
        with memoryview(self._map) as view:
            head = unpack_head(view[:PAGE])
            consumed = min(read_consumer(view[:PAGE]), head.written)
            first = max(consumed, head.written - head.capacity)
            fresh: list[tuple[int, Record]] = []
            for index in range(first, min(head.written, first + BATCH_MAX)):
                at = record_offset(index, head.capacity)
                record = unpack_record(view[at : at + RECORD_BYTES])
                if record.state is RecordState.INTENT:
                    break
                fresh.append((index, record))
            self.log.append(fresh)
            reached = first + len(fresh)
            self.copied += len(fresh)
            if reached != consumed:
                write_consumer(view[:PAGE], reached)
            return head.written - reached

    def close(self) -> None:
        """Let the ring go; the log stays open."""
        if self._map is not None:
            self._map.close()
            self._map = None

    def _attach(self) -> None:
        try:
            status = self.ring_path.stat()
        except FileNotFoundError:
            self.close()
            raise BlackBoxError("missing", "realtime has not made its black box yet") from None
        inode = (status.st_dev, status.st_ino)
        if self._map is not None and inode == self._inode and len(self._map) == status.st_size:
            return
        self.close()
        if status.st_size < PAGE:
            raise BlackBoxError("length", f"{status.st_size} bytes")
        fd = os.open(self.ring_path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(fd, status.st_size)
        finally:
            os.close(fd)
        self._inode = inode


def settle(
    log: PulseLog, account: Account | None, counter: int, recent: tuple[PulseResult, ...]
) -> tuple[Finding, Account]:
    """Compare, add what is missing with the repaired mark, take back what was never emitted, and
    return the new account.
    """
    lit_before = account.records if account is not None else log.lit
    finding = reconcile(account, log.since(lit_before), counter, recent)
    log.append([(INDEX_ADDED, _added(result, log.last_pulse_id)) for result in finding.missing])
    log.take_back(finding.taken_back)
    return finding, Account(counter, log.lit)


def _added(result: PulseResult, last_pulse_id: int) -> Record:
    # What the generator knows; times are not known (0), the counter stands where a start would,
    # so that two added pulses of one technique are two records.
    return Record(
        kind=RecordKind.PULSE, state=RecordState.CLOSED, mode=0, bank=0, end_reason=_CRASH,
        flags=FLAG_REPAIRED, pulse_n=0, technique_id=result.technique_id,
        pulse_id=last_pulse_id, run_id=0, order_seq=result.counter, supervisor_epoch=0,
        due_ns=0, start_ns=result.counter, end_ns=0, window_open_ns=0, window_close_ns=0,
        xray_on_ns=0, xray_off_ns=0, set_us=result.width_us,
    )  # fmt: skip
