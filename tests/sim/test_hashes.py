"""Journals are equal in every Python of this machine, and one that differs is told."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hil.sim import hashes
from hil.sim.commands import GOOD, JUDGED_BAD, REFUSED, compare_pythons

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "schemas" / "hashes.json").read_text())
SEEDS = 3


def others() -> list[str]:
    """Interpreters of other versions that are installed here: on the path, or beside our own."""
    beside = Path(os.path.realpath(sys.executable)).parents[2].glob("3.*/bin/python3")
    named = [shutil.which(f"python3.{minor}") for minor in range(11, 20)]
    found = {}
    for python in [*named, *map(str, beside)]:
        words = "import sys; print(*sys.version_info[:2])"
        done = subprocess.run(
            [python or "false", "-c", words], capture_output=True, text=True, check=False
        )
        version = tuple(map(int, done.stdout.split()))
        if version >= (3, 11) and version != sys.version_info[:2]:
            found[version] = str(python)
    return list(found.values())


def test_every_python_of_this_machine_writes_the_same_journals() -> None:
    body, code = compare_pythons(SEEDS, others())
    assert (body["equal"], code) == (True, GOOD), body["others"]
    assert len(body["journals"]) == 2 * SEEDS
    assert len(set(body["journals"].values())) == 2 * SEEDS
    jsonschema.validate(body, SCHEMA)


def test_a_python_that_differs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(python: str, count: int) -> dict[str, Any]:
        return {"python": "3.12.0", "journals": {"episode 1": python * 64}}

    monkeypatch.setattr(hashes, "hashes", lambda count: {"episode 1": "a" * 64})
    monkeypatch.setattr(hashes, "of_another", other)
    assert compare_pythons(1, ["a"])[1] == GOOD
    body, code = compare_pythons(1, ["a", "b"])
    assert ([row["equal"] for row in body["others"]], code) == ([True, False], JUDGED_BAD)
    jsonschema.validate(body, SCHEMA)


@pytest.mark.parametrize("python", ["/nonexistent/python", "false"])
def test_what_is_no_python_is_refused(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "hashes", lambda count: {})
    body, code = compare_pythons(1, [python])
    assert (body["error"]["code"], code) == ("python", REFUSED)


def test_virtual_time_imports_no_compiled_package_but_msgpack() -> None:
    words = ("import sys, hil.sim.episode, hil.sim.pairs; print(*sorted({name.partition('.')[0] "
             "for name, m in sys.modules.items() if 'site-packages' in str(getattr(m, "
             "'__file__', ''))} - {'_distutils_hack'}))")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["msgpack"]
