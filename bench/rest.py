"""The machine at rest: from nothing to READY, what it costs there, and how soon a change is told.

Lives here: our processes started in a room that stands already, as systemd starts them, the service
at a broker over TLS among them.  May not live here: anything with a beam (`bench.live`).
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from bench.bed import PROFILE, profile
from bench.figure import Reading
from bench.floors import peer, quantile
from bench.harness import CannotMeasure, Samples
from bench.service_bed import ServiceBed, has_mosquitto, real_broker
from controller.cli.launch import PARTS, SERVICE_PARTS
from controller.cli.machine import ROOM
from controller.cli.stage import SHARED_MEMORY, Stage
from controller.service.link import until
from tests.service import rooms
from tests.service.bench_folder import write_keys
from tests.service.engineer import Engineer, engineer

# Wake-ups of the bare process beside ours: every 14 ms, so for a minute.
IDLE_WAKES: Final = 4_300
STOP_MAX_S: Final = 10.0
OURS: Final = ("realtime", "supervisor", "imaging", "service")
_MODULES: Final = PARTS | SERVICE_PARTS
_TICK: Final = os.sysconf("SC_CLK_TCK")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _wakes(pid: int) -> int:
    """How often its threads went to sleep so far."""
    found = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        lines = status.read_text().splitlines()
        found += sum(int(r.split()[1]) for r in lines if r.startswith("voluntary_ctxt_switches:"))
    return found


class Idle(NamedTuple):
    """Percent of a core: what each process used, and what as many bare wake-ups would."""

    used: dict[str, float]
    bare: float


def idle(pids: Mapping[str, int], wakes: int) -> Idle:
    """What processes use while nothing happens, for as long as a bare one wakes so often beside."""
    before, begun_s = {part: _cpu_s(pid) for part, pid in pids.items()}, time.monotonic()
    woken = sum(map(_wakes, pids.values()))
    wake_us = quantile(peer("wake", wakes), 0.5) or 0.0
    over_s = time.monotonic() - begun_s
    woken = sum(map(_wakes, pids.values())) - woken
    used = {part: 100 * (_cpu_s(pid) - before[part]) / over_s for part, pid in pids.items()}
    return Idle(used, 100 * woken * wake_us / 1e6 / over_s)


def _memory_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextmanager
def _tls_broker() -> Iterator[rooms.Broker]:
    """The broker of `systemd/mosquitto` with certificates of its own."""
    if not has_mosquitto():
        raise CannotMeasure("mosquitto is not installed")
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="carm-broker-", dir=place))
    broker = rooms.listed_broker(folder, datetime.now(UTC))
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _configured(run_dir: Path, broker: rooms.Broker) -> Path:
    """The bench profile with a board's way to its broker."""
    config = run_dir / "product.toml"
    config.write_text(profile(
        broker='"external"', host='"localhost"', port=str(broker.port), protocol='"5"',
        security='"tls"', certificates=f'"{broker.folder / "carm"}"',
    ))  # fmt: skip
    write_keys(run_dir)
    return config


@contextmanager
def _started(run_dir: Path, config: Path) -> Iterator[dict[str, int]]:
    """Our processes in a room that stands already; their numbers."""
    words = ["--config", str(config), "--run-dir", str(run_dir)]
    with (run_dir / "product.log").open("ab") as log:
        children = {
            part: subprocess.Popen(
                [sys.executable, "-m", _MODULES[part], *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
            for part in OURS
        }  # fmt: skip
    try:
        yield {part: child.pid for part, child in children.items()}
    finally:
        for part in reversed(OURS):
            children[part].terminate()
        for child in children.values():
            child.wait(STOP_MAX_S)


def rest_chunk(count: int) -> Samples:
    """From nothing to READY in a room that is there, and then nothing happens."""
    found: Samples = {key: [] for key in ("cold", "room", "cpu", "bare", "memory", *OURS)}
    for _ in range(count):
        begun_s = time.monotonic()
        with _tls_broker() as broker, Stage(PROFILE, ROOM) as room:
            found["room"].append(time.monotonic() - begun_s)
            _rest(room, broker, found)
    return found


def _rest(room: Stage, broker: rooms.Broker, found: Samples) -> None:
    config = _configured(room.run_dir, broker)
    begun_s = time.monotonic()
    with _started(room.run_dir, config) as alive:
        room.make_ready()
        found["cold"].append(time.monotonic() - begun_s)
        at_rest = idle(alive, IDLE_WAKES)
        for part, percent in at_rest.used.items():
            found[part].append(percent)
        found["cpu"].append(sum(at_rest.used.values()))
        found["bare"].append(at_rest.bare)
        found["memory"].append(sum(_memory_mb(alive[part]) for part in OURS))


def rest_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Cold start, load and memory of our processes.

    No step of the self-test turns the rotor, so its time is not in it and none is taken off.
    """
    room_s = quantile(samples.get("room", []), 0.5)
    apart = "" if room_s is None else f" (room and broker, {room_s:.1f} s, apart)"
    each = ", ".join(f"{part} {max(samples[part]):.2f}" for part in OURS if samples.get(part))
    rows = (
        ("machine.cold_start", "cold", f"start of our processes to READY{apart}", "s"),
        ("machine.idle_cpu", "cpu", f"our processes in READY, of one core ({each})", "%"),
        ("machine.idle_memory", "memory", "our processes in READY, proportional", "MB"),
    )
    # The bare wake-ups of the same occasion as the figure, which is the worst one.
    bare = max(zip(samples.get("cpu", []), samples.get("bare", []), strict=True), default=None)
    pairs = {} if bare is None else {"cpu": ("as many bare wake-ups", bare[1])}
    return [
        Reading(id_, "machine", what, unit, max(samples.get(key, []), default=None), n, 5,
                pairs.get(key), reason)
        for id_, key, what, unit in rows
    ]  # fmt: skip


async def _told(bed: ServiceBed, who: Engineer) -> float:
    """From an edit at the board, which takes READY away, to the retained mode at a client, ms."""
    await asyncio.to_thread(bed.make_ready)
    await who.until("READY", lambda said: (who.newest("state/mode") or {}).get("mode") == "READY")
    # At rest, and at any phase of whoever asks by a clock.
    await until(asyncio.get_running_loop().time() + random.uniform(0.5, 1.5))
    begun_s = time.monotonic()
    await asyncio.to_thread(bed.local, "set", kv=random.randrange(60, 80))
    await who.until("STANDBY", lambda said: who.newest("state/mode")["mode"] != "READY")
    return (who.said["state/mode"][-1][0] - begun_s) * 1000


async def _all_told(port: int, bed: ServiceBed, count: int) -> list[float]:
    async with engineer(port, bed.keys) as who:
        return [await _told(bed, who) for _ in range(count)]


def told_chunk(count: int) -> Samples:
    """How soon a mode that changes at rest is seen over MQTT."""
    with real_broker() as broker, ServiceBed(broker.port) as bed:
        return {"ms": asyncio.run(_all_told(broker.port, bed, count))}


def told_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Median and worst."""
    took = samples.get("ms", [])
    words = "READY taken away at the board to the retained mode at a client"
    return [
        Reading(f"service.mode_told_{name}", "service", f"{words}, {name}", "ms",
                quantile(took, fraction), len(took), 100, None, reason)
        for name, fraction in (("p50", 0.5), ("max", 1.0))
    ]  # fmt: skip
