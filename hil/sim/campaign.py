"""A campaign: many seeds over the cores of one machine, resumable at any instant.

Lives here: which seeds are due, the workers, the file of finished seeds, and the sums.  May not
live here: what a seed is (`episode`, `pairs`).  A finished seed is one line, written and synced
before it counts; a line torn by an interruption is cut off and its seed is done again.  So nothing
finished is lost and nothing is done twice.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from hil.sim.episode import run_episode
from hil.sim.pairs import pair_units, run_pair

SCHEMA: Final = "carm.campaign/1"
RESULTS: Final = "finished.jsonl"
EPISODE_S: Final = 120
# Every so many seeds one is run twice: the second journal must be the first.
RERUN_EVERY: Final = 10
# Ctrl-C is for the one that writes the file; workers end with it.
_DEAF: Final = (signal.SIGINT, signal.SIG_IGN)
Unit = tuple[str, int, int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign consists of; the same plan in the same directory goes on where it was."""

    first_seed: int
    hours: float
    pairs: int
    workers: int

    def units(self) -> list[Unit]:
        """(kind, seed, first, second) in order; kind is episode, rerun or pair."""
        count = max(1, round(self.hours * 3600 / EPISODE_S)) if self.hours else 0
        seeds = range(self.first_seed, self.first_seed + count)
        episodes: list[Unit] = [("episode", seed, 0, 0) for seed in seeds]
        reruns: list[Unit] = [("rerun", seed, 0, 0) for seed in seeds if seed % RERUN_EVERY == 0]
        pairs: list[Unit] = [
            ("pair", self.first_seed + phase, first, second)
            for first, second in pair_units()
            for phase in range(self.pairs)
        ]
        return episodes + reruns + pairs


def do(unit: Unit) -> dict[str, Any]:
    """One unit, in a worker; what breaks is told, never swallowed."""
    kind, seed, first, second = unit
    began_s = time.process_time()
    try:
        if kind == "pair":
            result = run_pair(seed, first, second).shown()
        else:
            result = run_episode(seed, EPISODE_S).shown()
    except Exception as error:  # noqa: BLE001 - a broken step is a finding of this seed
        result = {"seed": seed, "violations": [f"crash: {type(error).__name__}: {error}"[:300]]}
    return {"unit": list(unit), "cpu_s": round(time.process_time() - began_s, 3), **result}


def finished(path: Path) -> list[dict[str, Any]]:
    """The finished units of a file; a torn last line is cut off the file."""
    if not path.exists():
        return []
    whole, rows = 0, []
    raw = path.read_bytes()
    for line in raw.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
        whole += len(line)
    if whole != len(raw):
        os.truncate(path, whole)
    return rows


class Campaign:
    """One directory, one plan."""

    def __init__(self, out_dir: Path, plan: Plan) -> None:
        self._path = out_dir / RESULTS
        self._plan = plan
        out_dir.mkdir(parents=True, exist_ok=True)

    def run(self, said: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
        """Do what is left; returns the sums.  KeyboardInterrupt ends it between two seeds."""
        began_s = time.monotonic()
        units = self._plan.units()
        rows = finished(self._path)
        known = {tuple(row["unit"]) for row in rows}
        due = [unit for unit in units if unit not in known]
        said(f"{len(units) - len(due)} of {len(units)} units were finished before")
        with self._path.open("ab") as file:
            for done, row in enumerate(_results(due, self._plan.workers), start=1):
                file.write(json.dumps(row).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
                rows.append(row)
                if row["violations"] or done % 20 == 0 or done == len(due):
                    said(f"{done}/{len(due)} {row['unit']} {'; '.join(row['violations'])[:160]}")
        wanted = set(units)
        mine = [row for row in rows if tuple(row["unit"]) in wanted]
        return sums(mine, self._plan, time.monotonic() - began_s)


def _results(due: list[Unit], workers: int) -> Iterable[dict[str, Any]]:
    if workers <= 1:
        yield from map(do, due)
        return
    # Spawned, not forked: a worker inherits nothing that could make seeds differ.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, signal.signal, _DEAF) as pool:
        left = iter(due)
        running: set[Future[dict[str, Any]]] = set()
        try:
            while True:
                # Bounded: two units wait per worker.
                while len(running) < 2 * workers and (unit := next(left, None)) is not None:
                    running.add(pool.submit(do, unit))
                if not running:
                    return
                ready, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield future.result()
        except GeneratorExit:
            pool.shutdown(cancel_futures=True)
            raise


def replay(unit: Iterable[Any]) -> str:
    """The command that does one unit again."""
    kind, seed, first, second = unit
    tail = f" --pair {first},{second}" if kind == "pair" else ""
    return f"carm campaign --replay {seed}{tail}"


def sums(rows: list[dict[str, Any]], plan: Plan, wall_s: float) -> dict[str, Any]:
    """The object of schema `carm.campaign/1`."""
    episodes = [row for row in rows if row["unit"][0] == "episode"]
    pairs = [row for row in rows if row["unit"][0] == "pair"]
    hashes = {row["unit"][1]: row.get("sha256") for row in episodes}
    reruns = [row for row in rows if row["unit"][0] == "rerun" and row["unit"][1] in hashes]
    same = [row for row in reruns if row.get("sha256") == hashes[row["unit"][1]]]
    sim_ns = sum(row.get("sim_ns", 0) for row in rows)
    beam_ns = sum(row.get("beam_ns", 0) for row in episodes)
    cpu_s = sum(row["cpu_s"] for row in rows)
    numbers: dict[str, int] = {}
    for row in rows:
        for number, count in row.get("by_number", {}).items():
            numbers[number] = numbers.get(number, 0) + count
    complete = {tuple(row["unit"][2:]) for row in pairs if not row["violations"]}
    return {
        "schema": SCHEMA,
        "sim_hours": round(sim_ns / 3.6e12, 4),
        "beam_on_fraction": round(beam_ns / max(1, sum(r.get("sim_ns", 0) for r in episodes)), 4),
        "pulses": sum(row.get("pulses", 0) for row in rows),
        "events": sum(row.get("events", 0) for row in rows),
        "faults": sum(row.get("faults", 0) for row in rows),
        "faults_unseen": sum(row.get("unseen", 0) for row in rows),
        "faults_by_number": dict(sorted(numbers.items())),
        "pairs_done": len(complete),
        "pairs_planned": len(pair_units()) if plan.pairs else 0,
        "reruns": len(reruns),
        "reruns_identical": len(same),
        "violations": [
            {"unit": row["unit"], "what": row["violations"], "replay": replay(row["unit"])}
            for row in rows
            if row["violations"]
        ],
        "x_realtime": round(sim_ns / 1e9 / cpu_s, 1) if cpu_s else None,
        "cpu_s": round(cpu_s, 1),
        "wall_s": round(wall_s, 1),
        "units": {"planned": len(plan.units()), "finished": len(rows)},
    }


def to_stderr(text: str) -> None:
    """Progress."""
    sys.stderr.write(f"campaign: {text}\n")
    sys.stderr.flush()
