"""The project passes its tools: style, types and import contracts, one test each."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.house import tree

BIN = Path(sysconfig.get_path("scripts"))
PURE_LINES = "def f(x: int) -> int:\n    return x\n"


def run(*command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment at the top of the project."""
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=tree.ROOT, input=given, capture_output=True, text=True, check=False,
    )  # fmt: skip


def check_passes(*command: str) -> None:
    done = run(*command)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def test_style() -> None:
    check_passes("ruff", "check", "--quiet", "--output-format=concise", ".")


def test_layout_of_the_source() -> None:
    check_passes("ruff", "format", "--check", "--output-format=concise", ".")


def test_types() -> None:
    typed = tree.PROJECT["tool"]["mypy"]["files"]
    check_passes("mypy", *(top for top in typed if tree.python_files(top)))


def test_import_contracts() -> None:
    check_passes("lint-imports", "--no-cache")


@pytest.mark.parametrize(
    "bad",
    ['"""Head."""\n\n\ndef f() -> None:\n    return None\n', PURE_LINES, "import os\n"],
    ids=["no docstring", "no head", "unused"],
)
def test_style_can_fail(bad: str) -> None:
    done = run("ruff", "check", "--quiet", "--stdin-filename", "realtime/bad.py", "-", given=bad)
    assert done.returncode == 1


def test_this_environment_is_the_locked_one() -> None:
    assert Path(sys.prefix) == Path(sysconfig.get_path("data"))
    check_passes("pip", "check")
