"""Runs experiments in chunks, keeps what is done, writes the figures.

Lives here: chunks, resuming, progress, the file.  May not live here: an experiment.  A chunk's
samples are appended to `out/bench/parts/NAME.jsonl` as soon as they exist; a run with the same
commit and a clean tree takes them up again.  A full run may be cut into slices: after so many
seconds no chunk is begun, and the figures say that more is to come.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.figure import Reading, load_goals, row
from controller.cli.stage import StageError

SCHEMA: Final = "carm.bench/1"
SLICE_OVER: Final = "the slice of time is over; the same command goes on"
Samples = dict[str, list[float]]
Over = Callable[[], bool]


def endless() -> bool:
    """A run that nobody cuts."""
    return False


def slice_of(seconds: float) -> Over:
    """A run that begins no chunk after so many seconds from now."""
    end_ns = time.monotonic_ns() + round(seconds * 1e9)
    return lambda: time.monotonic_ns() >= end_ns


@dataclass(frozen=True, slots=True)
class Experiment:
    """`chunk(n)` measures n more and returns samples by name; `read` turns all samples to figures.

    `read(samples, n, reason)`: `reason` is "" or why the measuring ended early.
    """

    name: str
    n_quick: int
    n_full: int
    n_chunk: int
    chunk: Callable[[int], Samples]
    read: Callable[[Samples, int, str], list[Reading]]


class CannotMeasure(StageError):
    """The machine or the subject does not allow this experiment; the text says what is missing."""


@dataclass
class Parts:
    """The chunks of one experiment on disk."""

    path: Path
    key: str

    def load(self) -> tuple[Samples, int]:
        """Samples and count so far, when they belong to `key`."""
        samples: Samples = {}
        count = 0
        if not self.key or not self.path.exists():
            return samples, count
        for line in self.path.read_text().splitlines():
            part = _part(line)
            if part is None or part["key"] != self.key:
                return {}, 0
            count += part["n"]
            merge(samples, part["samples"])
        return samples, count

    def start(self) -> None:
        """Forget what is there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("")

    def add(self, n: int, samples: Samples) -> None:
        """Append one chunk."""
        with self.path.open("a") as out:
            out.write(json.dumps({"key": self.key, "n": n, "samples": samples}) + "\n")


def _part(line: str) -> dict[str, Any] | None:
    try:
        part = json.loads(line)
    except ValueError:
        return None
    return part if isinstance(part, dict) and {"key", "n", "samples"} <= part.keys() else None


def merge(samples: Samples, more: Samples) -> None:
    """Append the samples of a chunk."""
    for name, values in more.items():
        samples.setdefault(name, []).extend(values)


def run_one(
    experiment: Experiment, parts: Parts, full: bool, progress: Callable[[str, int, int], None],
    over: Over = endless,
) -> list[Reading]:  # fmt: skip
    """Run what is missing of one experiment and read its figures."""
    wanted = experiment.n_full if full else experiment.n_quick
    samples, done = parts.load() if full else ({}, 0)
    if done == 0:
        samples = {}
        parts.start()
    reason = ""
    while done < wanted and not reason:
        progress(experiment.name, done, wanted)
        if over():
            reason = SLICE_OVER
            break
        count = min(experiment.n_chunk, wanted - done)
        try:
            more = experiment.chunk(count)
        except StageError as error:
            reason = str(error)
        else:
            done += count
            merge(samples, more)
            parts.add(count, more)
    progress(experiment.name, done, wanted)
    return experiment.read(samples, done, reason)


def run_all(
    experiments: list[Experiment],
    head: dict[str, Any],
    out: Path,
    full: bool,
    progress: Callable[[str, int, int], None],
    over: Over = endless,
) -> dict[str, Any]:
    """Run all and write `out/figures.json`, anew after each experiment; returns the object."""
    goals = load_goals()
    key = "" if head["dirty"] or head["commit"] is None else str(head["commit"])
    began_ns = time.monotonic_ns()
    figures: list[dict[str, Any]] = []
    told: dict[str, Any] = {}
    for experiment in experiments:
        parts = Parts(out / "parts" / f"{experiment.name}.jsonl", key)
        readings = run_one(experiment, parts, full, progress, over)
        figures += [row(reading, goals) for reading in readings]
        wall_s = round((time.monotonic_ns() - began_ns) / 1e9, 1)
        told = {"schema": SCHEMA, **head, "wall_s": wall_s, "figures": figures}
        fresh = out / "figures.json.new"
        fresh.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
        fresh.replace(out / "figures.json")
    return told
