"""An engineer's client for tests: many commands at once, every message kept.

Lives here: sending bytes as they are, and collecting what comes.  May not live here: judgement.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from controller.service.link import NO_DELAY
from controller.service.signing import body_text, load_private, new_id, signed
from tests.service.rooms import Room

WAIT_S = 10.0


@dataclass
class Engineer:
    """Knows everything that was said since it came, by topic below the device."""

    mqtt: aiomqtt.Client
    keys: dict[str, Path]
    said: dict[str, list[tuple[float, Any]]] = field(default_factory=dict)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        async for message in self.mqtt.messages:
            topic = str(message.topic).removeprefix("carm/bench-1/")
            assert isinstance(message.payload, bytes)
            value = json.loads(message.payload)
            self.said.setdefault(topic, []).append((time.monotonic(), value))
            self.came.set()

    async def until(self, what: str, met: Any) -> None:
        """Wait until `met(self.said)` is true."""
        async with asyncio.timeout(WAIT_S):
            while not met(self.said):
                self.came.clear()
                await self.came.wait()

    def newest(self, topic: str) -> Any:
        found = self.said.get(topic)
        return found[-1][1] if found else None

    def text(self, command: str, by: str | None = "emil", **more: Any) -> tuple[str, str]:
        """(id, body) of a valid command; `arguments` and fields of the body may be given."""
        id_ = more.pop("id", "") or new_id()
        arguments = more.pop("arguments", {})
        text = body_text(command, arguments, device="bench-1",
                         epoch=self.newest("state/service")["epoch"], by=by,
                         now_ms=int(time.time() * 1000), valid_ms=60_000, id_=id_)  # fmt: skip
        return id_, json.dumps(json.loads(text) | more)

    def payload(self, text: str, by: str | None = "emil") -> bytes:
        return signed(text, load_private(self.keys[by]) if by is not None else None)

    async def send(self, command: str, payload: bytes, **options: Any) -> None:
        await self.mqtt.publish(f"carm/bench-1/cmd/{command}", payload, 1, **options)

    async def last(self, id_: str) -> Any:
        """The reply that ends a command."""
        topic = f"reply/{id_}"
        await self.until(topic, lambda said: said.get(topic)
                         and said[topic][-1][1]["result"] != "accepted")  # fmt: skip
        return self.newest(topic)

    async def do(self, command: str, by: str | None = "emil", **arguments: Any) -> Any:
        """Send a valid command and return its last reply."""
        id_, text = self.text(command, by, arguments=arguments)
        await self.send(command, self.payload(text, by))
        return await self.last(id_)


def response(topic: str, correlation: bytes) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic, properties.CorrelationData = topic, correlation
    return properties


@asynccontextmanager
async def client(host: str, port: int, **options: Any) -> AsyncIterator[aiomqtt.Client]:
    """A client whose own task has ended when this has."""
    made = aiomqtt.Client(host, port, socket_options=NO_DELAY, **options)
    try:
        async with made:
            yield made
    finally:
        own = made._misc_task
        if own is not None:
            own.cancel()
            await asyncio.wait([own])


@asynccontextmanager
async def engineer(
    port: int, keys: dict[str, Path], *, version5: bool = True, tls: Any = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[Engineer]:  # fmt: skip
    """Connected, subscribed to everything, and the device is online."""
    version = aiomqtt.ProtocolVersion.V5 if version5 else aiomqtt.ProtocolVersion.V311
    async with client(host, port, protocol=version, tls_context=tls) as mqtt:
        found = Engineer(mqtt, keys)
        for part in ("state", "event", "telemetry", "reply"):
            await mqtt.subscribe(f"carm/bench-1/{part}/#", 1)
        listening = asyncio.create_task(found.listen())
        try:
            await found.until("birth", lambda said: "state/service" in said and (
                found.newest("state/service")["epoch"] is not None))  # fmt: skip
            yield found
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def opened(room: Room) -> None:
    assert room.local("service_open", minutes=5)["ok"]


async def session_seen(who: Engineer, open_: bool = True) -> None:
    await who.until(
        "session", lambda said: (who.newest("state/session") or {}).get("open") is open_
    )
