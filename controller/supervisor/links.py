"""Message sockets of the supervisor: client of realtime, server for imaging.

Lives here: connecting, serving, framing, closing.  May not live here: what a message means.
Sends never block: a peer that does not read is closed.  A malformed message is counted, told once
per kind, and dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from controller.core.refusal import Blame, Refusal
from controller.log import line
from realtime.wire.codec import BadMessage, pack, unpack
from realtime.wire.messages import MESSAGE_BYTES_MAX, Hello, Message

_log = logging.getLogger("supervisor.links")
# Back-off between attempts, bounded: a restarted partner is found within a quarter of a second.
RETRY_S: Final = (0.02, 0.05, 0.1, 0.25)
_KIND: Final = socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


class Link:
    """One connection at a time to one partner, whose first message must be a Hello of `role`."""

    def __init__(
        self, role: str, up: Callable[[Hello], None], take: Callable[[Message], None],
        down: Callable[[str], None], failed: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        self._role = role
        self._up, self._take, self._down, self._failed = up, take, down, failed
        self._socket: socket.socket | None = None
        self._met = False
        self.malformed: Counter[str] = Counter()
        self.unsent = 0

    @property
    def connected(self) -> bool:
        """A partner is there."""
        return self._socket is not None

    def send(self, message: Message) -> bool:
        """Send at once or not at all; a partner that cannot take it is closed."""
        if self._socket is None:
            self.unsent += 1
            return False
        try:
            self._socket.send(pack(message))
        except OSError as error:
            self.unsent += 1
            line(_log, "warning", f"{self._role}_does_not_read", {"error": str(error)})
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            return False
        return True

    async def converse(self, connection: socket.socket, hello: Hello) -> None:
        """Exchange hellos and read until the partner goes; then tell `down`."""
        assert self._socket is None, "one connection at a time"
        loop = asyncio.get_running_loop()
        self._socket, self._met = connection, False
        self.send(hello)
        over: asyncio.Future[None] = loop.create_future()
        loop.add_reader(connection, self._news, connection, over)
        try:
            await over
        finally:
            loop.remove_reader(connection)
            self._socket = None
            connection.close()
            if self._met:
                self._down("the connection closed")

    def _news(self, connection: socket.socket, over: asyncio.Future[None]) -> None:
        """A datagram has come, or the end.  Read by the loop itself: a task would wake twice."""
        try:
            if not over.done() and not self._read(connection):
                over.set_result(None)
        except BlockingIOError:
            return
        except OSError as error:
            line(_log, "warning", f"{self._role}_lost", {"error": str(error)})
            over.set_result(None)
        except Exception as error:  # noqa: BLE001 - handed to the shell, which ends dark
            # Told while the connection still stands, so that dark can go out first.
            self._failed(error)
            over.set_exception(error)

    def _read(self, connection: socket.socket) -> bool:
        """Take one datagram; False when the conversation is over."""
        raw = connection.recv(MESSAGE_BYTES_MAX + 1)
        message = self._decoded(raw) if raw else None
        if message is None:
            return bool(raw)
        if self._met:
            self._take(message)
        elif isinstance(message, Hello) and message.role == self._role:
            self._met = True
            self._up(message)
        else:
            line(_log, "warning", f"{self._role}_no_hello", {"first": str(message)})
            return False
        return True

    def _decoded(self, raw: bytes) -> Message | None:
        try:
            return unpack(raw)
        except BadMessage as error:
            self.malformed[error.code] += 1
            if self.malformed[error.code] == 1:
                line(_log, "warning", f"{self._role}_malformed", {"error": str(error)})
            return None


async def call(link: Link, path: Path, hello: Callable[[], Hello]) -> None:
    """Be the client of `path` for ever: connect, converse, connect again."""
    loop = asyncio.get_running_loop()
    attempt = 0
    while True:
        connection = socket.socket(socket.AF_UNIX, _KIND)
        try:
            await loop.sock_connect(connection, str(path))
        except OSError:
            connection.close()
            await _pause(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1
            continue
        attempt = 0
        await link.converse(connection, hello())
        await _pause(RETRY_S[0])


async def _pause(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    timer = loop.call_at(loop.time() + seconds, done.set)
    try:
        await done.wait()
    finally:
        timer.cancel()


def listen(path: Path, kind: int) -> socket.socket:
    """Serve `path`: a dead socket file is replaced, a live one is a Refusal."""
    probe = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
    try:
        probe.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        path.unlink(missing_ok=True)
    else:
        raise Refusal("socket_in_use", Blame.MACHINE, "run_dir", str(path), "a free run directory",
                      "end the other process with carm down, or use another --run-dir")  # fmt: skip
    finally:
        probe.close()
    server = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    server.bind(str(path))
    path.chmod(0o660)
    server.listen(4)
    return server


async def serve(link: Link, server: socket.socket, hello: Callable[[], Hello]) -> None:
    """Take one partner at a time at `server`; the next one waits until this one has gone."""
    loop = asyncio.get_running_loop()
    while True:
        connection, _ = await loop.sock_accept(server)
        await link.converse(connection, hello())
