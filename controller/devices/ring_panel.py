"""Panel driver `ring`: slots in shared memory, handed over on a Unix socket.

Lives here: the connection, the mapping, and reading a slot without being torn
(`docs/raw-ring.md`).  May not live here: what a frame shows or belongs to.

The first datagram brings the memory's descriptor by SCM_RIGHTS; each later one is the doorbell of
one whole frame.  A doorbell that skips numbers is followed back as far as the ring still holds
them, so a lost doorbell loses no frame.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from controller.devices.panel import PanelLost
from realtime.wire.doorbell import DATAGRAM_BYTES, DoorbellError, unpack_doorbell, unpack_hello
from realtime.wire.ring import Layout, RingError, Slot, payload_at, read_head, read_slot

# One turn takes at most this many doorbells; 4096² at 30/s never has more than a few.
DOORBELLS_PER_TURN: Final = 64
RING_BYTES_MAX: Final = 4 << 30


class RingPanel:
    """A panel whose driver process writes the raw ring.  `layout` is None until the hand-over."""

    def __init__(self, path: Path) -> None:
        self.layout: Layout | None = None
        self._path = path
        self._socket: socket.socket | None = None
        self._memory: mmap.mmap | None = None
        self._view: memoryview | None = None
        self._pixels: npt.NDArray[np.uint8] | None = None
        self._last_seq = 0

    def open(self) -> bool:
        """Connect to the driver's socket; False when nobody listens yet."""
        self.close()
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            link.connect(str(self._path))
        except OSError:
            link.close()
            return False
        self._socket = link
        return True

    def fileno(self) -> int:
        """The socket's descriptor, -1 when closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def arrivals(self) -> list[int]:
        """Numbers of frames completed since the last call; raises PanelLost."""
        seqs: list[int] = []
        for _ in range(DOORBELLS_PER_TURN):
            datagram = self._receive()
            if datagram is None:
                break
            seqs.extend(self._follow(datagram))
        return seqs

    def header(self, seq: int) -> Slot | None:
        """Header of frame `seq`, None when torn or gone."""
        assert self._view is not None
        assert self.layout is not None
        return read_slot(self._view, self.layout, seq)

    def read(self, seq: int, out: npt.NDArray[np.uint16]) -> Slot | None:
        """Copy frame `seq` to `out`; the header is read again behind the pixels."""
        assert self._view is not None
        assert self.layout is not None
        before = read_slot(self._view, self.layout, seq)
        shape = (self.layout.height, self.layout.width)
        pixels = np.frombuffer(payload_at(self._view, self.layout, seq), dtype="<u2")
        np.copyto(out, pixels.reshape(shape))
        after = read_slot(self._view, self.layout, seq)
        return after if before == after else None

    def close(self) -> None:
        """Close the socket and the mapping."""
        if self._socket is not None:
            self._socket.close()
        if self._view is not None:
            self._view.release()
        if self._memory is not None:
            # An exported view would be our bug; the mapping then dies with the process.
            with contextlib.suppress(BufferError):
                self._memory.close()
        self._socket = self._memory = self._view = self.layout = None
        self._last_seq = 0

    def _receive(self) -> bytes | None:
        assert self._socket is not None
        try:
            datagram, fds, _, _ = socket.recv_fds(self._socket, DATAGRAM_BYTES + 1, 1)
        except BlockingIOError:
            return None
        except OSError as error:
            raise PanelLost("closed", str(error)) from None
        if not datagram:
            raise PanelLost("closed", "the panel driver closed the connection")
        if self.layout is None:
            self._hand_over(datagram, fds)
            return b""
        for fd in fds:
            os.close(fd)
        return datagram

    def _hand_over(self, datagram: bytes, fds: list[int]) -> None:
        try:
            if len(fds) != 1:
                raise PanelLost("hello", f"{len(fds)} descriptors, not 1")
            total_bytes = unpack_hello(datagram)
            if not 0 < total_bytes <= min(RING_BYTES_MAX, os.fstat(fds[0]).st_size):
                raise PanelLost("hello", f"a ring of {total_bytes} bytes does not fit its memory")
            self._memory = mmap.mmap(fds[0], total_bytes, prot=mmap.PROT_READ)
            self._view = memoryview(self._memory)
            self.layout = read_head(self._view)
        except (DoorbellError, RingError) as error:
            raise PanelLost("hello", str(error)) from None
        except OSError as error:
            raise PanelLost("hello", f"mapping the ring: {error}") from None
        finally:
            for fd in fds:
                os.close(fd)

    def _follow(self, datagram: bytes) -> list[int]:
        if not datagram:
            return []
        assert self.layout is not None
        try:
            seq = unpack_doorbell(datagram)
        except DoorbellError as error:
            raise PanelLost("doorbell", str(error)) from None
        if seq <= self._last_seq:
            return []
        oldest = max(seq - self.layout.slots + 2, self._last_seq + 1 if self._last_seq else seq)
        self._last_seq = seq
        return list(range(min(oldest, seq), seq + 1))


def open_panel(path: Path) -> RingPanel:
    """Entry point of the driver: a closed panel at `path`."""
    return RingPanel(path)
