"""Invariant 1, dead-man: high voltage only while, or shortly after, a pedal was truly pressed.

Lives here: `hv(t)` ⇒ pressed within the last 20 ms; no pulse starts when the release is older than
10 ms.  May not live here: *which* pedal may (invariant 4).  Every pulse is an occasion.
"""

from __future__ import annotations

from hil.referee import limits
from hil.referee.invariants.judge import Judge
from hil.referee.scene import Pulse


class DeadMan(Judge):
    """Judges each pulse against the true contacts."""

    n = 1
    watches = frozenset()

    def pulse(self, pulse: Pulse) -> None:
        """Both halves of the requirement, on `hv`."""
        self.saw(pulse.on_ns, pulse.hv_off_ns, self._start(pulse) or self._hold(pulse))

    def _start(self, pulse: Pulse) -> str | None:
        limit_ns = self._limit_ns(limits.RELEASE_START_NS, pulse)
        pressed_ns = self.scene.pressed.last_true_ns(pulse.on_ns)
        if pressed_ns is None:
            return f"pulse {pulse.pulse_id} without any press"
        if pulse.on_ns - pressed_ns > limit_ns:
            return f"pulse {pulse.pulse_id} starts {pulse.on_ns - pressed_ns} ns after the release"
        return None

    def _hold(self, pulse: Pulse) -> str | None:
        limit_ns = self._limit_ns(limits.RELEASE_HV_NS, pulse)
        # F13: nothing but the chain can end it, and the chain reads the NO contacts.
        deaf = self.scene.struck(pulse, limits.DEAF_FAULT)
        pressed = self.scene.chained if deaf else self.scene.pressed
        beyond_ns = pressed.uncovered_ns(pulse.on_ns, pulse.hv_off_ns, limit_ns)
        if beyond_ns is None:
            return None
        return f"pulse {pulse.pulse_id} drives at {beyond_ns}, released for {limit_ns} ns"

    def _limit_ns(self, own_ns: int, pulse: Pulse) -> int:
        table = limits.RELEASE_FAULT_NS
        return self.scene.limit_ns(own_ns, table, pulse.on_ns, pulse.hv_off_ns)
