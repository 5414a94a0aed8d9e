"""What waits for the broker: the newest of every state, and a bounded row of messages.

Lives here: what is kept while the broker is away, and what is given up.  May not live here: sending
(`controller.service.link`) or making a message.  States are never lost, only overtaken; of the rest
the oldest goes first, and is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

ROW_MAX: Final = 512


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message; `topic` without `carm/<device>/`, or a whole response topic with `whole`."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    whole: bool = False
    correlation: bytes | None = None


class Outbox:
    """One reader (the link), any number of writers, all in one event loop."""

    def __init__(self) -> None:
        self.dropped = 0
        self._states: dict[str, Outgoing] = {}
        self._due: dict[str, None] = {}
        self._row: deque[Outgoing] = deque()
        self._filled = asyncio.Event()

    def state(self, topic: str, payload: bytes) -> None:
        """The state behind a topic; nothing happens when it is the same as before."""
        known = self._states.get(topic)
        if known is None or known.payload != payload:
            self._states[topic] = Outgoing(topic, payload, qos=1, retain=True)
            self._due[topic] = None
            self._filled.set()

    def put(self, message: Outgoing) -> None:
        """An event, telemetry or reply."""
        if len(self._row) >= ROW_MAX:
            self._row.popleft()
            self.dropped += 1
        self._row.append(message)
        self._filled.set()

    def begin(self) -> None:
        """A new connection: every state is due again; telemetry of the past is of no use."""
        self._due = dict.fromkeys(self._states)
        self._row = deque(message for message in self._row if message.qos)
        self._filled.set()

    async def next(self) -> Outgoing:
        """The next message: replies and events before states, so that answers are quick."""
        while (message := self.take()) is None:
            self._filled.clear()
            await self._filled.wait()
        return message

    def take(self) -> Outgoing | None:
        """As `next`, or None when nothing waits."""
        if self._row:
            return self._row.popleft()
        if self._due:
            topic = next(iter(self._due))
            del self._due[topic]
            return self._states[topic]
        return None

    def __len__(self) -> int:
        """Messages that wait."""
        return len(self._row) + len(self._due)
