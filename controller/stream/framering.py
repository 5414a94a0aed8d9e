"""The frame ring: finished frames in shared memory for readers on the same machine.

Lives here: the memory, its hand-over on a Unix socket, the doorbells.  May not live here: what is
published.  Layout and reading rules are those of the raw ring (`docs/raw-ring.md`); the slot's meta
bytes are the frame's msgpack header (`docs/frame-stream.md`).

Readers get a descriptor they can only read through (the memory is sealed against other writers).
A reader that does not take its doorbells is dropped; nobody ever waits for one.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import socket
from pathlib import Path
from typing import Any, Final

import msgpack
import numpy as np
import numpy.typing as npt

from realtime.wire import ring
from realtime.wire.doorbell import pack_doorbell, pack_hello

SLOTS: Final = 8
READERS_MAX: Final = 16
# linux/fcntl.h F_SEAL_FUTURE_WRITE: mappings made before the seal stay writable, later ones do not.
_SEAL_FUTURE_WRITE: Final = 0x0010


class RingSocketInUse(OSError):
    """Another imaging process serves this socket."""


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except BlockingIOError:  # a full backlog is somebody's backlog
            return True
        except OSError:
            return False
    return True


def _listen(path: Path) -> socket.socket:
    if _answers(path):
        raise RingSocketInUse(f"{path} is in use; end the other imaging process first")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    listener.bind(str(path))
    listener.listen(READERS_MAX)
    return listener


class FrameRing:
    """Writer of the frame ring and server of its hand-over."""

    def __init__(self, path: Path, width: int, height: int, pitch_um: int) -> None:
        """Allocate, pre-fault and listen; raises RingSocketInUse."""
        self._path = path
        self._layout = ring.Layout(SLOTS, width, height, pitch_um)
        self._listener = _listen(path)
        self._fd = os.memfd_create("carm-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._fd, self._layout.total_bytes)
        self._memory = mmap.mmap(self._fd, self._layout.total_bytes, flags=mmap.MAP_SHARED)
        self._view = memoryview(self._memory)
        for page in range(0, self._layout.total_bytes, ring.PAGE):
            self._view[page] = 0
        ring.write_head(self._view, self._layout)
        with contextlib.suppress(OSError):  # kernels before 5.1: readers are then trusted
            fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, _SEAL_FUTURE_WRITE | fcntl.F_SEAL_SHRINK)
        self._readers: list[socket.socket] = []
        self._seq = 0

    def fileno(self) -> int:
        """Descriptor that becomes readable when a reader knocks."""
        return self._listener.fileno()

    def accept(self) -> None:
        """Hand the ring over to everybody who knocks, up to `READERS_MAX`."""
        with contextlib.suppress(BlockingIOError):
            while True:
                reader, _ = self._listener.accept()
                self._admit(reader)

    def _admit(self, reader: socket.socket) -> None:
        reader.setblocking(False)
        hello = pack_hello(self._layout.total_bytes)
        self._readers = [known for known in self._readers if not _has_left(known)]
        try:
            if len(self._readers) >= READERS_MAX:
                raise BlockingIOError
            socket.send_fds(reader, [hello], [self._fd])
        except OSError:
            reader.close()
            return
        self._readers.append(reader)

    def write(
        self, pixels: npt.NDArray[np.uint16], header: dict[str, Any], slot: ring.Slot
    ) -> None:
        """Write one frame with the times of `slot`, then ring every reader's bell."""
        self._seq += 1
        meta = msgpack.packb(header)
        payload = ring.begin(self._view, self._layout, self._seq)
        np.copyto(np.frombuffer(payload, dtype=np.uint16), pixels.reshape(-1))
        finished = slot._replace(
            seq=self._seq, payload_bytes=pixels.nbytes, crc32=header["crc32"], flags=0,
            meta_bytes=len(meta),
        )  # fmt: skip
        ring.commit(self._view, self._layout, finished, meta)
        bell = pack_doorbell(self._seq)
        self._readers = [reader for reader in self._readers if _rung(reader, bell)]

    def close(self) -> None:
        """Close everything and remove the socket file."""
        for open_socket in (*self._readers, self._listener):
            open_socket.close()
        self._view.release()
        self._memory.close()
        os.close(self._fd)
        self._path.unlink(missing_ok=True)


def _rung(reader: socket.socket, bell: bytes) -> bool:
    try:
        reader.send(bell, socket.MSG_NOSIGNAL)
    except OSError:
        reader.close()
        return False
    return True


def _has_left(reader: socket.socket) -> bool:
    try:
        gone = reader.recv(1, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        gone = True
    if gone:
        reader.close()
    return gone
