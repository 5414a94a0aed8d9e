"""Links: they come back, never block, and survive whatever is sent to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.imaging.links import RETRY_NS_MAX, RETRY_NS_MIN, Backoff, Link
from realtime.wire.messages import MESSAGE_BYTES_MAX, DarkFrame, Hello, Verdict
from tests.controller.imaging.peers import Server

HELLO = Hello("imaging", 3, 1, 0, "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "peer.sock"


@pytest.fixture
def server(path: Path) -> Iterator[Server]:
    made = Server(path)
    yield made
    made.close()


@pytest.fixture
def link(path: Path) -> Iterator[Link]:
    made = Link("peer", path, HELLO)
    yield made
    made.close()


def test_back_off_doubles_up_to_its_bound_and_starts_over() -> None:
    backoff = Backoff()
    pauses = []
    for _ in range(8):
        backoff.failed(1000)
        pauses.append(backoff.due_ns - 1000)
    assert pauses[:3] == [RETRY_NS_MIN, 2 * RETRY_NS_MIN, 4 * RETRY_NS_MIN]
    assert pauses[-1] == RETRY_NS_MAX
    backoff.succeeded()
    backoff.failed(0)
    assert backoff.due_ns == RETRY_NS_MIN


def test_nobody_there_is_tried_again_when_due(link: Link, path: Path) -> None:
    assert not link.connect(0)
    assert link.retry_ns == RETRY_NS_MIN
    assert link.fileno() == -1
    assert not link.send(DarkFrame(1), 0)
    assert not link.offer(DarkFrame(1), 0)
    server = Server(path)
    assert not link.connect(RETRY_NS_MIN - 1)
    assert link.connect(RETRY_NS_MIN)
    assert server.accepted()
    assert server.listen() == [HELLO]
    assert link.connected
    assert link.retry_ns is None
    assert not link.connect(10**12)
    server.close()


def test_messages_both_ways(link: Link, server: Server) -> None:
    link.connect(0)
    server.accepted()
    assert link.receive(0) == []
    server.send(DarkFrame(4))
    server.send(DarkFrame(5))
    assert link.receive(0) == [DarkFrame(4), DarkFrame(5)]
    assert link.send(Verdict(1, 2, 3, True, "ok"), 0)
    assert link.offer(DarkFrame(6), 0)
    assert server.listen()[1:] == [Verdict(1, 2, 3, True, "ok"), DarkFrame(6)]


def test_malformed_datagrams_are_counted_logged_once_and_change_nothing(
    link: Link, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    link.connect(0)
    server.accepted()
    for _ in range(3):
        server.send_bytes(b"\xc1")
    server.send_bytes(b"x" * (MESSAGE_BYTES_MAX + 9))
    server.send(DarkFrame(4))
    assert link.receive(0) == [DarkFrame(4)]
    assert link.malformed == {"msgpack": 3, "length": 1}
    assert len(caplog.records) == 2
    assert link.connected


def test_a_peer_that_goes_is_noticed_on_both_ways(link: Link, server: Server) -> None:
    link.connect(0)
    server.accepted()
    server.drop()
    assert link.receive(50) == []
    assert not link.connected
    assert link.retry_ns == 50 + RETRY_NS_MIN
    link.connect(10**9)
    server.accepted()
    server.drop()
    assert not link.send(DarkFrame(1), 0)
    assert not link.connected
    link.connect(2 * 10**9)
    server.accepted()
    server.drop()
    assert not link.offer(DarkFrame(1), 0)
    assert not link.connected


def test_a_full_queue_swallows_an_offer_and_ends_a_send(link: Link, server: Server) -> None:
    link.connect(0)
    server.accepted()
    sent = 0
    while link.offer(DarkFrame(1), 0):
        sent += 1
        assert sent < 10_000
    assert link.connected
    assert not link.send(DarkFrame(1), 0)
    assert not link.connected


def test_a_reset_connection_is_a_loss(link: Link, server: Server) -> None:
    link.connect(0)
    server.accepted()
    link.send(DarkFrame(1), 0)
    server.drop()
    assert link.receive(0) == []
    assert not link.connected
