"""The publishing socket: taken endpoints, late subscribers, memory that stays bounded."""

from __future__ import annotations

import socket
from pathlib import Path

import msgpack
import pytest
import zmq

from controller.stream.bounds import IN_FLIGHT_MAX, QUEUE_FRAMES
from controller.stream.publisher import (
    EndpointInUse,
    Publisher,
    endpoint_of,
)
from tests.controller.imaging.peers import wait_for


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path / 'frames.ipc'}"


def test_endpoints() -> None:
    assert endpoint_of("frames.ipc", Path("/run/x")) == "ipc:///run/x/frames.ipc"
    assert endpoint_of("tcp://*:5555", Path("/run/x")) == "tcp://*:5555"


def test_a_message_has_three_parts(endpoint: str) -> None:
    publisher = Publisher(endpoint)
    with zmq.Context() as context, context.socket(zmq.SUB) as listener:
        listener.connect(endpoint)
        listener.subscribe(b"")
        wait_for(publisher.subscribed)
        assert not publisher.subscribed()
        publisher.send("tail", {"a": 1})
        publisher.send("live", {"a": 2}, bytearray(b"pixels"))
        assert listener.recv_multipart() == [b"tail", msgpack.packb({"a": 1}), b""]
        assert listener.recv_multipart() == [b"live", msgpack.packb({"a": 2}), b"pixels"]
    publisher.close()


def test_leaving_is_no_joining(endpoint: str) -> None:
    publisher = Publisher(endpoint)
    with zmq.Context() as context, context.socket(zmq.SUB) as listener:
        listener.connect(endpoint)
        listener.subscribe(b"x")
        wait_for(publisher.subscribed)
        listener.unsubscribe(b"x")
        wait_for(lambda: publisher._socket.poll(10, zmq.POLLIN))
        assert not publisher.subscribed()
    publisher.close()


def test_a_live_endpoint_is_refused_and_left_alone(endpoint: str) -> None:
    publisher = Publisher(endpoint)
    with pytest.raises(EndpointInUse, match="in use"):
        Publisher(endpoint)
    with zmq.Context() as context, context.socket(zmq.SUB) as listener:
        listener.connect(endpoint)
        listener.subscribe(b"")
        wait_for(publisher.subscribed)
    publisher.close()


def test_a_stale_file_is_replaced_and_ours_is_removed(endpoint: str) -> None:
    path = Path(endpoint.removeprefix("ipc://"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    Publisher(endpoint).close()
    assert not path.exists()


def test_a_taken_port_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(EndpointInUse, match=r"change stream\.bind"):
            Publisher(f"tcp://127.0.0.1:{other.getsockname()[1]}")


def test_subscribers_that_stop_cost_bounded_memory(endpoint: str) -> None:
    publisher = Publisher(endpoint)
    payload = bytes(1 << 20)
    with zmq.Context() as context:
        stopped = []
        for _ in range(6):
            listener = context.socket(zmq.SUB)
            listener.setsockopt(zmq.RCVHWM, 1)
            listener.connect(endpoint)
            listener.subscribe(b"")
            stopped.append(listener)
            wait_for(publisher.subscribed)
            for _ in range(2 * QUEUE_FRAMES):
                publisher.send("live", {}, bytearray(payload))
            publisher.reopen_when_full()
            assert len(publisher._in_flight) <= IN_FLIGHT_MAX
        for listener in stopped:
            listener.close(linger=0)
    publisher.close()


def test_too_much_on_the_way_opens_the_socket_anew(endpoint: str) -> None:
    publisher = Publisher(endpoint)
    with zmq.Context() as context, context.socket(zmq.SUB) as listener:
        listener.setsockopt(zmq.LINGER, 0)
        listener.connect(endpoint)
        listener.subscribe(b"")
        wait_for(publisher.subscribed)
        assert not publisher.reopen_when_full()

        class Held:
            done = False

        publisher._in_flight = [Held()] * (IN_FLIGHT_MAX + 1)  # type: ignore[list-item]
        assert publisher.reopen_when_full()
        assert publisher.reopened == 1
        # A subscriber subscribes again from its own thread, when it next looks for messages.
        wait_for(lambda: listener.poll(1) or publisher.subscribed())
        publisher.send("live", {}, b"again")
        assert listener.recv_multipart()[2] == b"again"
    publisher.close()
