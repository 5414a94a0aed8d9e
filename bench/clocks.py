"""Figures of both clocks: the real-time set of scenarios, repeated, and whether both agree.

Lives here: how often the set is played and what is counted.  May not live here: playing a case
(`controller.cli.clocks`) or comparing (`hil.sim.agreement`).  A flake is a case of the set that is
judged and not a pass; what the rig's own lateness spoiled is judged by nobody and counted apart.
"""

from __future__ import annotations

import random
import sys
import time
from typing import Final

from bench.figure import Reading
from bench.harness import CannotMeasure, Experiment, Samples
from controller.cli.clocks.runner import compare_clocks
from hil.sim.commands import SCENARIOS
from hil.sim.means import REAL_TIME_SET
from hil.sim.scenario import read

REPETITIONS: Final = 20
STEPS: Final = 20


def _said(text: str) -> None:
    sys.stderr.write(f"  {text}\n")


def chunk(count: int) -> Samples:
    """So many repetitions of the set, each at other phases of the pulse cycle, in both clocks."""
    found = [read(SCENARIOS / f"{name}.toml") for name in REAL_TIME_SET]
    first = random.Random(time.monotonic_ns()).randrange(STEPS)
    try:
        rows = compare_clocks(found, count, _said, first)["rows"]
    except SystemExit as refused:
        raise CannotMeasure(f"the machine did not come up (exit {refused.code})") from None
    for row in rows:
        if row["agree"] is False:
            _said(
                f"{row['id']} step {row['step']}: the clocks differ in {row['differs']}: virtual "
                f"{row['virtual']} {row['order_virtual']}, real {row['real']} {row['order_real']}"
            )
    judged = [row for row in rows if row["real"] != "waiting"]
    return {
        "judged": [float(len(judged))],
        "flakes": [float(sum(row["real"] != "pass" for row in judged))],
        "differ": [float(sum(row["agree"] is False for row in rows))],
        "waiting": [float(len(rows) - len(judged))],
        "tries": [float(len(rows) + sum(len(row["set_apart"]) for row in judged))],
        "apart": [float(sum(len(row["set_apart"]) for row in rows))],
    }


def figures(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Flakes, disagreements, and the share of tries that the rig or its computer spoiled."""

    def total(name: str) -> float | None:
        return sum(samples[name]) if samples.get(name) else None

    judged = int(total("judged") or 0)
    full = REPETITIONS * len(REAL_TIME_SET)
    waiting = int(total("waiting") or 0)
    left = f"; {waiting} cases were spoiled at every try and judged by nobody" if waiting else ""
    tries, apart = total("tries"), total("apart")
    share = None if not tries or apart is None else apart / tries
    return [
        Reading("proof.real_time_flakes", "proof",
                f"cases of {len(REAL_TIME_SET)} scenarios in real time that did not pass{left}",
                "count", total("flakes"), judged, full, None, reason),
        Reading("proof.clocks_differ", "proof",
                "cases whose verdict or order of beam events differs between the clocks", "count",
                total("differ"), judged, full, None, reason),
        Reading("proof.real_time_set_apart", "proof",
                "tries that a late rig or a stalled computer spoiled, of all tries", "ratio",
                share, int(tries or 0), full, None, reason),
    ]  # fmt: skip


def experiments() -> list[Experiment]:
    """The one experiment of this file."""
    return [Experiment("clocks", 1, REPETITIONS, 1, chunk, figures)]
