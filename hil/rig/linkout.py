"""The two clients of rig-line: the controller on the line bus, and rig-world on the room bus.

Lives here: what is sent to each, in order, without ever blocking, and what happens to one that does
not read.  May not live here: the room, or when to look.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import Final

from hil.rig.roombus import QUEUE_MAX
from realtime.wire import linebus

PENDING_MAX: Final = 64
PENDING_NS_MAX: Final = 20_000_000


class LineClient:
    """The controller: numbered snapshots; one that does not read for 20 ms is closed."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._seq = 0
        self._pending: deque[tuple[int, bytes]] = deque()

    @property
    def waits(self) -> bool:
        """Something is still to be sent: ask select for writability."""
        return bool(self._pending)

    def skip(self) -> None:
        """A snapshot is lost on the way: its number is used up."""
        self._seq = (self._seq + 1) % linebus.SEQ_MODULUS

    def send(self, now_ns: int, stamp_ns: int, levels: int) -> bool:
        """Send a snapshot; False: this client does not read (or is gone) and must be closed."""
        packet = linebus.encode(linebus.KIND_INPUTS, self._seq, stamp_ns, levels)
        self.skip()
        if len(self._pending) >= PENDING_MAX:
            return False
        self._pending.append((now_ns, packet))
        return self.flush(now_ns)

    def flush(self, now_ns: int) -> bool:
        """Send what waits; False as in `send`."""
        while self._pending:
            since_ns, packet = self._pending[0]
            try:
                self.sock.send(packet)
            except BlockingIOError:
                return now_ns - since_ns < PENDING_NS_MAX
            except OSError:
                return False
            self._pending.popleft()
        return True


class WorldOut:
    """Datagrams for rig-world: kept while it is away or slow, dropped and counted when full."""

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.dropped = 0
        self._queue: deque[bytes] = deque()

    @property
    def waits(self) -> bool:
        """Something is still to be sent: ask select for writability."""
        return self.sock is not None and bool(self._queue)

    def put(self, datagram: bytes) -> None:
        """Queue a datagram; when the queue is full it is dropped and counted."""
        if len(self._queue) >= QUEUE_MAX:
            self.dropped += 1
            return
        self._queue.append(datagram)

    def flush(self) -> bool:
        """Send what waits; False: rig-world is gone."""
        while self.sock is not None and self._queue:
            try:
                self.sock.send(self._queue[0])
            except BlockingIOError:
                return True
            except OSError:
                return False
            self._queue.popleft()
        return True
