"""The raw ring as a reader sees it, and what it takes from readers: nothing."""

import mmap
import os
import re
import select
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hil.rig.ringwriter import READERS_MAX, SLOTS, RingWriter
from hil.rig.sockets import AddressTaken
from realtime.wire import ring
from realtime.wire.doorbell import unpack_doorbell, unpack_hello

WIDTH, HEIGHT = 96, 64
PAGE = Path(__file__).parents[3] / "docs" / "raw-ring.md"


class Reader:
    """A reader that uses the wire contract only."""

    def __init__(self, path: Path, writer: RingWriter) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(str(path))
        self.sock.settimeout(5)
        self.accepted = writer.accept()
        hello, fds, _, _ = socket.recv_fds(self.sock, 64, 1)
        self.fd = fds[0]
        self.map = mmap.mmap(self.fd, unpack_hello(hello), prot=mmap.PROT_READ)
        self.view = memoryview(self.map)
        self.layout = ring.read_head(self.view)

    def bell(self) -> int:
        return unpack_doorbell(self.sock.recv(64))

    def pixels(self, seq: int) -> bytes:
        return bytes(ring.payload_at(self.view, self.layout, seq))

    def close(self) -> None:
        self.view.release()
        self.map.close()
        os.close(self.fd)
        self.sock.close()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RingWriter]:
    writer = RingWriter(tmp_path / "panel.sock", WIDTH, HEIGHT, 296)
    yield writer
    writer.close()
    assert not (tmp_path / "panel.sock").exists()


@pytest.fixture
def reader(writer: RingWriter, tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path / "panel.sock", writer)
    yield reader
    reader.close()


def give(writer: RingWriter, level: int, frame_no: int = 1) -> None:
    writer.open()[:] = level
    writer.commit(frame_no, 10, 20, 30, writer.crc32())


def test_the_ring_says_what_it_holds(reader: Reader) -> None:
    assert reader.layout == ring.Layout(SLOTS, WIDTH, HEIGHT, 296)
    assert SLOTS >= 8
    assert reader.layout.total_bytes == len(reader.view)


def test_a_frame_is_visible_from_its_commit_on(writer: RingWriter, reader: Reader) -> None:
    writer.open()[:] = 7
    assert ring.read_slot(reader.view, reader.layout, 1) is None
    assert not select.select([reader.sock], [], [], 0)[0]
    crc32 = writer.crc32()
    writer.commit(5, 10, 20, 30, crc32, ring.FLAG_AFTER_IDLE)
    assert reader.bell() == 1
    slot = ring.read_slot(reader.view, reader.layout, 1)
    assert slot == ring.Slot(1, 5, 10, 20, 30, WIDTH, HEIGHT, 1, WIDTH * HEIGHT * 2, crc32, 0)
    assert zlib.crc32(reader.pixels(1)) == crc32
    assert reader.pixels(1) == np.full(WIDTH * HEIGHT, 7, "<u2").tobytes()


def test_frames_go_round_the_ring(writer: RingWriter, reader: Reader) -> None:
    for level in range(1, 2 * SLOTS + 1):
        give(writer, level, level)
        assert reader.bell() == level
    assert ring.read_slot(reader.view, reader.layout, SLOTS) is None
    slot = ring.read_slot(reader.view, reader.layout, SLOTS + 1)
    assert slot is not None and slot.frame_no == SLOTS + 1
    writer.open()  # the slot of SLOTS + 1 is being written again
    assert ring.read_slot(reader.view, reader.layout, SLOTS + 1) is None


def test_a_torn_frame_rings_and_stays_torn(writer: RingWriter, reader: Reader) -> None:
    writer.open()[:] = 3
    writer.tear()
    assert reader.bell() == 1
    assert ring.read_slot(reader.view, reader.layout, 1) is None


def test_a_reader_that_does_not_read_is_dropped_and_harms_nobody(
    writer: RingWriter, reader: Reader, tmp_path: Path
) -> None:
    lazy = Reader(tmp_path / "panel.sock", writer)
    for seq in range(1, 20_000):
        writer.ring_bells(seq)
        assert reader.bell() == seq
        if writer.readers_dropped:
            break
    assert writer.readers_dropped == 1
    assert len(writer.readers()) == 1
    lazy.close()


def test_a_reader_that_talks_or_goes_is_forgotten(
    writer: RingWriter, reader: Reader, tmp_path: Path
) -> None:
    assert reader.accepted is not None
    writer.gone(reader.accepted)
    writer.gone(reader.accepted)
    assert writer.readers() == []
    assert reader.sock.recv(64) == b""


def test_no_more_readers_than_allowed(writer: RingWriter, tmp_path: Path) -> None:
    assert writer.accept() is None
    readers = [Reader(tmp_path / "panel.sock", writer) for _ in range(READERS_MAX)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as late:
        late.connect(str(tmp_path / "panel.sock"))
        assert writer.accept() is None
        late.settimeout(5)
        assert late.recv(64) == b""
    for reader in readers:
        reader.close()


def test_a_reader_cannot_shrink_the_ring(reader: Reader) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(reader.fd, 4096)


def test_a_second_panel_at_the_same_address_is_refused(writer: RingWriter, tmp_path: Path) -> None:
    with pytest.raises(AddressTaken):
        RingWriter(tmp_path / "panel.sock", WIDTH, HEIGHT, 296)


def test_the_ten_lines_of_the_page_read_frames(writer: RingWriter, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    assert len([line for line in blocks[0].splitlines() if line]) == 10
    process = subprocess.Popen(
        [sys.executable, "-u", "-W", "ignore", "-c", blocks[0], str(tmp_path / "panel.sock")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert select.select([writer.listener], [], [], 10)[0]
    accepted = writer.accept()
    for level in (1, 2):
        give(writer, level, 40 + level)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    assert accepted is not None
    writer.gone(accepted)
    _, complaint = process.communicate(timeout=10)
    assert process.returncode == 0, complaint
    size = WIDTH * HEIGHT * 2
    assert lines == [f"begin, end, frame_no: ({n}, {n}, {40 + n}) bytes: {size}\n" for n in (1, 2)]
