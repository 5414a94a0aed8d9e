"""Exposure at 30/s while the broker dies, freezes and flaps, and while strangers flood it.

Lives here: the disturbances, and the account of every pulse beside a calm stretch of the same run.
May not live here: measuring from inside the product; pulses are read off the room's truth.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import statistics
import threading
import time
from pathlib import Path
from typing import Any, Final

from bench.figure import Reading
from bench.floors import quantile
from bench.harness import CannotMeasure, Samples
from bench.pulses import Account, Log
from bench.service_bed import PERIOD_NS, ServiceBed, real_broker
from tests.service import rooms
from tests.service.engineer import Engineer, engineer

# Three seconds of beam: three lives of a broker that flaps at 1 Hz.
SEGMENT_PULSES: Final = 90
FLOOD_PER_S: Final = 10_000
BURSTS_PER_S: Final = 100
FLOOD_PAYLOAD: Final = json.dumps({"body": json.dumps({"id": "flood-flood"}), "sig": None})
Stretch = tuple[int, int, int]


def _blow(broker: rooms.Broker, how: int, ended: threading.Event) -> None:
    """Killed, frozen or flapping at 1 Hz: one of them, and the broker stands again."""
    if how % 3 == 1:
        broker.signal(signal.SIGSTOP)
        ended.wait(0.4)
        broker.signal(signal.SIGCONT)
    else:
        broker.kill()
        ended.wait(0.5 if how % 3 else 0.2)
        broker.start()


def _chaos(broker: rooms.Broker, how: int, ended: threading.Event, blows: list[int]) -> None:
    while not ended.is_set():
        _blow(broker, how, ended)
        blows.append(how)
        ended.wait(0.5)


async def _back(port: int, keys: dict[str, Path], status: dict[str, Any]) -> tuple[float, bool]:
    """Time to state and beat at a subscriber that was not there before; is the state right?"""
    begun_s = time.monotonic()

    def right(who: Engineer) -> bool:
        mode, faults = who.newest("state/mode"), who.newest("state/faults")
        held = [one["id"] for one in status["faults"]]
        return bool(mode["mode"] == status["mode"] and who.newest("state/technique")
                    and [one["id"] for one in faults["faults"]] == held
                    and who.newest("state/service")["epoch"] == status["epoch"])  # fmt: skip

    async with engineer(port, keys) as who:
        wanted = {"state/mode", "state/faults", "state/technique", "telemetry/beat"}
        await who.until("state and beat", lambda said: wanted <= {*said})
        return time.monotonic() - begun_s, right(who)


def _disturbed(bed: ServiceBed, broker: rooms.Broker, how: int, samples: Samples) -> Stretch:
    """A stretch of beam under blows; afterwards one more blow, and the way back from it."""
    ended, blows = threading.Event(), list[int]()
    thread = threading.Thread(target=_chaos, args=(broker, how, ended, blows))
    thread.start()
    try:
        stretch = bed.segment(SEGMENT_PULSES)
    finally:
        ended.set()
        thread.join()
    samples["blows"].append(float(len(blows)))
    _blow(broker, how, threading.Event())
    try:
        took_s, right = asyncio.run(_back(broker.port, bed.keys, bed.local("status")))
    except TimeoutError:
        raise CannotMeasure("service did not come back to the broker") from None
    samples["back_s"].append(took_s)
    samples["state_wrong"].append(float(not right))
    return stretch


def _compared(log: Log, calm: Stretch, rough: Stretch, samples: Samples) -> None:
    for name, (first, end, lost_runs) in (("calm", calm), ("rough", rough)):
        told: Account = log.account(first, end, PERIOD_NS)
        samples[f"{name}_pulses"].append(float(told.fired))
        samples[f"{name}_lost"].append(float(told.lost))
        samples[f"{name}_late"].append(float(told.late))
        samples[f"{name}_apart"].append(float(told.apart))
        samples[f"{name}_runs_lost"].append(float(lost_runs))
        samples[f"{name}_gap_ms"].append(told.permit_gap_ms_max)
        samples[f"{name}_p99_us"].append(quantile(list(told.late_us), 0.99) or 0.0)


def _names() -> Samples:
    fields = ("pulses", "lost", "late", "apart", "runs_lost", "gap_ms", "p99_us")
    return {f"{which}_{field}": [] for which in ("calm", "rough") for field in fields}


def chaos_chunk(alternations: int) -> Samples:
    """Alternately three seconds of calm and three of chaos, at 30 pulses/s."""
    samples = _names() | {"back_s": [], "state_wrong": [], "blows": []}
    pairs: list[tuple[Stretch, Stretch]] = []
    with real_broker() as broker, ServiceBed(broker.port) as bed:
        bed.make_ready()
        for number in range(alternations):
            calm = bed.segment(SEGMENT_PULSES)
            pairs.append((calm, _disturbed(bed, broker, number, samples)))
        log = bed.log()
    for calm, rough in pairs:
        _compared(log, calm, rough, samples)
    return samples


def _beside(samples: Samples, field: str) -> tuple[str, float]:
    return "calm, same runs", sum(samples.get(f"calm_{field}", []))


def _summed(samples: Samples, field: str) -> float | None:
    return sum(samples[f"rough_{field}"]) if samples.get(f"rough_{field}") else None


def _account(area: str, under: str, samples: Samples, full: int, reason: str) -> list[Reading]:
    """Lost, late, runs lost and the widest gap of PERMIT, each beside the calm of the same run."""
    pulses = int(sum(samples.get("rough_pulses", [])))
    apart = int(sum(samples.get("rough_apart", [])))
    set_apart = f" ({apart} slots set apart: the rig itself was late)" if apart else ""
    gaps = samples.get("rough_gap_ms", [])
    calm_gap = max(samples.get("calm_gap_ms", []), default=0.0)
    return [
        Reading(f"{area}_pulses_lost", "service", f"slots without their pulse {under}{set_apart}",
                "count", _summed(samples, "lost"), pulses, full, _beside(samples, "lost"), reason),
        Reading(f"{area}_pulses_late", "service", f"pulses more than 1 ms late {under}", "count",
                _summed(samples, "late"), pulses, full, _beside(samples, "late"), reason),
        Reading(f"{area}_runs_lost", "service", f"runs that ended by themselves {under}", "count",
                _summed(samples, "runs_lost"), pulses, full, _beside(samples, "runs_lost"),
                reason),
        Reading(f"{area}_permit_gap_max", "service", f"widest gap of PERMIT in a pulse {under}",
                "ms", max(gaps, default=None), pulses, full, ("calm, same runs", calm_gap),
                reason),
    ]  # fmt: skip


def chaos_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Lateness ratio, pulses, reconnect."""
    both = zip(samples.get("calm_p99_us", []), samples.get("rough_p99_us", []), strict=True)
    ratio = [rough / calm for calm, rough in both if calm and rough]
    back = samples.get("back_s", [])
    blows = int(sum(samples.get("blows", [])))
    wrong = sum(samples["state_wrong"]) if back else None
    return [
        Reading("service.chaos_lateness_ratio", "service", "median of paired ratios of p99 "
                f"lateness, broker chaos ({blows} blows during exposure) to calm", "ratio",
                statistics.median(ratio) if ratio else None, len(ratio), 36, None, reason),
        *_account("service.chaos", "during broker chaos", samples, 36 * SEGMENT_PULSES, reason),
        Reading("service.reconnect_max", "service", "broker back to state and beat at a new "
                "subscriber", "s", max(back, default=None), len(back), 36, None, reason),
        Reading("service.state_wrong_after", "service", "retained states that were not right at "
                "that moment", "count", wrong, len(back), 36, None, reason),
    ]  # fmt: skip


# ── flood ────────────────────────────────────────────────────────────────────────────────────


def _burst() -> bytes:
    """Messages to `cmd/lock_out` as MQTT 3.1.1 wants them: a library is slower than a broker."""
    topic, payload = b"carm/bench-1/cmd/lock_out", FLOOD_PAYLOAD.encode()
    body = len(topic).to_bytes(2, "big") + topic + payload
    assert len(body) < 128 * 128
    # Two digits of base 128, the lower one first and marked as not the last.
    length = bytes([len(body) % 128 | 128, len(body) // 128])
    return (b"\x30" + length + body) * (FLOOD_PER_S // BURSTS_PER_S)


def _flood(port: int, ended: threading.Event, sent: list[tuple[float, int]]) -> None:
    """FLOOD_PER_S a second where the machine can; `sent` gets (seconds, messages)."""
    burst, count, begun_s = _burst(), 0, time.monotonic()
    with socket.create_connection(("127.0.0.1", port), 5) as wire:
        wire.sendall(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05flood")
        if wire.recv(4) != b"\x20\x02\x00\x00":
            raise CannotMeasure("the broker did not take the flood's connection")
        while not ended.is_set():
            wire.sendall(burst)
            count += FLOOD_PER_S // BURSTS_PER_S
            time.sleep(max(0.0, begun_s + count / FLOOD_PER_S - time.monotonic()))
    sent.append((time.monotonic() - begun_s, count))


def _rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise CannotMeasure("the service process ended under the flood")


def flood_chunk(seconds: int) -> Samples:
    """A flood of strangers while the machine radiates, beside a calm third of that time."""
    samples = _names() | {"grown_kib": [], "per_s": [], "seconds": []}
    pulses = SEGMENT_PULSES * max(1, seconds // 3 // 3)
    with real_broker() as broker, ServiceBed(broker.port) as bed:
        bed.make_ready()
        calm = bed.segment(pulses)
        service = bed.pid("service")
        before = _rss_kib(service)
        ended, sent, largest = threading.Event(), list[tuple[float, int]](), before
        flood = threading.Thread(target=_flood, args=(broker.port, ended, sent))
        flood.start()
        begun_s, rough = time.monotonic(), list[Stretch]()
        try:
            while time.monotonic() - begun_s < seconds:
                rough.append(bed.segment(SEGMENT_PULSES))
                largest = max(largest, _rss_kib(service))
        finally:
            ended.set()
            flood.join()
        if bed.pid("service") != service:
            raise CannotMeasure("the service process was started anew under the flood")
        log = bed.log()
    lasted_s, count = sent[0]
    samples["grown_kib"], samples["per_s"] = [float(largest - before)], [count / lasted_s]
    samples["seconds"] = [lasted_s]
    whole = (rough[0][0], rough[-1][1], sum(one[2] for one in rough))
    _compared(log, calm, whole, samples)
    return samples


def flood_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Rate, memory, lateness, pulses."""
    rates, grown = samples.get("per_s", []), samples.get("grown_kib", [])
    words = f"under {max(rates, default=0.0):.0f} messages/s of strangers"
    calm = max(samples.get("calm_p99_us", []), default=0.0)
    return [
        Reading("service.flood_rate", "service", "messages of strangers while the machine radiates",
                "1/s", min(rates, default=None), n, 30, None, reason),
        Reading("service.flood_memory", "service", f"largest growth of the process {words}", "KiB",
                max(grown, default=None), n, 30, None, reason),
        Reading("service.flood_lateness_p99", "service", f"lateness of PULSE {words}, p99", "us",
                max(samples.get("rough_p99_us", []), default=None), n, 30,
                ("calm, same run", calm), reason),
        # Thirty seconds of beam, less the releases between its stretches.
        *_account("service.flood", words, samples, 800, reason),
    ]  # fmt: skip
