"""Figures of the machine at rest: command line, cold start, load, memory; and named lateness.

Lives here: experiments that need no beam.  May not live here: the stalls (`bench.stalls`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench import stalls
from bench.bed import PROFILE
from bench.figure import Reading
from bench.floors import quantile
from bench.harness import CannotMeasure, Experiment, Samples
from controller.cli.launch import PARTS
from controller.cli.machine import ROOM
from controller.cli.stage import Stage

IDLE_S: Final = 30.0
STOP_MAX_S: Final = 10.0
OURS: Final = ("realtime", "supervisor", "imaging")
_TICK: Final = os.sysconf("SC_CLK_TCK")


def help_chunk(count: int) -> Samples:
    """`carm --help`, as typed."""
    command = [str(Path(sys.executable).with_name("carm")), "--help"]
    took_ms = []
    for _ in range(count):
        begun_ns = time.monotonic_ns()
        subprocess.run(command, capture_output=True, check=True)
        took_ms.append((time.monotonic_ns() - begun_ns) / 1e6)
    return {"help": took_ms}


def help_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """The median: the first one finds cold caches."""
    value = quantile(samples.get("help", []), 0.5)
    return [Reading("cli.help", "cli", "carm --help, median", "ms", value, n, 20, None, reason)]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _memory_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextmanager
def _started(run_dir: Path) -> Iterator[dict[str, int]]:
    """Our processes in a room that stands already, as systemd starts them; their numbers."""
    words = ["--config", str(PROFILE), "--run-dir", str(run_dir)]
    with (run_dir / "product.log").open("ab") as log:
        children = {
            part: subprocess.Popen(
                [sys.executable, "-m", PARTS[part], *words],
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
    found: Samples = {key: [] for key in ("cold", "room", "cpu", "memory", *OURS)}
    for _ in range(count):
        begun_s = time.monotonic()
        with Stage(PROFILE, ROOM) as room:
            found["room"].append(time.monotonic() - begun_s)
            _rest(room, found)
    return found


def _rest(room: Stage, found: Samples) -> None:
    begun_s = time.monotonic()
    with _started(room.run_dir) as alive:
        room.make_ready()
        found["cold"].append(time.monotonic() - begun_s)
        before, begun_s = {part: _cpu_s(alive[part]) for part in OURS}, time.monotonic()
        time.sleep(IDLE_S)
        over_s = time.monotonic() - begun_s
        used = {part: 100 * (_cpu_s(alive[part]) - before[part]) / over_s for part in OURS}
        for part, percent in used.items():
            found[part].append(percent)
        found["cpu"].append(sum(used.values()))
        found["memory"].append(sum(_memory_mb(alive[part]) for part in OURS))


def rest_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Cold start, load and memory of our three processes.

    No step of the self-test turns the rotor, so its time is not in it and none is taken off.
    """
    room_s = quantile(samples.get("room", []), 0.5)
    apart = "" if room_s is None else f" (the room's own start, {room_s:.1f} s, apart)"
    each = ", ".join(f"{part} {max(samples[part]):.1f}" for part in OURS if samples.get(part))
    rows = (
        ("machine.cold_start", "cold", f"start of our processes to READY{apart}", "s"),
        ("machine.idle_cpu", "cpu", f"our processes in READY, of one core ({each})", "%"),
        ("machine.idle_memory", "memory", "our processes in READY, proportional", "MB"),
    )
    return [
        Reading(id_, "machine", what, unit, max(samples.get(key, []), default=None), n, 5, None,
                reason)
        for id_, key, what, unit in rows
    ]  # fmt: skip


def stalls_chunk(count: int) -> Samples:
    """`count` stalls of every class; per class how often it was named right, as 0 or 1."""
    try:
        found = stalls.measure(count, time.monotonic_ns())
    except PermissionError as error:
        raise CannotMeasure(f"FIFO is not granted: {error}") from None
    return {
        what: [float(told == stalls.EXPECTED[what]) for (injected, told), times in found.items()
               for _ in range(times) if injected == what]
        for what in stalls.EXPECTED
    }  # fmt: skip


def stalls_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """The worst class decides."""
    shares = {what: 100 * sum(right) / len(right) for what, right in samples.items() if right}
    worst = min(shares, key=lambda what: shares[what], default="")
    words = f"stalls named right, worst class ({worst})" if worst else "stalls named right"
    value = shares.get(worst)
    return [Reading("lateness.named_right", "lateness", words, "%", value, n, 100, None, reason)]


def experiments() -> list[Experiment]:
    """In the order of the file."""
    return [
        Experiment("help", 10, 20, 10, help_chunk, help_read),
        Experiment("rest", 1, 5, 1, rest_chunk, rest_read),
        Experiment("stalls", 20, 100, 20, stalls_chunk, stalls_read),
    ]
