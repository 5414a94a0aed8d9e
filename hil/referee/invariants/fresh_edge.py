"""Invariant 2, fresh edge: a run starts only on a press that came after 50 ms of all pedals up.

Lives here: what stops a run for good (boot, fault, mode change, reset, an interlock that opens) and
the press that is needed after it.  May not live here: pulses that have no pedal or an open
interlock; those are invariants 1 and 3.  Every first pulse of a press, or after a stop, is an
occasion.
"""

from __future__ import annotations

import heapq
from typing import Final

from hil.referee import limits
from hil.referee.invariants.judge import Judge
from hil.referee.scene import Pulse, Scene
from hil.referee.score import Score
from hil.referee.truth import Truth

STOPS: Final = (("contact", "reset", 1), ("process", "lines", "connected"))


def _selects(record: Truth) -> bool:
    return record.kind == "process" and record.name == "select"


class FreshEdge(Judge):
    """Follows stops, releases and presses; judges the start of high voltage."""

    n = 2
    watches = frozenset({"contact", "hv", "interlock", "fault_on", "fault_off", "process"})

    def __init__(self, scene: Scene, score: Score) -> None:
        super().__init__(scene, score)
        self.stop_ns = 0
        self.up_since_ns: int | None = None
        self.up_long = False
        self.edge = False
        self.judged_press_no = -1
        self._down = False
        self._opened: set[str] = set()
        self._pending: list[tuple[int, str, int]] = []
        self._unasked: dict[int, str] = {}

    def record(self, record: Truth) -> None:
        """Stops first, then contacts, then the beam."""
        if self.up_since_ns is None and self.stop_ns == 0:
            self._stop(record.t_ns)
        while self._pending and self._pending[0][0] < record.t_ns:
            self._stop(heapq.heappop(self._pending)[0])
        self._stops(record)
        if record.kind == "contact":
            self._pedals(record.t_ns)
        elif record.kind == "hv" and record.value:
            self._start(record)

    def _stop(self, t_ns: int) -> None:
        self.stop_ns = t_ns
        self.up_long = False
        self.edge = False
        self.judged_press_no = -1
        self.up_since_ns = None if self._down else t_ns

    def _after(self, t_ns: int, cause: str, started_ns: int) -> None:
        heapq.heappush(self._pending, (t_ns, cause, started_ns))

    def _forget(self, cause: str) -> None:
        self._pending = [item for item in self._pending if item[1] != cause]
        heapq.heapify(self._pending)

    def _stops(self, record: Truth) -> None:
        t_ns, name = record.t_ns, record.name
        if record.kind == "interlock" and name in self.scene.open:
            self._interlock(record)
        elif record.kind == "fault_on" and name in limits.STOPPING_FAULT_NS:
            if not self._at_rest(record):
                self._after(t_ns + limits.STOPPING_FAULT_NS[name], name, t_ns)
        elif record.kind == "fault_off" and name in limits.BRIEF_FAULTS:
            # Over before its limit: it need not have ended the run.
            self._forget(name)
        elif (record.kind, name, record.value) in STOPS or _selects(record):
            self._stop(t_ns)
        elif record.kind == "process" and name in limits.PROCESS_DARK_NS:
            self._mark(record)

    def _at_rest(self, record: Truth) -> bool:
        """A pedal that nobody pressed was unplugged (F05), a loop away with no run armed (F28)."""
        if record.name == limits.AWAY_FAULT:
            return not self.scene.lines.get("lamp")
        target = record.value.get("target") if isinstance(record.value, dict) else None
        if record.name == limits.FLICKER_FAULT and target is not None:
            return self._at_ease(target)
        if record.name != limits.UNPLUGGED_FAULT or target not in self.scene.pedals:
            return False
        return self.scene.pedals[target].pressed.last_true_ns(record.t_ns) != record.t_ns

    def _at_ease(self, name: str) -> bool:
        """An inhibiting interlock that opens with no foot on a pedal stops nothing (F08, F09)."""
        return name not in limits.LATCHING and not self.scene.pressed.now

    def _interlock(self, record: Truth) -> None:
        """An opening stops after its limit, so that the pulse it ends is not a new run."""
        if not record.value:
            if record.name not in self._opened:
                self._opened.add(record.name)
                if self._at_ease(record.name):
                    return
                self._after(record.t_ns + limits.INTERLOCK_NS, record.name, record.t_ns)
        elif record.name in self._opened:
            # Inhibiting: clear when closed, then a fresh press; one made before is spent.
            self._opened.discard(record.name)
            self.edge = False

    def _mark(self, record: Truth) -> None:
        due_ns = record.t_ns + limits.PROCESS_DARK_NS[record.name]
        if record.value == "sigstop" and not self.scene.lines.get("lamp"):
            # With no run armed there is nothing to end or to renew.  A supervisor has missed
            # nothing; realtime begins a press in the making anew, unless it was away for long.
            if record.name != "realtime":
                return
            due_ns = record.t_ns + limits.AWAY_NS
        if record.value in ("kill9", "crash", "sigstop"):
            self._after(due_ns, record.name, record.t_ns)
        elif record.value == "sigcont":
            # A stop shorter than the lease need not end the run.
            self._forget(record.name)

    def _pedals(self, t_ns: int) -> None:
        down = self.scene.pressed.now
        if down == self._down:
            return
        self._down = down
        if not down:
            self.up_since_ns = t_ns
            return
        up_ns = 0 if self.up_since_ns is None else t_ns - self.up_since_ns
        self.up_long = self.up_long or up_ns >= limits.RELEASED_BEFORE_NS
        self.edge = True
        self.up_since_ns = None

    def _others(self, t_ns: int) -> bool:
        """True when a pulse now already belongs to invariant 1 or 3."""
        pressed_ns = self.scene.pressed.last_true_ns(t_ns)
        frozen = self.scene.faults.get(limits.FROZEN_FAULT)
        return (
            pressed_ns is None
            or pressed_ns < t_ns - limits.RELEASE_START_NS
            or any(spans.now for spans in self.scene.open.values())
            or (frozen is not None and frozen.now)
        )

    def _start(self, record: Truth) -> None:
        t_ns = record.t_ns
        if self._others(t_ns):
            return
        if self._newest_is_unasked(record):
            return
        first = self.judged_press_no != self.scene.press_no
        self.judged_press_no = self.scene.press_no
        wrong = self._wrong(record)
        if first or wrong:
            self.saw(t_ns, t_ns, wrong)

    def _wrong(self, record: Truth) -> str | None:
        if not self.edge:
            return f"pulse {record.pulse_id}: no press since the stop at {self.stop_ns}"
        if not self.up_long:
            return f"pulse {record.pulse_id}: pedals not seen up for 50 ms since {self.stop_ns}"
        return None

    def _newest_is_unasked(self, record: Truth) -> bool:
        """Whether it is F15's is known at its end; a pulse that is not starts nothing either."""
        pulse = self.scene.pulses.get(record.pulse_id or 0)
        if pulse is None or not pulse.unasked:
            return False
        wrong = self._wrong(record)
        if wrong:
            self._unasked[pulse.pulse_id] = wrong
        return True

    def pulse(self, pulse: Pulse) -> None:
        """A pulse that nobody asked for, unless it is F15 itself."""
        wrong = self._unasked.pop(pulse.pulse_id, None)
        if wrong and not pulse.stray:
            self.saw(pulse.on_ns, pulse.on_ns, wrong)
