"""Constancy tests: proposed from afar, taken and exposed at the board, judged from the black box.

Lives here: the folder `state/service/constancy`, one file per proposal, and the arithmetic.  May
not live here: an exposure, or a step towards one: a proposal is a piece of paper on the board until
somebody there takes it, makes the machine ready and presses the pedal.

What is judged is the irradiation time of each pulse, X-rays on to off as realtime saw them: its
spread within the test, and its mean against the first test of the same technique, the baseline.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from controller.core.refusal import Blame, Refusal
from controller.core.technique import checked
from controller.supervisor.state import write_whole
from realtime.wire.config import Config

KEPT_MAX: Final = 64
REPORTED_MAX: Final = 16
# Both as shares of the mean, in per cent; limits of the acceptance test are the hospital's.
SPREAD_MAX: Final = 5.0
DRIFT_MAX: Final = 5.0
FACTORS: Final = ("kv", "ma", "ms")


def folder_of(run_dir: Path) -> Path:
    """Where a run directory keeps constancy tests."""
    return run_dir / "state" / "service" / "constancy"


class Constancy:
    """Proposals and results of one run directory.  Methods raise Refusal or OSError."""

    def __init__(self, run_dir: Path) -> None:
        self._folder = folder_of(run_dir)

    def all(self) -> list[dict[str, Any]]:
        """Every test, the oldest first; what cannot be read is left out."""
        found = []
        for path in self._folder.glob("*.json"):
            try:
                one = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(one, dict) and one.get("name") == path.stem:
                found.append(one)
        return sorted(found, key=lambda one: (one["proposed_ms"], one["name"]))

    def report(self) -> dict[str, Any]:
        """The newest ones."""
        return {"tests": self.all()[-REPORTED_MAX:]}

    def propose(
        self, plan: Mapping[str, Any], by: str, config: Config, now_ms: int
    ) -> dict[str, Any]:
        """Write a proposal down; its factors must be such that the machine could expose so."""
        checked({**{key: plan[key] for key in FACTORS},
                 "rate": config["technique.pulses_per_s"]}, config)  # fmt: skip
        known = self.all()
        open_ = [one for one in known if one["state"] != "concluded"]
        if len(open_) >= KEPT_MAX:
            raise Refusal("too_many", Blame.INPUT, "constancy", len(open_), f"≤ {KEPT_MAX} open",
                          "conclude one at the board first")  # fmt: skip
        number = max((int(one["name"].removeprefix("test-")) for one in known), default=0) + 1
        test = {"name": f"test-{number}", "state": "proposed", **plan, "by": by,
                "proposed_ms": now_ms, "taken_ns": None, "result": None}  # fmt: skip
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in [one for one in known if one["state"] == "concluded"][: -KEPT_MAX + 1]:
            (self._folder / f"{old['name']}.json").unlink(missing_ok=True)
        self._write(test)
        return test

    def take(self, name: str, now_ns: int) -> dict[str, Any]:
        """Somebody at the board begins; pulses after `now_ns` (CLOCK_MONOTONIC) count."""
        return self._write({**self.found(name, "proposed"), "state": "taken", "taken_ns": now_ns})

    def conclude(self, name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Judge the pulses of the black box since the test was taken."""
        test = self.found(name, "taken")
        widths_us = [
            (row["xray_off_ns"] - row["xray_on_ns"]) / 1000
            for row in rows
            if row["kind"] == "pulse" and row["state"] == "closed" and not row["truncated"]
            and row["xray_on_ns"] and row["xray_off_ns"] and row["due_ns"] > test["taken_ns"]
            and row["set_us"] == round(1000 * test["ms"])
        ]  # fmt: skip
        wanted = test["pulses"]
        if len(widths_us) < wanted:
            raise Refusal("too_few", Blame.INPUT, "pulses", len(widths_us), f"≥ {wanted}",
                          "carm ready, then press until there are enough")  # fmt: skip
        result = judged(widths_us[:wanted], self._baseline_us(test))
        return self._write({**test, "state": "concluded", "result": result})

    def found(self, name: str, state: str) -> dict[str, Any]:
        """The test of this name in this state; raises Refusal."""
        for one in self.all():
            if one["name"] == name and one["state"] == state:
                return one
        names = [one["name"] for one in self.all() if one["state"] == state]
        allowed = ", ".join(names) or f"none is {state}"
        raise Refusal("no_such_test", Blame.INPUT, "test", name, allowed,
                      "see carm service constancy list")  # fmt: skip

    def _baseline_us(self, test: Mapping[str, Any]) -> float | None:
        same = [one for one in self.all() if one["state"] == "concluded"
                and all(one[key] == test[key] for key in FACTORS)]  # fmt: skip
        return float(same[0]["result"]["mean_us"]) if same else None

    def _write(self, test: dict[str, Any]) -> dict[str, Any]:
        write_whole(self._folder / f"{test['name']}.json", json.dumps(test) + "\n")
        return test


def judged(widths_us: Sequence[float], baseline_us: float | None) -> dict[str, Any]:
    """Mean and spread of irradiation times, and the drift from the baseline, all in µs and %."""
    assert len(widths_us) > 1, "a spread needs two"
    mean_us = statistics.fmean(widths_us)
    spread = 100 * statistics.stdev(widths_us) / mean_us
    drift = 0.0 if baseline_us is None else 100 * (mean_us - baseline_us) / baseline_us
    return {
        "pulses": len(widths_us), "mean_us": round(mean_us, 1),
        "spread_percent": round(spread, 3), "drift_percent": round(drift, 3),
        "baseline": baseline_us is None,
        "ok": spread <= SPREAD_MAX and abs(drift) <= DRIFT_MAX,
    }  # fmt: skip
