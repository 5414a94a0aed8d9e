"""The project passes its tools: style, types and import contracts, one test each."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.house import tree

BIN = Path(sysconfig.get_path("scripts"))
PURE_LINES = "def f(x: int) -> int:\n    return x\n"


def run(
    *command: str, given: str = "", where: Path = tree.ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment, at the top of the project unless told otherwise."""
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=where, input=given, capture_output=True, text=True, check=False,
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


def test_types_can_fail(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f(x): return x\n")
    done = run("mypy", str(bad))
    assert done.returncode == 1
    assert "no-untyped-def" in done.stdout


MODULES = [
    "controller", "controller.cli", "controller.cli.main", "controller.core",
    "hil", "hil.rig", "hil.rig.__main__", "hil.rig.world", "hil.sim",
    "realtime", "realtime.drivers", "realtime.wire", "realtime.wire.codec",
    *(f"realtime.{name}" for name in ("beam", "cycle", "executive", "interlocks", "orders",
                                      "pedals", "permit")),
]  # fmt: skip


def contracts_hold(where: Path, importer: str, imported: str) -> bool:
    """Whether our contracts accept one import in a tree that is otherwise empty."""
    shutil.copy(tree.ROOT / "pyproject.toml", where)
    for module in MODULES:
        is_package = any(other.startswith(f"{module}.") for other in MODULES)
        path = where / module.replace(".", "/")
        file = path / "__init__.py" if is_package else path.with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"import {imported}\n" if module == importer else "")
    done = run("lint-imports", "--no-cache", where=where)
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    return done.returncode == 0


@pytest.mark.parametrize(
    ("importer", "imported", "holds"),
    [
        ("realtime.wire.codec", "hil.rig", False),
        ("realtime.drivers", "controller.core", False),
        ("realtime.permit", "realtime.pedals", False),
        ("realtime.permit", "realtime.wire.codec", False),
        ("hil.rig.world", "realtime.pedals", False),
        ("hil.rig.world", "controller.core", False),
        ("controller.core", "hil.rig", False),
        ("hil.rig.world", "realtime.wire.codec", True),
        ("hil.sim", "realtime.executive", True),
        ("controller.core", "realtime.wire.codec", True),
        ("controller.cli.main", "hil.rig", True),
    ],
)
def test_import_contracts_can_fail(
    tmp_path: Path, importer: str, imported: str, holds: bool
) -> None:
    assert contracts_hold(tmp_path, importer, imported) is holds


def test_this_environment_is_the_locked_one() -> None:
    assert Path(sys.prefix) == Path(sysconfig.get_path("data"))
    check_passes("pip", "check")
