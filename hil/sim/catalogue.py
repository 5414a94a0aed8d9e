"""The fault catalogue's 48 numbers: what each is, and what virtual time still waits for.

Lives here: number, fault, reaction, and the subject that does not exist yet.  May not live here:
which scenarios cover a number; that follows from the files (`coverage`).  The texts are those of
the requirements; limits stand in the scenarios, where they are judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple


class Number(NamedTuple):
    """One row of the catalogue; `waits` is '' where virtual time has its subject."""

    number: str
    fault: str
    reaction: str
    waits: str = ""


CATALOGUE: Final[tuple[Number, ...]] = (
    Number("F01", "pedal stuck pressed", "tone each 5 min; stop at the maximum; latched"),
    Number("F02", "pedal held at power-on, reset, mode change", "no exposure until released"),
    Number("F03", "two pedals overlapping", "one function; its release is dark"),
    Number("F04", "contact bounce", "at most one start; first release reading wins"),
    Number("F05", "pedal unplugged while pressed", "dark, fault"),
    Number("F06", "a release event is lost", "level re-read, dark"),
    Number("F07", "NO and NC disagree", "dark or no start; fault when it lasts"),
    Number("F08", "an interlock opens at any phase", "dark; latching or inhibiting"),
    Number("F09", "an interlock flickers 1 ms", "dark, no resuming by itself"),
    Number("F10", "interlock value frozen", "age limit = open"),
    Number("F11", "sensor noise, drift, out of range", "plausibility fault",
           "devices with analogue readings"),
    Number("F12", "reset, home or service command during exposure", "refused, logged"),
    Number("F13", "generator ignores off", "the chain drops the supply, alarm"),
    Number("F14", "pulse longer than set", "back-up timer"),
    Number("F15", "generator fires untriggered or twice", "dark, disarm, fault"),
    Number("F16", "kV/mA read-back off or missing", "stop after this pulse"),
    Number("F17", "generator heartbeat lost, emergency", "disarm"),
    Number("F18", "CAN duplicates, reordering, babble", "rejected; deadlines met or dark"),
    Number("F19", "serial garbage, split, silence", "bounded retries, then inhibit",
           "a serial device"),
    Number("F20", "edit at every ms of the preparation", "READY voided until read back"),
    Number("F21", "panel says ready but does not integrate", "no image, stop"),
    Number("F22", "frame missing, late, duplicate, wrong id", "loss recorded; stop at 2"),
    Number("F23", "panel phase drifts", "resync or stop before a lost window"),
    Number("F24", "frame torn, wrong size, zero, frozen", "never live; stop at 2"),
    Number("F25", "frame subscriber slow, stopped, dead", "control unaffected; loss counted"),
    Number("F26", "imaging dies", "no verdicts, dark"),
    Number("F27", "frame metadata from another pulse", "pairing fails, not live"),
    Number("F28", "loop blocked", "dark"),
    Number("F29", "a process is killed or stopped at any instant", "dark; restart latched"),
    Number("F30", "exception, cancelled task, full queue", "FAULT, never half alive"),
    Number("F31", "CPU starvation", "deadlines met or dark, never late"),
    Number("F32", "geometry stale or in the wrong unit", "dose flagged", "geometry and dose"),
    Number("F33", "technique corners", "dose within tolerance", "the dose ledger"),
    Number("F34", "accumulator overflow, negative delta", "saturate, alarm", "the dose ledger"),
    Number("F35", "configuration that is not one", "refuses to start, names the key"),
    Number("F36", "wall clock steps; monotonic far on", "no effect"),
    Number("F37", "counters wrap", "nothing skipped"),
    Number("F38", "buzzer or lamp fails", "next exposure inhibited"),
    Number("F39", "5-minute task dies", "independent, supervised",
           "a signal apart from the executive"),
    Number("F40", "storage fails", "exposure may finish; no new start"),
    Number("F41", "power cut at any write", "acknowledged records present"),
    Number("F42", "broker down, flapping, slow, flooding", "beam path unaffected"),
    Number("F43", "replayed, stale, forged command", "refused, security event"),
    Number("F44", "service command while armed", "refused"),
    Number("F45", "second supervisor", "the older is fenced"),
    Number("F46", "monostable or chain stuck closed", "found by the self-test"),
    Number("F47", "high-level control: tone or request fails", "ends, normal limits",
           "high-level fluoroscopy, which waits for dose limits"),
    Number("F48", "tube heat at limit", "finish pulse, refuse next",
           "a limit of heat that somebody decides on"),
)  # fmt: skip
NUMBERS: Final = tuple(row.number for row in CATALOGUE)
assert tuple(f"F{n:02}" for n in range(1, 49)) == NUMBERS, "48 faults, in order"


def coverage(scenarios: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Rows of `carm faults` for (catalogue number, scenario id) pairs.

    A number with a subject and no scenario waits for its scenario: nothing passes by being absent.
    """
    by_number: dict[str, list[str]] = {number: [] for number in NUMBERS}
    for number, name in scenarios:
        by_number[number].append(name)
    return [_row(row, by_number) for row in CATALOGUE]


def _row(row: Number, by_number: Mapping[str, list[str]]) -> dict[str, Any]:
    names = sorted(by_number[row.number])
    waits = row.waits or ("" if names else "a scenario")
    return {
        "id": row.number, "fault": row.fault, "reaction": row.reaction,
        "status": "waiting_for" if waits else "covered", "waiting_for": waits or None,
        "scenarios": names,
    }  # fmt: skip
