"""The pages made from tables: lines, messages, configuration, state diagrams, trace.

Lives here: how each table reads as a page.  May not live here: anything that is not in a table, so
that no page can say what the code does not.  `python -m docs.generate` (or `make docs`) writes the
pages; `tests/realtime/wire/test_docs.py` compares them with what it would write.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Final, get_type_hints

from controller.core.modes import TABLE, Ignore, Mode, Row
from docs import trace
from realtime import beam, irradiation, orders, pedals
from realtime.trips import Inhibit, TripCode
from realtime.wire.config import KEYS
from realtime.wire.lines import INPUTS, OUTPUTS, SNAPSHOT_PERIOD_MS, Line
from realtime.wire.messages import CATALOGUE, INT_MAX, MESSAGE_BYTES_MAX, VERSION, Message

FOLDER: Final = Path(__file__).resolve().parent
MADE: Final = "<!-- Made from the tables by `make docs`; edit the table, not this page. -->"
_MACHINES: Final[tuple[tuple[str, Any], ...]] = (
    ("Beam", beam),
    ("One pedal", pedals),
    ("Order", orders),
    ("Five-minute signal", irradiation),
)


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return lines + [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]


def _page(title: str, *parts: str | list[str]) -> str:
    lines = [f"# {title}", "", MADE]
    for part in parts:
        lines += ["", *([part] if isinstance(part, str) else part)]
    return "\n".join(lines) + "\n"


def _line_row(line: Line) -> tuple[object, ...]:
    age = line.max_age_ms or "—"
    return line.bit.value, f"`{line.bit.name}`", line.role.value, line.safe, age, line.owner, (
        line.meaning
    )  # fmt: skip


def lines_page() -> str:
    """`docs/lines.md`: both banks, bit by bit."""
    head = ("bit", "line", "role", "safe", "age, ms", "owner", "high means")
    return _page(
        "Lines",
        "Every digital signal of the bank, from `realtime/wire/lines.py`. A bank is an integer: "
        "bit *b* set means line *b* is high. *Safe* is the level assumed when a line is unknown: "
        f"never read, unplugged, or older than its age. Snapshots come every {SNAPSHOT_PERIOD_MS} "
        "ms and on every edge (`line-bus.md`).",
        "## Inputs: room to executive",
        _table(head, map(_line_row, INPUTS)),
        "## Outputs: executive to room",
        _table(head, map(_line_row, OUTPUTS)),
        "A *latching* interlock that opens trips the executive until a local reset; an "
        "*inhibiting* one ends the run and forbids the next while it is open.",
        "## Codes of trips",
        "Latched, also over a restart, until a local reset with the cause gone and all pedals up: "
        + ", ".join(f"`{code.value}`" for code in TripCode) + ".",
        "## Codes of inhibits",
        "No run starts while one holds: " + ", ".join(f"`{code.value}`" for code in Inhibit) + ".",
    )  # fmt: skip


def _values(hint: Any, bounds: tuple[float, float] | None) -> tuple[str, str]:
    """The msgpack type and the allowed values of a field, in words."""
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return "str", " · ".join(f"`{member.value}`" for member in hint)
    if hint is int:
        low, high = bounds or (0, INT_MAX)
        return "int", f"{low} … {'2⁶³ − 1' if high == INT_MAX else high}"
    if hint is float:
        return "float", f"{bounds[0]} … {bounds[1]}" if bounds else "finite"
    words: dict[Any, tuple[str, str]] = {
        bool: ("bool", ""),
        str: ("str", "≤ 200 characters"),
        list[str]: ("list of str", "≤ 64 items"),
    }
    return words[hint]


def _message_part(name: str, kind: type[Message]) -> list[str]:
    hints = get_type_hints(kind)
    rows = [
        (f"`{f.name}`", *_values(hints[f.name], kind.bounds.get(f.name)))
        for f in fields(kind)  # type: ignore[arg-type]
    ]
    return [f"## `{name}`", "", inspect.cleandoc(kind.__doc__ or ""), "",
            *_table(("field", "type", "values"), rows)]  # fmt: skip


def messages_page() -> str:
    """`docs/messages.md`: every message, field by field."""
    return _page(
        "Messages",
        "The messages on the Unix seqpacket sockets of `architecture.md`, from "
        "`realtime/wire/messages.py`. One datagram is one msgpack map of at most "
        f"{MESSAGE_BYTES_MAX} bytes: `m` (the name), `v` = {VERSION}, and exactly the fields "
        "below, no more, no fewer. Anything else is refused and counted, never guessed. Times "
        "(`_ns`) are CLOCK_MONOTONIC of the host. `hello` is first on every connection, both ways.",
        *(_message_part(name, kind) for name, kind in CATALOGUE.items()),
    )  # fmt: skip


def configuration_page() -> str:
    """`docs/configuration.md`: every key with its allowed values."""
    rows = [(f"`{key.name}`", key.meaning, key.allowed) for key in KEYS]
    return _page(
        "Configuration",
        "One TOML file, from `realtime/wire/config.py`. Every key is required and no other key is "
        "known; a refusal names the key, its value and what is allowed, and nothing starts. There "
        "is no key that switches a protection off. Relations between keys are checked as well: a "
        "technique inside what the generator accepts, its width inside the cap, the rate among "
        "the rates, window and readout inside the period of a free-running panel.",
        _table(("key", "meaning", "allowed"), rows),
    )  # fmt: skip


def _edges(rows: Mapping[tuple[Enum, Enum], Enum]) -> list[str]:
    events: dict[tuple[str, str], list[str]] = {}
    for (before, event), after in rows.items():
        events.setdefault((before.value, after.value), []).append(event.value)
    return [f"    {a} --> {b}: {', '.join(words)}" for (a, b), words in events.items()]


def _machine_part(title: str, module: Any) -> list[str]:
    first = next(iter(module.ROWS))[0]
    ignored = [(f"`{s.value}`", f"`{e.value}`", why) for (s, e), why in module.IGNORED.items()]
    return [
        f"## {title}", "", f"From `{module.__name__.replace('.', '/')}.py`.", "",
        "```mermaid", "stateDiagram-v2", f"    [*] --> {first.value}", *_edges(module.ROWS), "```",
        "", "What is ignored, and why:", "", *_table(("state", "event", "reason"), ignored),
    ]  # fmt: skip


def _modes_part() -> list[str]:
    edges: dict[tuple[Mode, Mode], list[str]] = {}
    for (mode, kind), row in TABLE.items():
        for target in row.targets if isinstance(row, Row) else ():
            edges.setdefault((mode, target), []).append(kind.value)
    ignored = sorted((f"`{mode.value}`", f"`{kind.value}`", row.reason)
                     for (mode, kind), row in TABLE.items() if isinstance(row, Ignore))  # fmt: skip
    return [
        "## Modes of the supervisor", "",
        "From `controller/core/modes.py`. An arrow says where an event may lead.", "",
        "```mermaid", "stateDiagram-v2", f"    [*] --> {Mode.BOOT.value}",
        *(f"    {a.value} --> {b.value}: {', '.join(sorted(kinds))}"
          for (a, b), kinds in sorted(edges.items())),
        "```", "", "What is ignored, and why:", "", *_table(("mode", "event", "reason"), ignored),
    ]  # fmt: skip


def state_diagrams_page() -> str:
    """`docs/state-diagrams.md`: each table as a diagram, and its written-out ignores."""
    return _page(
        "State diagrams",
        "Every state × event is a row (an arrow) or an ignore with its reason (a line of the table "
        "below the diagram); a test holds each table to that.",
        *(_machine_part(title, module) for title, module in _MACHINES),
        _modes_part(),
    )  # fmt: skip


PAGES: Final[dict[str, Callable[[], str]]] = {
    "lines.md": lines_page,
    "messages.md": messages_page,
    "configuration.md": configuration_page,
    "state-diagrams.md": state_diagrams_page,
    "trace.md": trace.page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
