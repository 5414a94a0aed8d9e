"""What the room has to say since somebody last looked: edges, truth, reports, signals.

Lives here: four lists that parts append to and the rig (or a simulation) empties.  May not live
here: where they go.  Bounded by being emptied after every advance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hil.room.records import FrameDue, GateCount, PulseResult, ReadoutExposure, TruthRecord


class Edge(NamedTuple):
    """The input bank from `t_ns` on."""

    t_ns: int
    levels: int


class Signal(NamedTuple):
    """A process is to get a signal now (`KILL`, `STOP`, `CONT`, `TERM`); `name` is for the log."""

    t_ns: int
    name: str
    pid: int
    signal: str


class Outbox:
    """The lists, in order of happening."""

    def __init__(self) -> None:
        self.edges: list[Edge] = []
        self.truth: list[TruthRecord] = []
        self.reports: list[FrameDue | ReadoutExposure | PulseResult | GateCount] = []
        self.signals: list[Signal] = []

    def record(self, t_ns: int, kind: str, name: str, value: Any, pulse_id: int = 0) -> None:
        """Append a truth record."""
        self.truth.append(TruthRecord(t_ns, kind, name, value, pulse_id))
