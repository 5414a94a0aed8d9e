"""Invariant 11, timers: the 5-minute signal within ±0.1 s of each 300 s of irradiation.

A bench whose log says `signal_every_s` is held to that stricter interval; what a log says can only
make it shorter.

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
        self._mark = 1
        self._tone = False
        self._tone_ns = -limits.SIGNAL_EVERY_NS

    @property
    def _every_ns(self) -> int:
        """From one mark to the next, as the room's parameters say, at most the rule's."""
        said = self.scene.params.get("signal_every_s")
        if type(said) is not int and type(said) is not float:
            return limits.SIGNAL_EVERY_NS
        if not limits.SIGNAL_EVERY_S_MIN <= said <= limits.SIGNAL_EVERY_NS // (1000 * limits.MS):
            return limits.SIGNAL_EVERY_NS
        return round(said * 1000) * limits.MS

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
            self.lit_ns, self._mark = 0, 1

    def _pass(self, t_ns: int) -> None:
        if self._since_ns is None:
            return
        self.lit_ns += t_ns - self._since_ns
        self._since_ns = t_ns
        due_ns = self._mark * self._every_ns
        late_ns = self.lit_ns - due_ns
        if late_ns > limits.SIGNAL_SLACK_NS:
            mark_ns = t_ns - late_ns
            heard = self._tone or self._tone_ns >= mark_ns - limits.SIGNAL_SLACK_NS
            words = f"no signal at {due_ns / 1e9:g} s of irradiation"
            self.saw(mark_ns, t_ns, None if heard else words)
            self._mark += 1
