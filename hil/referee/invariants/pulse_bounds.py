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
    """Counts rises of PULSE against starts of `hv`, and measures each pulse."""

    n = 5
    watches = frozenset({"line", "hv", "fault_on", "fault_off"})

    def __init__(self, scene: Scene, score: Score) -> None:
        super().__init__(scene, score)
        self.triggers = 0
        self.strays_allowed = 0
        self.last_on_ns: int | None = None
        self._unasked: int | None = None
        self._wrong: dict[int, str] = {}

    def record(self, record: Truth) -> None:
        """Rises of PULSE, onsets of F15, starts of `hv`."""
        if record.kind == "line" and record.name == "pulse":
            # A rise that nothing followed is spent when PULSE falls.
            self.triggers = record.value
        elif record.kind == "fault_on" and record.name == limits.STRAY_FAULT:
            self._allow_stray(record)
        elif record.kind == "fault_off" and record.name == limits.STRAY_FAULT:
            self.strays_allowed = 0
        elif record.kind == "hv" and record.value and record.pulse_id is not None:
            wrong = self._trigger(record) or self._spacing(record)
            self.last_on_ns = record.t_ns
            if wrong:
                self._wrong[record.pulse_id] = wrong

    def _allow_stray(self, record: Truth) -> None:
        """One pulse per onset: the very one by which the effect showed, or the next."""
        if self._unasked is not None and self.last_on_ns == record.t_ns:
            self._wrong.pop(self._unasked, None)
            self._unasked = None
        else:
            self.strays_allowed = 1

    def _trigger(self, record: Truth) -> str | None:
        if self.triggers:
            self.triggers = 0
            return None
        if self.strays_allowed:
            self.strays_allowed = 0
            return None
        self._unasked = record.pulse_id
        return f"pulse {record.pulse_id} without a rise of PULSE of its own"

    def _spacing(self, record: Truth) -> str | None:
        least_ns = int(self.scene.params.get("spacing_min_us", 0)) * 1000
        if self.last_on_ns is None or record.t_ns - self.last_on_ns >= least_ns:
            return None
        return f"pulse {record.pulse_id} {record.t_ns - self.last_on_ns} ns after the last"

    def pulse(self, pulse: Pulse) -> None:
        """The width, by the generator model and by the stamps, against the bound."""
        wrong = self._wrong.pop(pulse.pulse_id, None)
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
