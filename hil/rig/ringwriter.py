"""The panel's side of the raw ring: the shared memory, its slots and the socket that hands it over.

Lives here: a sealed memfd with the layout of `realtime.wire.ring`, filled early and committed on
time, and `panel.sock` with one hello and then doorbells.  May not live here: pixels, or when a
frame is due.  `docs/raw-ring.md` is the page for readers in any language.

Readers never slow the writer: a doorbell that does not fit a reader's socket closes that reader.
`open` and `commit` belong to one thread, `accept` and `close` may be called from another.
"""

from __future__ import annotations

import array
import fcntl
import logging
import mmap
import os
import socket
import threading
import zlib
from pathlib import Path
from typing import Final

import numpy as np

from hil.physics.panel import Pixels
from hil.rig.sockets import listen_seqpacket
from realtime.wire import ring
from realtime.wire.doorbell import pack_doorbell, pack_hello

SLOTS: Final = 12
READERS_MAX: Final = 16
DOORBELLS_QUEUED_BYTES: Final = 64 << 10
log = logging.getLogger("rig.ring")


class RingWriter:
    """One ring and its readers.  Frames are numbered `seq` from 1 in the order of their commit."""

    def __init__(self, path: Path, width: int, height: int, pitch_um: int) -> None:
        self.layout = ring.Layout(SLOTS, width, height, pitch_um)
        self.seq = 0
        self.readers_dropped = 0
        self._fd = os.memfd_create("raw-ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._fd, self.layout.total_bytes)
        # Nobody may change the size under a reader: it would die of SIGBUS.
        fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self._map = mmap.mmap(self._fd, self.layout.total_bytes)
        self._view = memoryview(self._map)
        self._view[:] = bytes(self.layout.total_bytes)  # touches every page now, not in a frame
        ring.write_head(self._view, self.layout)
        self._readers: list[socket.socket] = []
        self._lock = threading.Lock()
        self.listener = listen_seqpacket(path)
        self._path = path

    def open(self) -> Pixels:
        """Begin the next slot and return its pixels to fill; not visible before `commit`."""
        ring.begin(self._view, self.layout, self.seq + 1)
        return self.pixels_of(self.seq + 1)

    def pixels_of(self, seq: int) -> Pixels:
        """The pixels of the slot of frame `seq`, uint16 (height, width), in the ring itself."""
        pixels: Pixels = np.frombuffer(ring.payload_at(self._view, self.layout, seq), np.uint16)
        return pixels.reshape(self.layout.height, self.layout.width)

    def crc32(self) -> int:
        """Checksum of the pixels of the slot that is open."""
        return zlib.crc32(ring.payload_at(self._view, self.layout, self.seq + 1))

    def commit(
        self, frame_no: int, open_ns: int, close_ns: int, readout_end_ns: int, crc32: int,
        flags: int = 0, payload_bytes: int = -1,
    ) -> None:  # fmt: skip
        """Make the open slot visible and ring every doorbell."""
        layout = self.layout
        self.seq += 1
        size = layout.payload_bytes if payload_bytes < 0 else payload_bytes
        slot = ring.Slot(
            self.seq, frame_no, open_ns, close_ns, readout_end_ns, layout.width, layout.height,
            flags, size, crc32, 0,
        )  # fmt: skip
        ring.commit(self._view, layout, slot)
        self.ring_bells(self.seq)

    def tear(self) -> None:
        """Leave the open slot half written and announce it, as a failing panel does."""
        self.seq += 1
        self.ring_bells(self.seq)

    def ring_bells(self, seq: int) -> None:
        """Send the doorbell of `seq` to every reader; one that does not keep up is dropped."""
        bell = pack_doorbell(seq)
        with self._lock:
            for reader in tuple(self._readers):
                try:
                    reader.send(bell, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                except OSError:
                    self._drop(reader)

    def accept(self) -> socket.socket | None:
        """Take one waiting reader and hand it the ring; None when there is none or no room."""
        try:
            reader, _ = self.listener.accept()
        except BlockingIOError:
            return None
        reader.setblocking(False)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, DOORBELLS_QUEUED_BYTES)
        handed = array.array("i", [self._fd])
        with self._lock:
            if len(self._readers) >= READERS_MAX:
                log.warning("raw ring: more than %d readers, refused", READERS_MAX)
                reader.close()
                return None
            try:
                reader.sendmsg(
                    [pack_hello(self.layout.total_bytes)],
                    [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handed)],
                )
            except OSError:
                reader.close()
                return None
            self._readers.append(reader)
        return reader

    def gone(self, reader: socket.socket) -> None:
        """Forget a reader whose socket became readable: it closed, or talks, which it may not."""
        with self._lock:
            if reader in self._readers:
                self._drop(reader)

    def readers(self) -> list[socket.socket]:
        """The sockets of the present readers."""
        with self._lock:
            return list(self._readers)

    def _drop(self, reader: socket.socket) -> None:
        self._readers.remove(reader)
        self.readers_dropped += 1
        reader.close()

    def close(self) -> None:
        """Close every reader, the socket and the memory; remove the socket's file."""
        with self._lock:
            for reader in tuple(self._readers):
                self._drop(reader)
        self.listener.close()
        self._path.unlink(missing_ok=True)
        self._view.release()
        try:
            self._map.close()
        except BufferError:
            log.info("raw ring: a frame is still held; the memory goes with the process")
        os.close(self._fd)
