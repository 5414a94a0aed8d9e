"""Figures of the board: command line, the machine at rest, and named lateness.

Lives here: experiments that need no beam.  May not live here: the machine at rest (`bench.rest`) or
the stalls (`bench.stalls`).
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bench import stalls
from bench.figure import Reading
from bench.floors import quantile
from bench.harness import CannotMeasure, Experiment, Samples
from bench.rest import rest_chunk, rest_read


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
