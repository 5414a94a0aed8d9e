"""The truth log as a waveform file (VCD, IEEE 1364 §18) for any waveform viewer.

Lives here: the names, the writer.  May not live here: drawing.  One wire per line; time in ns from
the first record; what was not yet known is x.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from hil.plots.traces import Levels
from hil.referee.truth import Truth

WIRES: Final[tuple[str, ...]] = (
    "pedal_fluoro_no", "pedal_fluoro_nc", "pedal_high_no", "pedal_high_nc", "pedal_cine_no",
    "pedal_cine_nc", "reset", "door", "estop", "collision", "barrier", "cooling", "key",
    "generator_ready", "panel_ready", "permit", "permit_ok", "chain_ok", "panel_trigger", "bank",
    "window", "pulse", "xray_on", "hv", "photons", "frame", "tone", "lamp",
)  # fmt: skip
DERIVED: Final = frozenset({"window", "photons", "frame"})
CODES: Final = {name: chr(33 + number) for number, name in enumerate(WIRES)}


def _wire(record: Truth) -> tuple[str, int] | None:
    """The wire that a level record drives, or None."""
    if record.kind == "contact":
        name = record.name if record.name == "reset" else f"pedal_{record.name}"
    elif record.kind in ("interlock", "line"):
        name = record.name
    elif record.kind == "hv":
        name = "hv"
    else:
        return None
    return (name, record.value) if name in CODES else None


def header() -> Iterator[str]:
    """Declarations, and every wire unknown."""
    yield "$comment truth of the room, times in ns from its first record $end"
    yield "$timescale 1 ns $end"
    yield "$scope module room $end"
    for name in WIRES:
        yield f"$var wire 1 {CODES[name]} {name} $end"
    yield "$upscope $end"
    yield "$enddefinitions $end"
    yield "$dumpvars"
    for name in WIRES:
        yield f"x{CODES[name]}"
    yield "$end"


def body(records: Iterable[Truth]) -> Iterator[str]:
    """Changes in order; a level that does not change is not written."""
    levels = Levels()
    first_ns: int | None = None
    stamp_ns: int | None = None
    held: dict[str, int] = {}
    for record in records:
        first_ns = record.t_ns if first_ns is None else first_ns
        changed = levels.take(record)
        drives = {name: int(level > 0) for name, level in changed.items() if name in DERIVED}
        wire = _wire(record)
        if wire is not None:
            drives[wire[0]] = wire[1]
        for name, level in drives.items():
            if held.get(name) == level:
                continue
            held[name] = level
            if stamp_ns != record.t_ns:
                stamp_ns = record.t_ns
                yield f"#{stamp_ns - first_ns}"
            yield f"{level}{CODES[name]}"


def write_vcd(records: Iterable[Truth], path: Path) -> int:
    """Write the file; returns the number of value changes; raises TruthError, OSError."""
    changes = 0
    with path.open("w", encoding="ascii") as out:
        for line in header():
            out.write(line + "\n")
        for line in body(records):
            changes += not line.startswith("#")
            out.write(line + "\n")
    return changes
