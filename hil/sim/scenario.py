"""The scenario file: what is done, what goes wrong, what must follow (`docs/scenarios.md`).

Lives here: the values of a scenario and the reader that refuses what the format does not allow,
with file, line, and the nearest word that it knows.  May not live here: running one (`case`).
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hil.room.acts import ACTS
from hil.sim.catalogue import NUMBERS
from hil.sim.faults import TABLE
from hil.sim.injection import Window
from hil.sim.reactions import REACTIONS
from realtime.wire.config import KEYS

MS: Final = 1_000_000
FILE_BYTES_MAX: Final = 65_536
TIME_MS_MAX: Final = 3_600_000
STEPS_MAX: Final = 1_000
SEEDS_MAX: Final = 64
STARTS: Final = ("boot", "standby", "ready")
DURING: Final = ("run", "prep", "rest", "boot", "any")
OVER: Final = ("none", "cycle", "pulse", "onset")
BOARD_WORDS: Final = ("ready", "reset", "self test", "reset timer", "set", "select")
CIRCUMSTANCES: Final = ("host_offset_ns", "drift_ppm", "line_seq", "pulse_counter", "pulse_id")


class ScenarioError(ValueError):
    """A refused scenario: where, what it says, and what is allowed."""

    def __init__(self, path: Path, line: int, key: str, value: object, allowed: str) -> None:
        super().__init__(f"{path}:{line}: {key} = {value!r}: {allowed}")
        self.path = path
        self.line = line
        self.key = key
        self.value = value
        self.allowed = allowed

    @property
    def body(self) -> dict[str, Any]:
        """The refusal as an object."""
        shown = self.value if isinstance(self.value, str | int | bool) else repr(self.value)
        return {"error": {
            "code": "scenario", "blame": "input", "file": str(self.path), "line": self.line,
            "key": self.key, "value": shown, "allowed": self.allowed,
            "remedy": "see docs/scenarios.md",
        }}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stimulus:
    """Somebody does something: an act in the room, or words at the board."""

    at_ns: int
    do: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """A reaction that must show: `limit_ns` after the effect, or between two times."""

    reaction: str
    limit_ns: int
    text: str
    count: int
    from_ns: int
    to_ns: int
    after: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """Which windows move, over what, in how many steps."""

    over: str
    steps: int
    span_ns: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """One file."""

    path: Path
    id: str
    title: str
    fault: str
    start: str
    during: str
    duration_ns: int
    seeds: tuple[int, ...]
    rate: float
    config: Mapping[str, Any]
    circumstances: Mapping[str, int]
    sweep: Sweep
    stimuli: tuple[Stimulus, ...]
    windows: tuple[Window, ...]
    swept: frozenset[int]
    expectations: tuple[Expectation, ...]
    recovers: bool
    accident: str


def nearest(word: str, known: Iterable[str]) -> str:
    """The nearest word that is known, in words; all of them when none is near."""
    words = [name for name in known if name]
    near = difflib.get_close_matches(word, words, 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else "one of " + ", ".join(words)


class _Reader:
    """Takes keys out of one table and refuses what is left over."""

    def __init__(self, path: Path, lines: list[str], table: Mapping[str, Any], name: str,
                 index: int = 0) -> None:  # fmt: skip
        self.path = path
        self._lines = lines
        self._table = dict(table)
        self._known: list[str] = []
        self._name = name
        self._index = index

    def refuse(self, key: str, value: object, allowed: str) -> ScenarioError:
        """The error at the line of `key`."""
        return ScenarioError(self.path, self._line_of(key), key, value, allowed)

    def _line_of(self, key: str) -> int:
        start = 0
        if self._name:
            heading = re.compile(rf"^\s*\[+\s*{re.escape(self._name)}\s*\]+")
            found = [n for n, line in enumerate(self._lines) if heading.match(line)]
            start = found[min(self._index, len(found) - 1)] if found else 0
        wanted = re.compile(rf'^\s*"?{re.escape(key)}"?\s*=')
        for number in range(start, len(self._lines)):
            if wanted.match(self._lines[number]):
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

    def rows(self, key: str) -> list[_Reader]:
        """A list of tables."""
        value = self.take(key, [])
        if type(value) is not list or not all(type(row) is dict for row in value):
            raise self.refuse(key, value, f"tables [[{key}]]")
        return [_Reader(self.path, self._lines, row, key, n) for n, row in enumerate(value)]

    def table(self, key: str) -> _Reader:
        """One table; absent is empty."""
        value = self.take(key, {})
        if type(value) is not dict:
            raise self.refuse(key, value, f"a table [{key}]")
        return _Reader(self.path, self._lines, value, key)

    def rest(self) -> dict[str, Any]:
        """Everything that is left, for tables of free keys."""
        left, self._table = self._table, {}
        return left

    def finish(self) -> None:
        """Refuse what nobody asked for."""
        for key, value in self._table.items():
            raise self.refuse(key, value, "not a key here; " + nearest(key, self._known))


def read(path: Path) -> Scenario:
    """Read one file; raises ScenarioError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(path, 0, "file", path.name, str(error)) from None
    if len(text) > FILE_BYTES_MAX:
        raise ScenarioError(path, 0, "file", len(text), f"at most {FILE_BYTES_MAX} characters")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise ScenarioError(path, int(line[1]) if line else 0, "file", path.name,
                            str(error)) from None  # fmt: skip
    return _scenario(_Reader(path, text.splitlines(), table, ""))


def _scenario(top: _Reader) -> Scenario:
    sweep = _sweep(top.table("sweep"))
    windows, swept = _windows(top, sweep)
    seeds = top.take("seeds", [1])
    if type(seeds) is not list or not 0 < len(seeds) <= SEEDS_MAX or not all(
        type(seed) is int and seed >= 0 for seed in seeds
    ):  # fmt: skip
        raise top.refuse("seeds", seeds, f"1 … {SEEDS_MAX} whole numbers")
    scenario = Scenario(
        path=top.path,
        id=top.text("id"),
        title=top.text("title"),
        fault=top.word("fault", NUMBERS),
        start=top.word("start", STARTS, "ready"),
        during=top.word("during", DURING, "run"),
        duration_ns=top.time_ns("duration_ms"),
        seeds=tuple(seeds),
        rate=top.number("rate", 0.5, 30, 15),
        config=_overrides(top.table("config")),
        circumstances=_circumstances(top.table("circumstances")),
        sweep=sweep,
        stimuli=tuple(_stimulus(row) for row in top.rows("stimulus")),
        windows=windows,
        swept=swept,
        expectations=tuple(_expectation(row, len(windows)) for row in top.rows("expect")),
        recovers=top.flag("recovers", True),
        accident=top.text("accident", ""),
    )
    if not scenario.expectations:
        raise top.refuse("expect", None, "at least one [[expect]]")
    top.finish()
    return scenario


def _sweep(reader: _Reader) -> Sweep:
    over = reader.word("over", OVER, "none")
    steps = int(reader.number("steps", 1, STEPS_MAX, 1))
    span_ns = reader.time_ns("span_ms", 0)
    if over == "onset" and not span_ns:
        raise reader.refuse("span_ms", 0, "a sweep over the onset needs its span in ms")
    reader.finish()
    return Sweep(over, steps, span_ns)


def _windows(top: _Reader, sweep: Sweep) -> tuple[tuple[Window, ...], frozenset[int]]:
    windows, swept = [], set()
    for number, row in enumerate(top.rows("window")):
        windows.append(_window(row))
        if row.flag("swept", sweep.over != "none"):
            swept.add(number)
        row.finish()
    return tuple(windows), frozenset(swept)


def _window(row: _Reader) -> Window:
    component = row.word("component", dict.fromkeys(name for name, _ in TABLE))
    kinds = [kind for name, kind in TABLE if name == component]
    kind = row.word("type", kinds)
    found = TABLE[component, kind]
    instance = row.word("instance", found.instances, found.instances[0])
    number = row.word("number", found.numbers, found.numbers[0])
    amount = row.number("amount", 0, 1e9, 0)
    unit = row.text("unit", found.unit)
    if unit != found.unit:
        raise row.refuse("unit", unit, f"{component} {kind} is in {found.unit or 'no unit'}")
    return Window(number, component, kind, instance, amount, row.time_ns("onset_ms"),
                  row.time_ns("duration_ms", 0))  # fmt: skip


def _stimulus(row: _Reader) -> Stimulus:
    at_ns, do = row.time_ns("at_ms"), row.text("do")
    words = do.split()
    board = bool(words) and (do in BOARD_WORDS or words[0] in ("set", "select"))
    if do not in ACTS and not board:
        raise row.refuse("do", do, nearest(do, [*ACTS, *BOARD_WORDS]))
    if board and words[0] == "set":
        _check_set(row, do, words)
    row.finish()
    return Stimulus(at_ns, do)


def _check_set(row: _Reader, do: str, words: list[str]) -> None:
    if len(words) != 3 or words[1] not in ("kv", "ma", "ms", "rate"):
        raise row.refuse("do", do, "set kv|ma|ms|rate NUMBER")
    try:
        float(words[2])
    except ValueError:
        raise row.refuse("do", do, f"{words[2]!r} is not a number") from None


def _expectation(row: _Reader, windows: int) -> Expectation:
    reaction = row.word("reaction", REACTIONS)
    after = int(row.number("after", 1, max(1, windows), 1)) - 1
    expectation = Expectation(
        reaction, row.time_ns("within_ms", 0), row.text("text", ""),
        int(row.number("count", 0, 1_000_000, 0)), row.time_ns("from_ms", 0),
        row.time_ns("to_ms", 0), after,
    )  # fmt: skip
    missing = REACTIONS[reaction].missing(expectation)
    if missing:
        raise row.refuse(missing, None, f"{reaction} needs {missing}")
    row.finish()
    return expectation


def _overrides(reader: _Reader) -> dict[str, Any]:
    known = [key.name for key in KEYS]
    table = reader.rest()
    for name, value in table.items():
        if name not in known:
            raise reader.refuse(name, value, "not a configuration key; " + nearest(name, known))
    return table


def _circumstances(reader: _Reader) -> dict[str, int]:
    table = reader.rest()
    for name, value in table.items():
        if name not in CIRCUMSTANCES:
            raise reader.refuse(name, value, nearest(name, CIRCUMSTANCES))
        if type(value) is not int or not -(1 << 20) <= value <= 1 << 60:
            raise reader.refuse(name, value, "a whole number up to 2**60")
    return table
