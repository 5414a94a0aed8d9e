"""One run: from the debounced press to its end; its pulses, its verdicts, its skips.

Lives here: the counters of a run and the rules that read only them: pictures (no image, no beam),
credit, and the record of each pulse.  May not live here: lines, pedals or the schedule.
"""

from __future__ import annotations

from typing import Final

from realtime.limits import INVALID_MAX
from realtime.orders import Bound
from realtime.wire.messages import EndReason, Mode, Order, Pedal, PulseReport, SkipReason, Verdict
from realtime.wire.record import (
    FLAG_TRUNCATED,
    MODES,
    REASONS,
    Record,
    RecordKind,
    RecordState,
)

# After this many due pulses in a row that lacked a condition, the run is over: waiting longer
# would only fire into a picture that nobody has seen.
SKIP_STREAK_MAX: Final = 3
STREAK_REASONS: Final = frozenset(
    {
        SkipReason.NO_VERDICT,
        SkipReason.NO_WINDOW,
        SkipReason.NO_FIT,
        SkipReason.NO_CREDIT,
        SkipReason.GATE,
    }
)


class Run:
    """The run in progress."""

    __slots__ = ("fired", "invalid_streak", "last_start_ns", "last_valid_n", "mode", "pedal",
                 "run_id", "skip_streak", "skipped", "start_ns", "verdict_n")  # fmt: skip

    def __init__(self, run_id: int, pedal: Pedal, mode: Mode, now_ns: int) -> None:
        self.run_id = run_id
        self.pedal = pedal
        self.mode = mode
        self.start_ns = now_ns
        self.fired = 0
        self.skipped = 0
        self.skip_streak = 0
        self.last_valid_n = -1
        self.verdict_n = -1
        self.invalid_streak = 0
        self.last_start_ns = 0

    def verdict(self, verdict: Verdict) -> str:
        """Take a verdict; returns '' or the code of its refusal."""
        if verdict.run_id != self.run_id:
            return "run"
        if not self.verdict_n < verdict.pulse_n < self.fired:
            return "pulse"
        gap = verdict.pulse_n - self.verdict_n - 1
        self.verdict_n = verdict.pulse_n
        if verdict.valid:
            self.last_valid_n = verdict.pulse_n
            self.invalid_streak = 0
        else:
            self.invalid_streak += gap + 1
        return ""

    def no_image(self) -> bool:
        """True when two pictures in a row are lost (F22)."""
        return self.invalid_streak >= INVALID_MAX

    def has_verdict(self) -> bool:
        """True when pulse n = `fired` may follow: frame n-2 or a later one was valid."""
        return self.fired < 2 or self.last_valid_n >= self.fired - 2

    def has_credit(self, order: Order) -> bool:
        """True when the order still holds a pulse of this number."""
        return self.fired <= order.last_pulse_n

    def skip(self, reason: SkipReason, slots: int) -> None:
        """Count slots that did not fire."""
        self.skipped += slots
        if reason in STREAK_REASONS:
            self.skip_streak += slots

    def stuck(self) -> bool:
        """True when nothing has fired for too many slots."""
        return self.skip_streak >= SKIP_STREAK_MAX

    def complete(self) -> bool:
        """True when the mode asks for no further pulse."""
        return self.mode is Mode.ONE_SHOT and self.fired >= 1


class Shot:
    """One pulse from the turn that fires it to the turn that closes its record."""

    __slots__ = ("bound", "due_ns", "epoch", "mode", "order_seq", "pulse_id", "pulse_n", "run_id",
                 "sent_ns", "slot_k", "start_ns", "window_ns", "window_open_ns")  # fmt: skip

    def __init__(self, run: Run, order: Order, bound: Bound, pulse_id: int) -> None:
        self.run_id = run.run_id
        self.mode = run.mode
        self.pulse_n = run.fired
        self.pulse_id = pulse_id
        self.order_seq = order.order_seq
        self.epoch = order.supervisor_epoch
        self.bound = bound
        self.slot_k = 0
        self.due_ns = 0
        self.start_ns = 0
        self.sent_ns = 0
        self.window_open_ns = 0
        self.window_ns = 0

    def record(
        self,
        state: RecordState,
        end_ns: int = 0,
        reason: EndReason = EndReason.SET,
        xray: tuple[int, int] = (0, 0),
    ) -> Record:
        """The black-box record, as intent or closed."""
        closed = state is RecordState.CLOSED
        return Record(
            kind=RecordKind.PULSE,
            state=state,
            mode=MODES.index(self.mode),
            bank=self.bound.bank,
            end_reason=REASONS.index(reason),
            flags=FLAG_TRUNCATED if closed and reason is not EndReason.SET else 0,
            pulse_n=self.pulse_n,
            technique_id=self.bound.technique_id,
            pulse_id=self.pulse_id,
            run_id=self.run_id,
            order_seq=self.order_seq,
            supervisor_epoch=self.epoch,
            due_ns=self.due_ns,
            start_ns=self.start_ns,
            end_ns=end_ns,
            window_open_ns=self.window_open_ns,
            window_close_ns=self.window_open_ns + self.window_ns,
            xray_on_ns=xray[0],
            xray_off_ns=xray[1],
            set_us=self.bound.set_us,
        )

    def report(self, end_ns: int, reason: EndReason) -> PulseReport:
        """The message that supervisor and imaging get at the fall of PULSE."""
        return PulseReport(
            run_id=self.run_id,
            pulse_n=self.pulse_n,
            pulse_id=self.pulse_id,
            slot_k=self.slot_k,
            technique_id=self.bound.technique_id,
            bank=self.bound.bank,
            mode=self.mode,
            order_seq=self.order_seq,
            due_ns=self.due_ns,
            start_ns=self.start_ns,
            end_ns=end_ns,
            set_us=self.bound.set_us,
            window_open_ns=self.window_open_ns,
            window_close_ns=self.window_open_ns + self.window_ns,
            end_reason=reason,
            truncated=reason is not EndReason.SET,
        )
