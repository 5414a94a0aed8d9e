"""`python -m controller.cli.clocks.listener ENDPOINT`: a subscriber that can be struck.

Lives here: a stranger's subscriber with little room of its own, which says in JSON lines what it
can prove.  May not live here: the account (`controller.stream.account`), or who strikes it.  It is
told on its standard input to be `slow MS` (with each message) or `quick` again.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Final

import msgpack
import zmq

from controller.stream.account import Account
from hil.sim.audience import IMAGES, JOINED, LOST

# One frame of its own: what it is late by waits at the publisher, as in virtual time.
ROOM: Final = 1
CONNECTED: Final = "listens"


def say(word: str) -> None:
    """One line, at once."""
    sys.stdout.write(json.dumps({"t_ns": time.monotonic_ns(), "word": word}) + "\n")
    sys.stdout.flush()


class Listener:
    """Hears until its standard input ends."""

    def __init__(self, endpoint: str) -> None:
        self._account = Account()
        self._told: set[str] = set()
        self._shown = False
        self._slow_s = 0.0
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, ROOM)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.connect(endpoint)

    def run(self) -> None:
        """To the end."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(sys.stdin.fileno(), zmq.POLLIN)
        say(CONNECTED)
        while True:
            ready = dict(poller.poll())
            if sys.stdin.fileno() in ready and not self._ordered(sys.stdin.readline().split()):
                break
            if self._socket in ready:
                self._hear()
        self._socket.close()
        self._context.term()

    def _ordered(self, words: list[str]) -> bool:
        if words:
            self._slow_s = float(words[1]) / 1000 if words[0] == "slow" else 0.0
            say(words[0])
        return bool(words)

    def _hear(self) -> None:
        topic, packed, _ = self._socket.recv_multipart()
        header: dict[str, Any] = msgpack.unpackb(packed)
        account = self._account
        account.take(topic.decode(), header)
        self._shown = self._shown or (header["resend"] and topic.decode() in IMAGES)
        if account.lost_ranges():
            self._tell(LOST)
        if self._shown and account.before_join():
            self._tell(JOINED)
        time.sleep(self._slow_s)

    def _tell(self, word: str) -> None:
        if word not in self._told:
            self._told.add(word)
            say(word)


if __name__ == "__main__":
    Listener(sys.argv[1]).run()
