"""The journals of a few seeds as hashes, here and in any other interpreter.

Lives here: which units are hashed, and asking another Python for the same.  May not live here:
running a unit (`episode`, `pairs`).  Virtual time needs the standard library and msgpack, whose
pure form runs everywhere: so another interpreter needs no packages of its own.  What differs from
version to version (the order of a set, a rounding, a default of the library) would show here.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgpack

import hil
from hil.sim.episode import run_episode
from hil.sim.pairs import run_pair

SCHEMA: Final = "carm.hashes/1"
# Shorter than an episode of a campaign: two presses with their faults.
EPISODE_S: Final = 12
PAIRS: Final = ((4, 18), (29, 22), (31, 9))
WAIT_MAX_S: Final = 300.0
_ASK: Final = "from hil.sim.hashes import main; main()"


def hashes(count: int) -> dict[str, str]:
    """The journals of `count` seeds, each an examination and a pair of faults, by their names."""
    found = {}
    for seed in range(1, count + 1):
        found[f"episode {seed}"] = run_episode(seed, EPISODE_S).sha256
        first, second = PAIRS[seed % len(PAIRS)]
        found[f"pair {seed} {first},{second}"] = run_pair(seed, first, second).sha256
    return found


def of_this_python(count: int) -> dict[str, Any]:
    """`{python, journals}` of the interpreter in which this runs."""
    return {"python": platform.python_version(), "journals": hashes(count)}


def main() -> None:
    """`hashes` as JSON on stdout, for whoever asked from another interpreter."""
    json.dump(of_this_python(int(sys.argv[1])), sys.stdout)


def of_another(python: str, count: int) -> dict[str, Any]:
    """The same from the interpreter `python`; ChildProcessError with its last words."""
    root, package = Path(hil.__file__).parents[1], Path(msgpack.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "msgpack").symlink_to(package)
        path = os.pathsep.join((str(root), folder))
        environment = {**os.environ, "PYTHONPATH": path, "MSGPACK_PUREPYTHON": "1"}
        done = subprocess.run(
            [python, "-B", "-c", _ASK, str(count)], capture_output=True, text=True, check=False,
            env=environment, timeout=WAIT_MAX_S,
        )  # fmt: skip
    if done.returncode:
        raise ChildProcessError(f"{python}: {done.stderr.strip()[-200:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def compared(count: int, pythons: list[str]) -> dict[str, Any]:
    """Schema `carm.hashes/1`: the journals here, and whether each other Python has the same."""
    mine = of_this_python(count)
    others = [of_another(python, count) for python in pythons]
    rows = [
        {"python": other["python"], "equal": other["journals"] == mine["journals"]}
        for other in others
    ]
    return {"schema": SCHEMA, **mine, "others": rows, "equal": all(row["equal"] for row in rows)}
