"""A campaign: many seeds over the cores of one machine, resumable at any instant.

Lives here: which seeds are due, the workers, and the file of finished seeds.  May not live here:
what a seed is (`episode`, `pairs`), or the sums (`totals`).  A finished seed is one line, written
and synced before it counts; a line torn by an interruption is cut off and its seed is done again.
So nothing finished is lost and nothing is done twice.  A line tells which code it judged: what
another state of the code has finished is done again.  One directory has one writer.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO, Final

from hil import native
from hil.native import code_id
from hil.sim.episode import CALM, SIEGE, run_episode
from hil.sim.pairs import run_pair
from hil.sim.plan import EPISODE, EPISODE_S, EXAMINATION, PAIR, RERUN_OF, Plan, Unit
from hil.sim.totals import replay, sums

RESULTS: Final = "finished.jsonl"
_PR_SET_PDEATHSIG: Final = 1
GC_EVERY: Final = 20_000
Progress = Callable[[int, int, str], None]
MANNER_OF: Final = {
    EPISODE: SIEGE, RERUN_OF[EPISODE]: SIEGE, EXAMINATION: CALM, RERUN_OF[EXAMINATION]: CALM,
}  # fmt: skip


def do(unit: Unit) -> dict[str, Any]:
    """One unit, in a worker; what breaks is told, never swallowed."""
    kind, seed, first, second = unit
    began_s = _cpu_s()
    try:
        if kind == PAIR:
            result = run_pair(seed, first, second).shown()
        elif kind in RERUN_OF.values() and native.is_native():
            result = native.shipped(*replay(unit).split()[1:])
        else:
            result = run_episode(seed, EPISODE_S, MANNER_OF[kind]).shown()
    except Exception as error:  # noqa: BLE001 - a broken step is a finding of this seed
        result = {"seed": seed, "violations": [f"crash: {type(error).__name__}: {error}"[:300]]}
    return {"unit": list(unit), "cpu_s": round(_cpu_s() - began_s, 3), **result}


def _cpu_s() -> float:
    """Processor time of this worker and of what it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _begin() -> None:
    """A worker: Ctrl-C is for the one that writes the file, and who is killed takes it along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is loaded stays; a world is let go as a whole, so looking for rings less often is enough.
    gc.freeze()
    gc.set_threshold(GC_EVERY, 20, 100)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


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


class CampaignBusy(Exception):
    """Another campaign writes into this directory."""


class Campaign:
    """One directory, one plan."""

    def __init__(self, out_dir: Path, plan: Plan) -> None:
        self._path = out_dir / RESULTS
        self._plan = plan
        out_dir.mkdir(parents=True, exist_ok=True)

    def run(self, said: Progress = lambda done, of, text: None) -> dict[str, Any]:
        """Do what is left; returns the sums.  KeyboardInterrupt ends it between two seeds.

        `said(done, of, text)` after every unit; text is '' or what was wrong.  CampaignBusy when
        somebody else writes here.
        """
        began_s = time.monotonic()
        units = self._plan.units()
        with self._opened() as file:
            rows = [row for row in finished(self._path) if row.get("code") == code_id()]
            known = {tuple(row["unit"]) for row in rows}
            due = [unit for unit in units if unit not in known]
            before = len(units) - len(due)
            said(before, len(units), "")
            for done, row in enumerate(_results(due, self._plan.workers), start=before + 1):
                file.write(json.dumps({**row, "code": code_id()}).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
                rows.append(row)
                wrong = "; ".join(row["violations"])
                said(done, len(units), f"{replay(row['unit'])}: {wrong}" if wrong else "")
        wanted = set(units)
        mine = [row for row in rows if tuple(row["unit"]) in wanted]
        return sums(mine, self._plan, time.monotonic() - began_s)

    def _opened(self) -> BinaryIO:
        file = self._path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise CampaignBusy(str(self._path)) from None
        return file


def _results(due: list[Unit], workers: int) -> Iterable[dict[str, Any]]:
    if workers <= 1:
        yield from map(do, due)
        return
    # Spawned, not forked: a worker inherits nothing that could make seeds differ.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin) as pool:
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
