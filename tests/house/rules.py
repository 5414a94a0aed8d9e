"""The house rules, each a function from one source text to the lines that break it.

Lives here: one small function per rule, values in and values out. May not live here: which files a
rule is for (`test_house.py`), or proof that it can fail (`test_rules.py`). What ruff, mypy or
import-linter already check is theirs.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Finding(NamedTuple):
    """One place where a rule is broken; `line` counts from 1."""

    line: int
    what: str


Rule = Callable[[str], list[Finding]]

LOOSE_ENDS = re.compile(
    r"\bT[O]DO\b|\bFIX[M]E\b|\bXX[X]\b|pytest\.s[k]ip|mark\.s[k]ip|importors[k]ip|\bxf[a]il"
    r"|pragma: no c[o]ver|NotImplemented[E]rror"
)
MACHINE_PATHS = re.compile(r"(?<![\w./-])/(?:work|root)(?![\w-])|\.librar[y]\b")
VAGUE_WORDS = frozenset({"manager", "handler", "util", "utils", "helper", "helpers", "process2"})
WALL_CLOCK = frozenset({
    "time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today",
    "datetime.datetime.now", "datetime.datetime.utcnow", "date.today", "datetime.date.today",
})  # fmt: skip
OUTSIDE_WORLD = frozenset({
    "asyncio", "ctypes", "datetime", "fcntl", "gc", "mmap", "multiprocessing", "os", "random",
    "resource", "secrets", "select", "selectors", "shutil", "signal", "socket", "subprocess",
    "tempfile", "threading", "time",
})  # fmt: skip


def _lines_matching(pattern: re.Pattern[str], source: str) -> list[Finding]:
    numbered = enumerate(source.splitlines(), start=1)
    return [Finding(n, hit[0]) for n, line in numbered if (hit := pattern.search(line))]


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _calls(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield node.lineno, _dotted(node.func)


def _imports(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def words(name: str) -> list[str]:
    """Words of a snake_case or CamelCase name, lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+\d*|[A-Z]+(?![a-z])|\d+", name)]


def short_files(source: str) -> list[Finding]:
    """A file holds at most 400 lines."""
    count = len(source.splitlines())
    return [Finding(count, f"{count} lines")] if count > FILE_LINES_MAX else []


def short_functions(source: str) -> list[Finding]:
    """A function holds at most 70 lines, its docstring included."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, FUNCTIONS) and node.end_lineno is not None:
            count = node.end_lineno - node.lineno + 1
            if count > FUNCTION_LINES_MAX:
                found.append(Finding(node.lineno, f"{node.name}: {count} lines"))
    return found


def head_is_contract(source: str) -> list[Finding]:
    """A module opens with at least two sentences: what lives there, what may not."""
    head = ast.get_docstring(ast.parse(source)) or ""
    sentences = re.findall(r"\w[^.!?]*[.!?](?=\s|$)", head)
    return [] if len(sentences) >= 2 else [Finding(1, "the head says less than two sentences")]


def no_loose_ends(source: str) -> list[Finding]:
    """Nothing is left for later, and no test is switched off."""
    return _lines_matching(LOOSE_ENDS, source)


def no_machine_paths(source: str) -> list[Finding]:
    """No path of the machine somebody happened to work on."""
    return _lines_matching(MACHINE_PATHS, source)


def clear_names(source: str) -> list[Finding]:
    """Classes and functions are named by the field's words."""
    named = (*FUNCTIONS, ast.ClassDef)
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, named))
    return [Finding(node.lineno, node.name) for node in nodes if VAGUE_WORDS & {*words(node.name)}]


def no_wall_clock(source: str) -> list[Finding]:
    """The wall clock is read in listed modules only; all others are handed the time."""
    return [Finding(line, name) for line, name in _calls(source) if name in WALL_CLOCK]


def no_sleep(source: str) -> list[Finding]:
    """`asyncio.sleep` is late by construction; timed work keeps absolute deadlines."""
    found = [Finding(line, name) for line, name in _calls(source) if name == "asyncio.sleep"]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "asyncio":
            found += [Finding(node.lineno, "sleep") for a in node.names if a.name == "sleep"]
    return found


def no_simulation_switch(source: str) -> list[Finding]:
    """Code under test never asks whether the room is real."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            asked = {_dotted(n).rpartition(".")[2] for n in ast.walk(node.test)
                     if isinstance(n, ast.Name | ast.Attribute)}  # fmt: skip
            if any({"sim", "simulation", "simulated"} & {*words(name)} for name in asked):
                found.append(Finding(node.lineno, ast.unparse(node.test)))
    return found


def pure_imports(source: str) -> list[Finding]:
    """Deciding code imports no clock, no I/O and no chance."""
    return [
        Finding(line, name)
        for line, name in _imports(source)
        if name.partition(".")[0] in OUTSIDE_WORLD
    ]


def only_imports(*allowed: str) -> Rule:
    """A rule: beside the standard library, only the allowed top-level packages are imported."""

    def rule(source: str) -> list[Finding]:
        known = {*sys.stdlib_module_names, *allowed}
        return [
            Finding(line, name)
            for line, name in _imports(source)
            if name.partition(".")[0] not in known
        ]

    return rule


def _can_fail(test: Function) -> bool:
    for node in ast.walk(test):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Call):
            name = _dotted(node.func).rpartition(".")[2]
            if name in {"raises", "warns", "fail", "left_out"}:
                return True
            if name.startswith(("assert", "check", "expect", "run_state_machine")):
                return True
    return False


def tests_can_fail(source: str) -> list[Finding]:
    """Every test states something, and states it unconditionally."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, FUNCTIONS) and node.name.startswith("test_") and not _can_fail(node):
            found.append(Finding(node.lineno, f"{node.name} asserts nothing"))
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.IfExp):
            found.append(Finding(node.lineno, "assert … if … else …"))
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Tuple) and node.test.elts:
            found.append(Finding(node.lineno, "a tuple is always true"))
    return found
