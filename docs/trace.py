"""The trace: rule → invariant or fault → table row → scenario → test, and back; no orphans.

Lives here: collecting what the sources say of themselves, the page, and the orphans.  May not live
here: any claim of its own.  `python -m docs.trace out/test/junit.xml` adds the last results.

A test names what it is for: a mark `invariant(n)`, or the number of a fault (`F08`) in its name,
docstring or comments.  A scenario names its fault; a row of the supervisor's catalogue the faults
it covers.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from controller.core.faults import CATALOGUE as HELD
from hil.referee.elsewhere import ELSEWHERE
from hil.referee.elsewhere import status as state_of
from hil.sim.catalogue import CATALOGUE as FAULTS  # the 48 numbers

ROOT: Final = Path(__file__).resolve().parents[1]
INVARIANTS: Final = {
    1: "Dead-man", 2: "Fresh edge", 3: "Interlocks", 4: "One function", 5: "Pulse bounds",
    6: "Technique atomicity", 7: "Window", 8: "Image bijection", 9: "Live truth",
    10: "Dose conservation", 11: "Timers", 12: "Fail dark", 13: "Independence",
    14: "Remote never radiates", 15: "Durable before visible", 16: "Shift invariance",
    17: "Bounded", 18: "Alive",
}  # fmt: skip
# F00 and F96 … F99 are nobody's: tests use them as numbers that do not exist.
_FAULT: Final = re.compile(r"\bF(?!00|9[6-9])\d\d\b")
_JUDGES: Final = re.compile(r"^    n = (\d+)$", re.MULTILINE)
_WORDS: Final = (
    "Which rule is held by what: from an invariant or a fault to the rows that answer it, the "
    "scenarios that play it, and the files of tests that name it. A test holds this page to the "
    "sources, in both directions; `make test` leaves `out/test/trace.md`, the same page with the "
    "last results."
)
_JUDGED: Final = (
    "*Judged*: by the referee, over every run in virtual time and every truth log. *Judged "
    "elsewhere*: a truth log alone cannot show it. *Waits in part*: for what does not exist yet."
)
_MADE: Final = "<!-- Made from the tables by `make docs`; edit the table, not this page. -->"
Named = dict[str, set[str]]


def test_files() -> list[Path]:
    """Every test file, in order."""
    return sorted((ROOT / "tests").rglob("test_*.py"))


def named_by_tests(files: Iterable[Path]) -> Named:
    """Fault numbers and `invariant n` → files of tests that name them."""
    named: Named = {}
    for path in files:
        source = path.read_text(encoding="utf-8")
        words = set(_FAULT.findall(source)) | set(_invariants(source))
        for word in words:
            named.setdefault(word, set()).add(path.relative_to(ROOT).as_posix())
    return named


def _invariants(source: str) -> Iterable[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.invariant"):
            yield from (f"invariant {ast.unparse(argument)}" for argument in node.args)


def scenarios() -> Named:
    """Fault number → ids of its scenarios."""
    named: Named = {}
    for path in sorted((ROOT / "hil" / "scenarios").glob("*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        named.setdefault(table["fault"], set()).add(table["id"])
    return named


def rows() -> Named:
    """Fault number → rows of the supervisor's catalogue that answer it."""
    named: Named = {}
    for row in HELD:
        for number in row.covers:
            named.setdefault(number, set()).add(row.id)
    return named


def judges() -> Mapping[int, str]:
    """Invariant → the module of the referee that judges it."""
    found = {}
    for path in sorted((ROOT / "hil" / "referee" / "invariants").glob("*.py")):
        for number in re.findall(
            r"^    n = (\d+)$", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            found[int(number)] = path.relative_to(ROOT).as_posix()
    return found


def judged_by() -> Mapping[int, tuple[str, ...]]:
    """Invariant → the files that judge it, of the referee or elsewhere."""
    return {**{n: (file,) for n, file in judges().items()},
            **{row.n: row.where for row in ELSEWHERE}}  # fmt: skip


def _unjudged(tests: Named) -> list[str]:
    """Invariants that nobody judges or no test names, and judges that are not there."""
    by = judged_by()
    lost = [f"invariant {n}: nobody judges it" for n in INVARIANTS if not by.get(n)]
    lost += [f"invariant {n}: no test names it" for n in INVARIANTS
             if f"invariant {n}" not in tests]  # fmt: skip
    return lost + [f"invariant {n}: {file} is not there" for n, files in by.items()
                   for file in files if not (ROOT / file).is_file()]  # fmt: skip


def orphans() -> list[str]:
    """What points nowhere, and what nothing points to."""
    known = {row.number for row in FAULTS} | {f"invariant {n}" for n in INVARIANTS}
    tests, played, held = named_by_tests(test_files()), scenarios(), rows()
    lost = [f"{word}: named by {', '.join(sorted(by))}, in no catalogue"
            for source in (tests, played, held) for word, by in source.items()
            if word not in known]  # fmt: skip
    lost += [f"{row.number}: waits for nothing and has no scenario" for row in FAULTS
             if not row.waits and row.number not in played]  # fmt: skip
    lost += [f"{row.number}: waits for {row.waits}, and has a scenario" for row in FAULTS
             if row.waits and row.number in played]  # fmt: skip
    lost += [f"{row.id}: a fault that answers no number" for row in HELD if not row.covers]
    return lost + _unjudged(tests)


def _list(words: Iterable[str]) -> str:
    return "<br>".join(f"`{word}`" for word in sorted(words)) or "—"


def page(results: Mapping[str, str] | None = None) -> str:
    """`docs/trace.md`; with results, what the last run said of each test file."""
    tests, played, held, judged = named_by_tests(test_files()), scenarios(), rows(), judged_by()

    def shown(word: str) -> str:
        files = sorted(tests.get(word, ()))
        if results is None:
            return _list(files)
        return "<br>".join(f"`{f}` {results.get(f, 'not run')}" for f in files) or "—"

    lines = [
        "# Trace", "", _MADE, "",
        _WORDS, "",
        "## Invariants", "", _JUDGED, "",
        "| no. | invariant | judged by | tests | status |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for number, name in INVARIANTS.items():
        by = _list(judged.get(number, ()))
        lines.append(f"| {number} | {name} | {by} | {shown(f'invariant {number}')} | "
                     f"{state_of(number)} |")  # fmt: skip
    lines += ["", "## Faults", "", "| no. | fault | rows | scenarios | tests | status |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    for row in FAULTS:
        status = f"waiting for {row.waits}" if row.waits else "covered"
        if not row.waits and row.number not in played:
            status = "waiting for a scenario"
        answers, plays = (_list(source.get(row.number, ())) for source in (held, played))
        cells = (row.number, row.fault, answers, plays, shown(row.number), status)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def results_of(junit: Path) -> dict[str, str]:
    """What a run said of each test file: `12 passed` or `1 of 12 failed`."""
    counts: dict[str, list[int]] = {}
    for case in ET.parse(junit).getroot().iter("testcase"):
        name = case.get("classname", "")
        parts = name.split(".")
        module = next((n for n in range(len(parts), 0, -1) if parts[n - 1].startswith("test_")), 0)
        count = counts.setdefault("/".join(parts[:module]) + ".py", [0, 0])
        count[0] += 1
        count[1] += case.find("failure") is not None or case.find("error") is not None
    return {file: f"{bad} of {n} failed" if bad else f"{n} passed"
            for file, (n, bad) in counts.items()}  # fmt: skip


if __name__ == "__main__":
    given = Path(sys.argv[1])
    (given.parent / "trace.md").write_text(page(results_of(given)), encoding="utf-8")
