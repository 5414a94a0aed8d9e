"""The publishing socket: ZeroMQ XPUB with bounded queues.

Lives here: the socket, its limits, and the memory that is on its way.  May not live here: what is
published and when (`controller.imaging.department`).

A message is [topic, msgpack header, payload].  The payload belongs to the message: fresh memory
that nobody writes again, so ZeroMQ may keep it as long as it likes without a copy.  A subscriber
that is slow or stopped fills its own queue of `QUEUE_FRAMES` and then misses frames; its counters
tell it.  Memory on the way for all of them is bounded too: past `IN_FLIGHT_MAX` payloads the
socket is opened anew, which frees every queue; subscribers reconnect by themselves.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any, Final

import msgpack
import zmq

from controller.stream.bounds import IN_FLIGHT_MAX, QUEUE_FRAMES

# A subscription is a prefix of a topic; topics are shorter than this.
INBOUND_BYTES_MAX: Final = 256
EVENTS_PER_TURN_MAX: Final = 256


class EndpointInUse(OSError):
    """Somebody else publishes here; says which endpoint and what to do."""


def endpoint_of(bind: str, run_dir: Path) -> str:
    """The ZeroMQ endpoint of `stream.bind`: a path in the run directory, or a full address."""
    return bind if "://" in bind else f"ipc://{run_dir / bind}"


def _refuse_live(path: str) -> None:
    # ZeroMQ replaces an ipc socket file without asking; only a stale one may be replaced.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except OSError:
            return
    raise EndpointInUse(f"{path} is in use by a running publisher; end it or change stream.bind")


class Publisher:
    """An open XPUB socket.  `send` never blocks."""

    def __init__(self, endpoint: str) -> None:
        """Bind; raises EndpointInUse when the endpoint is taken or cannot be bound."""
        self.endpoint = endpoint
        self._in_flight: list[zmq.MessageTracker] = []
        self.reopened = 0
        if endpoint.startswith("ipc://"):
            _refuse_live(endpoint.removeprefix("ipc://"))
        self._context = zmq.Context()
        self._socket = self._bind()

    def _bind(self) -> zmq.Socket[bytes]:
        opened: zmq.Socket[bytes] = self._context.socket(zmq.XPUB)
        opened.setsockopt(zmq.XPUB_VERBOSE, 1)
        opened.setsockopt(zmq.SNDHWM, QUEUE_FRAMES)
        opened.setsockopt(zmq.RCVHWM, EVENTS_PER_TURN_MAX)
        opened.setsockopt(zmq.MAXMSGSIZE, INBOUND_BYTES_MAX)
        opened.setsockopt(zmq.LINGER, 0)
        try:
            opened.bind(self.endpoint)
        except zmq.ZMQError as error:
            opened.close()
            self._context.term()
            raise EndpointInUse(f"{self.endpoint}: {error}; change stream.bind") from None
        return opened

    def fileno(self) -> int:
        """Edge-triggered descriptor: after every turn call `subscribed` before waiting again."""
        return self._socket.fileno()

    def subscribed(self) -> bool:
        """Take what subscribers said; True when at least one subscribed since the last call."""
        anyone = False
        for _ in range(EVENTS_PER_TURN_MAX):
            if not self._socket.poll(0, zmq.POLLIN):
                break
            anyone = self._socket.recv(zmq.NOBLOCK)[:1] == b"\x01" or anyone
        return anyone

    def send(self, topic: str, header: dict[str, Any], payload: Any = None) -> None:
        """Publish one message; `payload` is a buffer that nobody will ever write again."""
        head = msgpack.packb(header)
        self._socket.send_multipart([topic.encode(), head], zmq.SNDMORE | zmq.NOBLOCK)
        if payload is None:
            self._socket.send(b"", zmq.NOBLOCK)
            return
        tracker = self._socket.send(payload, zmq.NOBLOCK, copy=False, track=True)
        assert tracker is not None
        self._in_flight = [one for one in self._in_flight if not one.done] + [tracker]

    def reopen_when_full(self) -> bool:
        """Free every queue when too much memory is on its way; True when that was done.

        The descriptor changes: register it anew.
        """
        self._in_flight = [one for one in self._in_flight if not one.done]
        if len(self._in_flight) <= IN_FLIGHT_MAX:
            return False
        # Ending the context waits until the old listener has removed its socket file; otherwise
        # it would remove the new one.
        self._socket.close(linger=0)
        self._context.term()
        self._in_flight.clear()
        self._context = zmq.Context()
        self._socket = self._bind()
        self.reopened += 1
        return True

    def close(self) -> None:
        """Close the socket and remove its file."""
        self._socket.close(linger=0)
        self._context.term()
        if self.endpoint.startswith("ipc://"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.endpoint.removeprefix("ipc://"))
