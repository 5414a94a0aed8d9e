"""Telling the service manager that we live: READY once, then the watchdog, by proof of progress.

Theory of operation.  A process names its critical tasks and hands in one counter for each, from its
main turn.  The watchdog is fed when every counter has moved since the last feeding; a task may be
given patience where it waits for something slow, a disk for instance.  READY is the first feeding:
"active" means that every critical task has run once.  No timer and no thread feeds it, so a main
turn that hangs starves it as surely as a task that hangs.

The wire is one datagram to the socket named by NOTIFY_SOCKET.  Sends never block; what cannot be
sent is sent on a later turn.  Without the variable nothing is sent and a turn costs a comparison.

Lives here: the counting and the datagram.  May not live here: what a task is, or any way to be
dark; dark does not wait for a watchdog.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Final

_NS_PER_US: Final = 1_000
# A task that hangs right after it moved is fed for once more, so this is how much later than its
# period the watchdog may bark: a thirtieth, well below the 10 % that are allowed.
FEEDINGS_PER_PERIOD: Final = 30
# Without a watchdog the state is still told now and then.
PERIOD_NS_DEFAULT: Final = 1_000_000_000
_NEVER_NS: Final = 1 << 62
_log = logging.getLogger("notify")


def _address(environ: Mapping[str, str]) -> str:
    path = environ.get("NOTIFY_SOCKET", "")
    return "\0" + path[1:] if path.startswith("@") else path


def _period_ns(environ: Mapping[str, str]) -> int:
    """How often to feed; a watchdog that is not meant for this process counts as none."""
    told, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not told.isdecimal() or pid not in ("", str(os.getpid())):
        return PERIOD_NS_DEFAULT
    return int(told) * _NS_PER_US // FEEDINGS_PER_PERIOD


class Watchdog:
    """Fed by `turn`.  `tasks` maps the name of each critical task to its patience in ns."""

    def __init__(self, tasks: Mapping[str, int], environ: Mapping[str, str] = os.environ) -> None:
        """Open the way to the service manager, if there is one; a broken one is told and left."""
        self.ready = False
        self.stalled = ""
        self._names = tuple(tasks)
        self._patience_ns = tuple(tasks.values())
        self._seen: list[int] = [0] * len(tasks)
        self._moved_ns: list[int] = [0] * len(tasks)
        self._period_ns = _period_ns(environ)
        self._socket = self._open(_address(environ))
        self._due_ns = 0 if self._socket is not None else _NEVER_NS

    @staticmethod
    def _open(address: str) -> socket.socket | None:
        if not address:
            return None
        way = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        try:
            way.connect(address)
        except OSError as error:
            _log.warning("no way to the service manager: %s", error)
            way.close()
            return None
        return way

    def turn(self, now_ns: int, counts: Sequence[int]) -> None:
        """Hand in the counters of the tasks, in their order; feeds when all of them have moved."""
        if now_ns < self._due_ns:
            return
        stalled = self._look(now_ns, counts)
        if stalled:
            self._tell_stall(stalled)
            return
        words = b"WATCHDOG=1" if self.ready else b"READY=1\nWATCHDOG=1"
        if self._send(words):
            self.ready, self.stalled = True, ""
            self._seen = list(counts)
            self._due_ns = now_ns + self._period_ns

    def stopping(self) -> None:
        """The end has begun, in order."""
        if self._send(b"STOPPING=1") and self._socket is not None:
            self._socket.close()
        self._socket, self._due_ns = None, _NEVER_NS

    def _look(self, now_ns: int, counts: Sequence[int]) -> str:
        """The first task that has not moved for longer than its patience, or ''."""
        assert len(counts) == len(self._names)
        stalled = ""
        for n, count in enumerate(counts):
            if count != self._seen[n]:
                self._moved_ns[n] = now_ns
            elif not self.ready or now_ns - self._moved_ns[n] > self._patience_ns[n]:
                stalled = stalled or self._names[n]
        return stalled

    def _tell_stall(self, task: str) -> None:
        if task == self.stalled or not self.ready:
            return
        self.stalled = task
        self._send(f"STATUS=not fed: {task} does not move".encode())
        _log.warning("watchdog not fed: %s does not move", task)

    def _send(self, words: bytes) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.send(words)
        except OSError:
            # Full, or the service manager is being restarted: the next turn tries again.
            return False
        return True
