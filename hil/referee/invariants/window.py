"""Invariant 7, window: every pulse, rise and tail included, inside the window with its guards.

Lives here: `x(t)` widened by the guards against one open window of the panel.  May not live here:
why a pulse was there.  Every pulse is an occasion.
"""

from __future__ import annotations

from collections import deque

from hil.referee import limits
from hil.referee.invariants.judge import Judge
from hil.referee.scene import Pulse, Scene
from hil.referee.score import Score
from hil.referee.spans import Spans
from hil.referee.truth import KINDS, Truth


class Window(Judge):
    """Holds each pulse until its closing guard has passed, then looks."""

    n = 7
    # Lines say nothing of it; other records are frequent enough to tell the time.
    watches = KINDS - {"line"}

    def __init__(self, scene: Scene, score: Score) -> None:
        super().__init__(scene, score)
        self.open = Spans()
        self._waiting: deque[Pulse] = deque()

    def _guard_ns(self, side: str) -> int:
        return int(self.scene.params.get(f"guard_{side}_us", 0)) * 1000

    def record(self, record: Truth) -> None:
        """Follow the window; judge pulses whose closing guard lies behind this record."""
        while self._waiting:
            if record.t_ns < self._waiting[0].x_off_ns + self._guard_ns("close"):
                break
            self._judge(self._waiting.popleft())
        if record.kind == "window_open":
            self.open.put(record.t_ns, True)
        elif record.kind == "window_close":
            self.open.put(record.t_ns, False)

    def pulse(self, pulse: Pulse) -> None:
        """Wait for the closing guard."""
        self._waiting.append(pulse)

    def finish(self) -> None:
        """Judge what is left; a window that the log does not close stays open."""
        while self._waiting:
            self._judge(self._waiting.popleft())

    def _judge(self, pulse: Pulse) -> None:
        start_ns = pulse.on_ns - self._guard_ns("open")
        end_ns = pulse.x_off_ns + self._guard_ns("close")
        out_ns = self.open.uncovered_ns(start_ns, end_ns)
        wrong = None
        # A pulse that nobody asked for, or that nothing but the chain can end, knows no window.
        excused = self.scene.bare or self.scene.struck(pulse, *limits.WINDOWLESS_FAULTS)
        if out_ns is not None and not excused:
            wrong = (
                f"pulse {pulse.pulse_id} with guards needs {start_ns} … {end_ns}, shut at {out_ns}"
            )
        self.saw(pulse.on_ns, pulse.x_off_ns, wrong)
