"""`carm doctor`: measure everything, compare, report.

Lives here: which process, user and folder is measured, and the report.  May not live here: a limit
(`table`) or a measurement (`probes`, `realtime.preflight`).  Where realtime runs, its own preflight
speaks for it, and its scheduling is looked up again now; else a child measures in its place.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from controller.doctor import probes
from controller.doctor.table import CHECKS, Measured

RUN_DIR: Final = Path("/run/carm")
REPORT: Final = "realtime.json"
USER: Final = "carm"
RESERVE_FROM_CORES: Final = 4
PREFLIGHT_MAX_S: Final = 30
_PROBE: Final = """
import json, sys
from pathlib import Path
from realtime import preflight
preflight.claim()
print(json.dumps([check._asdict() for check in preflight.checks(Path(sys.argv[1]))]))
"""


def our_pids(proc: Path = probes.PROC) -> dict[str, int]:
    """The processes of the machine that run here, by their module."""
    found = {}
    for entry in proc.glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        for module in (b"realtime", b"controller.supervisor", b"controller.imaging"):
            if b"-m" in words and module in words and b"--run-dir" in words:
                found[module.decode()] = int(entry.parent.name)
    return found


def preflight_rows(run_dir: Path, realtime_pid: int) -> list[dict[str, Any]]:
    """What realtime has measured of itself, or a child in its place."""
    try:
        stored = json.loads((run_dir / REPORT).read_text()) if realtime_pid else []
    except (OSError, ValueError):
        stored = []
    rows = [_as_row(check) for check in stored or _measured_by_child(run_dir)]
    if realtime_pid:
        rows = [row for row in rows if row["id"] != "fifo"]
        rows.insert(0, _fifo_now(realtime_pid))
    return rows


def _as_row(check: dict[str, Any]) -> dict[str, Any]:
    return {"id": check["id"], "measured": check["measured"], "limit": check["limit"], "unit": "",
            "ok": check["ok"], "blocks_exposure": True, "remedy": check["remedy"]}  # fmt: skip


def _fifo_now(pid: int) -> dict[str, Any]:
    """It was FIFO at its start; somebody may have taken that away."""
    try:
        policy = os.sched_getscheduler(pid)
    except OSError:
        policy = -1
    word = "fifo" if policy == os.SCHED_FIFO else f"policy {policy}"
    remedy = "systemctl restart carm-realtime; find out who changed its priority"
    return {"id": "fifo", "measured": word, "limit": "fifo", "unit": "", "ok": word == "fifo",
            "blocks_exposure": True, "remedy": remedy}  # fmt: skip


def _measured_by_child(run_dir: Path) -> list[dict[str, Any]]:
    done = subprocess.run([sys.executable, "-c", _PROBE, str(run_dir)], capture_output=True,
                          text=True, check=False, timeout=PREFLIGHT_MAX_S)  # fmt: skip
    if done.returncode != 0:
        said = done.stderr.strip().rpartition("\n")[2][:200]
        return [{"id": "preflight", "measured": said, "limit": "an answer", "ok": False,
                 "remedy": "python -m realtime must be able to start"}]  # fmt: skip
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def measure(run_dir: Path, pids: dict[str, int]) -> dict[str, Measured]:
    """Everything in the table, by id."""
    state = run_dir / "state" if (run_dir / "state").exists() else run_dir
    uid, gid = _user()
    free_limit = next(check.limit for check in CHECKS if check.id == "free_disk_mb")
    assert isinstance(free_limit, float)
    cores = os.cpu_count() or 1
    return {
        "pulse_log_sync_ms": probes.sync_ms(state),
        "free_disk_mb": probes.free_mb(state, free_limit),
        "own_folders": probes.own_folders(uid, gid, [run_dir, state]),
        "strangers": probes.strangers(run_dir),
        "swapped_kb": probes.swapped_kb(pids.values()),
        "slow_after_idle": probes.slow_after_idle(),
        "longest_hold_ms": probes.longest_hold_ms(),
        "neighbours_on_core": probes.neighbours(cores - 1, pids.values())
        if cores >= RESERVE_FROM_CORES
        else 0.0,
        "clock_error_ms": probes.clock_error_ms(),
        "kernel_holds_us": probes.kernel_holds_us(),
    }


def _user() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        return os.getuid(), os.getgid()
    return entry.pw_uid, entry.pw_gid


def examine(run_dir: Path) -> dict[str, Any]:
    """The object of schema `carm.doctor/1`."""
    pids = our_pids()
    measured = measure(run_dir, pids)
    rows = preflight_rows(run_dir, pids.get("realtime", 0))
    rows += [check.row(_shown(measured[check.id])) for check in CHECKS]
    blocked = [row["id"] for row in rows if row["blocks_exposure"] and not row["ok"]]
    return {"schema": "carm.doctor/1", "run_dir": str(run_dir), "fit": not blocked, "checks": rows}


def _shown(value: Measured) -> Measured:
    return round(value, 3) if isinstance(value, float) else value


def words(report: dict[str, Any]) -> str:
    """For people: what is wrong comes with its remedy."""
    lines = []
    for row in report["checks"]:
        mark = "ok  " if row["ok"] else ("FAIL" if row["blocks_exposure"] else "warn")
        value = f"{row['measured']} {row['unit']}".strip()
        lines.append(f"{mark} {row['id']:<22} {value}  (limit: {row['limit']})")
        if not row["ok"]:
            lines.append(f"     {row['remedy']}")
    lines.append("fit for exposure" if report["fit"] else "not fit for exposure")
    return "\n".join(lines)
