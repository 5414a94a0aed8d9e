"""The floors: what this machine gives to the barest program, before the product does anything.

Lives here: the experiments around `bench.peers`.  May not live here: goals; a floor has none, it is
what others are compared with.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

from bench.figure import Reading
from bench.harness import CannotMeasure, Experiment, Samples

PEER_MAX_S: Final = 300


def peer(what: str, count: int) -> list[float]:
    """Run a bare program in its own process; raises CannotMeasure with what it said."""
    command = [sys.executable, "-m", "bench.peers", what, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PEER_MAX_S)
    if done.returncode != 0:
        raise CannotMeasure(f"bare {what} ended with {done.returncode}: {done.stderr[-200:]}")
    samples: list[float] = json.loads(done.stdout)["samples"]
    return samples


def quantile(samples: list[float], fraction: float) -> float | None:
    """The smallest sample that at least `fraction` of the samples do not exceed; None of none."""
    if not samples:
        return None
    rank = -(-len(samples) * fraction // 1)
    return sorted(samples)[max(0, int(rank) - 1)]


def floor(what: str, words: str, unit: str, n_quick: int, n_full: int) -> Experiment:
    """An experiment over one bare program with its median, 99 % and worst."""

    def chunk(count: int) -> Samples:
        return {what: peer(what, count)}

    def read(samples: Samples, n: int, reason: str) -> list[Reading]:
        found = samples.get(what, [])
        return [
            Reading(
                f"floor.{what}_{name}", "floor", f"{words}, {name}", unit,
                quantile(found, fraction), n, n_full, reason=reason,
            )
            for name, fraction in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
        ]  # fmt: skip

    return Experiment(f"floor_{what}", n_quick, n_full, min(n_quick, 2_000), chunk, read)


def experiments() -> list[Experiment]:
    """The floors, in the order of the file."""
    return [
        floor("echo", "bare echo of 28 bytes between two FIFO processes", "us", 2_000, 10_000),
        floor("sleep", "lateness of a bare FIFO clock_nanosleep loop", "us", 2_000, 10_000),
        floor("copy", "bare copy of a frame of 1024 x 1024 x 16 bit", "ms", 500, 5_000),
    ]
