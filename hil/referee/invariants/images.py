"""Invariant 8, image bijection: pulses and frames match one to one, or a record says why not.

Lives here: the panel's frames against the pulses, and the row of pulses without a valid frame (at
most 2).  May not live here: what became of a frame afterwards (`crosscheck` with the stream).
Every pulse whose frame has come, was declared lost or is overdue is an occasion.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hil.referee import limits
from hil.referee.invariants.judge import Judge
from hil.referee.scene import Pulse, Scene
from hil.referee.score import Score
from hil.referee.truth import KINDS, Truth

REMEMBERED_MAX: Final = 1024


class Images(Judge):
    """Pairs every pulse with its frame."""

    n = 8
    # Lines say nothing of it; other records are frequent enough to tell the time.
    watches = KINDS - {"line"}

    def __init__(self, scene: Scene, score: Score) -> None:
        super().__init__(scene, score)
        self._waiting: OrderedDict[int, Pulse] = OrderedDict()
        self._paired: OrderedDict[int, int] = OrderedDict()
        self._without = 0
        self._press_no = -1

    def _overdue_ns(self, pulse: Pulse) -> int:
        params = self.scene.params
        cycle_us = params.get("window_us", 0) + params.get("readout_us", 0)
        return pulse.x_off_ns + int(cycle_us) * 1000 + limits.FRAME_LATE_NS

    def record(self, record: Truth) -> None:
        """Pair a frame; give up on pulses whose frame is overdue."""
        if record.kind == "frame":
            self._frame(record)
        while self._waiting:
            pulse = next(iter(self._waiting.values()))
            if record.t_ns <= self._overdue_ns(pulse):
                break
            del self._waiting[pulse.pulse_id]
            stray = self._stray_among(pulse)
            wrong = None if stray else "no frame and no record of its loss"
            self._outcome(pulse, record.t_ns, False, wrong)

    def _frame(self, record: Truth) -> None:
        ids, frame_no = record.value["pulse_ids"], record.value["frame_no"]
        for pulse_id in ids:
            if pulse_id in self._paired and self._deaf_within(record.t_ns):
                # F13: it shone on until the chain opened, through frame after frame.
                continue
            if pulse_id in self._paired:
                other = self._paired[pulse_id]
                self.saw(
                    record.t_ns, record.t_ns, f"pulse {pulse_id} in frames {other}, {frame_no}"
                )
                continue
            self._paired[pulse_id] = frame_no
            pulse = self._waiting.pop(pulse_id, None) or self.scene.pulses.get(pulse_id)
            if pulse is None:
                self.saw(record.t_ns, record.t_ns, f"frame {frame_no}: no such pulse {pulse_id}")
                continue
            valid = record.value["valid"]
            several = None
            # F15: the pulse that nobody asked for falls where it falls.
            if valid and len(ids) > 1 and not self._stray_among(pulse):
                several = f"frame {frame_no} holds pulses {ids}"
            self._outcome(pulse, record.t_ns, valid, several)
        while len(self._paired) > REMEMBERED_MAX:
            self._paired.popitem(last=False)

    def _deaf_within(self, t_ns: int) -> bool:
        spans = self.scene.faults.get(limits.DEAF_FAULT)
        since_ns = t_ns - limits.FRAME_LATE_NS
        return spans is not None and spans.first_true_ns(since_ns, t_ns + 1) is not None

    def _stray_among(self, pulse: Pulse) -> bool:
        spans = self.scene.faults.get(limits.STRAY_FAULT)
        cycle_ns = int(self.scene.params.get("window_us", 0)) * 1000
        end_ns = pulse.on_ns + cycle_ns
        return spans is not None and spans.first_true_ns(pulse.on_ns - cycle_ns, end_ns) is not None

    def _outcome(self, pulse: Pulse, t_ns: int, valid: bool, wrong: str | None) -> None:
        if pulse.press_no != self._press_no:
            self._press_no = pulse.press_no
            self._without = 0
        if valid:
            self._without = 0
        elif not self._stray_among(pulse):
            self._without += 1
        if wrong is None and self._without > limits.FRAMELESS_PULSES_MAX:
            wrong = f"{self._without} pulses without a valid frame"
        self.saw(pulse.on_ns, t_ns, f"pulse {pulse.pulse_id}: {wrong}" if wrong else None)

    def pulse(self, pulse: Pulse) -> None:
        """Wait for the frame, unless the panel read out under the beam."""
        if pulse.pulse_id not in self._paired:
            self._waiting[pulse.pulse_id] = pulse
