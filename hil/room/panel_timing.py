"""When the panel integrates and when it is read out, in both topologies.

Lives here: cycles of trigger delay, window, readout, and their faults.  May not live here: pixels,
photons, or who triggers.

Controller master: a rise of PANEL_TRIGGER starts one cycle; a trigger during a cycle is ignored and
counted.  Panel master: cycles start by themselves at the base rate, for ever.  The first cycle
after power-up or after `idle_ns` without one is marked `after_idle`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hil.room.parameters import SECOND, Parameters
from hil.room.records import NEVER


@dataclass(slots=True)
class Slot:
    """One cycle: window from `open_ns` to `close_ns`, frame whole at `readout_end_ns`."""

    frame_no: int
    open_ns: int
    close_ns: int
    readout_end_ns: int
    after_idle: bool
    integrates: bool


class PanelTiming:
    """The cycle engine.  `advance` gives what happened as (what, slot): open, close, whole."""

    def __init__(self, parameters: Parameters, t_ns: int) -> None:
        self._is_master = parameters.panel_master
        self._window_ns = parameters.window_ns
        self._readout_ns = parameters.readout_ns
        self._delay_ns = parameters.trigger_delay_ns
        self._rate_hz = parameters.base_rate_hz
        self._idle_ns = parameters.panel_idle_ns
        self._trigger = 0
        self._epoch_ns = t_ns
        self._cycle = 0
        self._free_since_ns: int | None = None
        self._slot: Slot | None = None
        self.drift_ns = 0
        self.drift_per_cycle_ns = 0
        self.integrates = True
        self.frame_no = 0
        self.triggers_ignored = 0
        self.window = 0
        if self._is_master:
            self._begin(self._epoch_ns)

    def trigger(self, t_ns: int, level: int) -> None:
        """The level of PANEL_TRIGGER from `t_ns` on; only its rise starts anything."""
        rose = level and not self._trigger
        self._trigger = level
        if not rose:
            return
        if self._slot is not None or self._is_master:
            self.triggers_ignored += 1
            return
        self.drift_ns += self.drift_per_cycle_ns
        self._begin(t_ns + max(0, self._delay_ns + self.drift_ns))

    def next_ns(self) -> int:
        """When the next of open, close, whole comes, or NEVER."""
        if self._slot is None:
            return NEVER
        if self.window:
            return self._slot.close_ns
        return self._slot.open_ns if not self._opened else self._slot.readout_end_ns

    def advance(self, t_ns: int) -> list[tuple[str, Slot]]:
        """What happens up to `t_ns`, in order."""
        happened: list[tuple[str, Slot]] = []
        while self._slot is not None and self.next_ns() <= t_ns:
            happened.append(self._turn(self._slot))
        return happened

    def _begin(self, open_ns: int) -> None:
        self.frame_no += 1
        idle = self._free_since_ns is None or open_ns - self._free_since_ns > self._idle_ns
        close_ns = open_ns + self._window_ns
        self._opened = False
        self._slot = Slot(
            self.frame_no, open_ns, close_ns, close_ns + self._readout_ns, idle, self.integrates
        )

    def _turn(self, slot: Slot) -> tuple[str, Slot]:
        if self.window:
            self.window = 0
            return "close", slot
        if not self._opened:
            self._opened = True
            self.window = 1
            slot.integrates = self.integrates
            return "open", slot
        self._slot = None
        self._free_since_ns = slot.readout_end_ns
        if self._is_master:
            self._next_cycle(slot.readout_end_ns)
        return "whole", slot

    def _next_cycle(self, free_ns: int) -> None:
        self._cycle += 1
        self.drift_ns += self.drift_per_cycle_ns
        due_ns = self._epoch_ns + round(self._cycle * SECOND / self._rate_hz) + self.drift_ns
        self._begin(max(due_ns, free_ns))
