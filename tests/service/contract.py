"""Live traffic held against `docs/asyncapi.yaml` as a stranger would: by the document alone.

Lives here: channel, direction, quality of service, retain flag and schema of every message, and
what an open ear at the broker hears.  May not live here: any type of the code.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import jsonschema
import yaml
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.service.engineer import client
from tests.service.rooms import ROOT

DOCS = ROOT / "docs"


class Contract:
    """The document, and which of its channels were used, by operation."""

    def __init__(self, path: Path = DOCS / "asyncapi.yaml") -> None:
        self.document: Mapping[str, Any] = yaml.safe_load(path.read_text())
        self.folder = path.parent
        self.used: Counter[str] = Counter()
        self._channels = [
            (re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(one["address"])) + "$"), name)
            for name, one in self.document["channels"].items()
        ]
        self._judges: dict[str, jsonschema.Draft202012Validator] = {}

    def take(self, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        """Raise AssertionError or ValidationError unless the document allows this message."""
        found = [name for pattern, name in self._channels if pattern.match(topic)]
        assert len(found) == 1, f"{topic}: {found}"
        operation = self.document["operations"][found[0]]
        binding = operation["bindings"]["mqtt"]
        assert (qos, retain) == (binding["qos"], binding["retain"]), topic
        value = json.loads(payload)
        messages = self.document["channels"][found[0]]["messages"]
        if found[0] == "reply":
            stem = f"reply-{value['command']}"
            self._fits(messages.get(stem, messages["reply"]), value)
            self.used[stem if stem in messages else "reply"] += 1
            return
        (message,) = messages.values()
        self._fits(message, value)
        if operation["action"] == "receive":
            name = topic.rpartition("/")[2]
            self._judge(f"schemas/mqtt/body-{name}.json").validate(json.loads(value["body"]))
        self.used[found[0]] += 1

    def _fits(self, message: Mapping[str, str], value: Any) -> None:
        stem = message["$ref"].rpartition("/")[2]
        file = self.document["components"]["messages"][stem]["payload"]["$ref"]
        self._judge(file).validate(value)

    def _judge(self, file: str) -> jsonschema.Draft202012Validator:
        if file not in self._judges:
            schema = json.loads((self.folder / file).read_text())
            self._judges[file] = jsonschema.Draft202012Validator(schema)
        return self._judges[file]


@dataclass
class Ear:
    """Everything that passed the broker below the device, commands included, as it was sent."""

    heard: list[tuple[str, bytes, int, bool]] = field(default_factory=list)


@asynccontextmanager
async def ear(port: int) -> AsyncIterator[Ear]:
    """An ear that hears everything until the block ends."""
    made = Ear()

    async def listen(mqtt: aiomqtt.Client) -> None:
        async for message in mqtt.messages:
            assert isinstance(message.payload, bytes)
            made.heard.append((str(message.topic), message.payload, message.qos, message.retain))

    async with client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as mqtt:
        options = SubscribeOptions(qos=1, retainAsPublished=True)
        await mqtt.subscribe("carm/#", options=options)
        listening = asyncio.create_task(listen(mqtt))
        try:
            yield made
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
