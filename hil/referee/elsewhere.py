"""Invariants that a truth log alone cannot show: who judges them, and what they still wait for.

Lives here: the list.  May not live here: judging.  A number is either a judge's (`invariants`) or
here, never both and never neither; what it waits for is the subject that does not exist yet.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Elsewhere(NamedTuple):
    """One invariant: by whom it is judged, and what part of it waits for which subject."""

    n: int
    by: str
    waiting_for: str = ""


ELSEWHERE: Final[tuple[Elsewhere, ...]] = (
    Elsewhere(9, "crosschecks frames_account and frame_technique, with --frames",
              "the viewer, which shows what is live"),
    Elsewhere(10, "crosschecks recorded_is_emitted, --blackbox; virtual time: each world's end",
              "the dose ledger, which adds kerma up"),
    Elsewhere(13, "tests/sim/test_independence.py: software alone, the chain alone; [wiring]"),
    Elsewhere(14, "crosschecks network_…, with --mqtt"),
    Elsewhere(15, "tests of the durable copy and of the service's files",
              "a power cut of the whole machine in the rig"),
    Elsewhere(16, "tests/sim/test_shift.py: the same world with other clocks and counters"),
    Elsewhere(17, "campaigns: every bound is an assertion", "a day in real time, for its memory"),
    Elsewhere(18, "campaigns: each fault is followed by a recovery, each calm press by pulses"),
)  # fmt: skip


def rows() -> list[dict[str, Any]]:
    """`{n, by, waiting_for}` per invariant; `waiting_for` null where nothing is missing."""
    return [{"n": row.n, "by": row.by, "waiting_for": row.waiting_for or None} for row in ELSEWHERE]
