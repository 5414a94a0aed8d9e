"""Who sits between two processes: a relay carries whole messages, loses them, delays them."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.clocks.between import OnWire, Relay, RelayedStage, Way
from controller.cli.clocks.looks import Looks
from hil.room.records import NEVER
from hil.sim.injection import Window
from hil.sim.means import WIRES

MS = 1_000_000
T0 = 1_000_000 * MS


class Wire:
    """A server, its relay and one client, connected."""

    def __init__(self, folder: Path) -> None:
        self.listener = listening(folder / "orders.sock")
        self.relay = Relay(folder / "orders.sock")
        self.relay.start()
        self.client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.client.connect(str(folder / "orders.sock"))
        self.server, _ = self.listener.accept()
        for one in (self.client, self.server):
            one.settimeout(5)

    def close(self) -> None:
        self.relay.stop()
        for one in (self.client, self.server, self.listener):
            one.close()


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen(4)
    listener.settimeout(5)
    return listener


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    made = Wire(tmp_path)
    yield made
    made.close()


def test_a_relay_carries_whole_messages_both_ways(wire: Wire) -> None:
    for message in (b"one", b"two" * 100, b"x"):
        wire.client.send(message)
        assert wire.server.recv(4096) == message
        wire.server.send(message)
        assert wire.client.recv(4096) == message
    assert wire.relay.carries


def test_the_next_messages_are_lost_in_one_direction(wire: Wire) -> None:
    way = wire.relay.to_server
    way.harm(2, 0)
    for message in (b"1", b"2", b"3", b"4"):
        wire.client.send(message)
    assert [wire.server.recv(64), wire.server.recv(64)] == [b"3", b"4"]
    wire.server.send(b"answer")
    assert wire.client.recv(64) == b"answer"
    assert 0 < way.harmed_ns <= way.whole_ns
    assert wire.relay.to_client.harmed_ns == 0


def test_a_slow_wire_keeps_the_order(wire: Wire) -> None:
    way = wire.relay.to_client
    way.harm(0, 20 * MS)
    begun_ns = time.monotonic_ns()
    wire.server.send(b"late")
    wire.server.send(b"later")
    assert [wire.client.recv(64), wire.client.recv(64)] == [b"late", b"later"]
    assert time.monotonic_ns() - begun_ns >= 20 * MS
    way.clear()
    wire.server.send(b"whole")
    assert wire.client.recv(64) == b"whole"
    assert way.whole_ns > way.harmed_ns > 0


def test_an_end_that_goes_takes_the_other_with_it(wire: Wire) -> None:
    wire.server.close()
    assert wire.client.recv(64) == b""
    assert not wire.relay.carries


def test_behind_a_relay_without_a_server_nobody_answers(wire: Wire, tmp_path: Path) -> None:
    wire.listener.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as late:
        late.settimeout(5)
        late.connect(str(tmp_path / "orders.sock"))
        assert late.recv(64) == b""


def test_a_way_tells_when_it_harmed_and_when_it_was_whole_again() -> None:
    way = Way()
    assert way.takes(1)
    assert (way.harmed_ns, way.whole_ns) == (0, 0)
    way.harm(1, 0)
    assert not way.takes(2)
    assert (way.harmed_ns, way.whole_ns) == (2, 0)
    assert way.takes(3)
    assert way.takes(4)
    assert (way.harmed_ns, way.whole_ns) == (2, 3)
    way.harm(0, 5)
    assert way.takes(6)
    assert (way.harmed_ns, way.whole_ns) == (6, 0)


@pytest.mark.parametrize(
    ("kind", "amount", "lose", "extra_ns"),
    [("loses", 3.0, 3, 0), ("loses", 0.0, 1, 0), ("slow", 30.0, 0, 30 * MS)],
)
def test_a_window_harms_its_wire_from_onset_to_end(
    tmp_path: Path, kind: str, amount: float, lose: int, extra_ns: int
) -> None:
    wire = Wire(tmp_path)
    stage = RelayedStage.__new__(RelayedStage)
    stage.relays = {"orders.sock": wire.relay}
    window = Window("F31", "wire", kind, "orders", amount, 500 * MS, 400 * MS, 0.5)
    strike = OnWire(stage, Looks(Path("/nowhere")), window, T0, 60 * MS)
    strike.begin(T0)
    assert strike.due_ns == T0 + 530 * MS
    strike.act(strike.due_ns)
    way = wire.relay.to_server
    assert (way.lose, way.extra_ns, strike.due_ns) == (lose, extra_ns, T0 + 930 * MS)
    strike.reckon([])
    assert (strike.effect_ns, strike.cleared_ns) == (0, 0), "nothing was sent"
    way.takes(T0 + 540 * MS)
    strike.act(strike.due_ns)
    assert (way.lose, way.extra_ns, strike.due_ns) == (0, 0, NEVER)
    way.takes(T0 + 940 * MS)
    strike.reckon([])
    assert (strike.effect_ns, strike.cleared_ns) == (T0 + 540 * MS, T0 + 940 * MS)
    wire.close()


def test_every_wire_is_a_direction_of_its_own() -> None:
    places = {(place.socket, place.to_server) for place in WIRES.values()}
    assert len(places) == len(WIRES) == 6
    stage = RelayedStage.__new__(RelayedStage)
    relay = Relay.__new__(Relay)
    relay.to_server, relay.to_client = Way(), Way()
    stage.relays = {place.socket: relay for place in WIRES.values()}
    assert stage.way("orders") is relay.to_server
    assert stage.way("reports") is relay.to_client
