"""`carm doctor`: the report as a whole, over this machine and over a running realtime."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from controller.cli import main
from controller.doctor import examination
from controller.doctor.examination import examine, words
from controller.doctor.table import CHECKS

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.process
def test_the_report_is_whole_and_keeps_its_schema(run_dir: Path) -> None:
    report = examine(run_dir)
    schema = json.loads((ROOT / "docs/schemas/doctor.json").read_text())
    jsonschema.validate(report, schema)
    ids = [row["id"] for row in report["checks"]]
    assert ids[-len(CHECKS) :] == [check.id for check in CHECKS]
    assert {"fifo", "faults_in_new_memory", "wake_up_under_load_us", "clock_read_ns"} <= set(ids)
    assert report["fit"] is all(r["ok"] for r in report["checks"] if r["blocks_exposure"])
    assert list(run_dir.iterdir()) == []
    failing = [row["remedy"] for row in report["checks"] if not row["ok"]]
    assert [remedy for remedy in failing if remedy not in words(report)] == []


def report_of(measured: dict[str, Any]) -> dict[str, Any]:
    rows = [check.row(measured.get(check.id, check.limit)) for check in CHECKS]
    blocked = [row for row in rows if row["blocks_exposure"] and not row["ok"]]
    return {"schema": "carm.doctor/1", "run_dir": "/x", "fit": not blocked, "checks": rows}


def test_the_exit_code_says_whether_exposure_is_blocked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for measured, code in (({}, 0), ({"kernel_holds_us": 9000.0}, 0), ({"strangers": "x"}, 1)):
        monkeypatch.setattr(examination, "examine", lambda _dir, m=measured: report_of(m))
        done = CliRunner().invoke(main.app, ["doctor", "--json"])
        assert done.exit_code == code
        assert json.loads(done.stdout)["fit"] is (code == 0)


def test_what_realtime_says_of_itself_counts_but_its_priority_is_looked_up_now(
    run_dir: Path,
) -> None:
    told = [
        {"id": "fifo", "measured": "fifo", "limit": "fifo", "ok": True, "remedy": "r"},
        {"id": "clock_read_ns", "measured": 50, "limit": "x", "ok": True, "remedy": "r"},
    ]
    (run_dir / "realtime.json").write_text(json.dumps(told))
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        rows = examination.preflight_rows(run_dir, sleeper.pid)
    finally:
        sleeper.communicate()
    assert [row["id"] for row in rows] == ["fifo", "clock_read_ns"]
    assert not rows[0]["ok"]
    assert rows[0]["measured"] == f"policy {os.SCHED_OTHER}"


def test_a_realtime_that_cannot_start_is_told(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "_PROBE", "raise SystemExit('no msgpack')")
    (row,) = examination.preflight_rows(run_dir, 0)
    assert (row["id"], row["ok"], row["measured"]) == ("preflight", False, "no msgpack")
