"""Hostile commands between valid ones, over a real mosquitto and half a supervisor.

Lives here: sending twelve classes of hostile command at up to 50/s with valid ones between them,
and what came of it.  May not live here: believing a reply.  A valid command leaves a file that did
not exist before and one line in the log of another process, the supervisor.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.figure import Reading
from bench.floors import quantile
from bench.harness import CannotMeasure, Samples
from bench.service_bed import echo_ms, real_broker
from controller.service.configs import folder_of
from controller.service.link import until
from tests.service import rooms
from tests.service.engineer import Engineer, engineer, session_seen
from tests.service.hostile import KINDS, hostile

# Just below the 50/s up to which each refusal is answered by itself; eleven to one valid one.
PAUSE_S: Final = 0.022
HOSTILE_PER_VALID: Final = len(KINDS)
EFFECT_S: Final = 2.0
NAMES: Final = (
    "executed",
    "missed",
    "refusal_ms",
    "unanswered",
    "wrong",
    "sent",
    "valid",
    "echo_ms",
)


class Storm:
    """One engineer, his valid commands and somebody else's hostile ones."""

    def __init__(self, who: Engineer, room: rooms.Room, samples: Samples) -> None:
        self.who, self.room, self.samples = who, room, samples
        self.folder = folder_of(room.run_dir)
        self.expected: Counter[str] = Counter()
        self.valid = 0
        self._last = ("", "", b"")

    async def send_valid(self) -> Path:
        """A proposal that nobody made before; returns the file it has to leave."""
        toml = f"{self.room.config.read_text()}# {time.monotonic_ns()}\n"
        id_, text = self.who.text("config_propose", arguments={"toml": toml})
        content = self.who.payload(text)
        await self.who.send("config_propose", content)
        self.valid += 1
        self._last = (id_, text, content)
        return self.folder / f"{hashlib.sha256(toml.encode()).hexdigest()[:16]}.toml"

    async def send_hostile(self, kind: str) -> None:
        """One message with one thing wrong, and its refusal."""
        id_, command, payload, options = hostile(self.who, kind, *self._last)
        self.expected[id_] += 1
        sent_s = time.monotonic()
        await self.who.send(command, payload, **options)
        found = await self._refusal(id_)
        if found is None:
            self.samples["unanswered"].append(1.0)
            return
        came_s, reason = found
        self.samples["refusal_ms"].append((came_s - sent_s) * 1000)
        if reason != kind:
            self.samples["wrong"].append(1.0)

    async def _refusal(self, id_: str) -> tuple[float, str] | None:
        topic, nth = f"reply/{id_}", self.expected[id_]
        refused: list[tuple[float, str]] = []

        def met(said: object) -> bool:
            replies = self.who.said.get(topic, [])
            refused[:] = [(at, one["reason"]) for at, one in replies if one["result"] == "refused"]
            return len(refused) >= nth

        try:
            await self.who.until(topic, met)
        except TimeoutError:
            return None
        return refused[nth - 1]

    async def effect(self, file: Path) -> None:
        """The file of a valid command must come, whatever was replied."""
        give_up_s = time.monotonic() + EFFECT_S
        while not os.path.exists(file):  # noqa: ASYNC240 - a stat of a file in memory
            if time.monotonic() > give_up_s:
                self.samples["missed"].append(1.0)
                return
            await until(asyncio.get_running_loop().time() + 0.01)


async def _storm(room: rooms.Room, port: int, each: int, samples: Samples) -> None:
    async with engineer(port, room.keys) as who:
        room.local("service_open", minutes=240)
        await session_seen(who)
        storm = Storm(who, room, samples)
        order = [kind for kind in KINDS for _ in range(each)]
        random.shuffle(order)
        file = await storm.send_valid()
        for number, kind in enumerate(order):
            due_s = asyncio.get_running_loop().time() + PAUSE_S
            if number % HOSTILE_PER_VALID == 0 and number:
                await storm.effect(file)
                file = await storm.send_valid()
                samples["echo_ms"].append(await echo_ms(who, number))
            await storm.send_hostile(kind)
            await until(due_s)
        await storm.effect(file)
        valid = storm.valid
    acts = room.acts()
    assert acts["permit"] >= 0
    # Anything beyond one act for each valid command was somebody else's, or one that ran twice.
    samples["executed"].append(float(sum(acts.values()) - acts["permit"]))
    samples["executed"].append(float(max(0, acts["permit"] - valid)))
    samples["missed"].append(float(max(0, valid - acts["permit"])))
    samples["executed"].append(float(room.local("status")["mode"] != "STANDBY"))
    samples["valid"].append(float(valid))
    samples["sent"].append(float(len(order)))


async def _flood_of_valid(room: rooms.Room, port: int, count: int, samples: Samples) -> None:
    """The twelfth class: right in everything, but beyond the rate."""
    async with engineer(port, room.keys) as who:
        room.local("service_open", minutes=240)
        await session_seen(who)
        before = room.acts()["permit"]
        begun_s = time.monotonic()
        for _ in range(count):
            _, text = who.text("telemetry_rate", arguments={"name": "beam", "hz": 1})
            await who.mqtt.publish("carm/bench-1/cmd/telemetry_rate", who.payload(text), 0)

        def judged() -> bool:
            told = who.newest("state/security") or {"refused": {}, "accepted": 0}
            return bool(sum(told["refused"].values()) + told["accepted"] >= count)

        await who.until("the flood", lambda said: judged())
        lasted_s = time.monotonic() - begun_s
    beyond = room.acts()["permit"] - before - 20 * (int(lasted_s) + 1)
    samples["executed"].append(float(max(0, beyond)))
    samples["sent"].append(float(count))


def _with_room(job: Callable[[rooms.Room, int], None]) -> None:
    with real_broker() as broker, rooms.room(broker.folder, broker.port) as room:
        room.supervisor()
        room.service()
        job(room, broker.port)


def hostile_chunk(each: int) -> Samples:
    """Twelve classes, `each` of each, between valid ones; half a supervisor suffices for it."""
    samples: Samples = {name: [] for name in NAMES}
    # The measuring process keeps every reply; collecting among them would be measured, too.
    gc.disable()
    try:
        _with_room(lambda room, port: asyncio.run(_storm(room, port, each, samples)))
        _with_room(lambda room, port: asyncio.run(_flood_of_valid(room, port, each, samples)))
    except TimeoutError as error:
        raise CannotMeasure(f"no answer in time: {error}") from None
    finally:
        gc.enable()
    return samples


def hostile_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Executed, missed, refusal time."""
    sent = int(sum(samples.get("sent", [])))
    valid = int(sum(samples.get("valid", [])))
    took = samples.get("refusal_ms", [])
    echo = samples.get("echo_ms", [])
    floor = ("the broker alone, longest", max(echo)) if echo else None

    def summed(name: str) -> float | None:
        return sum(samples[name]) if name in samples else None

    return [
        Reading("service.hostile_executed", "service", "hostile commands of 12 classes executed, "
                "by the supervisor's log", "count", summed("executed"), sent, 12_000, None,
                reason),
        Reading("service.valid_not_once", "service", "valid commands between them that did not run "
                "exactly once, by their files and the supervisor's log", "count",
                summed("missed"), valid, 1_000, None, reason),
        Reading("service.refusal_max", "service", "longest time to a typed refusal, up to 50/s",
                "ms", max(took, default=None), len(took), 11_000, floor, reason),
        Reading("service.refusal_p99", "service", "time to a typed refusal, up to 50/s, p99", "ms",
                quantile(took, 0.99), len(took), 11_000, floor, reason),
        Reading("service.refusals_unanswered", "service", "refusals not answered, or for another "
                "reason than the one thing wrong", "count",
                None if "wrong" not in samples else sum(samples["unanswered"] + samples["wrong"]),
                len(took), 11_000, None, reason),
    ]  # fmt: skip
