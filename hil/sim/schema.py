"""The JSON Schema of the scenario file, made from the same tables as its reader.

Lives here: `docs/schemas/scenario-file.json` as an object.  May not live here: reading a file
(`scenario`), or anything that is not in a table.  `python -m hil.sim.page` writes it; a test
compares.
"""

from __future__ import annotations

from typing import Any, Final

from hil.room.acts import ACTS
from hil.sim.catalogue import NUMBERS
from hil.sim.faults import TABLE
from hil.sim.reactions import REACTIONS
from hil.sim.reading import TIME_MS_MAX
from hil.sim.removed import REMOVED
from hil.sim.scenario import (
    CIRCUMSTANCES,
    DURING,
    OVER,
    SEEDS_MAX,
    STARTS,
    STEPS_MAX,
    SWITCHES,
    WORDS,
)
from realtime.wire.config import KEYS

Schema = dict[str, Any]
AT_BOARD: Final = ("ready", "reset", "self test", "reset timer", "open service", "close service")
MODES: Final = ("one_shot", "cine", "dsa")


def _object(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    return {"type": "object", "additionalProperties": False, "required": list(required),
            "properties": properties}  # fmt: skip


def _time(what: str) -> Schema:
    return {"type": "number", "minimum": 0, "maximum": TIME_MS_MAX, "description": f"{what}, ms"}


def _number(low: float, high: float, what: str) -> Schema:
    return {"type": "number", "minimum": low, "maximum": high, "description": what}


def _text(what: str) -> Schema:
    return {"type": "string", "maxLength": 200, "description": what}


def _windows() -> list[Schema]:
    """One shape for each component and type: its instances, numbers and unit."""
    shapes = []
    for (component, kind), row in TABLE.items():
        properties = {
            "component": {"const": component},
            "type": {"const": kind, "description": row.what},
            "instance": {"enum": list(row.instances), "default": row.instances[0]},
            "number": {"enum": list(row.numbers), "default": row.numbers[0]},
            "amount": _number(0, 1e9, f"{row.unit or 'no unit'}; 0: {row.amount:g}"),
            "unit": {"const": row.unit},
            "onset_ms": _time("from the start of the timeline"),
            "duration_ms": _time("0: until everybody puts it right"),
            "swept": {"type": "boolean"},
        }
        shapes.append(_object(properties, ("component", "type", "onset_ms")))
    return shapes


def _expectations() -> list[Schema]:
    shapes = []
    for name, row in REACTIONS.items():
        words = {"enum": list(WORDS[name])} if name in WORDS else _text("code of a refusal")
        properties = {
            "reaction": {"const": name, "description": row.what},
            "within_ms": _time("limit after the effect"),
            "text": words,
            "count": {"type": "integer", "minimum": 0, "maximum": 1_000_000},
            "from_ms": _time("from the start of the timeline"),
            "to_ms": _time("from the start of the timeline"),
            "after": {"type": "integer", "minimum": 1, "description": "number of the window"},
        }
        shapes.append(_object(properties, ("reaction", *row.needs)))
    return shapes


def _stimulus() -> Schema:
    done = {"anyOf": [
        {"enum": [*ACTS, *AT_BOARD]},
        {"enum": [f"select {mode}" for mode in MODES]},
        {"pattern": r"^set (kv|ma|ms|rate) [0-9]+(\.[0-9]+)?$"},
    ]}  # fmt: skip
    at = _time("from the start of the timeline")
    return _object({"at_ms": at, "do": {"type": "string", **done}}, ("at_ms", "do"))


def file_schema() -> Schema:
    """The schema of a scenario file, once its TOML is read."""
    sweep = {
        "over": {"enum": list(OVER)},
        "steps": {"type": "integer", "minimum": 1, "maximum": STEPS_MAX},
        "span_ms": _time("with over = onset"),
    }
    seeds = {"type": "integer", "minimum": 0}
    whole = {"type": "integer", "minimum": -(1 << 20), "maximum": 1 << 60}
    top = _object({
        "id": _text("unique; the name of the file"),
        "title": _text("one sentence"),
        "fault": {"enum": list(NUMBERS), "description": "number of the fault catalogue"},
        "start": {"enum": list(STARTS), "default": "ready"},
        "during": {"enum": list(DURING), "default": "run"},
        "duration_ms": _time("length of the timeline"),
        "seeds": {"type": "array", "minItems": 1, "maxItems": SEEDS_MAX, "items": seeds},
        "rate": _number(0.5, 30, "pulses per second"),
        "recovers": {"type": "boolean", "default": True},
        "accident": _text("the accident that became this scenario"),
        "without": {"enum": list(REMOVED), "description": "the reaction without which it is red"},
        "config": _object({key.name: {} for key in KEYS}),
        "circumstances": _object(dict.fromkeys(CIRCUMSTANCES, whole)),
        "wiring": _object({name: {"type": "boolean"} for name in SWITCHES}),
        "sweep": _object(sweep),
        "stimulus": {"type": "array", "items": _stimulus()},
        "window": {"type": "array", "items": {"oneOf": _windows()}},
        "expect": {"type": "array", "minItems": 1, "items": {"oneOf": _expectations()}},
    }, ("id", "title", "fault", "duration_ms", "expect"))  # fmt: skip
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "carm.scenario-file/1",
        "title": "A scenario file (docs/scenarios.md), its TOML as an object",
        **top,
    }
