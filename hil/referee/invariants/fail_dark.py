"""Invariant 12, fail dark: a process of the beam path that dies or stands still leaves no beam.

Lives here: `hv(t)` after the end of realtime or a stall of it, until it has started again or goes
on.  And the latch that survives the restart, in a log that tells every local reset (`resets_told`):
after realtime or the supervisor was killed or broke and came back, no high voltage before somebody
at the board has reset.  May not live here: the press that a new run then needs (invariant 2).
Occasions: every such end under a pressed pedal, and every reset that a latch has waited for.
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
        # From when on a pulse needs a reset first; None while the process is not back.
        self._owed: dict[str, int | None] = {}
        self._spans: deque[tuple[int, int]] = deque(maxlen=limits.ENDS_KEPT_MAX)

    def record(self, record: Truth) -> None:
        """Marks of realtime; a line bus that is connected has somebody at its other end."""
        mark = (record.name, record.value if isinstance(record.value, str) else "")
        if self.scene.params.get("resets_told"):
            self._latch(mark, record.t_ns)
        if mark in limits.ENDS and self.gone_ns is None:
            self.gone_ns = record.t_ns
            if self.scene.pressed.now:
                self.saw(record.t_ns, record.t_ns)
        elif mark in limits.GOES_ON and self.gone_ns is not None:
            self._spans.append((self.gone_ns, record.t_ns))
            self.gone_ns = None

    def _latch(self, mark: tuple[str, str], t_ns: int) -> None:
        """Who comes back latched, and the reset that ends it."""
        name, how = mark
        if name in limits.PROCESS_DARK_NS and how in limits.LATCHED_ENDS:
            self._owed[name] = None
        elif how == "started" and name in self._owed:
            # What was on its way when it was killed has ended by then.
            self._owed[name] = t_ns + limits.PROCESS_DARK_NS[name]
        elif mark == limits.BOARD_RESET:
            for cleared in [name for name, from_ns in self._owed.items() if from_ns is not None]:
                del self._owed[cleared]
                self.saw(t_ns, t_ns)

    def pulse(self, pulse: Pulse) -> None:
        """No high voltage from the limit on until it is back, nor then without a reset."""
        if pulse.stray or self.scene.struck(pulse, limits.DEAF_FAULT):
            # F15 and F13 are the generator's own; only the chain ends them.
            return
        for name, from_ns in self._owed.items():
            if from_ns is not None and pulse.on_ns >= from_ns:
                wrong = f"pulse {pulse.pulse_id} drives, {name} came back and nobody has reset"
                self.saw(pulse.on_ns, pulse.hv_off_ns, wrong)
                return
        now = [] if self.gone_ns is None else [(self.gone_ns, pulse.hv_off_ns)]
        for gone_ns, back_ns in (*self._spans, *now):
            if max(pulse.on_ns, gone_ns + limits.FAIL_DARK_NS) < min(pulse.hv_off_ns, back_ns):
                wrong = f"pulse {pulse.pulse_id} drives, realtime gone since {gone_ns}"
                self.saw(pulse.on_ns, pulse.hv_off_ns, wrong)
                return
