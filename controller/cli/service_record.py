"""`carm service record`: MQTT traffic as a file that `carm referee --mqtt` judges.

Lives here: writing down what passes the broker, one JSON object per message.  May not live here:
judging it (`hil.referee.network`), or leaving a message out.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiomqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from controller.cli.answer import GOOD
from controller.cli.service_client import Target, connected


def _recorded(message: aiomqtt.Message) -> str:
    return json.dumps({
        "t_ns": time.monotonic_ns(), "t_ms": time.time_ns() // 1_000_000,
        "topic": str(message.topic), "qos": message.qos, "retain": bool(message.retain),
        "payload": message.payload.decode(errors="replace"),
    }) + "\n"  # fmt: skip


async def record(aim: Target, out: Path, seconds: float, version5: bool) -> int:
    """Write down everything that passes the broker below the device, commands included."""
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + seconds if seconds else None
    count = 0
    # As it was published: with 3.1.1 a command that is stored while we listen looks fresh.
    version = aiomqtt.ProtocolVersion.V5 if version5 else aiomqtt.ProtocolVersion.V311
    kept = SubscribeOptions(qos=1, retainAsPublished=True)
    options: dict[str, Any] = {"options": kept} if version5 else {"qos": 1}
    with out.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"schema": "carm.mqtt_record/1", "device": aim.device}) + "\n")
        async with connected(aim, version) as client:
            await client.mqtt.subscribe(f"{client.prefix}#", **options)
            sys.stderr.write("recording\n")
            try:
                async with asyncio.timeout_at(give_up_s):
                    async for message in client.mqtt.messages:
                        file.write(_recorded(message))
                        count += 1
            except (TimeoutError, asyncio.CancelledError):
                sys.stderr.write(f"{count} messages in {out}\n")
    return GOOD
