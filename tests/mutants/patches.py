"""A stranger's diff: is it applied, can it be, and which lines does it add.

Lives here: git's answers about a patch, and a copy of the tree that has it applied.  May not live
here: mutants.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.mutants.planting import ROOT

_HUNK: Final = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


def of_patch_lines(patch: str) -> set[tuple[str, int]]:
    """The lines that a unified diff adds: file and number in the tree that has it applied."""
    touched: set[tuple[str, int]] = set()
    file, line = "", 0
    for row in patch.splitlines():
        if row.startswith("+++ "):
            file = row[4:].split("\t")[0].removeprefix("b/")
        elif hunk := _HUNK.match(row):
            line = int(hunk[1])
        elif row.startswith("+"):
            touched.add((file, line))
            line += 1
        elif not row.startswith("-"):
            line += 1
    return touched


def _applies(patch: Path, *how: str, folder: Path = ROOT) -> bool:
    command = ["git", "apply", *how, str(patch.resolve())]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def is_applied(patch: Path) -> bool:
    """Whether the tree has the diff already."""
    return _applies(patch, "--check", "--reverse")


def refused(patch: Path) -> dict[str, Any] | None:
    """The refusal of a file that is no diff of this tree, or None."""
    if patch.is_file() and (is_applied(patch) or _applies(patch, "--check")):
        return None
    return {"error": {
        "code": "patch", "blame": "input", "file": str(patch), "value": patch.name,
        "allowed": "a unified diff against this tree, or one that it has applied",
        "remedy": f"{patch}: make it anew with git diff against this tree",
    }}  # fmt: skip


def in_a_copy(patch: Path, arguments: list[str]) -> int:
    """Judge in a copy of the tree that has the diff applied; gives the exit code."""
    with tempfile.TemporaryDirectory(prefix="carm-mutants-") as folder:
        copy = Path(folder)
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others",
                                 "--exclude-standard"], cwd=ROOT, capture_output=True,
                                check=True, text=True)  # fmt: skip
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, copy / name)
        if not _applies(patch, folder=copy):
            raise RuntimeError(f"{patch} applied here and not in the copy")
        inner = [word if word != str(patch) else str(patch.resolve()) for word in arguments]
        return subprocess.run([sys.executable, "-m", "tests.mutants", *inner], cwd=copy,
                              check=False).returncode  # fmt: skip
