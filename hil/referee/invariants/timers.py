"""Invariant 11, timers: the 5-minute signal within ±0.1 s of each 300 s of irradiation.

Lives here: irradiation as the room sees it (the lamp burns from arming to the end of a run) against
the buzzer.  May not live here: displays of time and dose.  What starts the count anew is seen in
the log: a start of realtime, and the mark `process timer reset` of whoever reset it.  Occasions:
every mark that is reached.
"""

from __future__ import annotations

from hil.referee import limits
from hil.referee.invariants.judge import Judge
from hil.referee.scene import Scene
from hil.referee.score import Score
from hil.referee.truth import Truth


class Timers(Judge):
    """Adds up the time of the lamp; every 300 s the buzzer must begin, or sound already."""

    n = 11
    watches = frozenset({"line", "process", "hv"})

    def __init__(self, scene: Scene, score: Score) -> None:
        super().__init__(scene, score)
        self.lit_ns = 0
        self._since_ns: int | None = None
        self._due_ns = limits.SIGNAL_EVERY_NS
        self._tone = False
        self._tone_ns = -limits.SIGNAL_EVERY_NS

    def record(self, record: Truth) -> None:
        """Lamp, buzzer, and what starts the count anew; between records time passes."""
        self._pass(record.t_ns)
        if record.kind == "process":
            self._start(record)
        elif record.kind == "line" and record.name == "lamp":
            self._since_ns = record.t_ns if record.value else None
        elif record.kind == "line" and record.name == "tone":
            self._tone = bool(record.value)
            if self._tone:
                self._tone_ns = record.t_ns

    def _start(self, record: Truth) -> None:
        if isinstance(record.value, str) and (record.name, record.value) in limits.TIMER_STARTS:
            self.lit_ns, self._due_ns = 0, limits.SIGNAL_EVERY_NS

    def _pass(self, t_ns: int) -> None:
        if self._since_ns is None:
            return
        self.lit_ns += t_ns - self._since_ns
        self._since_ns = t_ns
        late_ns = self.lit_ns - self._due_ns
        if late_ns > limits.SIGNAL_SLACK_NS:
            mark_ns = t_ns - late_ns
            heard = self._tone or self._tone_ns >= mark_ns - limits.SIGNAL_SLACK_NS
            minutes = self._due_ns // limits.SIGNAL_EVERY_NS * 5
            self.saw(mark_ns, t_ns, None if heard else f"no signal at {minutes} minutes")
            self._due_ns += limits.SIGNAL_EVERY_NS
