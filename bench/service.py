"""Figures of service over MQTT: round trip here; hostile commands, chaos and flood beside it.

Lives here: the list of the area's experiments, and the round trip of a question.  May not live
here: measuring from inside the product.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.figure import Reading
from bench.floors import quantile
from bench.harness import CannotMeasure, Experiment, Samples
from bench.rest import told_chunk, told_read
from bench.service_bed import ServiceBed, echo_ms, real_broker
from bench.service_chaos import chaos_chunk, chaos_read, flood_chunk, flood_read
from bench.service_storm import hostile_chunk, hostile_read
from controller.service.link import until
from tests.service.engineer import engineer

# Questions have 20 a second of their own.
PAUSE_S = 0.06


async def _round_trips(port: int, keys: dict[str, Path], count: int) -> Samples:
    samples: Samples = {"ms": [], "echo_ms": []}
    async with engineer(port, keys) as who:
        for number in range(count):
            due_s = asyncio.get_running_loop().time() + PAUSE_S
            begun_s = time.monotonic()
            reply = await who.do("state", None)
            samples["ms"].append((time.monotonic() - begun_s) * 1000)
            if reply["result"] != "done":
                raise CannotMeasure(f"a question was refused: {reply['reason']}")
            samples["echo_ms"].append(await echo_ms(who, number))
            await until(due_s)
    return samples


def trip_chunk(count: int) -> Samples:
    """State queries against the whole machine at rest."""
    with real_broker() as broker, ServiceBed(broker.port) as bed:
        return asyncio.run(_round_trips(broker.port, bed.keys, count))


def trip_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Round trip, beside the broker's own."""
    took, echo = samples.get("ms", []), samples.get("echo_ms", [])
    beside = ("the broker alone, p99", quantile(echo, 0.99) or 0.0) if echo else None
    return [Reading("service.state_round_trip_p99", "service", "state query and reply over a real "
                    "broker on loopback, p99", "ms", quantile(took, 0.99), len(took), 2_000,
                    beside, reason)]  # fmt: skip


def experiments() -> list[Experiment]:
    """The figures of service."""
    return [
        Experiment("service_round_trip", 200, 2_000, 2_000, trip_chunk, trip_read),
        Experiment("service_mode_told", 10, 100, 10, told_chunk, told_read),
        Experiment("service_hostile", 20, 1_000, 250, hostile_chunk, hostile_read),
        Experiment("service_chaos", 10, 36, 12, chaos_chunk, chaos_read),
        Experiment("service_flood", 9, 30, 30, flood_chunk, flood_read),
    ]
