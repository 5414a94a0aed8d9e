"""The scenario file: what is done, what goes wrong, what must follow (`docs/scenarios.md`).

Lives here: the values of a scenario and the reader that refuses what the format does not allow,
with file, line, and the nearest word that it knows.  May not live here: running one (`case`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from controller.core.faults import BY_ID
from controller.core.modes import Mode
from hil.room.acts import ACTS
from hil.sim.catalogue import NUMBERS
from hil.sim.faults import TABLE
from hil.sim.injection import Window
from hil.sim.reactions import REACTIONS
from hil.sim.reading import MS, Reader, ScenarioError, nearest
from hil.sim.removed import REMOVED
from hil.sim.words import TOLD
from realtime.trips import TripCode
from realtime.wire.config import KEYS

Part = TypeVar("Part")
FILE_BYTES_MAX: Final = 65_536
STEPS_MAX: Final = 2_000
SEEDS_MAX: Final = 64
STARTS: Final = ("boot", "standby", "ready")
DURING: Final = ("run", "prep", "rest", "boot", "any")
OVER: Final = ("none", "cycle", "pulse", "onset", "instance")
BOARD_WORDS: Final = (
    "ready", "reset", "self test", "reset timer", "set", "select", "open service", "close service",
)  # fmt: skip
# What a reaction may name; codes of refusals are many and made where they arise.
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "fault": tuple(BY_ID),
    "trip": tuple(code.value for code in TripCode),
    "mode": tuple(mode.value for mode in Mode),
    "told": TOLD,
}
# Stages of the hardware that can be disconnected, to prove that software alone is enough.
SWITCHES: Final = ("window_gate", "chain", "preset", "backup")
CIRCUMSTANCES: Final = ("host_offset_ns", "drift_ppm", "line_seq", "pulse_counter", "pulse_id")


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
    wiring: Mapping[str, bool]
    sweep: Sweep
    stimuli: tuple[Stimulus, ...]
    windows: tuple[Window, ...]
    swept: frozenset[int]
    expectations: tuple[Expectation, ...]
    recovers: bool
    accident: str
    without: str


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
    return _scenario(Reader(path, text.splitlines(), table, ""))


def _scenario(top: Reader) -> Scenario:
    sweep = top.guard(lambda: _sweep(top.table("sweep")), Sweep("none", 1, 0))
    windows, swept = _windows(top, sweep)
    count = len(windows)
    nothing: dict[str, Any] = {}
    head = top.guard(lambda: _head(top), nothing)
    parts: dict[str, Any] = {
        "config": top.guard(lambda: _overrides(top.table("config")), nothing),
        "circumstances": top.guard(lambda: _circumstances(top.table("circumstances")), nothing),
        "wiring": top.guard(lambda: _wiring(top.table("wiring")), nothing),
        "stimuli": _guarded(top, "stimulus", _stimulus),
        "expectations": _guarded(top, "expect", lambda row: _expectation(row, count)),
    }
    if not parts["expectations"] and not top.errors:
        raise top.refuse("expect", None, "at least one [[expect]]")
    if head:
        top.finish()
    top.settle()
    scenario = Scenario(
        path=top.path, sweep=sweep, windows=windows, swept=swept, **head, **parts
    )  # fmt: skip
    _check_times(top, scenario)
    top.settle()
    return scenario


def _head(top: Reader) -> dict[str, Any]:
    seeds = top.take("seeds", [1])
    if type(seeds) is not list or not 0 < len(seeds) <= SEEDS_MAX or not all(
        type(seed) is int and seed >= 0 for seed in seeds
    ):  # fmt: skip
        raise top.refuse("seeds", seeds, f"1 … {SEEDS_MAX} whole numbers")
    return {
        "id": top.text("id"),
        "title": top.text("title"),
        "fault": top.word("fault", NUMBERS),
        "start": top.word("start", STARTS, "ready"),
        "during": top.word("during", DURING, "run"),
        "duration_ns": top.time_ns("duration_ms"),
        "seeds": tuple(seeds),
        "rate": top.number("rate", 0.5, 30, 15),
        "recovers": top.flag("recovers", True),
        "accident": top.text("accident", ""),
        "without": top.word("without", ["", *REMOVED], ""),
    }


def _guarded(top: Reader, key: str, read_row: Callable[[Reader], Part]) -> tuple[Part, ...]:
    """Every row of a kind; one that is refused is left out, and the refusal kept."""
    found: list[Part] = []
    for row in top.rows(key):
        top.guard(partial(_append, found, read_row, row), None)
    return tuple(found)


def _append(found: list[Part], read_row: Callable[[Reader], Part], row: Reader) -> None:
    found.append(read_row(row))


def _check_times(top: Reader, scenario: Scenario) -> None:
    """Refuse times at which nothing can happen any more, or that end before they begin."""
    end_ns, end = (
        scenario.duration_ns,
        f"before the end of the timeline, {scenario.duration_ns // MS} ms",
    )

    def refuse(name: str, index: int, key: str, t_ns: int, allowed: str) -> None:
        place = top.at(name, index)
        top.errors.append(place.refuse(key, t_ns / MS, f"an impossible time; {allowed}"))

    for index, stimulus in enumerate(scenario.stimuli):
        if stimulus.at_ns >= end_ns:
            refuse("stimulus", index, "at_ms", stimulus.at_ns, end)
    for index, window in enumerate(scenario.windows):
        if window.onset_ns >= end_ns:
            refuse("window", index, "onset_ms", window.onset_ns, end)
    for index, one in enumerate(scenario.expectations):
        for key, t_ns in (("within_ms", one.limit_ns), ("to_ms", one.to_ns)):
            if t_ns > end_ns:
                refuse("expect", index, key, t_ns, end)
        if one.to_ns and one.from_ns >= one.to_ns:
            refuse("expect", index, "from_ms", one.from_ns, f"before to_ms, {one.to_ns // MS}")


def _sweep(reader: Reader) -> Sweep:
    over = reader.word("over", OVER, "none")
    steps = int(reader.number("steps", 1, STEPS_MAX, 1))
    span_ns = reader.time_ns("span_ms", 0)
    if over == "onset" and not span_ns:
        raise reader.refuse("span_ms", 0, "a sweep over the onset needs its span in ms")
    reader.finish()
    return Sweep(over, steps, span_ns)


def _windows(top: Reader, sweep: Sweep) -> tuple[tuple[Window, ...], frozenset[int]]:
    windows, swept = [], set()
    for number, window in enumerate(_guarded(top, "window", lambda row: _window(row, sweep))):
        windows.append(window[0])
        if window[1]:
            swept.add(number)
    return tuple(windows), frozenset(swept)


def _window(row: Reader, sweep: Sweep) -> tuple[Window, bool]:
    """A window, and whether it is swept."""
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
    onset_ns, duration_ns = row.time_ns("onset_ms"), row.time_ns("duration_ms", 0)
    swept = row.flag("swept", sweep.over != "none")
    row.finish()
    return Window(number, component, kind, instance, amount, onset_ns, duration_ns), swept


def _stimulus(row: Reader) -> Stimulus:
    at_ns, do = row.time_ns("at_ms"), row.text("do")
    words = do.split()
    board = bool(words) and (do in BOARD_WORDS or words[0] in ("set", "select"))
    if do not in ACTS and not board:
        raise row.refuse("do", do, nearest(do, [*ACTS, *BOARD_WORDS]))
    if board and words[0] == "set":
        _check_set(row, do, words)
    row.finish()
    return Stimulus(at_ns, do)


def _check_set(row: Reader, do: str, words: list[str]) -> None:
    if len(words) != 3 or words[1] not in ("kv", "ma", "ms", "rate"):
        raise row.refuse("do", do, "set kv|ma|ms|rate NUMBER")
    try:
        float(words[2])
    except ValueError:
        raise row.refuse("do", do, f"{words[2]!r} is not a number") from None


def _expectation(row: Reader, windows: int) -> Expectation:
    reaction = row.word("reaction", REACTIONS)
    after = int(row.number("after", 1, max(1, windows), 1)) - 1
    text = row.text("text", "")
    if text and reaction in WORDS and text not in WORDS[reaction]:
        raise row.refuse("text", text, nearest(text, WORDS[reaction]))
    expectation = Expectation(
        reaction, row.time_ns("within_ms", 0), text,
        int(row.number("count", 0, 1_000_000, 0)), row.time_ns("from_ms", 0),
        row.time_ns("to_ms", 0), after,
    )  # fmt: skip
    missing = REACTIONS[reaction].missing(expectation)
    if missing:
        raise row.refuse(missing, None, f"{reaction} needs {missing}")
    row.finish()
    return expectation


def _overrides(reader: Reader) -> dict[str, Any]:
    known = [key.name for key in KEYS]
    table = reader.rest()
    for name, value in table.items():
        if name not in known:
            raise reader.refuse(name, value, "not a configuration key; " + nearest(name, known))
    return table


def _circumstances(reader: Reader) -> dict[str, Any]:
    table = reader.rest()
    for name, value in table.items():
        if name not in CIRCUMSTANCES:
            raise reader.refuse(name, value, nearest(name, CIRCUMSTANCES))
        if type(value) is not int or not -(1 << 20) <= value <= 1 << 60:
            raise reader.refuse(name, value, "a whole number up to 2**60")
    return table


def _wiring(reader: Reader) -> dict[str, Any]:
    table = reader.rest()
    for name, value in table.items():
        if name not in SWITCHES:
            raise reader.refuse(name, value, nearest(name, SWITCHES))
        if type(value) is not bool:
            raise reader.refuse(name, value, "true (as built) or false (disconnected)")
    return table
