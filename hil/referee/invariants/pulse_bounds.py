"""Invariant 5, pulse bounds: one pulse per trigger, no longer and no denser than allowed.

Lives here: width (kV ≥ 75 % of peak) ≤ min(1.1·set + 1 ms, cap), spacing ≥ minimum, one start of
`hv` per rise of PULSE.  May not live here: orders; they are cross-checked with the black box.
Every pulse is an occasion.
"""

from __future__ import annotations

from hil.referee import limits
from hil.referee.invariants.judge import Judge
from hil.referee.scene import Pulse, Scene
from hil.referee.score import Score
from hil.referee.truth import Truth


class PulseBounds(Judge):
    """Looks whether each pulse had a rise of PULSE of its own, and measures it."""

    n = 5
    watches = frozenset({"hv"})

    def __init__(self, scene: Scene, score: Score) -> None:
        super().__init__(scene, score)
        self.last_on_ns: int | None = None
        self._wrong: dict[int, str] = {}

    def record(self, record: Truth) -> None:
        """Starts of `hv`."""
        if record.kind == "hv" and record.value and record.pulse_id is not None:
            wrong = self._spacing(record)
            self.last_on_ns = record.t_ns
            if wrong:
                self._wrong[record.pulse_id] = wrong

    def _spacing(self, record: Truth) -> str | None:
        least_ns = int(self.scene.params.get("spacing_min_us", 0)) * 1000
        if self.last_on_ns is None or record.t_ns - self.last_on_ns >= least_ns:
            return None
        return f"pulse {record.pulse_id} {record.t_ns - self.last_on_ns} ns after the last"

    def pulse(self, pulse: Pulse) -> None:
        """The width, by the generator model and by the stamps, against the bound."""
        wrong = self._wrong.pop(pulse.pulse_id, None)
        if pulse.unasked:
            # F15 strikes when it likes; what nobody can explain is ours.
            wrong = None if pulse.stray else f"pulse {pulse.pulse_id} without a rise of PULSE"
        if not wrong and not self.scene.bare:
            wrong = self._width(pulse)
        if self.scene.struck(pulse, limits.DEAF_FAULT):
            # F13: only the hard-wired chain can end it, and invariants 1 and 3 say when.
            wrong = None
        self.saw(pulse.on_ns, pulse.hv_off_ns, wrong)

    def _width(self, pulse: Pulse) -> str | None:
        set_us = pulse.technique.get("set_us", 0)
        bound_us = set_us * limits.WIDTH_FACTOR_PERCENT / 100 + limits.WIDTH_EXTRA_US
        bound_us = min(bound_us, self.scene.params.get("width_cap_us", 0))
        driven_us = (pulse.hv_off_ns - pulse.on_ns) / 1000 - self.scene.params.get("rise_us", 0)
        width_us = max(pulse.width_us, driven_us)
        if width_us <= bound_us:
            return None
        return f"pulse {pulse.pulse_id}: {width_us:.1f} µs, at most {bound_us:.1f}"
