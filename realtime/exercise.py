"""Self-test steps that only the owner of the lines can do; all dark, pedals up, nothing can shine.

Theory of operation.  An exercise runs only in DARK with every pedal up, so the hard-wired chain is
open; any pedal that moves aborts it.  PERMIT is toggled only with PULSE low; PULSE is raised only
with PERMIT at rest long enough for the monostable to have dropped.  So each of three conditions
for high voltage is missing twice.  A result carries a measured value in its unit.  A time that is
wrong is measured again, at most MEASURED_MAX times in all: one edge that came late is not a broken
monostable or panel, and what is broken is so every time.

Lives here: the script of each step.  May not live here: the wish to run one (supervisor) or the
right to raise a line (`realtime.permit`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from realtime.inputs import Inputs
from realtime.limits import MONOSTABLE_NS, MS, PERMIT_PERIOD_NS, US, Timing
from realtime.wire.lines import In, Out, mask
from realtime.wire.messages import Exercise, ExerciseResult, Topology

TOGGLES: Final = 6
MEASURED_MAX: Final = 3
STEP_MAX_NS: Final = 500 * MS
PULSE_TEST_NS: Final = 2 * MS
SETTLE_NS: Final = 60 * MS
_DROP_MIN_NS: Final = MONOSTABLE_NS - 4 * MS
_DROP_MAX_NS: Final = MONOSTABLE_NS + 4 * MS


class Move(NamedTuple):
    """What an exercise wants on the lines now; `toggle` asks for one edge of PERMIT."""

    lines: int = 0
    toggle: bool = False
    wake_ns: int = 0
    result: ExerciseResult | None = None


class Exercising:
    """One running exercise."""

    __slots__ = ("_mark_ns", "_phase", "_seen", "_toggles", "_tries", "exercise_id", "start_ns",
                 "timing", "what")  # fmt: skip

    def __init__(self, exercise_id: int, what: Exercise, now_ns: int, timing: Timing) -> None:
        self.exercise_id = exercise_id
        self.what = what
        self.start_ns = now_ns
        self.timing = timing
        self._phase = 0
        self._mark_ns = now_ns
        self._toggles = 0
        self._seen = 0
        self._tries = 1

    def turn(self, now_ns: int, inputs: Inputs) -> Move:
        """Advance the script; a result ends it."""
        if now_ns - self.start_ns > STEP_MAX_NS:
            return self._done(False, 0.0, "", "did not finish")
        if inputs.levels & mask(In.XRAY_ON) or inputs.xray_rises:
            return self._done(False, 0.0, "", "X-rays during a dark exercise")
        script = {
            Exercise.MONOSTABLE: self._monostable,
            Exercise.CHAIN: self._chain,
            Exercise.WINDOW_GATE: self._window_gate,
            Exercise.PEDALS: self._pedals,
            Exercise.TONE_LAMP: self._tone_lamp,
            Exercise.PANEL_DARK: self._panel_dark,
        }[self.what]
        return script(now_ns, inputs)

    def abort(self, detail: str) -> ExerciseResult:
        """End without success."""
        return ExerciseResult(self.exercise_id, self.what, False, 0.0, "", detail)

    def _done(self, ok: bool, value: float, unit: str, detail: str = "") -> Move:
        return Move(result=ExerciseResult(self.exercise_id, self.what, ok, value, unit, detail))

    def _next(self, now_ns: int) -> None:
        self._phase += 1
        self._mark_ns = now_ns

    def _again(self, phase: int) -> bool:
        """Back to a phase of the script to measure once more; False when that was the last time."""
        if self._tries == MEASURED_MAX:
            return False
        self._tries += 1
        self._phase, self._toggles, self._seen = phase, 0, 0
        return True

    def _monostable(self, now_ns: int, inputs: Inputs) -> Move:
        up = bool(inputs.levels & mask(In.PERMIT_OK))
        if self._phase == 0:
            if up and now_ns - self._mark_ns <= SETTLE_NS:
                return Move(wake_ns=now_ns + MS)
            if up:
                return self._done(False, 0.0, "ms", "PERMIT_OK high without a toggle")
            self._next(now_ns)
        if self._phase == 1 and self._toggles < TOGGLES:
            if self._toggles and now_ns - self._mark_ns < PERMIT_PERIOD_NS:
                return Move(wake_ns=self._mark_ns + PERMIT_PERIOD_NS)
            self._toggles += 1
            self._mark_ns = now_ns
            return Move(toggle=True, wake_ns=now_ns + PERMIT_PERIOD_NS)
        self._seen |= up
        dropped_ns = now_ns - self._mark_ns
        if up and dropped_ns <= _DROP_MAX_NS:
            return Move(wake_ns=now_ns + MS)
        if not self._seen and dropped_ns < PERMIT_PERIOD_NS:
            return Move(wake_ns=now_ns + MS)
        good = bool(self._seen) and not up and dropped_ns >= _DROP_MIN_NS
        words = "" if good else f"seen high: {bool(self._seen)}, still high: {up}"
        if not good and self._again(0):
            self._mark_ns = now_ns
            return Move(wake_ns=now_ns + MS)
        return self._done(good, dropped_ns / MS, "ms", words)

    def _chain(self, now_ns: int, inputs: Inputs) -> Move:
        closed = bool(inputs.levels & mask(In.CHAIN_OK))
        if closed and now_ns - self.start_ns < SETTLE_NS:
            return Move(wake_ns=self.start_ns + SETTLE_NS)
        words = "chain reads closed with all pedals up" if closed else ""
        return self._done(not closed, float(closed), "level", words)

    def _pedals(self, now_ns: int, inputs: Inputs) -> Move:
        return self._done(True, (now_ns - self.start_ns) / MS, "ms")

    def _tone_lamp(self, now_ns: int, inputs: Inputs) -> Move:
        both = mask(In.TONE_READBACK, In.LAMP_READBACK)
        read = inputs.levels & both
        on = mask(Out.TONE, Out.LAMP)
        if self._phase == 0:
            if read and now_ns - self._mark_ns <= SETTLE_NS:
                # The alarm may have sounded until this turn; its read-back falls with it.
                return Move(wake_ns=now_ns + 5 * MS)
            if read:
                return self._done(False, 0.0, "ms", "read-back high while off")
            self._next(now_ns)
        waited_ns = now_ns - self._mark_ns
        if self._phase == 1:
            if read == both:
                self._seen = max(1, waited_ns // US)
                self._next(now_ns)
                return Move(wake_ns=now_ns + MS)
            if waited_ns > SETTLE_NS:
                return self._done(False, waited_ns / MS, "ms", "no read-back")
            return Move(lines=on, wake_ns=now_ns + 5 * MS)
        if read and waited_ns <= SETTLE_NS:
            return Move(wake_ns=now_ns + 5 * MS)
        return self._done(not read, self._seen / 1000, "ms", "stays on" if read else "")

    def _window_gate(self, now_ns: int, inputs: Inputs) -> Move:
        """One PULSE with WINDOW closed, one inside it; the generator counts PULSE ∧ WINDOW."""
        window = bool(inputs.levels & mask(In.WINDOW))
        pulse = Move(lines=mask(Out.PULSE), wake_ns=self._mark_ns + PULSE_TEST_NS)
        if inputs.levels & mask(In.PERMIT_OK):
            return Move(wake_ns=now_ns + MS)
        if self._phase == 0:
            if window or not self._stays_closed(now_ns, inputs):
                return Move(wake_ns=now_ns + MS)
            self._next(now_ns)
            return pulse._replace(wake_ns=now_ns + PULSE_TEST_NS)
        if self._phase == 1:
            if window:
                return self._done(False, 0.0, "level", "WINDOW opened during the closed half")
            if now_ns - self._mark_ns < PULSE_TEST_NS:
                return pulse
            self._next(now_ns)
        if self._phase == 2:
            fresh = window and inputs.window_rise_ns > self._mark_ns
            if fresh and now_ns - inputs.window_rise_ns < self.timing.window_ns // 2:
                self._next(now_ns)
                return pulse._replace(wake_ns=now_ns + PULSE_TEST_NS)
            return Move(lines=self._trigger(now_ns), wake_ns=now_ns + MS)
        if now_ns - self._mark_ns < PULSE_TEST_NS:
            return pulse
        return self._done(True, 1.0, "gates")

    def _panel_rests(self, now_ns: int, inputs: Inputs) -> bool:
        """A triggered panel takes no trigger before its last readout is over."""
        if self.timing.topology is Topology.PANEL_MASTER:
            return True
        closed = not inputs.levels & mask(In.WINDOW)
        return closed and now_ns - inputs.window_fall_ns > self.timing.readout_ns

    def _stays_closed(self, now_ns: int, inputs: Inputs) -> bool:
        """The closed half fits: a free-running panel has just closed its window, ours rests."""
        if self.timing.topology is Topology.CONTROLLER_MASTER:
            return self._panel_rests(now_ns, inputs)
        return now_ns - inputs.window_fall_ns < self.timing.readout_ns // 2

    def _panel_dark(self, now_ns: int, inputs: Inputs) -> Move:
        """Two cycles without a pulse: the first clears an idle panel, the second is the picture."""
        if self._phase == 0:
            if not self._panel_rests(now_ns, inputs):
                return Move(wake_ns=now_ns + MS)
            self._next(now_ns)
        rise_ns, fall_ns = inputs.window_rise_ns, inputs.window_fall_ns
        if not self._mark_ns < rise_ns < fall_ns:
            return Move(lines=self._trigger(now_ns), wake_ns=now_ns + MS)
        if self._phase == 1:
            if now_ns - fall_ns < self.timing.readout_ns:
                return Move(wake_ns=now_ns + MS)
            self._next(now_ns)
            return Move(wake_ns=now_ns + MS)
        width_ns = fall_ns - rise_ns
        good = abs(width_ns - self.timing.window_ns) <= self.timing.guard_close_ns
        if not good and self._again(1):
            return Move(wake_ns=now_ns + MS)
        return self._done(good, width_ns / MS, "ms", "" if good else "window width")

    def _trigger(self, now_ns: int) -> int:
        """A fresh rise of PANEL_TRIGGER 2 ms into the wait (controller master)."""
        if self.timing.topology is Topology.PANEL_MASTER:
            return 0
        high = 2 * MS <= now_ns - self._mark_ns < 6 * MS
        return mask(Out.PANEL_TRIGGER) if high else 0
