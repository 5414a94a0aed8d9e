"""The adapter as its client sees it: the raw protocol, and python-can's own slcan interface."""

import os
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.rig import slcan_pty
from hil.rig.slcan_pty import COMMAND_BYTES_MAX, SlcanAdapter, frame_of, frame_text


@pytest.fixture
def adapter(tmp_path: Path) -> Iterator[SlcanAdapter]:
    bus = SlcanAdapter(tmp_path / "can")
    yield bus
    bus.shutdown()
    assert not (tmp_path / "can").exists() and not (tmp_path / "can").is_symlink()


@pytest.fixture
def raw(adapter: SlcanAdapter, tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "can", os.O_RDWR | os.O_NOCTTY)
    yield fd
    os.close(fd)


def say(adapter: SlcanAdapter, fd: int, command: bytes, wait_s: float = 0.05) -> bytes:
    """Send a command, let the adapter obey, return its reply."""
    os.write(fd, command)
    adapter.recv(timeout=wait_s)
    got = b""
    while select.select([fd], [], [], 0.02)[0]:
        got += os.read(fd, 4096)
    return got


def test_the_commands_of_cheap_adapters(adapter: SlcanAdapter, raw: int) -> None:
    assert say(adapter, raw, b"V\r") == b"V1013\r"
    assert say(adapter, raw, b"N\r") == b"NRIG1\r"
    assert say(adapter, raw, b"C\r") == b"\r"
    assert say(adapter, raw, b"S8\r") == b"\r"
    assert say(adapter, raw, b"F\r") == b"\a"
    assert say(adapter, raw, b"O\r") == b"\r"
    assert say(adapter, raw, b"F\r") == b"F00\r"
    assert say(adapter, raw, b"O\r") == b"\a"
    assert say(adapter, raw, b"S6\r") == b"\a"
    assert say(adapter, raw, b"t12321122\r") == b"\r"
    assert say(adapter, raw, b"C\r") == b"\r"
    assert say(adapter, raw, b"t12321122\r") == b"\a"


@pytest.mark.parametrize(
    "command", [b"q", b"t", b"t12", b"t1239", b"t123", b"t8001AA", b"t1232AA", b"tXYZ0", b"\xff",
                b"T1234", b"t1231A", b"r12309AA"],
)  # fmt: skip
def test_malformed_commands_get_a_bell(adapter: SlcanAdapter, raw: int, command: bytes) -> None:
    say(adapter, raw, b"O\r")
    assert say(adapter, raw, command + b"\r") == b"\a"
    assert adapter.commands_bad == 1
    assert say(adapter, raw, b"t1230\r") == b"\r"


def test_an_endless_line_is_cut(adapter: SlcanAdapter, raw: int) -> None:
    assert say(adapter, raw, b"t" * (COMMAND_BYTES_MAX + 1)) == b"\a"
    assert say(adapter, raw, b"V\r") == b"V1013\r"


def test_nothing_is_delivered_while_closed(adapter: SlcanAdapter, raw: int) -> None:
    adapter.send(can.Message(arbitration_id=0x190, is_extended_id=False, data=b"\1"))
    assert say(adapter, raw, b"O\r") == b"\r"
    adapter.send(can.Message(arbitration_id=0x190, is_extended_id=False, data=b"\2"))
    assert say(adapter, raw, b"V\r") == b"t190102\rV1013\r"


def test_a_new_client_gets_nothing_of_the_old_one(
    adapter: SlcanAdapter, raw: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slcan_pty, "STALLED_S", 0.05)
    say(adapter, raw, b"O\r")
    until = time.monotonic() + 5
    while adapter.is_open and time.monotonic() < until:
        adapter.send(can.Message(arbitration_id=1, is_extended_id=False, data=bytes(8)))
    assert not adapter.is_open
    with can.Bus(
        interface="slcan", channel=str(tmp_path / "can"), bitrate=1_000_000, sleep_after_open=0
    ) as client:
        adapter.recv(timeout=0.2)
        assert adapter.is_open
        adapter.send(can.Message(arbitration_id=5, is_extended_id=False, data=b"\1"))
        heard = client.recv(timeout=2)
        while heard is None:
            heard = client.recv(timeout=2)
        assert heard.arbitration_id == 5


def test_opening_never_takes_bytes_from_a_client_that_reads(
    adapter: SlcanAdapter, tmp_path: Path
) -> None:
    # python-can dies of a read that returns nothing after select said readable
    heard: list[can.Message | None] = []
    for _ in range(20):
        with can.Bus(
            interface="slcan", channel=str(tmp_path / "can"), bitrate=1_000_000,
            sleep_after_open=0, timeout=0.02,
        ) as client:  # fmt: skip
            reading = threading.Thread(target=lambda: heard.append(client.recv(timeout=1)))
            reading.start()
            adapter.recv(timeout=0.001)
            adapter.send(can.Message(arbitration_id=7, is_extended_id=False))
            reading.join()
    assert len(heard) == 20


def test_a_client_that_does_not_read_loses_whole_frames(adapter: SlcanAdapter, raw: int) -> None:
    say(adapter, raw, b"O\r")
    sent = 6000
    for number in range(sent):
        adapter.send(can.Message(
            arbitration_id=1, is_extended_id=False, data=number.to_bytes(8, "big")
        ))  # fmt: skip
    lost = adapter.frames_lost
    assert 0 < lost < sent
    got = b""
    until = time.monotonic() + 5
    while got.count(b"\r") < sent - lost and time.monotonic() < until:
        if select.select([raw], [], [], 0)[0]:
            got += os.read(raw, 65_536)
        adapter.recv(timeout=0)
    lines = got.split(b"\r")[:-1]
    assert len(lines) == sent - lost
    assert all(len(line) == 21 for line in lines)


def test_off_the_bus_nothing_passes(adapter: SlcanAdapter, raw: int) -> None:
    say(adapter, raw, b"O\r")
    adapter.is_off_bus = True
    adapter.send(can.Message(arbitration_id=1, is_extended_id=False, data=b"\1"))
    assert say(adapter, raw, b"t1230\r") == b"\r"
    assert adapter.recv(timeout=0) is None


FRAMES = st.builds(
    lambda extended, number, remote, payload: can.Message(
        arbitration_id=number % (1 << 29 if extended else 1 << 11), is_extended_id=extended,
        is_remote_frame=remote, dlc=len(payload), data=None if remote else payload,
    ),
    st.booleans(), st.integers(0, (1 << 29) - 1), st.booleans(), st.binary(max_size=8),
)  # fmt: skip


@given(FRAMES)
def test_every_frame_survives_its_line(message: can.Message) -> None:
    again = frame_of(frame_text(message)[:-1])
    assert again is not None
    assert again.equals(message, timestamp_delta=None)


@given(st.binary(max_size=40))
def test_any_line_is_a_frame_or_refused(line: bytes) -> None:
    message = frame_of(line)
    assert message is None or len(message.data) <= 8


def test_python_cans_slcan_talks_with_it(adapter: SlcanAdapter, tmp_path: Path) -> None:
    with can.Bus(
        interface="slcan", channel=str(tmp_path / "can"), bitrate=1_000_000, sleep_after_open=0
    ) as client:
        sent = can.Message(arbitration_id=0x610, is_extended_id=False, data=b"\x40\0\x20\1\0\0\0\0")
        client.send(sent)
        heard = adapter.recv(timeout=2)
        assert heard is not None
        assert heard.equals(sent, timestamp_delta=None)
        adapter.send(can.Message(arbitration_id=0x590, is_extended_id=False, data=b"abc"))
        answer = client.recv(timeout=2)
        while answer is None:
            answer = client.recv(timeout=2)
        assert (answer.arbitration_id, bytes(answer.data)) == (0x590, b"abc")
