"""Read-backs against what was asked: XRAY_ON against PULSE, TONE and LAMP against their outputs.

Theory of operation.  XRAY_ON comes from the tube voltage, independent of PULSE.  A rise that
belongs to no pulse, or a second rise in one pulse, is stray radiation (F15).  A pulse whose
XRAY_ON never came, or collapsed long before its set width, is missing (F16).  XRAY_ON that
outlives its pulse by more than rise, tail and 1 ms is stray (F13, F14).  Tone and lamp must follow
within a relay's time; a failure sticks until an exercise proves them good (F38).

Lives here: these comparisons.  May not live here: what a finding does to the beam.
"""

from __future__ import annotations

from typing import NamedTuple

from realtime.inputs import Inputs
from realtime.limits import READBACK_MAX_NS, US, XRAY_SLACK_NS
from realtime.orders import Bound
from realtime.wire.lines import In, Out


class Asked(NamedTuple):
    """The last pulse that was asked for; `fall_ns` is 0 while PULSE is high.

    PULSE left at `sent_ns` (0: not told yet).  A processor that is taken away between the decision
    and the line makes PULSE late, and X-rays cannot be asked for earlier than that.
    """

    start_ns: int
    fall_ns: int
    bound: Bound
    sent_ns: int = 0

    def left_ns(self) -> int:
        """From when on X-rays are waited for."""
        return max(self.start_ns, self.sent_ns)


_XRAY = 1 << In.XRAY_ON


def _slack_ns(bound: Bound) -> int:
    return (bound.rise_us + bound.tail_us) * US + XRAY_SLACK_NS


def in_time(inputs: Inputs, asked: Asked) -> bool:
    """True when XRAY_ON last rose as soon after the last pulse was asked for as it must."""
    latest_ns = asked.left_ns() + asked.bound.rise_us * US + XRAY_SLACK_NS
    return asked.start_ns <= inputs.xray_rise_ns <= latest_ns


def rose_with(inputs: Inputs, asked: Asked | None, before_ns: int) -> bool:
    """True when the last rise of XRAY_ON is that of the last pulse: its record is the pulse's.

    `before_ns` is the last rise that was seen before this turn.  The first rise while PULSE is high
    is the pulse's however late it comes: it is stray, and still one emission with it.
    """
    if asked is None or inputs.xray_rise_ns < asked.start_ns:
        return False
    return (before_ns < asked.start_ns and asked.fall_ns == 0) or in_time(inputs, asked)


def stray(inputs: Inputs, asked: Asked | None, now_ns: int) -> bool:
    """True when X-rays were or are on without a pulse that explains them."""
    if inputs.xray_rises > 1:
        return True
    if asked is None:
        return inputs.xray_rises > 0 or bool(inputs.levels & _XRAY)
    if inputs.xray_rises and not in_time(inputs, asked):
        return True
    if not inputs.levels & _XRAY or asked.fall_ns == 0:
        return False
    return now_ns - asked.fall_ns > _slack_ns(asked.bound)


def missing(inputs: Inputs, asked: Asked, now_ns: int) -> bool:
    """True when a pulse in progress shows no X-rays where it must (PULSE is high)."""
    if inputs.levels & _XRAY:
        return False
    set_end_ns = asked.start_ns + asked.bound.set_us * US
    if inputs.xray_rise_ns < asked.start_ns:
        return min(now_ns, set_end_ns) - asked.left_ns() > _slack_ns(asked.bound)
    return min(now_ns, set_end_ns) - inputs.xray_fall_ns > _slack_ns(asked.bound)


class Readback:
    """One output and its read-back; `failed` sticks until `prove`."""

    __slots__ = ("_differs_since_ns", "_in_mask", "_out_mask", "failed")

    def __init__(self, out_line: Out, in_line: In) -> None:
        self._out_mask = 1 << out_line
        self._in_mask = 1 << in_line
        self._differs_since_ns = -1
        self.failed = False

    def turn(self, now_ns: int, lines_out: int, levels: int) -> None:
        """Compare what was last sent with what is read."""
        if bool(lines_out & self._out_mask) == bool(levels & self._in_mask):
            self._differs_since_ns = -1
        elif self._differs_since_ns < 0:
            self._differs_since_ns = now_ns
        elif now_ns - self._differs_since_ns > READBACK_MAX_NS:
            self.failed = True

    def differs(self, lines_out: int, levels: int) -> bool:
        """True while what was sent and what is read differ, or have when it was last looked at."""
        agree = bool(lines_out & self._out_mask) == bool(levels & self._in_mask)
        return not agree or self._differs_since_ns >= 0

    def forget(self) -> None:
        """Nothing is known (lines not fresh): the clock of a difference starts again."""
        self._differs_since_ns = -1

    def prove(self) -> None:
        """An exercise has shown it good."""
        self.failed = False
        self._differs_since_ns = -1
