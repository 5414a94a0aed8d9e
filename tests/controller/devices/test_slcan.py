"""The serial adapter: lines as they come, whole, in order, and bounded."""

import os
import pty
import tty
from collections.abc import Iterator

import can
import pytest

from controller.devices.slcan import LINE_BYTES_MAX, SlcanBus


class Adapter:
    """A pty; what is written to it is what an adapter says."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.bus = SlcanBus(os.ttyname(slave), bitrate=1_000_000, sleep_after_open=0, timeout=0.02)
        os.close(slave)
        self.bus.flush()

    def says(self, words: bytes) -> None:
        os.write(self.master, words)

    def close(self) -> None:
        self.bus.shutdown()
        os.close(self.master)


@pytest.fixture
def adapter() -> Iterator[Adapter]:
    made = Adapter()
    yield made
    made.close()


def heard(adapter: Adapter) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    while frame := adapter.bus.recv(0.05):
        found.append((frame.arbitration_id, bytes(frame.data)))
    return found


def test_frames_that_came_together_are_given_one_by_one(adapter: Adapter) -> None:
    adapter.says(b"t1812ABCD\rt70110A\r\rt2010\r")
    assert heard(adapter) == [(0x181, b"\xab\xcd"), (0x701, b"\x0a"), (0x201, b"")]


def test_a_line_in_two_pieces_is_one_line(adapter: Adapter) -> None:
    adapter.says(b"t1812A")
    assert heard(adapter) == []
    adapter.says(b"BCD\r")
    assert heard(adapter) == [(0x181, b"\xab\xcd")]


def test_an_error_ends_a_line_too(adapter: Adapter) -> None:
    adapter.says(b"\at70110A\r")
    assert heard(adapter) == [(0x701, b"\x0a")]


def test_what_never_ends_is_thrown_away_and_counted(adapter: Adapter) -> None:
    adapter.says(b"t" * LINE_BYTES_MAX)
    assert heard(adapter) == []
    assert adapter.bus.overlong == 0
    adapter.says(b"tt")
    assert heard(adapter) == []
    assert adapter.bus.overlong == 1
    adapter.says(b"t70110A\r")
    assert heard(adapter) == [(0x701, b"\x0a")]


def test_what_was_not_taken_can_be_forgotten(adapter: Adapter) -> None:
    adapter.says(b"t70110A\rt70110B\r")
    assert adapter.bus.recv(0.5) is not None
    adapter.bus.flush()
    assert heard(adapter) == []


def test_a_port_that_is_gone_is_an_error_of_the_bus(adapter: Adapter) -> None:
    adapter.bus.serialPortOrig.close()
    with pytest.raises(can.CanError):
        adapter.bus.recv(0.05)
    adapter.bus.serialPortOrig.open()
