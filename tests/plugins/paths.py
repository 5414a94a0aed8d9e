"""When a test of the deciding code fails: the shortest path to the rule that no longer holds.

Lives here: asking `carm explore --first`, and its findings as entries of `verdict.json`.  May not
live here: anything that costs time while all is green.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DECIDING = ("tests/realtime/", "tests/controller/core/", "tests/hil/explore/", "tests/sim/",
            "tests/mutants/")  # fmt: skip
CARM = Path(sys.executable).with_name("carm")
TIMEOUT_S = 240.0


def shortest_paths(folder: Path) -> list[dict[str, Any]]:
    """One entry for each rule that exploration finds broken; none when it finds nothing."""
    paths = (folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder) / "paths"
    for old in (ROOT / paths).glob("*.json"):
        old.unlink()
    try:
        subprocess.run(
            [CARM, "explore", "--first", "--out", str(paths)],
            cwd=ROOT, capture_output=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return []
    return [_entry(paths / path.name) for path in sorted((ROOT / paths).glob("*.json"))]


def _entry(path: Path) -> dict[str, Any]:
    found = json.loads((ROOT / path).read_text())
    return {
        "test": f"exploration: {found['rule']}",
        "invariant": found["invariant"],
        "path": str(path),
        "replay_command": f".venv/bin/{found['replay']}",
        "events": found["events"],
    }
