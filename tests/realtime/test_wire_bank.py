"""The `wire` driver, packet by packet, over a socket that is a list.

What the port promises stands in `test_line_contract`; here is how each promise is kept: what is
believed, what is forgotten with a connection, what is stamped, and what a repetition may cost.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from realtime.drivers import wire
from realtime.drivers.wire import PACKETS_PER_TURN_MAX, RETRY_NS, WireLines
from realtime.inputs import Inputs
from realtime.limits import MS
from realtime.wire.linebus import KIND_INPUTS, KIND_OUTPUTS, SEQ_MODULUS, decode, encode
from realtime.wire.lines import IN_SAFE, In, mask
from tests.realtime.roomparts import RESTING

pytestmark = [pytest.mark.invariant(3), pytest.mark.invariant(12)]
T0 = 1_000_000 * MS
DOOR, WINDOW, XRAY = mask(In.DOOR), mask(In.WINDOW), mask(In.XRAY_ON)


class Tape:
    """A connected socket: what arrives is a list, what is sent is kept."""

    def __init__(self) -> None:
        self.waiting: list[bytes | OSError] = []
        self.sent: list[bytes] = []
        self.options: dict[int, bool] = {}
        self.calls = 0
        self.open = True
        self.deaf = False

    def setsockopt(self, _level: int, name: int, on: bool) -> None:
        """An option of the connection."""
        self.options[name] = on

    def connect(self, path: str) -> None:
        """There is always somebody."""
        assert path == "/nowhere/lines.sock"

    def recvmsg(self, *_words: int) -> tuple[bytes, list[Any], int, None]:
        """The next packet, or what it raises; nothing waiting would block."""
        self.calls += 1
        if not self.waiting:
            raise BlockingIOError
        first = self.waiting.pop(0)
        if isinstance(first, OSError):
            raise first
        return first, [], 0, None

    def send(self, packet: bytes, _flags: int) -> int:
        """Keep it, or refuse to."""
        if self.deaf:
            raise BlockingIOError(errno.EAGAIN, "full")
        self.sent.append(packet)
        return len(packet)

    def close(self) -> None:
        """The driver gave it up."""
        self.open = False

    def fileno(self) -> int:
        """Some number."""
        return 77


class Bus:
    """A driver, the tape it is connected to, and a clock; stamps are `arrived_ns`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.lines = WireLines(Path("/nowhere/lines.sock"))
        self.now_ns = self.arrived_ns = T0
        self.floors: list[int] = []
        self.seq = 0
        self.tape = Tape()
        monkeypatch.setattr(wire, "arrival_ns", self._arrival)
        self.connect()

    def _arrival(self, _words: Any, _offset_ns: int, floor_ns: int) -> int:
        self.floors.append(floor_ns)
        return self.arrived_ns

    def connect(self) -> None:
        """As `_connect` does with a socket of its own."""
        self.tape, self.seq = Tape(), 0
        with self._patch.context() as patch:
            patch.setattr(socket, "socket", lambda *_words: self.tape)
            self.lines._connect(self.now_ns)

    def tell(self, levels: int = RESTING) -> bytes:
        """One good snapshot arrives."""
        packet = encode(KIND_INPUTS, self.seq, 0, levels)
        self.seq = (self.seq + 1) % SEQ_MODULUS
        self.tape.waiting.append(packet)
        return packet

    def read(self, after_ns: int = MS) -> Inputs:
        """A turn, and when the packets came: just before it."""
        self.now_ns += after_ns
        self.arrived_ns = self.now_ns - 1
        return self.lines.drain(self.now_ns)


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Bus:
    return Bus(monkeypatch)


@pytest.fixture
def resting(bus: Bus) -> Bus:
    bus.tell()
    assert bus.read().link
    return bus


def test_a_driver_that_was_never_connected_knows_nothing() -> None:
    lines = WireLines(Path("/nowhere/lines.sock"))
    assert lines.drain(0) == Inputs()
    assert (lines.fileno(), lines.packet, lines.packets, lines.gaps) == (-1, b"", 0, 0)
    assert lines._retry_ns == RETRY_NS == 100 * MS


def test_the_first_thing_sent_is_dark_under_number_0_and_stamps_are_asked_for(bus: Bus) -> None:
    (first,) = (decode(packet, KIND_OUTPUTS) for packet in bus.tape.sent)
    assert (first.seq, first.levels) == (0, 0)
    assert bus.tape.options == {35: True}


def test_a_connection_sends_what_was_last_sent_under_number_0_again(resting: Bus) -> None:
    assert resting.lines.send(T0, 5)
    resting.lines.close()
    assert resting.lines.fileno() == -1
    assert resting.lines.send(T0, 7) is False
    resting.connect()
    (first,) = (decode(packet, KIND_OUTPUTS) for packet in resting.tape.sent)
    assert (first.seq, first.levels) == (0, 7)


def test_what_cannot_be_sent_ends_the_connection(
    resting: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    resting.tape.deaf = True
    assert resting.lines.send(T0, 1) is False
    assert (resting.lines.fileno(), resting.tape.open) == (-1, False)
    assert "line bus lost: send: full" in caplog.text


def test_a_bank_is_what_its_newest_snapshot_says_and_the_gate_gets_its_bytes(bus: Bus) -> None:
    bus.tell(IN_SAFE)
    newest = bus.tell()
    inputs = bus.read()
    assert (inputs.link, inputs.epoch, inputs.levels) == (True, 1, RESTING)
    assert (bus.lines.packet, bus.lines.packets, bus.lines.received_ns) == (newest, 2, T0 + MS - 1)
    again = bus.tell()
    bus.read()
    assert (bus.lines.packet, bus.lines.packets) == (again, 3)


def test_nothing_is_stamped_that_did_not_move(resting: Bus) -> None:
    """The pedals' contacts moved with the first snapshot; window and X-rays never did."""
    first_ns = resting.arrived_ns
    still = resting.lines.drain(resting.now_ns)
    assert still[4:] == (0, 0, 0, 0, 0, first_ns)
    resting.tell(RESTING & ~DOOR)
    moved = resting.read()
    assert moved[4:] == (0, 0, 0, 0, 0, first_ns)
    assert moved.unsafe_edges == DOOR


def test_each_edge_is_stamped_in_its_own_place(resting: Bus) -> None:
    rest_ns = resting.arrived_ns
    stamps: list[int] = []
    for levels in (RESTING | WINDOW, RESTING | WINDOW | XRAY, RESTING | WINDOW, RESTING):
        resting.tell(levels)
        resting.read()
        stamps.append(resting.arrived_ns)
    opened, on, off, shut = stamps
    seen = resting.read()
    assert seen[4:] == (opened, shut, on, off, 0, rest_ns)
    resting.tell(RESTING | mask(In.FLUORO_NO))
    assert resting.read().pedal_edge_ns == resting.arrived_ns


def test_rises_of_x_rays_are_counted_per_turn(resting: Bus) -> None:
    for levels in (RESTING | XRAY, RESTING, RESTING | XRAY):
        resting.tell(levels)
    assert resting.read().xray_rises == 2
    assert resting.read().xray_rises == 0


def test_fifteen_ms_is_fresh_and_no_more(resting: Bus) -> None:
    arrived_ns = resting.arrived_ns
    assert resting.lines.drain(arrived_ns + 15 * MS).link
    stale = resting.lines.drain(arrived_ns + 15 * MS + 1)
    assert (stale.link, stale.levels, stale.epoch) == (False, IN_SAFE, 1)
    assert resting.lines.drain(arrived_ns - 5).link, "a stamp may be later than the turn's now"


def test_the_oldest_a_packet_can_be_is_the_turn_before(resting: Bus) -> None:
    before_ns = resting.now_ns
    resting.tell(RESTING & ~DOOR)
    resting.read()
    resting.tell(RESTING & ~DOOR)
    resting.read()
    assert resting.floors[-2:] == [before_ns, before_ns + MS]


def test_a_repetition_is_not_decoded_and_gives_the_very_same_values(
    resting: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From number 0 on: most packets of a day repeat the bank."""

    def refuse(packet: bytes, kind: int) -> Any:
        raise AssertionError("decoded")

    same = resting.lines.drain(resting.now_ns)
    assert resting.lines._seq_in == 0
    monkeypatch.setattr(wire, "decode", refuse)
    for packets in (2, 3, 4):
        resting.tell()
        assert resting.read() is same
        assert resting.lines.packets == packets
    assert resting.lines.received_ns == resting.arrived_ns


def test_values_are_made_anew_after_an_edge_and_while_one_is_told(resting: Bus) -> None:
    resting.tell(RESTING & ~DOOR)
    edged = resting.read()
    assert edged.unsafe_edges == DOOR
    assert resting.read().unsafe_edges == 0


def test_reading_ends_where_nothing_waits(resting: Bus) -> None:
    before = resting.tape.calls
    resting.tell()
    resting.read()
    assert resting.tape.calls == before + 2
    for _ in range(PACKETS_PER_TURN_MAX + 9):
        resting.tell()
    before = resting.tape.calls
    resting.read()
    assert resting.tape.calls == before + PACKETS_PER_TURN_MAX == before + 64


@pytest.mark.parametrize("levels", [RESTING, RESTING & ~DOOR])
def test_a_gap_is_unknown_for_its_turn_and_one_epoch_more(resting: Bus, levels: int) -> None:
    resting.seq += 1
    resting.tell(levels)
    lost = resting.read()
    assert (lost.link, lost.levels, lost.epoch, resting.lines.gaps) == (False, IN_SAFE, 2, 1)
    resting.tell(levels)
    found = resting.read()
    assert (found.link, found.levels, found.epoch) == (True, levels, 2)


def test_a_gap_is_not_mended_by_what_follows_on_the_same_turn(resting: Bus) -> None:
    resting.seq += 1
    for _ in range(3):
        resting.tell(RESTING & ~DOOR)
    assert not resting.read().link


@pytest.mark.parametrize(
    ("last", "words"),
    [(b"", "closed by the peer"), (b"\x00" * 5, "length"), (b"\x00" * 28, ""),
     (ConnectionResetError(errno.ECONNRESET, "reset"), "receive: reset")],
)  # fmt: skip
def test_a_lost_connection_is_unknown_on_that_turn_whatever_came_before(
    resting: Bus, last: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    resting.tell()
    resting.tape.waiting.append(last)
    lost = resting.read()
    assert (lost.link, lost.levels, lost.epoch) == (False, IN_SAFE, 2)
    assert (resting.lines.fileno(), resting.tape.open) == (-1, False)
    assert f"line bus lost: {words}" in caplog.text


def test_a_new_connection_knows_nothing_until_its_first_snapshot(resting: Bus) -> None:
    """Not even right after the old one, and not if it was our own side that closed."""
    resting.lines.close()
    resting.connect()
    waiting = resting.lines.drain(resting.now_ns)
    assert (waiting.link, waiting.epoch) == (False, 2)
    resting.tell()
    found = resting.read()
    assert (found.link, found.epoch) == (True, 2), "not what the old connection last gave"


def test_a_snapshot_that_waits_at_once_is_the_new_connection_s(resting: Bus) -> None:
    resting.read()
    resting.lines.close()
    resting.connect()
    resting.tell()
    found = resting.read()
    assert (found.link, found.epoch) == (True, 2), "not what the old one gave last"


def test_the_first_snapshot_of_a_new_connection_is_news_even_when_all_is_low(
    resting: Bus,
) -> None:
    resting.tape.waiting.append(b"")
    assert resting.read().epoch == 2
    resting.connect()
    resting.tell(IN_SAFE)
    found = resting.read()
    assert (found.link, found.epoch, found.levels) == (True, 3, IN_SAFE)


def test_edges_are_counted_from_what_is_safe_after_a_loss(resting: Bus) -> None:
    resting.tape.waiting.append(b"")
    resting.read()
    resting.connect()
    resting.tell(RESTING & ~DOOR)
    found = resting.read()
    assert (found.levels, found.unsafe_edges & DOOR) == (RESTING & ~DOOR, 0)


def test_the_number_after_the_last_is_0(resting: Bus) -> None:
    resting.lines._seq_in = SEQ_MODULUS - 1
    resting.tell()
    resting.seq = 0
    resting.tape.waiting.clear()
    resting.tell()
    assert resting.read().link
    assert resting.lines._seq_in == 0
