"""Reading the truth log: lines to records, in the order of their stamps.

Lives here: the record, the strict line parser and the one-second sorter (`docs/truth.md`).  May not
live here: what a record means for an invariant.  A line that is not a record stops the reading with
its number; nothing is guessed and nothing is dropped.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

KINDS: Final = frozenset({
    "contact", "interlock", "line", "hv", "photons_on", "photons_off", "window_open",
    "window_close", "frame", "fault_on", "fault_off", "process",
})  # fmt: skip
LEVEL_KINDS: Final = frozenset({"contact", "interlock", "line", "hv"})
PULSE_KINDS: Final = frozenset({"hv", "photons_on", "photons_off"})
NUMBER_KINDS: Final = frozenset({"window_open", "window_close"})
# How late the rig itself was, as its own `process` records tell it; ns.
LATE: Final = frozenset({"lateness", "edge_late"})
LINE_BYTES_MAX: Final = 4096
REORDER_NS: Final = 1_000_000_000
KEYS: Final = frozenset({"t_ns", "kind", "name", "value", "pulse_id"})
REQUIRED: Final[dict[str, dict[str, type]]] = {
    "photons_on": {"technique_id": int, "bank": int, "kv": float, "ma": float, "set_us": int},
    "photons_off": {"mas": float, "width_us": float, "tail_us": float},
    "frame": {
        "frame_no": int, "integration_open_ns": int, "integration_close_ns": int,
        "pulse_ids": list, "technique_ids": list, "valid": bool,
    },
    "rig": {
        "version": int, "topology": str, "window_us": int, "readout_us": int,
        "guard_open_us": int, "guard_close_us": int, "width_cap_us": int,
        "spacing_min_us": int, "kv": list, "ma": list, "ms": list, "wiring": dict,
    },
}  # fmt: skip


class TruthError(ValueError):
    """A log that cannot be judged: `line` (from 1), `code`, and what was wrong."""

    def __init__(self, line: int, code: str, detail: str) -> None:
        super().__init__(f"line {line}: {code}: {detail}")
        self.line = line
        self.code = code
        self.detail = detail


class Truth(NamedTuple):
    """One record.  `t_ns` is CLOCK_MONOTONIC; `value` as in `docs/truth.md`; `line` from 1."""

    t_ns: int
    kind: str
    name: str
    value: Any
    pulse_id: int | None
    line: int


def _is(value: object, kind: type) -> bool:
    if kind is float:
        return type(value) in (int, float)
    if kind is int:
        return type(value) is int
    return isinstance(value, kind)


def _numbers(key: str, values: list[Any]) -> bool:
    """Ids are whole numbers; the other lists are [low, high]."""
    if key.endswith("_ids"):
        return all(type(value) is int for value in values)
    return len(values) == 2 and all(_is(value, float) for value in values)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _object_of(text: str, line: int) -> dict[str, Any]:
    if len(text) > LINE_BYTES_MAX:
        raise TruthError(line, "length", f"{len(text)} characters, at most {LINE_BYTES_MAX}")
    try:
        body = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # no JSON, or brackets too deep
        raise TruthError(line, "json", str(error)[:80]) from None
    if not isinstance(body, dict):
        raise TruthError(line, "json", "not an object")
    if not body.keys() <= KEYS or not body.keys() >= KEYS - {"pulse_id"}:
        raise TruthError(line, "keys", ", ".join(sorted(body.keys() ^ KEYS)))
    return body


def _check_value(record: Truth) -> None:
    kind, value, line = record.kind, record.value, record.line
    if kind in LEVEL_KINDS and (type(value) is not int or value not in (0, 1)):
        raise TruthError(line, "value", f"{kind} {record.name} is {value!r}, not 0 or 1")
    if kind in NUMBER_KINDS and type(value) is not int:
        raise TruthError(line, "value", f"{kind} is {value!r}, not a frame number")
    if kind == "process" and record.name in LATE and type(value) is not int:
        raise TruthError(line, "value", f"{record.name} is {value!r}, not ns")
    shape = REQUIRED.get(record.name if kind == "process" else kind)
    if shape is None:
        return
    if not isinstance(value, dict):
        raise TruthError(line, "value", f"{kind} {record.name} carries no object")
    for key, wanted in shape.items():
        found: Any = value.get(key)
        if not _is(found, wanted) or (wanted is list and not _numbers(key, found)):
            raise TruthError(line, "value", f"{kind} {record.name}: {key} = {found!r}")


def parse(text: str, line: int) -> Truth:
    """One line of the log; raises TruthError (length, json, keys, value, kind, pulse_id)."""
    body = _object_of(text, line)
    t_ns, kind, name = body["t_ns"], body["kind"], body["name"]
    if type(t_ns) is not int or t_ns < 0:
        raise TruthError(line, "value", f"t_ns = {t_ns!r}")
    if type(kind) is not str or kind not in KINDS:
        raise TruthError(line, "kind", repr(kind)[:40])
    if type(name) is not str:
        raise TruthError(line, "value", f"name = {name!r}")
    pulse_id = body.get("pulse_id")
    if pulse_id is None and kind in PULSE_KINDS:
        raise TruthError(line, "pulse_id", f"{kind} without pulse_id")
    if pulse_id is not None and (type(pulse_id) is not int or pulse_id < 0):
        raise TruthError(line, "pulse_id", repr(pulse_id)[:40])
    record = Truth(t_ns, kind, name, body["value"], pulse_id, line)
    _check_value(record)
    return record


def ordered(lines: Iterable[str]) -> Iterator[Truth]:
    """Records by stamp; equal stamps in file order; raises TruthError (order) beyond 1 s.

    Holds at most the records of one second.
    """
    waiting: list[tuple[int, int, Truth]] = []
    newest_ns = 0
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            raise TruthError(number, "json", "empty line")
        record = parse(text, number)
        if record.t_ns < newest_ns - REORDER_NS:
            raise TruthError(number, "order", f"{newest_ns - record.t_ns} ns behind its place")
        newest_ns = max(newest_ns, record.t_ns)
        heapq.heappush(waiting, (record.t_ns, number, record))
        while waiting[0][0] < newest_ns - REORDER_NS:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def read(path: Path) -> Iterator[Truth]:
    """Records of a file by stamp; raises TruthError, OSError, UnicodeDecodeError."""
    with path.open(encoding="utf-8") as lines:
        yield from ordered(lines)
