"""When the next pulse is due, and whether it fits its window.

Theory of operation.  *Controller master*: slot k is due at epoch + k·num/den in integers, and the
panel is triggered `trigger_lead` before.  *Panel master*: windows come by themselves; every m-th
one is used, and its due instant is predicted from the last rise that was seen, so a drifting panel
is followed and a window that comes at an unexpected time is skipped, never chased.  A slot is used
once: fired or skipped, the schedule goes on to the first slot that can still be prepared.

Lives here: due times, trigger times, window arithmetic.  May not live here: permission.
"""

from __future__ import annotations

from realtime.limits import (
    BANK_LEAD_NS,
    BANK_SETTLE_NS,
    LATE_MAX_NS,
    PERMIT_LEAD_NS,
    US,
    Timing,
)
from realtime.wire.messages import Order, Topology


class Cycle:
    """The schedule of one run.  `due_ns` is 0 until the run is armed."""

    __slots__ = ("den", "due_ns", "epoch_ns", "num_ns", "slot_k", "timing", "windows")

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.stop()

    def stop(self) -> None:
        """No run: nothing is due."""
        self.due_ns = 0
        self.epoch_ns = 0
        self.slot_k = -1
        self.num_ns = 0
        self.den = 1
        self.windows = 1

    def start(self, order: Order, now_ns: int, window_rise_ns: int) -> None:
        """Set the epoch; `now_ns` is the clearing trigger or, panel master, the arming."""
        self.num_ns = order.period_num_ns
        self.den = order.period_den
        self.slot_k = 0
        timing = self.timing
        if timing.topology is Topology.CONTROLLER_MASTER:
            # The clearing cycle ends first; one slack keeps its readout apart from our trigger.
            self.epoch_ns = (
                now_ns + timing.cycle_ns + timing.window_to_due_ns + (timing.trigger_lead_ns)
            )
            self.due_ns = self.epoch_ns
            return
        self.windows = max(1, round(self.num_ns / self.den / timing.base_period_ns))
        rise_ns = window_rise_ns or now_ns
        earliest_ns = now_ns + self.prepare_lead_ns() + BANK_LEAD_NS
        ahead = max(1, -(-(earliest_ns - rise_ns) // timing.base_period_ns))
        self._predict(rise_ns, ahead)

    def _predict(self, rise_ns: int, windows_ahead: int) -> None:
        period_ns = self.timing.base_period_ns
        self.due_ns = rise_ns + windows_ahead * period_ns + self.timing.window_to_due_ns

    def window_rose(self, rise_ns: int) -> None:
        """Panel master: a window opened; re-base the prediction of a slot that lies ahead of it."""
        timing = self.timing
        if self.due_ns == 0 or timing.topology is Topology.CONTROLLER_MASTER:
            return
        ahead = round((self.due_ns - timing.window_to_due_ns - rise_ns) / timing.base_period_ns)
        if ahead >= 1:
            self._predict(rise_ns, ahead)

    def next_slot(self, now_ns: int) -> int:
        """Leave the present slot; return how many slots could not be prepared any more."""
        missed = -1
        while True:
            missed += 1
            self.slot_k += 1
            if self.timing.topology is Topology.CONTROLLER_MASTER:
                self.due_ns = self.epoch_ns + self.slot_k * self.num_ns // self.den
            else:
                self.due_ns += self.windows * self.timing.base_period_ns
            if self.due_ns - self.prepare_lead_ns() > now_ns:
                return missed

    def bind_ns(self) -> int:
        """When the pulse of the slot is bound to a technique: BANK settles, then trigger."""
        return self.due_ns - max(BANK_LEAD_NS, self.timing.trigger_lead_ns + BANK_SETTLE_NS)

    def prepare_lead_ns(self) -> int:
        """How long before due a slot must be chosen so that PERMIT, BANK and trigger all fit."""
        return max(PERMIT_LEAD_NS, self.due_ns - self.bind_ns())

    def trigger_ns(self) -> int:
        """When PANEL_TRIGGER rises for the present slot; 0 where the panel is master."""
        if self.timing.topology is Topology.CONTROLLER_MASTER:
            return self.due_ns - self.timing.trigger_lead_ns
        return 0

    def is_late(self, now_ns: int) -> bool:
        """True when the due instant has passed by more than a turn may take."""
        return now_ns - self.due_ns > LATE_MAX_NS

    def planned_end_ns(self, start_ns: int, order: Order) -> int:
        """End of the tail of a pulse that starts at `start_ns`."""
        return start_ns + (order.rise_us + order.set_us + order.tail_us) * US

    def in_window(self, start_ns: int, order: Order, rise_ns: int, fall_ns: int) -> bool:
        """True when the pulse with tail and guards lies inside the window that rose last."""
        if rise_ns <= fall_ns:
            return False
        timing = self.timing
        opens_ns = rise_ns + timing.guard_open_ns
        closes_ns = rise_ns + timing.window_ns - timing.guard_close_ns
        return opens_ns <= start_ns and self.planned_end_ns(start_ns, order) <= closes_ns
