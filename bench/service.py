"""Figures of service over MQTT: round trip, hostile commands, a dying broker, a flood.

Lives here: the experiments of "what it must reach", over a real mosquitto.  May not live here:
measuring from inside the product; what was executed is read from the files of the run directory.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import socket
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.bed import Bed
from bench.figure import Reading
from bench.floors import quantile
from bench.harness import CannotMeasure, Experiment, Samples
from controller.service.link import until
from tests.service import rooms
from tests.service.bench_folder import write_keys
from tests.service.engineer import Engineer, engineer
from tests.service.hostile import KINDS, hostile

RATE: Final = "30.0"
# Two seconds of beam, four lives of a broker that flaps at 1 Hz.
SEGMENT_PULSES: Final = 60
FLOOD_PER_S: Final = 10_000
FLOOD_PAYLOAD: Final = json.dumps({"body": json.dumps({"id": "flood-flood"}), "sig": None})


@contextmanager
def _broker() -> Iterator[rooms.Broker]:
    if shutil.which("mosquitto") is None and shutil.which("mosquitto", path="/usr/sbin") is None:
        raise CannotMeasure("mosquitto is not installed")
    folder = Path(tempfile.mkdtemp(prefix="carm-broker-"))
    made = rooms.plain_broker(folder)
    made.start()
    try:
        yield made
    finally:
        made.kill()
        shutil.rmtree(folder, ignore_errors=True)


class ServiceBed(Bed):
    """A whole machine whose service speaks to a broker; `keys` are people's private ones."""

    def __init__(self, port: int) -> None:
        super().__init__(pulses_per_s=RATE, broker='"external"', port=str(port), protocol='"5"')
        self.keys = write_keys(self.run_dir)

    def segment(self) -> tuple[int, int, int]:
        """Two seconds of beam: (first pulse, last pulse + 1, runs lost)."""
        before = self.hv_count()
        lost = self.shine_for(SEGMENT_PULSES)
        time.sleep(0.15)
        return before, self.hv_count(), lost


# ── round trip ───────────────────────────────────────────────────────────────────────────────


async def _round_trips(port: int, keys: dict[str, Path], count: int) -> list[float]:
    took = []
    async with engineer(port, keys) as who:
        for _ in range(count):
            due_s = asyncio.get_running_loop().time() + 0.06
            begun_s = time.monotonic()
            reply = await who.do("state", None)
            took.append((time.monotonic() - begun_s) * 1000)
            if reply["result"] != "done":
                raise CannotMeasure(f"a question was refused: {reply['reason']}")
            await until(due_s)
    return took


def trip_chunk(count: int) -> Samples:
    """State queries against the whole machine at rest."""
    with _broker() as broker, ServiceBed(broker.port) as bed:
        return {"ms": asyncio.run(_round_trips(broker.port, bed.keys, count))}


def trip_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Round trip."""
    took = samples.get("ms", [])
    return [Reading("service.state_round_trip_p99", "service", "state query and reply over a real "
                    "broker on loopback, p99", "ms", quantile(took, 0.99), len(took), 2_000, None,
                    reason)]  # fmt: skip


# ── hostile ──────────────────────────────────────────────────────────────────────────────────


async def _storm(room: rooms.Room, port: int, each: int, samples: Samples) -> None:
    async with engineer(port, room.keys) as who:
        room.local("service_open", minutes=240)
        await who.until("session", lambda said: (who.newest("state/session") or {}).get("open"))
        order = [kind for kind in KINDS for _ in range(each)]
        random.shuffle(order)
        good, bad = [], []
        for number, kind in enumerate(order):
            due_s = asyncio.get_running_loop().time() + 0.06
            id_, text = who.text("telemetry_rate", arguments={"name": "beam", "hz": number % 10})
            content = who.payload(text)
            await who.send("telemetry_rate", content)
            good.append(id_)
            hostile_id, command, payload, options = hostile(who, kind, id_, text, content)
            sent_s = time.monotonic()
            await who.send(command, payload, **options)
            await _refused(who, hostile_id, sent_s, samples)
            bad.append(hostile_id)
            await until(due_s)
        for id_ in good:
            await who.last(id_)
    done = Counter(one["id"] for one in room.audit("done"))
    samples["executed"].append(float(sum(done[i] for i in bad if i not in good)
                                     + sum(done[i] - 1 for i in good if done[i] > 1)
                                     + (room.local("status")["mode"] != "STANDBY")))  # fmt: skip
    samples["missed"].append(float(sum(done[i] != 1 for i in good)))


async def _refused(who: Engineer, id_: str, sent_s: float, samples: Samples) -> None:
    topic = f"reply/{id_}"
    try:
        await who.until(topic, lambda said: any(
            one["result"] == "refused" for _, one in said.get(topic, [])))  # fmt: skip
    except TimeoutError:
        samples["unanswered"].append(1.0)
        return
    came_s = next(at for at, one in who.said[topic] if one["result"] == "refused")
    samples["refusal_ms"].append((came_s - sent_s) * 1000)


async def _flood_of_valid(room: rooms.Room, port: int, count: int, samples: Samples) -> None:
    """The twelfth class: right in everything, but beyond the rate."""
    async with engineer(port, room.keys) as who:
        room.local("service_open", minutes=240)
        await who.until("session", lambda said: (who.newest("state/session") or {}).get("open"))
        begun_s = time.monotonic()
        for _ in range(count):
            _, text = who.text("telemetry_rate", arguments={"name": "beam", "hz": 1})
            await who.mqtt.publish("carm/bench-1/cmd/telemetry_rate", who.payload(text), 0)

        def judged() -> bool:
            told = who.newest("state/security") or {"refused": {}, "accepted": 0}
            return bool(sum(told["refused"].values()) + told["accepted"] >= count)

        await who.until("the flood", lambda said: judged())
        lasted_s = time.monotonic() - begun_s
    beyond = len(room.audit("done")) - 20 * (int(lasted_s) + 1)
    samples["executed"].append(float(max(0, beyond)))


def _with_room(job: Callable[[rooms.Room, int], None]) -> None:
    with _broker() as broker, rooms.room(broker.folder, broker.port) as room:
        room.supervisor()
        room.service()
        job(room, broker.port)


def hostile_chunk(each: int) -> Samples:
    """Twelve classes, `each` of each, between valid ones; half a supervisor suffices for it."""
    names = ("executed", "missed", "refusal_ms", "unanswered", "sent")
    samples: Samples = {name: [] for name in names}
    try:
        _with_room(lambda room, port: asyncio.run(_storm(room, port, each, samples)))
        _with_room(lambda room, port: asyncio.run(_flood_of_valid(room, port, each, samples)))
    except TimeoutError as error:
        raise CannotMeasure(f"no answer in time: {error}") from None
    samples["sent"].append(float(each * (len(KINDS) + 1)))
    return samples


def hostile_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Executed, missed, refusal time."""
    sent = int(sum(samples.get("sent", [])))
    valid = int(sent * len(KINDS) / (len(KINDS) + 1))
    took = samples.get("refusal_ms", [])

    def summed(name: str) -> float | None:
        return sum(samples[name]) if name in samples else None

    return [
        Reading("service.hostile_executed", "service", "hostile commands of 12 classes executed",
                "count", summed("executed"), sent, 12_000, None, reason),
        Reading("service.valid_not_once", "service", "valid commands between them that did not run "
                "exactly once", "count", summed("missed"), valid, 11_000, None, reason),
        Reading("service.refusal_max", "service", "longest time to a typed refusal, up to 50/s",
                "ms", max(took, default=None), len(took), 11_000, None, reason),
        Reading("service.refusals_unanswered", "service", "refusals that were not answered",
                "count", summed("unanswered"), sent, 11_000, None, reason),
    ]  # fmt: skip


# ── chaos ────────────────────────────────────────────────────────────────────────────────────


def _chaos(broker: rooms.Broker, how: int, ended: threading.Event, back: list[float]) -> None:
    """Kill, freeze or flap until told to end; `back` collects when the broker stood again."""
    while not ended.is_set():
        if how % 3 == 1:
            broker.signal(signal.SIGSTOP)
            ended.wait(0.5)
            broker.signal(signal.SIGCONT)
        else:
            broker.kill()
            ended.wait(0.5 if how % 3 else 0.2)
            broker.start()
        back.append(time.monotonic())
        ended.wait(0.5)


async def _reconnect_s(port: int, keys: dict[str, Path], came_back_s: float) -> float:
    async with engineer(port, keys) as who:
        await who.until("state and beat", lambda said: {"state/mode", "telemetry/beat"} <= {*said})
        return time.monotonic() - came_back_s


def chaos_chunk(alternations: int) -> Samples:
    """Alternately two seconds of calm and two of chaos, at 30 pulses/s."""
    samples: Samples = {"ratio": [], "lost": [], "lost_calm": [], "back_s": [], "blows": []}
    bounds: list[tuple[tuple[int, int, int], tuple[int, int, int]]] = []
    with _broker() as broker, ServiceBed(broker.port) as bed:
        bed.make_ready()
        for number in range(alternations):
            calm = bed.segment()
            ended, back = threading.Event(), list[float]()
            blows = threading.Thread(target=_chaos, args=(broker, number, ended, back))
            blows.start()
            try:
                rough = bed.segment()
            finally:
                ended.set()
                blows.join()
            bounds.append((calm, rough))
            samples["blows"].append(float(len(back)))
            samples["back_s"].append(asyncio.run(_reconnect_s(broker.port, bed.keys, back[-1])))
        metrics, _ = bed.judge()
    late = [abs(ns) / 1000 for ns in metrics.lateness.late_ns]
    for calm, rough in bounds:
        before, during = (quantile(late[a:b], 0.99) for a, b, _ in (calm, rough))
        if before and during:
            samples["ratio"].append(during / before)
        samples["lost"].append(float(rough[2]))
        samples["lost_calm"].append(float(calm[2]))
    return samples


def chaos_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Lateness ratio, runs lost, reconnect."""
    ratio, back = samples.get("ratio", []), samples.get("back_s", [])
    blows = int(sum(samples.get("blows", [])))
    calm = ("runs lost in calm, same run", sum(samples.get("lost_calm", [])))
    lost = sum(samples["lost"]) if "lost" in samples else None
    return [
        Reading("service.chaos_lateness_ratio", "service", "median of paired ratios of p99 "
                f"lateness, broker chaos ({blows} blows) to calm", "ratio",
                statistics.median(ratio) if ratio else None, len(ratio), 34, None, reason),
        Reading("service.chaos_runs_lost", "service", "runs that ended by themselves during chaos",
                "count", lost, n, 34, calm, reason),
        Reading("service.reconnect_max", "service", "broker back to state and beat at a subscriber",
                "s", max(back, default=None), len(back), 34, None, reason),
    ]  # fmt: skip


# ── flood ────────────────────────────────────────────────────────────────────────────────────


def _flood(port: int, seconds: float) -> int:
    """Messages to `cmd/`, FLOOD_PER_S a second where the machine can; returns how many.

    Bytes as MQTT 3.1.1 wants them, because a library's client is slower than a broker.
    """
    topic, payload = b"carm/bench-1/cmd/lock_out", FLOOD_PAYLOAD.encode()
    body = len(topic).to_bytes(2, "big") + topic + payload
    assert len(body) < 128 * 128
    # Two digits of base 128, the lower one first and marked as not the last.
    length = bytes([len(body) % 128 | 128, len(body) // 128])
    burst = (b"\x30" + length + body) * (FLOOD_PER_S // 100)
    sent, begun_s = 0, time.monotonic()
    with socket.create_connection(("127.0.0.1", port), 5) as wire:
        wire.sendall(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05flood")
        if wire.recv(4) != b"\x20\x02\x00\x00":
            raise CannotMeasure("the broker did not take the flood's connection")
        while time.monotonic() - begun_s < seconds:
            wire.sendall(burst)
            sent += FLOOD_PER_S // 100
            time.sleep(max(0.0, begun_s + sent / FLOOD_PER_S - time.monotonic()))
    return sent


def _rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise CannotMeasure("the service process ended under the flood")


def flood_chunk(seconds: int) -> Samples:
    """A flood of strangers while the machine radiates; beside the same time without one."""
    with _broker() as broker, ServiceBed(broker.port) as bed:
        bed.make_ready()
        calm = bed.segment()
        before = _rss_kib(bed.pid("service"))
        sent: list[int] = []

        def pour() -> None:
            sent.append(_flood(broker.port, seconds))

        flood = threading.Thread(target=pour)
        flood.start()
        begun_s = time.monotonic()
        rough = []
        while time.monotonic() - begun_s < seconds:
            rough.append(bed.segment())
        flood.join()
        grown = _rss_kib(bed.pid("service")) - before
        renewed = "error" not in bed.local("status")
        metrics, _ = bed.judge()
    late = [abs(ns) / 1000 for ns in metrics.lateness.late_ns]
    quiet = quantile(late[calm[0] : calm[1]], 0.99)
    loud = quantile(late[rough[0][0] : rough[-1][1]], 0.99)
    return {
        "grown_kib": [float(grown)], "per_s": [sum(sent) / seconds],
        "lost": [float(sum(one[2] for one in rough)) + (not renewed)],
        "calm_us": [quiet] if quiet else [], "loud_us": [loud] if loud else [],
    }  # fmt: skip


def flood_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Memory, lateness, runs."""
    rate = max(samples.get("per_s", []), default=0.0)
    words = f"under {rate:.0f} messages/s of strangers"
    calm = max(samples.get("calm_us", []), default=0.0)
    grown = samples.get("grown_kib")
    return [
        Reading("service.flood_memory", "service", f"growth of the process {words}", "KiB",
                max(grown) if grown else None, n, 30, None, reason),
        Reading("service.flood_lateness_p99", "service", f"lateness of PULSE {words}, p99", "us",
                max(samples.get("loud_us", []), default=None), n, 30,
                ("calm, same run", calm), reason),
        Reading("service.flood_runs_lost", "service", f"runs that ended by themselves {words}",
                "count", sum(samples["lost"]) if "lost" in samples else None, n, 30, None, reason),
    ]  # fmt: skip


def experiments() -> list[Experiment]:
    """The figures of service, in the order of the file."""
    return [
        Experiment("service_round_trip", 200, 2_000, 2_000, trip_chunk, trip_read),
        Experiment("service_hostile", 20, 1_000, 250, hostile_chunk, hostile_read),
        Experiment("service_chaos", 10, 34, 34, chaos_chunk, chaos_read),
        Experiment("service_flood", 8, 30, 30, flood_chunk, flood_read),
    ]
