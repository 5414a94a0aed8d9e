"""`make test-board`: boot the package, use it, break it, report.

Exit codes: 0 everything held, 1 something did not, 3 this machine cannot boot a container (the
report says why).  HANGS in the environment repeats each hang so often; 1 without it.
"""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.board import checks
from tests.board.container import ROOT, WORK, CannotBoot, Container, run, take_tools
from tests.board.machine import Machine

REPORT = WORK / "report.json"


def head() -> dict[str, Any]:
    commit = run("git", "-C", str(ROOT), "rev-parse", "HEAD").stdout.strip()
    dirty = bool(run("git", "-C", str(ROOT), "status", "--porcelain").stdout.strip())
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.release()}"
    return {"schema": "carm.board/1", "commit": commit, "dirty": dirty, "machine": machine}


def line(check: dict[str, Any]) -> str:
    """One check for people."""
    value = f"{check['value']} {check['unit']} (limit {check['limit']})"
    return f"{'ok  ' if check['ok'] else 'FAIL'} {check['id']:<24} {value} {check['detail']}"


def write(report: dict[str, Any]) -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")


def package() -> Path:
    """The package as `make deb` builds it."""
    done = subprocess.run([str(ROOT / ".ci/board"), "deb"], cwd=ROOT, check=True,
                          stdout=subprocess.PIPE, text=True)  # fmt: skip
    return ROOT / done.stdout.strip().splitlines()[-1]


def main() -> int:
    begun_s = time.monotonic()
    report: dict[str, Any] = {**head(), "status": "ran", "reason": "", "degraded": [], "checks": []}
    built = package()
    try:
        take_tools()
        container = Container()
    except CannotBoot as why:
        write({**report, "status": "not_run", "reason": str(why)})
        print(f"not run: {why}")
        return 3
    rows: list[dict[str, Any]] = report["checks"]
    try:
        for check in checks.all_of(container, Machine(container), built, report["degraded"]):
            rows.append(check)
            print(line(check), flush=True)
            write(report)
    except CannotBoot as why:
        write({**report, "status": "not_run", "reason": str(why)})
        print(f"not run: {why}")
        return 3
    finally:
        container.close()
    report["wall_s"] = round(time.monotonic() - begun_s, 1)
    write(report)
    return 0 if rows and all(row["ok"] for row in rows) else 1


sys.exit(main())
