"""A client of the service topics: what `carm service watch`, `command` and `download` speak with.

Lives here: connecting, sending one command, following its replies, putting chunks together.  May
not live here: printing (`controller.cli.service`), or any knowledge that `docs/mqtt.md` lacks.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiomqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.service.link import NO_DELAY
from controller.service.signing import body_text, new_id, signed

Reply = dict[str, Any]
VALID_MS: Final = 60_000
REPLY_WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """Which broker, which device, and as whom.  Without a key only questions are possible."""

    host: str
    port: int
    device: str
    certificates: Path | None = None
    person: str | None = None
    key: Ed25519PrivateKey | None = None

    def tls(self) -> ssl.SSLContext | None:
        """Raises OSError when a file is missing."""
        if self.certificates is None:
            return None
        name = self.person or "client"
        context = ssl.create_default_context(cafile=str(self.certificates / "ca.crt"))
        folder = self.certificates
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
        return context


class Client:
    """A connected client.  One command at a time."""

    def __init__(self, target: Target, mqtt: aiomqtt.Client) -> None:
        self.target = target
        self.mqtt = mqtt
        self.prefix = f"carm/{target.device}/"
        self.presence: Mapping[str, Any] = {}

    async def birth(self) -> Mapping[str, Any]:
        """The birth message, which holds the epoch; raises TimeoutError when nobody was born."""
        await self.mqtt.subscribe(f"{self.prefix}state/service", 1)
        async with asyncio.timeout(5):
            async for message in self.mqtt.messages:
                if str(message.topic) == f"{self.prefix}state/service":
                    self.presence = json.loads(message.payload)
                    break
        return self.presence

    async def command(
        self, name: str, arguments: Mapping[str, Any], id_: str = ""
    ) -> AsyncIterator[Reply]:
        """Send one command and give its replies, the last one last; raises TimeoutError."""
        id_ = id_ or new_id()
        key = self.target.key
        text = body_text(
            name, arguments, device=self.target.device, epoch=self.presence["epoch"] or 0,
            by=self.target.person if key is not None else None, now_ms=int(time.time() * 1000),
            valid_ms=VALID_MS, id_=id_,
        )  # fmt: skip
        topic = f"{self.prefix}reply/{id_}"
        await self.mqtt.subscribe(topic, 1)
        await self.mqtt.publish(f"{self.prefix}cmd/{name}", signed(text, key), 1)
        messages = self.mqtt.messages
        while True:
            async with asyncio.timeout(REPLY_WAIT_S):
                message = await anext(messages)
            if str(message.topic) == topic:
                reply: Reply = json.loads(message.payload)
                yield reply
                if reply["result"] != "accepted":
                    break
        await self.mqtt.unsubscribe(topic)

    async def last(self, name: str, arguments: Mapping[str, Any]) -> Reply:
        """Only the last reply."""
        found: Reply = {}
        async for reply in self.command(name, arguments):
            found = reply
        return found


@asynccontextmanager
async def connected(
    target: Target, version: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V311
) -> AsyncIterator[Client]:
    """A client that knows the device's birth message; raises aiomqtt.MqttError, TimeoutError."""
    async with aiomqtt.Client(
        target.host, target.port, tls_context=target.tls(), timeout=5, protocol=version,
        socket_options=NO_DELAY, max_queued_incoming_messages=4096,
    ) as mqtt:  # fmt: skip
        client = Client(target, mqtt)
        await client.birth()
        yield client


class Assembly:
    """A download as it comes; `finish` compares it with what the device says it sent."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def take(self, chunk: Mapping[str, Any]) -> None:
        """The next chunk; raises ValueError when one is missing or damaged."""
        part = base64.b64decode(chunk["base64"], validate=True)
        if chunk["index"] != len(self._parts):
            raise ValueError(f"chunk {len(self._parts)} is missing, {chunk['index']} came")
        if zlib.crc32(part) != chunk["crc32"]:
            raise ValueError(f"chunk {chunk['index']} is damaged")
        self._parts.append(part)

    def finish(self, summary: Mapping[str, Any]) -> bytes:
        """The whole file; raises ValueError when it is not what was sent."""
        whole = b"".join(self._parts)
        if hashlib.sha256(whole).hexdigest() != summary["sha256"]:
            raise ValueError("the SHA-256 differs: download again")
        return whole
