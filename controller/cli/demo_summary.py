"""The numbers of the demo: from the room's truth, the black box and the stream's own account.

Lives here: `summary.json` (schema `carm.demo/1`) and the rows of the final table.  May not live
here: anything measured inside the product; the black box is read by another process.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from controller.cli.demo_script import Script, Segment, Step
from controller.cli.demo_watch import Watch
from hil.referee.commands import run_referee
from hil.referee.crosscheck import load_blackbox
from hil.referee.metrics import Metrics
from hil.referee.truth import read

SCHEMA: Final = "carm.demo/1"
# Invariants 1 and 2: high voltage without a pedal that asks for it.
PEDAL_INVARIANTS: Final = (1, 2)


def degraded(run_dir: Path, rig_status: dict[str, Any]) -> list[str]:
    """What this machine lacks, in words, by the preflight of the executive and the rig."""
    checks = json.loads((run_dir / "realtime.json").read_text())
    lacking = [
        f"realtime: {one['id']} is {one['measured']}, wanted {one['limit']}; {one['remedy']}"
        for one in checks
        if not one["ok"]
    ]
    return lacking + [f"rig: {words}" for words in rig_status.get("line", {}).get("degraded", [])]


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "root": os.geteuid() == 0,
    }


def _recorded(out: Path) -> list[dict[str, Any]]:
    """Rows of the black box as another process reads them."""
    command = [sys.executable, "-m", "controller.cli.main", "blackbox", "show"]
    done = subprocess.run([*command, str(out / "blackbox.ring")], capture_output=True, text=True,
                          check=True)  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def _missing(rows: list[dict[str, Any]], watch: Watch, report: dict[str, Any]) -> Counter[str]:
    """Pulses without a published frame, by reason: the stream's, else what the black box knows."""
    missing = Counter(report["missing_by_reason"])
    crashed = [row for row in rows if row["end_reason"] == "crash"]
    unseen = sum(row["pulse_id"] not in watch.pulse_ids for row in crashed)
    if unseen:
        # Their executive died before it could report them; nobody downstream knows of them.
        missing["executive_died"] += unseen
    return missing


def _segment(segment: Segment, starts_ns: list[int]) -> dict[str, Any]:
    inside = [at for at in starts_ns if segment.from_ns <= at <= segment.to_ns]
    span_s = (inside[-1] - inside[0]) / 1e9 if len(inside) > 1 else 0.0
    measured = round((len(inside) - 1) / span_s, 3) if span_s else None
    return {"fps_commanded": segment.fps_commanded, "fps_measured": measured, "pulses": len(inside)}


def _dark(found: list[dict[str, Any]], signal: str) -> dict[str, Any]:
    rows = [row for row in found if row["process"] == "realtime" and row["signal"] == signal]
    if not rows:
        return {"n": 0, "mid_pulse_n": 0, "max": None}
    row = rows[0]
    return {"n": row["n"], "mid_pulse_n": row["mid_pulse_n"], "max": row["dark_ms"]["max"]}


def summarise(
    out: Path,
    script: Script,
    steps: list[Step],
    watch: Watch,
    report: dict[str, Any],
    lacking: list[str],
) -> dict[str, Any]:
    """Everything of `outputs`: the room's truth judged and measured, beside the two accounts."""
    truth, box = out / "truth.jsonl", out / "blackbox.ring"
    metrics = Metrics(load_blackbox(box))
    starts_ns: list[int] = []
    for record in read(truth):
        metrics.take(record)
        if record.kind == "photons_on":
            starts_ns.append(record.t_ns)
    measured = metrics.result()
    verdict, _ = run_referee(truth, box)
    rows = [row for row in _recorded(out) if row["kind"] == "pulse"]
    missing = _missing(rows, watch, report)
    published = report["received"] + report["lost"]
    kill = _dark(measured["dark_after"], "kill9")
    violations = {row["n"]: row["violations"] for row in verdict["invariants"]}
    emitted = measured["pulses_emitted"]
    return {
        "schema": SCHEMA,
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain")),
        "machine": _machine(),
        "degraded": lacking,
        "self_test": [
            {key: step[key] for key in ("id", "ok", "value", "unit")} for step in script.self_test
        ],
        "steps": [asdict(step) for step in steps],
        "segments": [_segment(segment, starts_ns) for segment in script.segments],
        "pulses_emitted": emitted,
        "pulses_recorded": len(rows),
        "frames_published": published,
        "frames_received": report["received"],
        "frames_missing": dict(missing),
        "accounts_agree": emitted == len(rows) == published + sum(missing.values()),
        "pulses_outside_window": measured["pulses_outside_window"],
        "beam_without_pedal": sum(violations[n] for n in PEDAL_INVARIANTS),
        "referee_violations": sum(violations.values()),
        "kill9_to_dark_ms": kill["max"],
        "sigstop_to_dark_ms": _dark(measured["dark_after"], "sigstop"),
        "press_to_first_pulse_ms": measured["press_to_first_pulse_ms"],
        "press_to_first_pulse_cold_ms": measured["press_to_first_pulse_cold_ms"],
        "release_to_dark_us": measured["release_to_dark_us"],
        "releases_between_pulses": measured["releases_between_pulses"],
        "permit_toggle_gap_ms": measured["permit_toggle_gap_ms"],
        "pulse_lateness_us": measured["pulse_lateness_us"],
    }


def _spread(value: dict[str, Any], unit: str) -> str:
    parts = [f"{name} {number:g} {unit}" for name, number in value.items()
             if name != "n" and number is not None]  # fmt: skip
    return f"n = {value['n']}   " + "   ".join(parts)


def rows(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The final table, name and words."""
    good = sum(step["ok"] for step in summary["steps"])
    yield "steps", f"{good} of {len(summary['steps'])} as expected"
    for segment in summary["segments"]:
        yield (f"at {segment['fps_commanded']:g}/s",
               f"{segment['fps_measured']} measured, {segment['pulses']} pulses")  # fmt: skip
    yield "pulses", f"{summary['pulses_emitted']} emitted, {summary['pulses_recorded']} recorded"
    missing = ", ".join(f"{n} {why}" for why, n in summary["frames_missing"].items()) or "none"
    yield "frames", f"{summary['frames_published']} published, missing: {missing}"
    yield "frames received", str(summary["frames_received"])
    yield "outside the window", str(summary["pulses_outside_window"])
    yield "without a pedal", str(summary["beam_without_pedal"])
    yield "referee", f"{summary['referee_violations']} violations"
    yield "release to dark", _spread(summary["release_to_dark_us"], "µs")
    yield "kill -9 to dark", f"{summary['kill9_to_dark_ms']} ms"
    yield "SIGSTOP to dark", _spread(summary["sigstop_to_dark_ms"], "ms")
    yield "press to first pulse", _spread(summary["press_to_first_pulse_ms"], "ms")
    yield "pulse lateness", _spread(summary["pulse_lateness_us"], "µs")
    yield "permit toggle gap", _spread(summary["permit_toggle_gap_ms"], "ms")
    for words in summary["degraded"]:
        yield "degraded", words
