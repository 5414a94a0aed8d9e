"""The frame ring: hand-over, doorbells, read-only memory, readers that do not read."""

from __future__ import annotations

import mmap
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from controller.devices.ring_panel import open_panel
from controller.stream.framering import READERS_MAX, SLOTS, FrameRing, RingSocketInUse
from realtime.wire import ring

SIZE = 64
SLOT = ring.Slot(0, 77, 10, 20, 30, SIZE, SIZE, 3, 0, 0, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "frame-ring.sock"


@pytest.fixture
def frames(path: Path) -> Iterator[FrameRing]:
    made = FrameRing(path, SIZE, SIZE, 296)
    yield made
    made.close()


def picture(level: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    return np.full((SIZE, SIZE), level, dtype=np.uint16)


def test_a_reader_sees_frames_with_header_and_times(frames: FrameRing, path: Path) -> None:
    reader = open_panel(path)
    assert reader.open()
    frames.accept()
    for n in range(SLOTS + 2):
        frames.write(picture(n), {"crc32": n, "kind": "live"}, SLOT)
    seqs = reader.arrivals()
    assert seqs == list(range(1, SLOTS + 3))
    assert reader.header(1) is None
    out = picture(0)
    slot = reader.read(seqs[-1], out)
    assert slot is not None
    assert (slot.frame_no, slot.integration_open_ns, slot.flags) == (77, 10, 0)
    assert (out == SLOTS + 1).all()
    reader.close()


def test_a_reader_cannot_write(frames: FrameRing, path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as reader:
        reader.connect(str(path))
        frames.accept()
        _, descriptors, _, _ = socket.recv_fds(reader, 64, 1)
        with pytest.raises(PermissionError):
            mmap.mmap(descriptors[0], ring.PAGE)
        with pytest.raises(OSError, match="not permitted"):
            os.ftruncate(descriptors[0], 0)
        os.close(descriptors[0])


def test_a_reader_that_does_not_read_is_dropped_and_nobody_waits(
    frames: FrameRing, path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as reader:
        reader.connect(str(path))
        frames.accept()
        assert len(frames._readers) == 1
        for _ in range(2000):
            frames.write(picture(1), {"crc32": 0}, SLOT)
        assert frames._readers == []


def test_readers_are_bounded_and_places_come_free(frames: FrameRing, path: Path) -> None:
    readers = []
    for _ in range(READERS_MAX + 1):
        reader = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reader.connect(str(path))
        readers.append(reader)
        frames.accept()
    assert len(frames._readers) == READERS_MAX
    refused = readers.pop()
    assert refused.recv(64) == b""
    refused.close()
    readers.pop().close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as another:
        another.connect(str(path))
        frames.accept()
        assert len(frames._readers) == READERS_MAX
    for reader in readers:
        reader.close()


def test_a_live_socket_is_refused_and_a_stale_one_replaced(
    frames: FrameRing, path: Path, tmp_path: Path
) -> None:
    with pytest.raises(RingSocketInUse, match="in use"):
        FrameRing(path, SIZE, SIZE, 296)
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(stale))
    FrameRing(stale, SIZE, SIZE, 296).close()
    assert not stale.exists()
