"""Reading a scenario's tables: each key is taken once, and what is left over is refused.

Lives here: the refusal with file, line and nearest word, and the reader of one table.  May not live
here: what keys there are (`scenario`).  A reader that guards its parts goes on after a refusal, so
that somebody who writes a file hears everything that is wrong with it at once.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

MS: Final = 1_000_000
TIME_MS_MAX: Final = 3_600_000
ALSO_MAX: Final = 20
Part = TypeVar("Part")


class ScenarioError(ValueError):
    """A refused scenario: where, what it says, and what is allowed."""

    def __init__(self, path: Path, line: int, key: str, value: object, allowed: str) -> None:
        super().__init__(f"{path}:{line}: {key} = {value!r}: {allowed}")
        self.also: tuple[ScenarioError, ...] = ()
        self.path = path
        self.line = line
        self.key = key
        self.value = value
        self.allowed = allowed

    @property
    def body(self) -> dict[str, Any]:
        """The refusal as an object; `also` has what else is wrong with the file."""
        also = [one.place for one in self.also[:ALSO_MAX]]
        return {"error": {
            "code": "scenario", "blame": "input", "file": str(self.path), **self.place,
            **({"also": also} if also else {}), "remedy": "see docs/scenarios.md",
        }}  # fmt: skip

    @property
    def place(self) -> dict[str, Any]:
        """Line (where there is one), key, value, and what is allowed."""
        shown = self.value if isinstance(self.value, str | int | bool) else repr(self.value)
        line = {"line": self.line} if self.line else {}
        return {**line, "key": self.key, "value": shown, "allowed": self.allowed[:1000]}


def nearest(word: str, known: Iterable[str]) -> str:
    """The nearest word that is known, in words; all of them when none is near."""
    words = [name for name in known if name]
    near = difflib.get_close_matches(word, words, 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else "one of " + ", ".join(words)


class Reader:
    """Takes keys out of one table and refuses what is left over."""

    def __init__(self, path: Path, lines: list[str], table: Mapping[str, Any], name: str,
                 index: int = 0, errors: list[ScenarioError] | None = None) -> None:  # fmt: skip
        self.path = path
        self.errors = [] if errors is None else errors
        self._lines = lines
        self._table = dict(table)
        self._known: list[str] = []
        self._name = name
        self._index = index

    def refuse(self, key: str, value: object, allowed: str) -> ScenarioError:
        """The error at the line of `key`."""
        return ScenarioError(self.path, self._line_of(key), key, value, allowed)

    def at(self, name: str, index: int) -> Reader:
        """Row `index` of the tables `name`, to refuse something of it once it was read."""
        return Reader(self.path, self._lines, {}, name, index, self.errors)

    def guard(self, read: Callable[[], Part], otherwise: Part) -> Part:
        """What `read` gives; when it refuses, the refusal is kept and `otherwise` stands in."""
        try:
            return read()
        except ScenarioError as error:
            self.errors.append(error)
            return otherwise

    def settle(self) -> None:
        """Raise the first refusal that was kept, with all others beside it."""
        if self.errors:
            first, *others = sorted(self.errors, key=lambda error: error.line)
            first.also = tuple(others)
            raise first

    def _line_of(self, key: str) -> int:
        """Where the key stands; where it is missing, the heading of its table."""
        heading = re.compile(rf"^\s*\[+\s*{re.escape(self._name)}\s*\]+")
        found = [n for n, line in enumerate(self._lines) if self._name and heading.match(line)]
        start = found[min(self._index, len(found) - 1)] if found else 0
        wanted = re.compile(rf'^\s*"?{re.escape(key)}"?\s*=')
        for number in range(start, len(self._lines)):
            line = self._lines[number]
            if number > start and (found or not self._name) and line.lstrip().startswith("["):
                break
            if wanted.match(line):
                return number + 1
        return start + 1

    def take(self, key: str, default: object = None) -> Any:
        """The value of a key; None as default: the key is required."""
        self._known.append(key)
        if key in self._table:
            return self._table.pop(key)
        if default is None:
            raise self.refuse(key, None, "this key is required")
        return default

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """A finite number in low … high."""
        value = self.take(key, default)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise self.refuse(key, value, f"a number {low:g} … {high:g}")
        if not low <= value <= high:
            raise self.refuse(key, value, f"a number {low:g} … {high:g}")
        return float(value)

    def time_ns(self, key: str, default: float | None = None) -> int:
        """A time in ms, as ns."""
        return round(self.number(key, 0, TIME_MS_MAX, default) * MS)

    def word(self, key: str, known: Iterable[str], default: str | None = None) -> str:
        """One of the words that are known."""
        value = self.take(key, default)
        names = list(known)
        if type(value) is not str or value not in names:
            raise self.refuse(key, value, nearest(str(value), names))
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Text of at most 200 characters."""
        value = self.take(key, default)
        if type(value) is not str or len(value) > 200:
            raise self.refuse(key, value, "text of at most 200 characters")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.take(key, default)
        if type(value) is not bool:
            raise self.refuse(key, value, "true or false")
        return value

    def rows(self, key: str) -> list[Reader]:
        """A list of tables."""
        value = self.take(key, [])
        if type(value) is not list or not all(type(row) is dict for row in value):
            raise self.refuse(key, value, f"tables [[{key}]]")
        return [
            Reader(self.path, self._lines, row, key, n, self.errors) for n, row in enumerate(value)
        ]

    def table(self, key: str) -> Reader:
        """One table; absent is empty."""
        value = self.take(key, {})
        if type(value) is not dict:
            raise self.refuse(key, value, f"a table [{key}]")
        return Reader(self.path, self._lines, value, key, 0, self.errors)

    def rest(self) -> dict[str, Any]:
        """Everything that is left, for tables of free keys."""
        left, self._table = self._table, {}
        return left

    def finish(self) -> None:
        """Refuse what nobody asked for."""
        for key, value in self._table.items():
            self.errors.append(
                self.refuse(key, value, "not a key here; " + nearest(key, self._known))
            )
