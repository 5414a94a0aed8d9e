"""The sums of a campaign: schema `carm.campaign/1`, and the command that does one unit again.

Lives here: adding up finished units, and which hours and pairs of them count.  May not live here:
running anything.  An hour counts only with the beam on a fifth of the time and 10,000 pulses; a
pair only when every phase is done, violated nothing, showed both effects, and the second struck
inside the first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, Final

from hil.native import is_native
from hil.sim.pairs import pair_units
from hil.sim.plan import EPISODES_PER_HOUR, EXAMINATION, PAIR, RERUN_OF, Plan

SCHEMA: Final = "carm.campaign/1"
BEAM_ON_MIN: Final = 0.2
PULSES_MIN: Final = 10_000
NS_PER_HOUR: Final = 3_600_000_000_000
Row = dict[str, Any]


def replay(unit: Iterable[Any]) -> str:
    """The command that does one unit again."""
    kind, seed, first, second = unit
    tail = f" --pair {first},{second}" if kind == PAIR else ""
    if kind in (EXAMINATION, RERUN_OF[EXAMINATION]):
        tail = " --examination"
    return f"carm campaign --replay {seed}{tail}"


def sums(rows: list[Row], plan: Plan, wall_s: float) -> dict[str, Any]:
    """The object of schema `carm.campaign/1`; times of the simulated world unless they say wall."""
    episodes = [row for row in rows if row["unit"][0] in RERUN_OF]
    sim_ns, cpu_s = _sum(rows, "sim_ns"), sum(row["cpu_s"] for row in rows)
    numbers: Counter[str] = Counter()
    for row in rows:
        numbers.update(row.get("by_number", {}))
    return {
        "schema": SCHEMA,
        "sim_hours": round(sim_ns / NS_PER_HOUR, 4),
        "beam_on_fraction": round(_sum(episodes, "beam_ns") / max(1, _sum(episodes, "sim_ns")), 4),
        "pulses": _sum(rows, "pulses"),
        "events": _sum(rows, "events"),
        "faults": _sum(rows, "faults"),
        "faults_unseen": _sum(rows, "unseen"),
        "faults_by_number": dict(sorted(numbers.items())),
        "calm_presses": _sum(rows, "calm"),
        "false_trips": _sum(rows, "false_trips"),
        "recoveries": _sum(rows, "recoveries"),
        "ready_ms_max": _longest_ms(rows, "ready_ns_max"),
        "first_pulse_ms_max": _longest_ms(rows, "first_ns_max"),
        "rested_presses": _sum(rows, "rested"),
        "rested_first_pulse_ms_max": _longest_ms(rows, "rested_ns_max"),
        **_hours(episodes, plan),
        **_pairs(rows, plan),
        **_reruns(rows, episodes),
        "violations": [
            {"unit": row["unit"], "what": row["violations"], "replay": replay(row["unit"])}
            for row in rows
            if row["violations"]
        ],
        "x_realtime": round(sim_ns / 1e9 / cpu_s, 1) if cpu_s else None,
        "native": is_native(),
        "cpu_s": round(cpu_s, 1),
        "wall_s": round(wall_s, 1),
        "units": {"planned": len(plan.units()), "finished": len(rows)},
    }


def good(body: dict[str, Any]) -> bool:
    """Nothing violated, reruns equal, and whatever was planned is finished and counts."""
    return (
        not body["violations"]
        and not body["false_trips"]
        and body["reruns_identical"] == body["reruns"]
        and body["hours_counted"] == body["hours_planned"]
        and body["pairs_done"] == body["pairs_planned"]
        and body["units"]["finished"] == body["units"]["planned"]
    )


def _sum(rows: Iterable[Row], key: str) -> int:
    return sum(row.get(key, 0) for row in rows)


def _longest_ms(rows: Iterable[Row], key: str) -> float:
    return round(max((row.get(key, 0) for row in rows), default=0) / 1e6, 1)


def _hours(episodes: list[Row], plan: Plan) -> dict[str, int]:
    """Whole hours: thirty episodes in the order of their seeds."""
    hours: defaultdict[int, list[Row]] = defaultdict(list)
    for row in episodes:
        hours[(row["unit"][1] - plan.first_seed) // EPISODES_PER_HOUR].append(row)
    counted = 0
    for hour in hours.values():
        if len(hour) == EPISODES_PER_HOUR:
            share = _sum(hour, "beam_ns") / max(1, _sum(hour, "sim_ns"))
            counted += share >= BEAM_ON_MIN and _sum(hour, "pulses") >= PULSES_MIN
    return {"hours_counted": counted, "hours_planned": int(plan.hours)}


def _pairs(rows: list[Row], plan: Plan) -> dict[str, int]:
    """`pairs_done`: every phase done, nothing violated, in each the second inside the first and
    both effects seen.
    """
    phases: defaultdict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        if row["unit"][0] == PAIR:
            phases[row["unit"][2], row["unit"][3]].append(row)
    return {
        "pairs_done": sum(
            len(found) >= plan.pairs and all(map(_counts, found)) for found in phases.values()
        ),
        "pairs_planned": len(pair_units()) if plan.pairs else 0,
    }


def _counts(row: Row) -> bool:
    return bool(row.get("struck")) and not row["unseen"] and not row["violations"]


def _reruns(rows: list[Row], episodes: list[Row]) -> dict[str, int]:
    hashes = {row["unit"][1]: row.get("sha256") for row in episodes}
    second = RERUN_OF.values()
    again = [row for row in rows if row["unit"][0] in second and row["unit"][1] in hashes]
    same = sum(row.get("sha256") == hashes[row["unit"][1]] for row in again)
    return {"reruns": len(again), "reruns_identical": same}
