"""The other ends of the executive's wires, over real sockets.

Lives here: a line peer and a message peer that do exactly what a test says.  May not live here:
deadlines of their own; who waits says until when.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from realtime.wire.codec import pack, unpack
from realtime.wire.linebus import (
    KIND_INPUTS,
    KIND_OUTPUTS,
    PACKET_BYTES,
    SEQ_MODULUS,
    Snapshot,
    decode,
    encode,
)
from realtime.wire.messages import MESSAGE_BYTES_MAX, Hello, Message
from tests.realtime.roomparts import RESTING

PATIENCE_S = 10.0


def eventually(holds: Callable[[], bool], words: str, patience_s: float = PATIENCE_S) -> None:
    """Poll until something holds; fail with its words when it does not in time."""
    until_s = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < until_s, words
        time.sleep(0.002)


def seqpacket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)


class LinePeer:
    """The room's end of the line bus: serves the socket, numbers its snapshots."""

    def __init__(self, path: Path, first_seq: int = 0) -> None:
        self.server = seqpacket()
        self.server.bind(str(path))
        self.server.listen(1)
        self.link: socket.socket | None = None
        self.seq = first_seq
        self.levels = RESTING

    def accept(self) -> LinePeer:
        """Take the connection that is waiting."""
        self.link, _ = self.server.accept()
        self.link.setblocking(False)
        return self

    def tell(self, levels: int | None = None) -> None:
        """Send one good snapshot."""
        self.levels = self.levels if levels is None else levels
        self.raw(encode(KIND_INPUTS, self.seq, 0, self.levels))
        self.seq = (self.seq + 1) % SEQ_MODULUS

    def raw(self, packet: bytes) -> None:
        """Send any bytes."""
        assert self.link is not None
        self.link.send(packet)

    def heard(self) -> list[Snapshot]:
        """Outputs that have arrived."""
        assert self.link is not None
        found = []
        with contextlib.suppress(BlockingIOError):
            while packet := self.link.recv(PACKET_BYTES + 1):
                found.append(decode(packet, KIND_OUTPUTS))
        return found

    def hang_up(self) -> None:
        """End the connection, keep serving."""
        if self.link is not None:
            self.link.close()
            self.link = None

    def close(self) -> None:
        """End everything."""
        self.hang_up()
        self.server.close()


class Correspondent:
    """A supervisor or imaging process, as far as its socket goes."""

    def __init__(self, path: Path) -> None:
        self.link = seqpacket()
        self.link.connect(str(path))

    def say(self, message: Message | bytes) -> Correspondent:
        """Send a message, or any bytes."""
        self.link.send(message if isinstance(message, bytes) else pack(message))
        return self

    def hello(self, role: str, epoch: int = 1) -> Correspondent:
        """Introduce itself."""
        return self.say(Hello(role, epoch, 1, 0, ""))

    def heard(self) -> list[Message]:
        """Messages that have arrived; ends at silence or at the end of the connection."""
        return list(self._messages())

    def _messages(self) -> Iterator[Message]:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while datagram := self.link.recv(MESSAGE_BYTES_MAX + 1):
                yield unpack(datagram)

    def closed(self) -> bool:
        """True when the other end has hung up; messages before that are thrown away."""
        for _ in range(3):  # a reset connection gives its error first, then what it still holds
            self.heard()
            with contextlib.suppress(BlockingIOError, ConnectionError):
                if self.link.recv(1) == b"":
                    return True
        return False

    def close(self) -> None:
        """Hang up."""
        self.link.close()
