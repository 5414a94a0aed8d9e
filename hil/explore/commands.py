"""`carm explore`: all studies over the local cores, one verdict, counterexamples as files.

Lives here: which studies there are, running them side by side, the report and the replay.  May not
live here: a study.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hil import native
from hil.explore.beam import Beam
from hil.explore.beam_rules import RULES
from hil.explore.beam_studies import LETTERS_STUDY, STUDIES
from hil.explore.modes import INVARIANTS, Modes, studies
from hil.explore.rows import all_rows, noting
from hil.explore.search import Graph, Search

LIVELY: Final = {"executive": "beam pulse", "modes": "ready or ended"}
_TABLES: Final = {"executive": ("beam", "pedal", "order", "signal"), "modes": ("modes",)}
_STATES: Final = {
    "executive": tuple(f"beam {name}" for name in (
        "dark", "called", "clearing", "armed", "pulse", "readout", "tripped")),
    "modes": tuple(f"mode {name}" for name in (
        "BOOT", "SELF_TEST", "STANDBY", "READY", "PREP", "EXPOSING", "HOLD", "FAULT", "SHUTDOWN")),
}  # fmt: skip
# Where no way leads to a pulse: nothing is ordered, first light, a pedal that is never let go.
_NO_PULSE: Final = frozenset({"latched at start, first light", "self-test", "five-minute signal"})
ALIVE: Final = 18  # the invariant of *sometimes* and *eventually*
# Breadth first: a short path lies within the first states.
FIRST_STATES_MAX: Final = (1_500, 20_000)
LETTERS: Final = f"executive: {LETTERS_STUDY.name}"
MAILBOXES: Final = (1, 2)
Part = tuple[Graph, set[str]]
Task = tuple[str, int, int, bool]


def names() -> list[str]:
    """Every study by its name; the longest one begins, so that no core ends alone."""
    return [one.name for one in studies()] + [f"executive: {study.name}" for study in STUDIES]


def subject(name: str, mailbox: int = 1) -> Any:
    """The subject of a study; raises KeyError for a name that is none."""
    by_name: dict[str, Any] = {one.name: one for one in studies()}
    for study in STUDIES:
        wider = replace(study, mailbox=mailbox if study.letters else study.mailbox)
        by_name[f"executive: {study.name}"] = wider
    found = by_name[name]
    return found if isinstance(found, Modes) else Beam(found)


def explore_one(task: Task) -> Part:
    """Search one study to its end (or first finding); the graph and the rows that fired."""
    name, mailbox, states_max, first_only = task
    with noting() as fired:
        one = subject(name, mailbox)
        graph = Search(one, states_max, first_only).run(_goals(name))
    return graph, fired


def _goals(name: str) -> tuple[str, ...]:
    machine, _, study = name.partition(": ")
    return () if study in _NO_PULSE else (LIVELY[machine],)


def explore(
    only: str = "", mailbox: int = 1, workers: int = 0, states_max: int = 400_000,
    first_only: bool = False,
) -> list[dict[str, Any]]:  # fmt: skip
    """Every study whose name contains `only`; one record per machine (`outputs`)."""
    chosen = [name for name in names() if only in name]
    parts, wall_s = explore_these(chosen, mailbox, workers, states_max, first_only)
    whole = not only and not first_only
    machines = {part[0].name.partition(":")[0] for part in parts}
    return [
        report(machine, [p for p in parts if p[0].name.startswith(machine)], whole, wall_s)
        for machine in sorted(machines)
    ]


def first_findings(only: str = "") -> list[dict[str, Any]]:
    """Each study to its first finding: all of them a little way, then farther if none has one."""
    records: list[dict[str, Any]] = []
    for states_max in FIRST_STATES_MAX:
        records = explore(only, states_max=states_max, first_only=True)
        if any(not rule["holds"] for one in records for rule in one["properties"]):
            break
    return records


def explore_these(
    chosen: list[str], mailbox: int = 1, workers: int = 0, states_max: int = 400_000,
    first_only: bool = False,
) -> tuple[list[Part], float]:  # fmt: skip
    """Studies by name, side by side on `workers` cores (0: all); their graphs and the time, s."""
    tasks = [(name, mailbox, states_max, first_only) for name in chosen]
    workers = min(workers or os.cpu_count() or 1, len(tasks)) or 1
    begun_s = time.monotonic()
    # States are many, kept, and never garbage: to look for cycles takes a tenth of the time.
    with multiprocessing.get_context("spawn").Pool(workers, initializer=gc.disable) as pool:
        parts = pool.map(explore_one, tasks, chunksize=1)
    return parts, round(time.monotonic() - begun_s, 1)


def report(machine: str, parts: Iterable[Part], whole: bool, wall_s: float) -> dict[str, Any]:
    """The record of one machine; rows and states are asked for when all its studies ran."""
    graphs = [graph for graph, _ in parts]
    fired = {row for _, rows in parts for row in rows}
    marks = {mark for graph in graphs for mark in graph.marks}
    dead = sorted(all_rows(*_TABLES[machine]) - fired) if whole else []
    missing = [mark for mark in _STATES[machine] if mark not in marks] if whole else []
    always = RULES if machine == "executive" else INVARIANTS
    properties = [
        _property(broken.kind, graph.name, broken.rule, always, broken.path)
        for graph in graphs
        for broken in graph.broken
    ]
    properties += [_property("sometimes", machine, f"{mark} is reached", always, [])
                   for mark in missing]  # fmt: skip
    broken_rules = {one["rule"] for one in properties}
    properties += [{**_property("always", machine, rule, always, []), "holds": True}
                   for rule in always if rule not in broken_rules]  # fmt: skip
    return {
        "machine": machine,
        "states": sum(graph.states for graph in graphs),
        "transitions": sum(graph.transitions for graph in graphs),
        "complete": all(graph.complete for graph in graphs),
        "dead_rows": dead,
        "properties": properties,
        "studies": [{"study": graph.name, "states": graph.states, "complete": graph.complete,
                     "transitions": graph.transitions} for graph in graphs],
        "wall_s": wall_s,
    }  # fmt: skip


def _property(kind: str, study: str, rule: str, always: Mapping[str, int | str],
              path: list[str]) -> dict[str, Any]:  # fmt: skip
    """One that does not hold; a rule may say in brackets which assertion it was."""
    invariant = always.get(rule.partition(" (")[0], ALIVE if kind != "always" else None)
    return {"kind": kind, "study": study, "rule": rule, "invariant": invariant, "holds": False,
            "path": path}  # fmt: skip


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """One object over all machines: `carm explore --json`."""
    return {
        "schema": "carm.explore/1",
        "machine": " and ".join(one["machine"] for one in records),
        "states": sum(one["states"] for one in records),
        "transitions": sum(one["transitions"] for one in records),
        "complete": all(one["complete"] for one in records),
        "dead_rows": [row for one in records for row in one["dead_rows"]],
        "properties": [rule for one in records for rule in one["properties"]],
        "native": native.is_native(),
        "wall_s": max((one["wall_s"] for one in records), default=0.0),
        "machines": records,
    }


def holds(records: Iterable[dict[str, Any]]) -> bool:
    """Nothing is broken, nothing dead, nothing left to look at."""
    return all(
        one["complete"] and not one["dead_rows"] and all(p["holds"] for p in one["properties"])
        for one in records
    )


def write_paths(records: Iterable[dict[str, Any]], folder: Path) -> list[Path]:
    """Each counterexample as a file that `carm explore --replay` plays again."""
    written = []
    for one in records:
        for n, rule in enumerate(p for p in one["properties"] if not p["holds"] and p["path"]):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{one['machine']}-{n}.json"
            path.write_text(json.dumps({
                "schema": "carm.path/1", "kind": rule["kind"], "study": rule["study"],
                "rule": rule["rule"],
                "invariant": rule["invariant"], "events": rule["path"],
                "replay": f"carm explore --replay {path}",
            }, indent=1, ensure_ascii=False) + "\n")  # fmt: skip
            written.append(path)
    return written


def replay(file: Path) -> list[str]:
    """Play a path again; the rules that its last event breaks.

    What *eventually* never comes shows in no single step: the study is searched again.
    """
    kept = json.loads(file.read_text())
    if kept["kind"] == "eventually":
        graph, _ = explore_one((kept["study"], 1, 2_000_000, False))
        return [broken.rule for broken in graph.broken if broken.rule == kept["rule"]]
    one = subject(kept["study"])
    state, broken = one.starts()[0], ()
    for event in kept["events"]:
        one.lay(state)
        broken = one.make(event)
        state = one.read()
    return list(broken)


def compare_mailboxes(name: str = LETTERS, states_max: int = 2_000_000) -> dict[str, Any]:
    """The study of letters with one letter under way and with two: schema `carm.mailbox/1`.

    `equal`: both were searched to their end, and with two letters the same rules hold, the same
    states of the small machines are reached and the same rows fire.
    """
    begun_s = time.monotonic()
    tasks = [(name, letters, states_max, False) for letters in MAILBOXES]
    # The larger search first: it is most of the work.
    with multiprocessing.get_context("spawn").Pool(len(tasks), initializer=gc.disable) as pool:
        parts = pool.map(explore_one, tasks[::-1], chunksize=1)[::-1]
    return mailboxes(name, parts, round(time.monotonic() - begun_s, 1))


def mailboxes(name: str, parts: list[Part], wall_s: float) -> dict[str, Any]:
    """The record of `compare_mailboxes` for what was found with each size."""
    verdicts = [({b.rule for b in graph.broken}, graph.marks, fired) for graph, fired in parts]
    rows = [
        {"letters": letters, "states": graph.states, "complete": graph.complete,
         "broken": sorted(rules), "reached": len(marks), "rows": len(fired)}
        for letters, (graph, _), (rules, marks, fired)
        in zip(MAILBOXES, parts, verdicts, strict=True)
    ]  # fmt: skip
    equal = verdicts[0] == verdicts[1] and all(graph.complete for graph, _ in parts)
    return {"schema": "carm.mailbox/1", "study": name, "mailboxes": rows, "equal": equal,
            "wall_s": wall_s}  # fmt: skip
