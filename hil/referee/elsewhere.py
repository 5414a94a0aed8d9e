"""Who judges what a truth log alone cannot show, and what of each invariant still waits.

Lives here: the two lists.  May not live here: judging.  A number is either a judge's (`invariants`)
or in the first list, never both and never neither; the second names, for any number, the part whose
subject does not exist yet.  `docs/trace.md` is made from both, and a test holds every place that is
named to the tree.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Elsewhere(NamedTuple):
    """One invariant: by whom it is judged, in words, and in which files."""

    n: int
    by: str
    where: tuple[str, ...]


ELSEWHERE: Final[tuple[Elsewhere, ...]] = (
    Elsewhere(9, "crosschecks frames_account and frame_technique, with --frames",
              ("hil/referee/crosscheck.py",)),
    Elsewhere(10, "crosschecks recorded_is_emitted, --blackbox; virtual time: each world's end",
              ("hil/referee/crosscheck.py", "hil/sim/accounts.py")),
    Elsewhere(13, "tests/sim/test_independence.py: software alone, the chain alone; [wiring]",
              ("tests/sim/test_independence.py", "tests/system/test_stages.py")),
    Elsewhere(14, "crosschecks network_…, with --mqtt", ("hil/referee/network.py",)),
    Elsewhere(15, "tests of the durable copy and of the service's files",
              ("tests/controller/supervisor/test_durable.py", "tests/service/test_files.py")),
    Elsewhere(16, "tests/sim/test_shift.py: the same world with other clocks and counters",
              ("tests/sim/test_shift.py",)),
    Elsewhere(17, "campaigns: every bound is an assertion", ("hil/sim/episode.py",)),
    Elsewhere(18, "campaigns: each fault is followed by a recovery, each calm press by pulses",
              ("hil/sim/episode.py", "hil/sim/operator.py")),
)  # fmt: skip
WAITING_FOR: Final = {
    6: "the dose record, which names a technique as well: the dose ledger",
    9: "the viewer, which shows what is live",
    10: "the dose ledger, which adds kerma up",
    11: "displays of time and kerma: the viewer",
    12: "the latch on real processes: a rig that is told of every local reset",
    15: "a power cut of the whole machine in the rig",
    17: "a day in real time, for its memory",
}  # fmt: skip


def rows() -> list[dict[str, Any]]:
    """`{n, by, waiting_for}` per invariant; `waiting_for` null where nothing is missing."""
    return [{"n": row.n, "by": row.by, "waiting_for": WAITING_FOR.get(row.n)} for row in ELSEWHERE]


def status(n: int) -> str:
    """What is so of invariant `n`, in the words of the trace."""
    judged = "judged elsewhere" if n in {row.n for row in ELSEWHERE} else "judged"
    return f"{judged}; waits in part for {WAITING_FOR[n]}" if n in WAITING_FOR else judged
