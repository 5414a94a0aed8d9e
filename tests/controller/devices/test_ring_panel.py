"""The ring driver against a real ring: doorbells, gaps, tears, and drivers that speak nonsense."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from controller.devices.panel import PanelLost
from controller.devices.ring_panel import open_panel
from realtime.wire import ring
from realtime.wire.doorbell import pack_doorbell, pack_hello
from tests.controller.imaging.peers import Panel

SIZE = 64


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Panel]:
    made = Panel(tmp_path / "panel.sock", SIZE, SIZE, slots=4)
    yield made
    made.close()


def test_frames_arrive_whole(source: Panel, tmp_path: Path) -> None:
    panel = open_panel(tmp_path / "panel.sock")
    assert panel.open()
    assert source.accepted()
    pixels = source.frame(500)
    source.ring(source.write(pixels, 1000))
    source.ring(source.write(source.frame(500), 2000))
    assert panel.arrivals() == [1, 2]
    out = np.zeros((SIZE, SIZE), dtype=np.uint16)
    slot = panel.read(1, out)
    assert slot is not None
    assert slot == panel.header(1)
    assert slot.integration_open_ns == 1000
    assert np.array_equal(out, pixels)
    assert panel.arrivals() == []
    panel.close()
    assert panel.fileno() == -1


def test_a_skipped_doorbell_loses_no_frame_that_is_still_there(
    source: Panel, tmp_path: Path
) -> None:
    panel = open_panel(tmp_path / "panel.sock")
    panel.open()
    source.accepted()
    source.ring(1)
    source.ring(3)
    source.ring(3)
    source.ring(2)
    assert panel.arrivals() == [1, 2, 3]
    source.ring(20)
    assert panel.arrivals() == [18, 19, 20]
    panel.close()


def test_joining_in_the_middle_starts_with_the_next_frame(source: Panel, tmp_path: Path) -> None:
    for _ in range(6):
        source.write(source.frame(1), 0)
    panel = open_panel(tmp_path / "panel.sock")
    panel.open()
    source.accepted()
    source.ring(6)
    assert panel.arrivals() == [6]
    panel.close()


def test_a_slot_being_written_or_overwritten_is_not_believed(source: Panel, tmp_path: Path) -> None:
    panel = open_panel(tmp_path / "panel.sock")
    panel.open()
    source.accepted()
    source.ring(source.write(source.frame(1), 0))
    panel.arrivals()
    out = np.zeros((SIZE, SIZE), dtype=np.uint16)
    ring.begin(source.view, source.layout, 5)
    assert panel.header(1) is None
    assert panel.read(1, out) is None
    panel.close()


def test_nobody_there(tmp_path: Path) -> None:
    panel = open_panel(tmp_path / "panel.sock")
    assert not panel.open()
    assert panel.fileno() == -1


def test_a_panel_that_closes_is_lost_and_can_be_opened_again(source: Panel, tmp_path: Path) -> None:
    panel = open_panel(tmp_path / "panel.sock")
    panel.open()
    source.accepted()
    panel.arrivals()
    source.drop()
    with pytest.raises(PanelLost, match="closed"):
        panel.arrivals()
    assert panel.open()
    assert source.accepted()
    panel.arrivals()
    assert panel.layout == source.layout
    panel.close()


@pytest.mark.parametrize(
    ("hello", "descriptors", "ring_bytes"),
    [
        (b"short", 1, 1 << 20),
        (pack_hello(1 << 20), 0, 1 << 20),
        (pack_hello(1 << 21), 1, 1 << 20),
        (pack_hello(0), 1, 1 << 20),
        (pack_hello(1 << 20), 1, 1 << 20),
        (pack_doorbell(1), 1, 1 << 20),
    ],
)
def test_a_nonsense_hello_is_a_lost_panel(
    tmp_path: Path, hello: bytes, descriptors: int, ring_bytes: int
) -> None:
    path = tmp_path / "panel.sock"
    memory = os.memfd_create("nonsense")
    os.ftruncate(memory, ring_bytes)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        panel = open_panel(path)
        panel.open()
        peer, _ = listener.accept()
        socket.send_fds(peer, [hello], [memory] * descriptors)
        with pytest.raises(PanelLost) as lost:
            panel.arrivals()
        assert lost.value.code == "hello"
        panel.close()
        peer.close()
    os.close(memory)


def test_a_nonsense_doorbell_is_a_lost_panel(source: Panel, tmp_path: Path) -> None:
    panel = open_panel(tmp_path / "panel.sock")
    panel.open()
    source.accepted()
    source._readers[0].send(b"garbage")
    with pytest.raises(PanelLost) as lost:
        panel.arrivals()
    assert lost.value.code == "doorbell"
    panel.close()
