"""Invariant 4, one function: at most one pedal's function, and a change goes through dark.

Lives here: which pedal owns the beam (the one pressed first) and pedals that were already down
when the owner let go; they need a fresh edge.  May not live here: a beam without any pedal
(invariant 1).  Occasions: a second pedal pressed under the owner, a new owner's first pulse, and
every breach.
"""

from __future__ import annotations

from hil.referee import limits
from hil.referee.invariants.judge import Judge
from hil.referee.scene import PEDALS, Pulse, Scene
from hil.referee.score import Score
from hil.referee.truth import Truth


class OneFunction(Judge):
    """Follows ownership at every contact and judges each pulse against it."""

    n = 4
    watches = frozenset({"contact", "hv"})

    def __init__(self, scene: Scene, score: Score) -> None:
        super().__init__(scene, score)
        self.owner: str | None = None
        self.released_ns = 0
        self.stale: set[str] = set()
        self._down: set[str] = set()
        self._last_owner: str | None = None

    def record(self, record: Truth) -> None:
        """Follow the contacts; note at the start of each pulse whose it is."""
        if record.kind == "contact":
            down = {name for name in PEDALS if self.scene.pedals[name].pressed.now}
            for name in sorted(down - self._down):
                self._press(record.t_ns, name)
            for name in sorted(self._down - down):
                self._release(record.t_ns, name)
            self._down = down
        elif record.kind == "hv" and record.value and record.pulse_id is not None:
            self._start(record.t_ns, record.pulse_id)

    def _press(self, t_ns: int, name: str) -> None:
        if self.owner is None:
            self.owner = name
        else:
            self.stale.add(name)
            self.saw(t_ns, t_ns)

    def _release(self, t_ns: int, name: str) -> None:
        self.stale.discard(name)
        if name == self.owner:
            self.owner = None
            self.released_ns = t_ns

    def _start(self, t_ns: int, pulse_id: int) -> None:
        if self.owner is None and self.stale:
            age_ns = t_ns - self.released_ns
            if age_ns > limits.RELEASE_START_NS:
                held = ", ".join(sorted(self.stale))
                self.saw(t_ns, t_ns, f"pulse {pulse_id}: {held} took over without going dark")
            return
        if self.owner is not None and self.owner != self._last_owner:
            if self._last_owner is not None:
                self.saw(t_ns, t_ns)
            self._last_owner = self.owner

    def pulse(self, pulse: Pulse) -> None:
        """A pulse that outlives its owner by more than 20 ms under another pedal."""
        if self.owner is None and self.stale and pulse.on_ns <= self.released_ns:
            age_ns = pulse.hv_off_ns - self.released_ns
            if age_ns > limits.RELEASE_HV_NS:
                self.saw(pulse.on_ns, pulse.hv_off_ns, f"pulse {pulse.pulse_id} kept by another")
