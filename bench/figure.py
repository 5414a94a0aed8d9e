"""A figure: what was measured, beside what, against which goal.

Lives here: the values, the goals file, and `holds`, derived and never set.  May not live here:
measuring.  A figure that could not be measured has value None and says why.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

GOALS: Final = Path(__file__).with_name("goals.toml")
OPS: Final = ("<=", ">=", "==")


@dataclass(frozen=True, slots=True)
class Goal:
    """`on` is `value` or `ratio`."""

    op: str
    value: float
    on: str

    def holds(self, measured: float) -> bool:
        """True when the measured number satisfies the goal."""
        if self.op == "<=":
            return measured <= self.value
        return measured >= self.value if self.op == ">=" else measured == self.value


@dataclass(frozen=True, slots=True)
class Reading:
    """One measured figure.  `value` None: not measured, `reason` says why.

    `pair` is a peer measured in the same run, as (name, value).
    """

    id: str
    area: str
    what: str
    unit: str
    value: float | None
    n: int
    n_full: int
    pair: tuple[str, float] | None = None
    reason: str = ""


def load_goals(path: Path = GOALS) -> dict[str, Goal]:
    """The goals by figure id; raises ValueError naming the line that is none."""
    goals = {}
    for figure_id, row in tomllib.loads(path.read_text()).items():
        if set(row) != {"op", "value", "on"} or row["op"] not in OPS:
            raise ValueError(f"{path.name}: {figure_id}: {row}")
        if row["on"] not in ("value", "ratio"):
            raise ValueError(f"{path.name}: {figure_id}: on = {row['on']}")
        goals[figure_id] = Goal(row["op"], float(row["value"]), row["on"])
    return goals


def _ratio(reading: Reading) -> float | None:
    if reading.value is None or reading.pair is None or not reading.pair[1]:
        return None
    return reading.value / reading.pair[1]


def row(reading: Reading, goals: Mapping[str, Goal]) -> dict[str, Any]:
    """The JSON object of one figure; `holds` is null when there is no goal or no measurement."""
    goal = goals.get(reading.id)
    ratio = _ratio(reading)
    judged = None if goal is None else (reading.value if goal.on == "value" else ratio)
    told: dict[str, Any] = {
        "id": reading.id,
        "area": reading.area,
        "what": reading.what,
        "value": _rounded(reading.value),
        "unit": reading.unit,
        "n": reading.n,
        "n_full": reading.n_full,
        "pair": None,
        "ratio": _rounded(ratio),
        "goal": None if goal is None else {"op": goal.op, "value": goal.value, "on": goal.on},
        "holds": None if goal is None or judged is None else goal.holds(judged),
    }
    if reading.pair is not None:
        told["pair"] = {"name": reading.pair[0], "value": _rounded(reading.pair[1])}
    if reading.reason:
        told["reason"] = reading.reason
    return told


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
