"""The port of a line driver, kept by the `wire` driver over a real socket.

What is unknown reads safe: gaps, age, malformed packets, a closed connection.  Nothing blocks and
nothing raises, whatever the peer does.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime import clock
from realtime.drivers import wire
from realtime.drivers.port import LineDriver
from realtime.drivers.wire import PACKETS_PER_TURN_MAX, RETRY_NS, WireLines
from realtime.inputs import Inputs
from realtime.limits import MS, S
from realtime.wire.linebus import KIND_INPUTS, KIND_OUTPUTS, SEQ_MODULUS, encode
from realtime.wire.lines import IN_ALL, IN_SAFE, UNSAFE_WHEN_HIGH, UNSAFE_WHEN_LOW, In, Out, mask
from tests.realtime.peers import LinePeer
from tests.realtime.roomparts import RESTING


class Bench:
    """One driver and its peer."""

    def __init__(self, run_dir: Path) -> None:
        self.peer = LinePeer(run_dir / "lines.sock")
        self.lines = WireLines(run_dir / "lines.sock")

    def connect(self, first_seq: int = 0) -> "Bench":
        self.peer.seq = first_seq
        self.lines._retry_ns = 0
        self.lines.drain(time.monotonic_ns())
        self.peer.accept()
        return self

    def read(self, later_ns: int = 0) -> Inputs:
        return self.lines.drain(time.monotonic_ns() + later_ns)

    def close(self) -> None:
        self.lines.close()
        self.peer.close()


@pytest.fixture
def bench(run_dir: Path) -> Iterator[Bench]:
    made = Bench(run_dir)
    yield made
    made.close()


def fresh(bench: Bench, levels: int = RESTING) -> Inputs:
    """A connection that has been read once in good order."""
    bench.connect()
    bench.peer.tell(levels)
    inputs = bench.read()
    assert inputs.link
    return inputs


def test_it_keeps_the_port(bench: Bench) -> None:
    driver: LineDriver = bench.lines
    assert driver.fileno() == -1
    assert driver.packet == b""
    assert driver.received_ns == 0


def test_without_a_peer_everything_is_unknown_and_nothing_raises(run_dir: Path) -> None:
    lines = WireLines(run_dir / "nobody.sock")
    inputs = lines.drain(time.monotonic_ns())
    assert (inputs.link, inputs.levels) == (False, IN_SAFE)
    assert lines.send(0, mask(Out.PULSE)) is False
    assert lines.fileno() == -1
    lines.close()


def test_a_retry_waits_its_time(run_dir: Path) -> None:
    lines = WireLines(run_dir / "lines.sock")
    now_ns = time.monotonic_ns()
    lines.drain(now_ns)
    peer = LinePeer(run_dir / "lines.sock")
    lines.drain(now_ns + RETRY_NS - 1)
    assert lines.fileno() == -1
    lines.drain(now_ns + RETRY_NS)
    assert lines.fileno() >= 0
    lines.close()
    peer.close()


def test_a_connection_without_a_snapshot_is_still_unknown(bench: Bench) -> None:
    bench.connect()
    assert not bench.read().link
    bench.peer.tell()
    inputs = bench.read()
    assert inputs.link
    assert inputs.levels == RESTING


@settings(max_examples=30)
@given(st.lists(st.integers(0, IN_ALL), min_size=1, max_size=20))
def test_the_newest_levels_hold_and_every_unsafe_edge_is_kept(banks: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        bench.connect()
        bench.peer.tell(0)
        bench.read()
        before, unsafe = 0, 0
        for levels in banks:
            bench.peer.tell(levels)
            unsafe |= (before & ~levels & ~UNSAFE_WHEN_HIGH) & UNSAFE_WHEN_LOW
            unsafe |= levels & ~before & UNSAFE_WHEN_HIGH
            before = levels
        inputs = bench.read()
        again = bench.read()
        bench.close()
    assert inputs.levels == banks[-1]
    assert inputs.unsafe_edges == unsafe
    assert again.unsafe_edges == 0
    assert again.xray_rises == 0


def test_an_edge_that_came_and_went_is_believed_to_the_unsafe_side_only(bench: Bench) -> None:
    fresh(bench)
    bench.peer.tell(RESTING & ~mask(In.ESTOP))
    bench.peer.tell(RESTING)
    inputs = bench.read()
    assert inputs.levels == RESTING
    assert inputs.unsafe_edges == mask(In.ESTOP)
    bench.peer.tell(RESTING | mask(In.FLUORO_NO))
    bench.peer.tell(RESTING)
    inputs = bench.read()
    assert not inputs.levels & mask(In.FLUORO_NO)
    assert inputs.unsafe_edges == mask(In.FLUORO_NO)


def test_edges_of_window_and_x_rays_are_stamped_and_counted(bench: Bench) -> None:
    fresh(bench)
    before_ns = time.monotonic_ns()
    for levels in (mask(In.WINDOW), mask(In.WINDOW, In.XRAY_ON), mask(In.WINDOW),
                   mask(In.WINDOW, In.XRAY_ON), 0):  # fmt: skip
        bench.peer.tell(RESTING | levels)
    inputs = bench.read()
    assert inputs.xray_rises == 2
    assert before_ns <= inputs.window_rise_ns <= inputs.xray_rise_ns
    assert inputs.xray_rise_ns <= inputs.xray_fall_ns <= time.monotonic_ns()
    assert inputs.window_fall_ns >= inputs.xray_rise_ns


def test_a_gap_is_unknown_for_that_turn_and_a_new_epoch(bench: Bench) -> None:
    first = fresh(bench)
    bench.peer.seq += 1
    bench.peer.tell()
    inputs = bench.read()
    assert (inputs.link, inputs.levels) == (False, IN_SAFE)
    assert inputs.epoch > first.epoch
    assert bench.lines.gaps == 1
    bench.peer.tell()
    assert bench.read().link


def test_a_repeated_number_is_a_gap(bench: Bench) -> None:
    fresh(bench)
    bench.peer.seq -= 1
    bench.peer.tell()
    assert not bench.read().link


def test_numbers_wrap(bench: Bench) -> None:
    bench.connect(first_seq=SEQ_MODULUS - 2)
    epochs = set()
    for _ in range(5):
        bench.peer.tell()
        inputs = bench.read()
        assert inputs.link
        epochs.add(inputs.epoch)
    assert len(epochs) == 1
    assert bench.lines.gaps == 0


def test_our_own_numbers_wrap_too(bench: Bench) -> None:
    bench.connect()
    bench.peer.heard()
    bench.lines._seq_out = SEQ_MODULUS - 1
    assert bench.lines.send(0, 1)
    assert bench.lines.send(0, 2)
    assert [s.seq for s in bench.peer.heard()] == [SEQ_MODULUS - 1, 0]


def test_an_old_snapshot_is_unknown(bench: Bench) -> None:
    fresh(bench)
    assert bench.read(14 * MS).link
    stale = bench.read(16 * MS + S)
    assert (stale.link, stale.levels) == (False, IN_SAFE)


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (b"x", "length"),
        (bytes(29), "length"),
        (bytes(28), "magic"),
        (encode(KIND_INPUTS, 1, 0, RESTING)[:-1] + b"\0", "crc"),
        (encode(KIND_INPUTS, 1, 0, IN_ALL + 1), "levels"),
        (encode(KIND_OUTPUTS, 1, 0, 0), "kind"),
    ],
)
def test_a_malformed_packet_is_counted_and_ends_the_connection(
    bench: Bench, packet: bytes, code: str
) -> None:
    first = fresh(bench)
    bench.peer.raw(packet)
    inputs = bench.read()
    assert (inputs.link, inputs.levels) == (False, IN_SAFE)
    assert inputs.epoch > first.epoch
    assert bench.lines.malformed == {code: 1}
    assert bench.lines.fileno() == -1


def test_a_malformed_kind_is_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        bench.connect()
        bench.peer.raw(b"x")
        bench.read()
        bench.peer.hang_up()
    assert bench.lines.malformed == {"length": 3}
    assert len([r for r in caplog.records if "malformed" in r.message]) == 1


def test_a_closed_connection_is_unknown_and_the_next_one_a_new_epoch(bench: Bench) -> None:
    first = fresh(bench)
    bench.peer.hang_up()
    lost = bench.read()
    assert (lost.link, lost.levels) == (False, IN_SAFE)
    bench.connect()
    bench.peer.tell()
    again = bench.read()
    assert again.link
    assert again.epoch > lost.epoch > first.epoch


def test_the_first_thing_after_a_connection_is_our_own_bank(bench: Bench) -> None:
    bench.lines.send(0, mask(Out.LAMP))
    bench.connect()
    assert [(s.seq, s.levels) for s in bench.peer.heard()] == [(0, mask(Out.LAMP))]


def test_a_flood_is_read_in_portions_and_what_is_old_is_not_believed(bench: Bench) -> None:
    fresh(bench)
    sent, turns, longest_ns = 0, 0, 0
    while sent < 10_000:
        try:
            while sent < 10_000:
                bench.peer.tell()
                sent += 1
        except BlockingIOError:
            pass
        before_ns = time.monotonic_ns()
        bench.read()
        longest_ns = max(longest_ns, time.monotonic_ns() - before_ns)
        turns += 1
    assert turns >= 10_000 // (4 * PACKETS_PER_TURN_MAX) // 4
    assert longest_ns < 500 * MS
    for _ in range(400):
        bench.read()
    assert bench.lines.gaps == 0
    bench.peer.tell()
    assert bench.read().link


def test_a_turn_reads_no_more_than_its_portion(bench: Bench) -> None:
    fresh(bench)
    for n in range(PACKETS_PER_TURN_MAX + 5):
        bench.peer.tell(RESTING if n < PACKETS_PER_TURN_MAX else RESTING & ~mask(In.DOOR))
    assert bench.read().levels == RESTING
    inputs = bench.read()
    assert inputs.unsafe_edges == mask(In.DOOR)


def test_a_peer_that_does_not_read_never_blocks_us(bench: Bench) -> None:
    fresh(bench)
    before_ns = time.monotonic_ns()
    sent = 0
    while bench.lines.send(time.monotonic_ns(), sent & 1) and sent < 100_000:
        sent += 1
    assert sent < 100_000
    assert time.monotonic_ns() - before_ns < 5 * S
    assert bench.lines.fileno() == -1
    assert not bench.read().link


@pytest.mark.parametrize("step_ns", [3600 * S, -3600 * S, 20 * MS, -20 * MS])
def test_a_step_of_the_wall_clock_makes_nothing_look_fresher(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step_ns: int
) -> None:
    fresh(bench)
    turn_ns = bench.lines._turn_ns
    true_offset: Callable[[], int] = clock.wall_offset_ns
    monkeypatch.setattr(wire, "wall_offset_ns", lambda: true_offset() - step_ns)
    bench.peer.tell()
    sent_ns = time.monotonic_ns()
    inputs = bench.read()
    assert bench.lines.received_ns <= sent_ns
    assert bench.lines.received_ns >= turn_ns
    assert inputs.levels in (RESTING, IN_SAFE)
    assert not bench.read(16 * MS + S).link


def test_arrivals_carry_the_stamp_of_the_kernel(bench: Bench) -> None:
    fresh(bench)
    bench.read()
    before_ns = time.monotonic_ns()
    bench.peer.tell()
    after_ns = time.monotonic_ns()
    time.sleep(0.02)
    bench.read()
    assert before_ns - MS <= bench.lines.received_ns <= after_ns + MS


def test_a_message_without_a_stamp_is_as_old_as_can_be() -> None:
    now_ns = time.monotonic_ns()
    assert clock.arrival_ns([], 0, now_ns - 5) == now_ns - 5
    assert clock.arrival_ns([(1, 99, b"")], 0, now_ns - 5) == now_ns - 5
    assert clock.arrival_ns([(1, clock.SO_TIMESTAMPNS, b"short")], 0, now_ns - 5) == now_ns - 5
    assert clock.arrival_ns([], 0, now_ns + S) < now_ns + S


def test_closing_twice_is_fine(bench: Bench) -> None:
    fresh(bench)
    bench.lines.close()
    bench.lines.close()
    assert bench.lines.fileno() == -1
