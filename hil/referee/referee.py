"""The referee at work: a truth log in, one verdict per invariant out.

Lives here: the composition of scene, judges and score over a stream of records.  May not live
here: an invariant, a file format, or memory that grows with the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hil.referee.invariants.dead_man import DeadMan
from hil.referee.invariants.fail_dark import FailDark
from hil.referee.invariants.fresh_edge import FreshEdge
from hil.referee.invariants.images import Images
from hil.referee.invariants.interlocks import Interlocks
from hil.referee.invariants.judge import Judge
from hil.referee.invariants.one_function import OneFunction
from hil.referee.invariants.pulse_bounds import PulseBounds
from hil.referee.invariants.technique import Technique
from hil.referee.invariants.timers import Timers
from hil.referee.invariants.window import Window
from hil.referee.scene import Scene
from hil.referee.score import Score
from hil.referee.truth import KINDS, Truth, TruthError

JUDGES: Final[tuple[type[Judge], ...]] = (
    DeadMan, FreshEdge, Interlocks, OneFunction, PulseBounds, Technique, Window, Images,
    Timers, FailDark,
)  # fmt: skip
SCHEMA: Final = "carm.referee/1"


class Referee:
    """Feeds records to every judge.  `take` in order of stamps, then `finish` once."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.score = Score(tuple(judge.n for judge in JUDGES))
        self.judges = [judge(self.scene, self.score) for judge in JUDGES]
        self._watching = {
            kind: tuple(judge.record for judge in self.judges if kind in judge.watches)
            for kind in KINDS
        }
        self.records = 0
        self.first_ns = 0

    def take(self, record: Truth) -> None:
        """One record; raises TruthError (header) when the log does not begin with the rig's."""
        if self.records == 0:
            self.first_ns = record.t_ns
            if (record.kind, record.name) != ("process", "rig"):
                raise TruthError(record.line, "header", "the first record is not process rig")
        self.records += 1
        if record.kind == "process" and record.name == "lateness":
            self.score.rig_late(record.t_ns, record.value)
        pulse = self.scene.take(record)
        for watch in self._watching[record.kind]:
            watch(record)
        if pulse is not None:
            for judge in self.judges:
                judge.pulse(pulse)
        if record.kind != "line":
            self.score.settle(record.t_ns)

    def finish(self) -> None:
        """The log has ended: judge what is still on, then count everything."""
        for pulse in self.scene.cut():
            for judge in self.judges:
                judge.pulse(pulse)
        for judge in self.judges:
            judge.finish()
        self.score.finish()

    def verdict(self) -> dict[str, Any]:
        """The object of schema `carm.referee/1`, after `finish`."""
        return {
            "schema": SCHEMA,
            "records": self.records,
            "pulses": self.scene.pulse_count,
            "span_s": round((self.scene.t_ns - self.first_ns) / 1e9, 3),
            "rig_late": {
                "intervals": self.score.late_count,
                "worst_ms": round(self.score.late_worst_ns / 1e6, 3),
                "total_ms": round(self.score.late_total_ns / 1e6, 3),
            },
            "invariants": self.score.rows(),
        }


def judge(records: Iterable[Truth]) -> dict[str, Any]:
    """Judge a whole log; raises TruthError when it is empty or unreadable."""
    referee = Referee()
    for record in records:
        referee.take(record)
    if referee.records == 0:
        raise TruthError(1, "empty", "no record at all")
    referee.finish()
    return referee.verdict()


def violated(verdict: dict[str, Any]) -> list[int]:
    """Numbers of the invariants that the verdict calls violated."""
    return [row["n"] for row in verdict["invariants"] if row["status"] == "violated"]
