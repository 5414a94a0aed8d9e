"""`python -m tests.mutants`: judge all mutants, a sample of them, or those of somebody's diff.

Lives here: the choice of mutants, the accepted survivors of `docs/mutants.md`, the report.  May not
live here: operators or workers.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tests.mutants.judging import OPTIONS, Fate, Judge
from tests.mutants.operators import Mutant, mutants
from tests.mutants.planting import ROOT, source_of

PAGE: Final = ROOT / "docs" / "mutants.md"
KEPT: Final = ROOT / "out" / "mutants" / "map.json"
_HUNK: Final = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


def settings() -> dict[str, Any]:
    """`[tool.carm.mutants]`: which files decide, and which tests answer for them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return dict(project["tool"]["carm"]["mutants"])


def all_mutants(files: list[str]) -> list[Mutant]:
    """Every mutant of the files, in order."""
    return [m for file in files for m in mutants(file, source_of(file))]


def of_patch(patch: str, files: list[str]) -> list[Mutant]:
    """Mutants on the lines that a unified diff adds; the tree must have it applied."""
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
    return [m for m in all_mutants(files) if (m.file, m.line) in touched]


def accepted() -> dict[str, str]:
    """Survivors that are argued to change nothing: key → argument, from `docs/mutants.md`."""
    found = {}
    for row in PAGE.read_text().splitlines() if PAGE.exists() else []:
        cells = [cell.strip() for cell in row.strip().strip("|").split(" | ")]
        if row.startswith("| `") and len(cells) == 2:
            found[cells[0].strip("`").replace("\\|", "|")] = cells[1]
    return found


def twins(chosen: list[Mutant], folders: list[str]) -> list[str]:
    """The test files that answer for the files of the mutants first, by their names."""
    stems = {Path(mutant.file).stem for mutant in chosen}
    found = {path for folder in folders for stem in stems
             for path in (ROOT / folder).rglob(f"test_{stem}*.py")}  # fmt: skip
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def judge(chosen: list[Mutant], tell: Any, tests: list[str], kept: Path = KEPT) -> list[Fate]:
    """Let the tests judge the mutants."""
    os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    sources = [p for top in ("realtime", "controller/core", "hil", "tests", "controller/profiles")
               for p in (ROOT / top).rglob("*.*")
               if p.suffix in (".py", ".toml") and "mutants" not in p.parts]  # fmt: skip
    plugin = Judge(chosen, kept, sources, tell)
    code = pytest.main(
        [*OPTIONS, "-m", "not process", *tests],
        plugins=[plugin],
    )  # fmt: skip
    if len(plugin.fates) != len(chosen):
        raise SystemExit(f"the pool of tests could not be used (pytest: {code})")
    return plugin.fates


def report(fates: list[Fate]) -> dict[str, Any]:
    """`carm mutants --json`."""
    known = accepted()

    def shown(fate: Fate, reason: str) -> dict[str, Any]:
        m = fate.mutant
        return {"file": m.file, "line": m.line, "where": m.where, "change": m.change,
                "reason": reason}  # fmt: skip

    survivors = [f for f in fates if f.fate == "survived"]
    return {
        "total": len(fates),
        "killed": sum(f.fate == "killed" for f in fates),
        "stillborn": [shown(f, f.by) for f in fates if f.fate == "stillborn"],
        "survivors": [shown(f, known.get(f.mutant.key, "")) for f in survivors],
        "argued": sum(f.mutant.key in known for f in survivors),
        "broken_tests": [],
    }


def head() -> str:
    """The commit, by which a sample is drawn."""
    said = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True,
                          text=True, check=False)  # fmt: skip
    return said.stdout.strip() or "no commit"


def main() -> int:
    """Exit 1 when a mutant survives without an argument."""
    parser = argparse.ArgumentParser(prog="carm mutants")
    parser.add_argument("--patch", type=Path, help="a unified diff that is applied to this tree")
    parser.add_argument("--sample", type=int, default=0, help="so many, drawn by the commit")
    parser.add_argument("--file", action="append", default=[], help="only this file")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path, help="write the report there as well")
    given = parser.parse_args()
    files = given.file or settings()["files"]
    chosen = of_patch(given.patch.read_text(), files) if given.patch else all_mutants(files)
    if given.sample:
        chosen = random.Random(head()).sample(chosen, min(given.sample, len(chosen)))
    config = settings()
    tests = list(config["tests"])
    if given.sample:
        # What its twins kill needs no other test; the whole map would cost more than the sample.
        fates = judge(chosen, _tell, twins(chosen, tests), KEPT.with_name("sample.json"))
    else:
        fates = judge(chosen, _tell, tests)
    said = report(fates)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(said, indent=1, ensure_ascii=False))
    _print(said, given.json)
    return int(any(not s["reason"] for s in said["survivors"]))


def _tell(fate: Fate, n: int, total: int) -> None:
    if fate.fate != "killed" or n % 50 == 0:
        m = fate.mutant
        print(f"[{n}/{total}] {fate.fate} {m.file}:{m.line} {m.change} ({fate.by[:80]}, "
              f"{fate.wall_s:.1f} s)", file=sys.stderr, flush=True)  # fmt: skip


def _print(said: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(said, ensure_ascii=False))
        return
    for one in said["survivors"]:
        argued = one["reason"] or "NOT ARGUED"
        print(f"survived  {one['file']}:{one['line']}  {one['where']}: {one['change']}  ({argued})")
    print(f"{said['total']} mutants, {said['killed']} killed, {len(said['stillborn'])} stillborn, "
          f"{len(said['survivors'])} survived ({said['argued']} argued)")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
