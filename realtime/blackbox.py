"""The black box: pulse records in a file that outlives the process.

Theory of operation.  Before PULSE rises its record is written as an intent; after its fall the same
place is written again as closed.  A start that finds an intent, or a header that says `running`,
follows a crash: intents are closed with reason `crash`, and the process comes up latched.  The
supervisor copies records to durable storage and moves the consumer index; above half unread no run
starts, full is dark.

Lives here: the writer.  May not live here: the layout (`realtime.wire.record`), any fsync (8 ms).
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from realtime.inputs import Store
from realtime.trips import TripCode, from_bits, to_bits
from realtime.wire.messages import EndReason
from realtime.wire.record import (
    CAPACITY_MIN,
    FLAG_REPAIRED,
    PAGE,
    REASONS,
    RECORD_BYTES,
    BlackBoxError,
    Head,
    Record,
    RecordState,
    file_bytes,
    pack_head,
    pack_record,
    read_consumer,
    record_offset,
    unpack_head,
    unpack_record,
    write_consumer,
)


class BlackBox:
    """The open file.  `latched` is what this start has to come up with."""

    def __init__(self, path: Path, capacity: int = CAPACITY_MIN) -> None:
        """Open or create the file and repair what a crash left; OSError where that fails."""
        fresh = not path.exists()
        whole = not fresh and path.stat().st_size == file_bytes(capacity)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        fd = os.open(path, flags, 0o640)
        try:
            os.ftruncate(fd, file_bytes(capacity))
            self._map = mmap.mmap(fd, file_bytes(capacity))
        finally:
            os.close(fd)
        self._view = memoryview(self._map)
        self.repaired = 0
        self._open_index = -1
        head = self._adopt(capacity) if whole else self._first_head(capacity)
        # A file of another size is as damaged as one with a bad header: it comes up latched.
        self._head = head if whole or fresh else head._replace(running=True)
        latched = from_bits(self._head.latched)
        if self._head.running and TripCode.UNCLEAN not in latched:
            latched.append(TripCode.UNCLEAN)
        self.latched = latched
        self._update(
            running=1, latched=to_bits(latched), realtime_epoch=self._head.realtime_epoch + 1
        )

    @property
    def pulse_id_next(self) -> int:
        """The number of the next pulse of this machine."""
        return self._head.pulse_id_next

    def _first_head(self, capacity: int) -> Head:
        write_consumer(self._view[:PAGE], 0)
        return Head(capacity, 0, 0, 1, 0, 0, 0)

    def _adopt(self, capacity: int) -> Head:
        try:
            head = unpack_head(self._view[:PAGE])
        except BlackBoxError:
            # A damaged header is a crash at the worst instant: nothing is known, so start a new
            # file latched; the durable copy and the generator's counter tell what was lost.
            return self._first_head(capacity)._replace(running=True)
        for index in range(max(0, head.written - capacity), head.written):
            self._repair(index, capacity)
        return head

    def _repair(self, index: int, capacity: int) -> None:
        at = record_offset(index, capacity)
        try:
            record = unpack_record(self._view[at : at + RECORD_BYTES])
        except BlackBoxError:
            return
        if record.state is RecordState.INTENT:
            closed = record._replace(
                state=RecordState.CLOSED,
                end_reason=REASONS.index(EndReason.CRASH),
                flags=record.flags | FLAG_REPAIRED,
            )
            self._view[at : at + RECORD_BYTES] = pack_record(closed)
            self.repaired += 1

    def _update(self, **fields: int) -> None:
        self._head = self._head._replace(**fields)
        packed = pack_head(self._head)
        self._view[: len(packed)] = packed

    def _write(self, index: int, record: Record) -> None:
        at = record_offset(index, self._head.capacity)
        self._view[at : at + RECORD_BYTES] = pack_record(record)

    def store(self) -> Store:
        """How many records the durable copy still lacks, and how many fit."""
        unread = self._head.written - read_consumer(self._view[:PAGE])
        return Store(max(0, unread), self._head.capacity)

    def intent(self, record: Record) -> None:
        """Write a pulse that is about to start."""
        assert self._open_index < 0, "one pulse at a time"
        self._open_index = self._head.written
        self._write(self._open_index, record)
        self._update(written=self._head.written + 1, pulse_id_next=record.pulse_id + 1)

    def rehearse(self, record: Record) -> None:
        """Pack an intent without writing it (see `realtime.turn.rehearse`)."""
        pack_record(record)

    def close_pulse(self, record: Record) -> None:
        """Write how the pulse ended, in the place of its intent."""
        assert self._open_index >= 0, "a pulse is closed once"
        self._write(self._open_index, record)
        self._open_index = -1

    def stray(self, record: Record) -> None:
        """Write X-rays that nobody asked for."""
        self._write(self._head.written, record)
        self._update(written=self._head.written + 1)

    def latch(self, trips: list[TripCode]) -> None:
        """Persist the latched trips, so that a restart comes up with them."""
        bits = to_bits(trips)
        if bits != self._head.latched:
            self._update(latched=bits)

    def finish(self) -> None:
        """A clean stop: the next start is not latched because of this one."""
        self._update(running=0)
        self._view.release()
        self._map.close()
