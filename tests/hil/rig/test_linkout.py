"""Sending without ever blocking: numbers, patience, bounds."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from hil.rig.linkout import PENDING_NS_MAX, LineClient, WorldOut
from hil.rig.roombus import QUEUE_MAX
from realtime.wire import linebus

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def fill(sock: socket.socket) -> None:
    while True:
        try:
            sock.send(b"x")
        except BlockingIOError:
            return


def test_snapshots_are_numbered_and_a_lost_one_leaves_a_gap(pair: Pair) -> None:
    client = LineClient(pair[0])
    client.send(0, 1, 5)
    client.skip()
    client.send(0, 2, 6)
    got = [linebus.decode(pair[1].recv(64), linebus.KIND_INPUTS) for _ in range(2)]
    assert [(s.seq, s.stamp_ns, s.levels) for s in got] == [(0, 1, 5), (2, 2, 6)]


def test_a_client_that_does_not_read_gets_twenty_milliseconds(pair: Pair) -> None:
    client = LineClient(pair[0])
    fill(pair[0])
    assert client.send(0, 0, 1)
    assert client.waits
    assert client.flush(PENDING_NS_MAX - 1)
    assert not client.flush(PENDING_NS_MAX)


def test_every_edge_waits_in_order_for_a_client_that_reads_again(pair: Pair) -> None:
    client = LineClient(pair[0])
    fill(pair[0])
    for levels in (1, 2, 3):
        client.send(0, 0, levels)
    got: list[int] = []
    while client.waits or not got or got[-1] != 3:
        packet = pair[1].recv(64)
        if len(packet) == linebus.PACKET_BYTES:
            got.append(linebus.decode(packet, linebus.KIND_INPUTS).levels)
        assert client.flush(1)
    assert got == [1, 2, 3]


def test_what_waits_is_bounded(pair: Pair) -> None:
    client = LineClient(pair[0])
    fill(pair[0])
    sent = 0
    while client.send(0, 0, 0):
        sent += 1
    assert sent == 64


def test_a_client_that_is_gone_is_noticed(pair: Pair) -> None:
    client = LineClient(pair[0])
    pair[1].close()
    assert not client.send(0, 0, 0)


def test_truth_waits_for_the_world_and_what_is_too_much_is_counted(pair: Pair) -> None:
    out = WorldOut()
    for k in range(QUEUE_MAX + 3):
        out.put(b"%d" % k)
    assert out.dropped == 3
    assert not out.waits
    out.sock = pair[0]
    assert out.waits
    assert out.flush()
    assert pair[1].recv(64) == b"0"


def test_a_world_that_is_gone_is_noticed(pair: Pair) -> None:
    out = WorldOut()
    out.put(b"x")
    out.sock = pair[0]
    pair[1].close()
    assert not out.flush()
