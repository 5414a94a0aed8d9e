"""Invariant 12, fail dark: a process of the beam path that dies or stands still leaves no beam.

Lives here: `hv(t)` after the end of realtime or a stall of it, until it has started again or goes
on.  May not live here: the press that a new run then needs (invariant 2).  Every such end under a
pressed pedal is an occasion.  That the latch survives the restart is seen beside the truth, where
resets are told; the log alone does not know who reset.
"""

from __future__ import annotations

from collections import deque

from hil.referee import limits
from hil.referee.invariants.judge import Judge
from hil.referee.scene import Pulse, Scene
from hil.referee.score import Score
from hil.referee.truth import Truth


class FailDark(Judge):
    """Follows ends and starts of realtime, and judges each pulse against them."""

    n = 12
    watches = frozenset({"process"})

    def __init__(self, scene: Scene, score: Score) -> None:
        super().__init__(scene, score)
        self.gone_ns: int | None = None
        self._spans: deque[tuple[int, int]] = deque(maxlen=limits.ENDS_KEPT_MAX)

    def record(self, record: Truth) -> None:
        """Marks of realtime; a line bus that is connected has somebody at its other end."""
        mark = (record.name, record.value if isinstance(record.value, str) else "")
        if mark in limits.ENDS and self.gone_ns is None:
            self.gone_ns = record.t_ns
            if self.scene.pressed.now:
                self.saw(record.t_ns, record.t_ns)
        elif mark in limits.GOES_ON and self.gone_ns is not None:
            self._spans.append((self.gone_ns, record.t_ns))
            self.gone_ns = None

    def pulse(self, pulse: Pulse) -> None:
        """No high voltage from the limit on until it is back."""
        if pulse.stray or self.scene.struck(pulse, limits.DEAF_FAULT):
            # F15 and F13 are the generator's own; only the chain ends them.
            return
        now = [] if self.gone_ns is None else [(self.gone_ns, pulse.hv_off_ns)]
        for gone_ns, back_ns in (*self._spans, *now):
            if max(pulse.on_ns, gone_ns + limits.FAIL_DARK_NS) < min(pulse.hv_off_ns, back_ns):
                wrong = f"pulse {pulse.pulse_id} drives, realtime gone since {gone_ns}"
                self.saw(pulse.on_ns, pulse.hv_off_ns, wrong)
                return
