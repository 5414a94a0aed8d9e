"""Client ends of the message sockets, which come back by themselves.

Lives here: connect, hello, send, receive, back-off.  May not live here: what a message means.

A link never blocks: what cannot be sent closes it, unless a newer one says it all again (`offer`),
and it is opened again after a back-off that doubles up to `RETRY_NS_MAX`.  Datagrams that are no
message are counted per kind and logged once per kind; they change nothing else.
"""

from __future__ import annotations

import logging
import socket
from collections import Counter
from pathlib import Path
from typing import Final

from realtime.wire.codec import BadMessage, pack, unpack
from realtime.wire.messages import MESSAGE_BYTES_MAX, Hello, Message

RETRY_NS_MIN: Final = 20_000_000
RETRY_NS_MAX: Final = 500_000_000
MESSAGES_PER_TURN: Final = 64

log = logging.getLogger("imaging")


class Backoff:
    """When to try again: at once, then after twice the last pause, at most `RETRY_NS_MAX`."""

    def __init__(self) -> None:
        self.due_ns = 0
        self._pause_ns = RETRY_NS_MIN

    def failed(self, now_ns: int) -> None:
        """An attempt failed or a connection was lost."""
        self.due_ns = now_ns + self._pause_ns
        self._pause_ns = min(2 * self._pause_ns, RETRY_NS_MAX)

    def succeeded(self) -> None:
        """Connected: the next loss is retried quickly again."""
        self._pause_ns = RETRY_NS_MIN


class Link:
    """One seqpacket connection to `path` that introduces itself with `hello`."""

    def __init__(self, name: str, path: Path, hello: Hello) -> None:
        self.name = name
        self.malformed: Counter[str] = Counter()
        self._path = path
        self._hello = hello
        self._socket: socket.socket | None = None
        self._backoff = Backoff()

    @property
    def connected(self) -> bool:
        """True while the connection stands."""
        return self._socket is not None

    @property
    def retry_ns(self) -> int | None:
        """When `connect` should be called next, or None while connected."""
        return None if self.connected else self._backoff.due_ns

    def fileno(self) -> int:
        """The socket's descriptor, -1 when closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def connect(self, now_ns: int) -> bool:
        """Connect and say hello if it is time to; True when that succeeded."""
        if self.connected or now_ns < self._backoff.due_ns:
            return False
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            opened.connect(str(self._path))
        except OSError:
            opened.close()
            self._backoff.failed(now_ns)
            return False
        self._socket = opened
        self._backoff.succeeded()
        return self.send(self._hello, now_ns)

    def send(self, message: Message, now_ns: int) -> bool:
        """Send one message; False when there is no connection (any more)."""
        if self._socket is None:
            return False
        try:
            self._socket.send(pack(message), socket.MSG_NOSIGNAL)
        except OSError as error:
            self._lose(now_ns, str(error))
            return False
        return True

    def offer(self, message: Message, now_ns: int) -> bool:
        """Send a message that the next one will replace: a full queue swallows it."""
        if self._socket is None:
            return False
        try:
            self._socket.send(pack(message), socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        except OSError as error:
            self._lose(now_ns, str(error))
            return False
        return True

    def receive(self, now_ns: int) -> list[Message]:
        """What has arrived, malformed datagrams left out; closes when the peer has gone."""
        messages: list[Message] = []
        for _ in range(MESSAGES_PER_TURN):
            if self._socket is None:
                break
            try:
                datagram = self._socket.recv(MESSAGE_BYTES_MAX + 1)
            except BlockingIOError:
                break
            except OSError as error:
                self._lose(now_ns, str(error))
                break
            if not datagram:
                self._lose(now_ns, "closed by the peer")
                break
            self._decode(datagram, messages)
        return messages

    def _decode(self, datagram: bytes, messages: list[Message]) -> None:
        try:
            messages.append(unpack(datagram))
        except BadMessage as error:
            self.malformed[error.code] += 1
            if self.malformed[error.code] == 1:
                log.warning("link=%s malformed=%s detail=%s", self.name, error.code, error)

    def _lose(self, now_ns: int, why: str) -> None:
        self.close()
        self._backoff.failed(now_ns)
        log.warning("link=%s lost: %s", self.name, why)

    def close(self) -> None:
        """Close the connection, if any."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
