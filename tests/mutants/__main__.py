"""`python -m tests.mutants`: judge all mutants, a sample of them, or those of somebody's diff.

Lives here: the choice of mutants, the accepted survivors of `docs/mutants.md`, the report.  May not
live here: operators or workers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.mutants.judging import OPTIONS, Fate, Judge, fingerprint
from tests.mutants.operators import Mutant, mutants
from tests.mutants.patches import in_a_copy, is_applied, of_patch_lines, refused
from tests.mutants.planting import ROOT, source_of

PAGE: Final = ROOT / "docs" / "mutants.md"
SAMPLE_FILES: Final = 3
KEPT: Final = ROOT / "out" / "mutants" / "map.json"


def settings() -> dict[str, Any]:
    """`[tool.carm.mutants]`: which files decide, and which tests answer for them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return dict(project["tool"]["carm"]["mutants"])


def all_mutants(files: list[str]) -> list[Mutant]:
    """Every mutant of the files, in order."""
    return [m for file in files for m in mutants(file, source_of(file))]


def of_patch(patch: str, files: list[str]) -> list[Mutant]:
    """Mutants on the lines that a unified diff adds; the tree must have it applied."""
    touched = of_patch_lines(patch)
    return [m for m in all_mutants(files) if (m.file, m.line) in touched]


def accepted() -> dict[str, str]:
    """Survivors that are argued to change nothing: key → argument, from `docs/mutants.md`."""
    return {key.strip("`").replace("\\|", "|"): why for key, why in _rows() if ": " in key}


def left_out() -> dict[str, str]:
    """Files, or folders, whose lines are not changed: name → reason, from `docs/mutants.md`."""
    return {name: why for names, why in _rows() if ": " not in names
            for name in names.replace("`", "").split(", ")}  # fmt: skip


def _rows() -> Iterator[tuple[str, str]]:
    """Rows of two cells, the first of which is code."""
    for row in PAGE.read_text().splitlines() if PAGE.exists() else []:
        cells = [cell.strip() for cell in row.strip().strip("|").split(" | ")]
        if row.startswith("| `") and len(cells) == 2:
            yield cells[0], cells[1]


def twins(chosen: list[Mutant], config: dict[str, Any]) -> list[str]:
    """The test files that answer for the files of the mutants, by name, and the pinned tables."""
    stems = {Path(mutant.file).stem for mutant in chosen}
    found = {path for folder in config["tests"] for stem in stems
             for path in (ROOT / folder).rglob(f"test_{stem}*.py")}  # fmt: skip
    named = {test for mutant in chosen for test in config["twins"].get(mutant.file, [])}
    asked = {path.relative_to(ROOT).as_posix() for path in found}
    return sorted(asked | named | set(config["pinned"]))


def judge(chosen: list[Mutant], tests: list[str], kept: Path) -> list[Fate]:
    """Let the tests judge the mutants; pytest's own words go to stderr."""
    os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    sources = [p for top in ("realtime", "controller/core", "hil", "tests", "controller/profiles")
               for p in (ROOT / top).rglob("*.*")
               if p.suffix in (".py", ".toml") and "mutants" not in p.parts]  # fmt: skip
    plugin = Judge(chosen, kept, fingerprint(sources, tests), _tell)
    with contextlib.redirect_stdout(sys.stderr):
        code = pytest.main([*OPTIONS, "-m", "not process", *tests], plugins=[plugin])
    if len(plugin.fates) != len(chosen):
        raise RuntimeError(f"the tests could not be used (pytest: {code})")
    return plugin.fates


def apart(chosen: list[Mutant], tests: list[str], kept: Path) -> list[Fate]:
    """`judge` in a process of its own: what one judge imported the next must import itself."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(judge, (chosen, tests, kept))


def judge_twice(chosen: list[Mutant], twins_only: bool = False) -> list[Fate]:
    """The twins judge first; what outlives them is left to the whole pool of tests."""
    config, known = settings(), accepted()
    if not chosen:
        return []
    fates = apart(chosen, twins(chosen, config), KEPT.with_name("twins.json"))
    left = {f.mutant for f in fates if f.fate == "survived" and f.mutant.key not in known}
    if twins_only or not left:
        return fates
    again = apart([m for m in chosen if m in left], config["tests"], KEPT)
    return [f for f in fates if f.mutant not in left] + again


def report(fates: list[Fate], wall_s: float = 0.0) -> dict[str, Any]:
    """`carm mutants --json`."""
    known = accepted()

    def shown(fate: Fate, reason: str) -> dict[str, Any]:
        m = fate.mutant
        return {"file": m.file, "line": m.line, "where": m.where, "change": m.change,
                "reason": reason}  # fmt: skip

    survivors = [f for f in fates if f.fate == "survived"]
    stillborn = [f for f in fates if f.fate == "stillborn"]
    return {
        "schema": "carm.mutants/1",
        "total": len(fates),
        "killed": sum(f.fate == "killed" for f in fates),
        "stillborn": len(stillborn),
        "survivors": [shown(f, known.get(f.mutant.key, "")) for f in survivors],
        "argued": sum(f.mutant.key in known for f in survivors),
        "wall_s": round(wall_s, 1),
        "stillborn_mutants": [shown(f, f.by) for f in stillborn],
    }


def head() -> str:
    """The commit, by which a sample is drawn."""
    said = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True,
                          text=True, check=False)  # fmt: skip
    return said.stdout.strip() or "no commit"


def sampled(every: list[Mutant], size: int, chance: random.Random) -> list[Mutant]:
    """So many, out of a few files: each file has its own tests to be made ready."""
    few = {chance.choice(every).file for _ in range(SAMPLE_FILES)}
    drawn = [mutant for mutant in every if mutant.file in few]
    return chance.sample(drawn, min(size, len(drawn)))


def main() -> int:
    """Exit 1 when a mutant survives without an argument."""
    parser = argparse.ArgumentParser(prog="carm mutants")
    parser.add_argument("--patch", type=Path, help="a unified diff, applied to this tree or not")
    parser.add_argument("--sample", type=int, default=0, help="so many, drawn by the commit")
    parser.add_argument("--file", action="append", default=[], help="only this file")
    parser.add_argument("--twins", action="store_true", help="a first look: only the file's twins")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path, help="write the report there as well")
    given = parser.parse_args()
    files = given.file or settings()["files"]
    if given.patch and (refusal := refused(given.patch)):
        print(json.dumps(refusal) if given.json else refusal["error"]["remedy"])
        return 2
    if given.patch and not is_applied(given.patch):
        return in_a_copy(given.patch, sys.argv[1:])
    chosen = of_patch(given.patch.read_text(), files) if given.patch else all_mutants(files)
    if given.sample:
        chosen = sampled(chosen, given.sample, random.Random(head()))
    begun_s = time.monotonic()
    said = report(judge_twice(chosen, given.twins), time.monotonic() - begun_s)
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
    survived = f"{len(said['survivors'])} survived ({said['argued']} argued)"
    print(f"{said['total']} mutants, {said['killed']} killed, {said['stillborn']} stillborn, "
          f"{survived}, {said['wall_s']} s")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
