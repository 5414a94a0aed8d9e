"""The world's end of `room.sock`: one connection that comes back, and questions with answers.

Lives here: connecting with a bounded back-off, sending from any thread, matching replies.  May not
live here: what messages mean.  `receive` belongs to the main loop; `ask` to every other thread.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hil.rig.roombus import DATAGRAM_BYTES_MAX, RoomBusError, RoomMessage, pack, unpack
from hil.room.commands import Command, Reply

ASK_TIMEOUT_S: Final = 1.0
RECEIVE_BYTES: Final = 4 << 20
BACKOFF_NS: Final = (20_000_000, 500_000_000)


class RoomLink:
    """The connection.  `malformed` counts datagrams that were not messages."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._asked: dict[int, list[Reply | None]] = {}
        self._answered = threading.Condition(self._lock)
        self._request = 0
        self._due_ns, self._backoff_ns = 0, BACKOFF_NS[0]
        self.sock: socket.socket | None = None
        self.malformed = 0

    def connect(self, now_ns: int) -> bool:
        """Try to connect when it is time; True when this call connected."""
        if self.sock is not None or now_ns < self._due_ns:
            return False
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.connect(str(self._path))
        except OSError:
            sock.close()
            self._due_ns = now_ns + self._backoff_ns
            self._backoff_ns = min(2 * self._backoff_ns, BACKOFF_NS[1])
            return False
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._backoff_ns = BACKOFF_NS[0]
        self.sock = sock
        return True

    def send(self, message: RoomMessage) -> bool:
        """Send now or not at all; False when there is no room at the other end."""
        sock = self.sock
        if sock is None:
            return False
        try:
            sock.send(pack(message), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True

    def receive(self) -> list[RoomMessage]:
        """All messages that wait, replies taken out; ConnectionError when the line is gone."""
        assert self.sock is not None
        messages: list[RoomMessage] = []
        for _ in range(256):
            try:
                datagram = self.sock.recv(DATAGRAM_BYTES_MAX)
            except BlockingIOError:
                break
            if not datagram:
                raise ConnectionResetError("rig-line closed room.sock")
            try:
                message = unpack(datagram)
            except RoomBusError:
                self.malformed += 1
                continue
            if isinstance(message, Reply):
                self._answer(message)
            else:
                messages.append(message)
        return messages

    def ask(self, command: Callable[[int], Command]) -> Reply | None:
        """Send `command(request_id)` and wait for its reply; None without room or in time."""
        with self._lock:
            self._request += 1
            request = self._request
            waiting: list[Reply | None] = [None]
            self._asked[request] = waiting
            if self.send(command(request)):
                self._answered.wait_for(
                    lambda: waiting[0] is not None or request not in self._asked, ASK_TIMEOUT_S
                )
            self._asked.pop(request, None)
        return waiting[0]

    def tell(self, command: Callable[[int], Command]) -> None:
        """Send a command whose reply nobody needs; for the main loop, which may not wait."""
        with self._lock:
            self._request += 1
            self.send(command(self._request))

    def _answer(self, reply: Reply) -> None:
        with self._answered:
            waiting = self._asked.get(reply.request_id)
            if waiting is not None:
                waiting[0] = reply
                self._answered.notify_all()

    def close(self) -> None:
        """Close; everybody who waits for a reply goes without."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None
        with self._answered:
            self._asked.clear()
            self._answered.notify_all()
