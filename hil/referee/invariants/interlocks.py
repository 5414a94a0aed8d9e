"""Invariant 3, interlocks: high voltage only if every interlock was closed 10 ms ago, and fresh.

Lives here: openings against `hv(t)`, and the age of the readings (the rig's bus connected and
refreshed).  May not live here: whether a run may resume (invariant 2).  Occasions: an interlock
that opens under a pressed pedal, a press under an open interlock, and every breach.
"""

from __future__ import annotations

from hil.referee import limits
from hil.referee.invariants.judge import Judge
from hil.referee.scene import Pulse, Scene
from hil.referee.score import Score
from hil.referee.spans import Spans
from hil.referee.truth import Truth


class Interlocks(Judge):
    """Judges each pulse against every interlock and against the age of the readings."""

    n = 3
    watches = frozenset({"contact", "interlock", "fault_on", "fault_off", "process"})

    def __init__(self, scene: Scene, score: Score) -> None:
        super().__init__(scene, score)
        self.lost = Spans()
        self.frozen = Spans()
        self._press_no = 0
        self._closed: set[str] = set()

    def record(self, record: Truth) -> None:
        """Note openings under demand, presses under an open interlock, and stale readings."""
        if record.kind == "interlock":
            self._level(record)
        elif record.kind == "contact" and self.scene.press_no != self._press_no:
            self._press_no = self.scene.press_no
            if any(spans.now for spans in self.scene.open.values()):
                self.saw(record.t_ns, record.t_ns)
        elif record.kind == "process" and record.name == "lines":
            self.lost.put(record.t_ns, record.value != "connected")
        elif record.name == limits.FROZEN_FAULT and record.kind in ("fault_on", "fault_off"):
            self.frozen.put(record.t_ns, record.kind == "fault_on")

    def _level(self, record: Truth) -> None:
        if record.value:
            self._closed.add(record.name)
        elif record.name in self._closed:
            self._closed.discard(record.name)
            if self.scene.pressed.now:
                self.saw(record.t_ns, record.t_ns)

    def pulse(self, pulse: Pulse) -> None:
        """`hv` must not meet any opening, or any stale reading, shifted by its limit."""
        wrong = self._opened(pulse) or self._stale(pulse)
        if wrong:
            self.saw(pulse.on_ns, pulse.hv_off_ns, wrong)

    def _opened(self, pulse: Pulse) -> str | None:
        scene = self.scene
        span = (pulse.on_ns, pulse.hv_off_ns)
        limit_ns = scene.limit_ns(limits.INTERLOCK_NS, limits.INTERLOCK_FAULT_NS, *span)
        deaf = pulse.stray or scene.struck(pulse, limits.DEAF_FAULT)
        for name, spans in scene.open.items():
            if deaf and name not in limits.CHAIN_INTERLOCKS:
                # F13, F15: nothing but the chain can end it, and the chain knows these two only.
                continue
            lasting_ns = limits.CHAIN_SEES_NS if deaf else 0
            until_ns = pulse.hv_off_ns - limit_ns
            t_ns = spans.first_true_ns(pulse.on_ns - limit_ns, until_ns, lasting_ns)
            if t_ns is not None:
                return f"pulse {pulse.pulse_id} drives at {t_ns + limit_ns}, {name} open at {t_ns}"
        return None

    def _stale(self, pulse: Pulse) -> str | None:
        if pulse.stray or self.scene.struck(pulse, limits.DEAF_FAULT):
            # F13, F15: it does not hear whoever reads; the chain reads nothing, it is wired.
            return None
        limit_ns = limits.FRESH_NS
        t_ns = self.lost.first_true_ns(pulse.on_ns - limit_ns, pulse.hv_off_ns - limit_ns)
        if t_ns is None:
            # A bus that was lost is a boot; a reading that froze and moves again is fresh again.
            lasted_ns = self.frozen.first_lasted_ns(pulse.on_ns, pulse.hv_off_ns, limit_ns)
            t_ns = None if lasted_ns is None else lasted_ns - limit_ns
        if t_ns is None:
            return None
        return f"pulse {pulse.pulse_id} drives at {t_ns + limit_ns}, no fresh reading since {t_ns}"
