"""Planting a mutant into a running process, without touching a file.

Theory of operation.  A change inside a function is planted warm: the mutated file is compiled, the
function's code object is looked up by its name and line, and put into the function that everybody
already holds.  A change outside of functions (tables, constants) works at import only, so it is
planted cold: every module of the project is forgotten and imported anew, with the mutated source in
the place of the shipped one.

Lives here: both ways.  May not live here: which tests then run.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from tests.mutants.operators import Mutant, mutated

ROOT: Final = Path(__file__).resolve().parents[2]
_OURS: Final = ("realtime", "controller", "hil", "tests", "docs")


def module_name(file: str) -> str:
    """`realtime/run.py` → `realtime.run`."""
    return file.removesuffix(".py").replace("/", ".")


@cache
def source_of(file: str) -> str:
    """A file as it was when it was first asked for: somebody may be editing it."""
    return (ROOT / file).read_text()


def code_of(mutant: Mutant) -> CodeType:
    """The whole mutated module, compiled."""
    tree = mutated(source_of(mutant.file), mutant)
    return compile(tree, str(ROOT / mutant.file), "exec", dont_inherit=True)


def is_warm(mutant: Mutant) -> bool:
    """Whether the change lies inside the body of a function, and not of one within another.

    What such a function gave when its module was imported holds the old code.
    """
    tree = ast.parse(source_of(mutant.file))
    target = list(ast.walk(tree))[mutant.node]
    depth = 0
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            depth += any(node is target for part in function.body for node in ast.walk(part))
    return depth == 1


def plant_warm(mutant: Mutant) -> bool:
    """Put the mutated code into the live functions; False when that is not possible."""
    module = sys.modules.get(module_name(mutant.file))
    if module is None:
        return False
    fresh = {(c.co_qualname, c.co_firstlineno): c for c in _codes(code_of(mutant))}
    planted = False
    for remembered in vars(module).values():
        if hasattr(remembered, "cache_clear"):
            remembered.cache_clear()  # what was computed before the change is no answer of it
    for function in _functions(module):
        code = function.__code__
        new = fresh.get((code.co_qualname, code.co_firstlineno))
        if new is None or new.co_freevars != code.co_freevars:
            continue
        if new != code:
            function.__code__ = new
            planted = True
    return planted


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    for owner in (module, *(v for v in vars(module).values() if isinstance(v, type))):
        if isinstance(owner, type) and owner.__module__ != module.__name__:
            continue
        for value in vars(owner).values():
            found: Any = value
            if isinstance(found, property):
                found = found.fget
            elif isinstance(found, staticmethod | classmethod):
                found = found.__func__
            found = getattr(found, "__wrapped__", found)
            if isinstance(found, FunctionType) and found.__module__ == module.__name__:
                yield found


class _Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module: the mutated one."""

    def __init__(self, mutant: Mutant) -> None:
        self.name = module_name(mutant.file)
        self.path = str(ROOT / mutant.file)
        self.code = code_of(mutant)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """The usual module object."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutated code instead of the file."""
        exec(self.code, vars(module))


def plant_cold(mutant: Mutant) -> None:
    """From now on an import of the project's modules gives the mutated one; all are forgotten."""
    planted = _Planted(mutant)
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        if not name.startswith("tests.mutants") and name not in ("tests", "tests.plugins"):
            del sys.modules[name]
    sys.meta_path.insert(0, planted)
