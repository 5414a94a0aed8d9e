"""`python -m bench`: run every experiment, write `out/bench/figures.json`, print a table.

Lives here: arguments (names of experiments, none: all; FULL=1 in the environment for the stated
sample sizes, with SLICE_S=240 in slices of so many seconds) and printing.  May not live here:
measuring.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from bench import board, clocks, floors, live, proof, service
from bench.harness import endless, run_all, slice_of
from bench.machine import ROOT, head

OUT: Final = ROOT / "out" / "bench"
AREAS: Final = (floors, board, live, service, clocks, proof)
MARKS: Final = {True: "holds", False: "FAILS", None: ""}


def progress(name: str, done: int, wanted: int) -> None:
    """One line that is written over, on stderr."""
    filled = 30 * done // wanted
    bar = "█" * filled + "·" * (30 - filled)
    sys.stderr.write(f"\r{name:<28} {bar} {done}/{wanted} ")
    if done >= wanted or not sys.stderr.isatty():
        sys.stderr.write("\n")
    sys.stderr.flush()


def line(figure: dict[str, Any]) -> str:
    """One figure for people."""
    value = "—" if figure["value"] is None else f"{figure['value']:g} {figure['unit']}"
    pair = figure["pair"]
    beside = f"  beside {pair['name']} {pair['value']:g}" if pair else ""
    short = "" if figure["n"] >= figure["n_full"] else f" of {figure['n_full']}"
    reason = f"  {figure['reason']}" if "reason" in figure else ""
    mark = MARKS[figure["holds"]]
    return f"{figure['id']:<42}{value:>14}  {mark:<6} n={figure['n']}{short}{beside}{reason}"


def main() -> int:
    """0: every goal that was measured holds, 1: not so, 2: no such experiment, 130: interrupted.

    Parts are kept in any case.
    """
    full = os.environ.get("FULL", "") not in ("", "0")
    only = set(sys.argv[1:])
    every = [each for area in AREAS for each in area.experiments()]
    unknown = only - {experiment.name for experiment in every}
    if unknown:
        known = " ".join(experiment.name for experiment in every)
        sys.stderr.write(f"no experiment {' '.join(sorted(unknown))}; there are: {known}\n")
        return 2
    chosen = [experiment for experiment in every if not only or experiment.name in only]
    slice_s = os.environ.get("SLICE_S", "") if full else ""
    over = slice_of(float(slice_s)) if slice_s else endless
    OUT.mkdir(parents=True, exist_ok=True)
    try:
        told = run_all(chosen, head(), OUT, full, progress, over)
    except KeyboardInterrupt:
        return 130
    print("\n".join(line(figure) for figure in told["figures"]))
    return 1 if any(figure["holds"] is False for figure in told["figures"]) else 0


sys.exit(main())
