"""Irradiation time and the 5-minute signal, as a machine of its own.

Theory of operation.  Irradiation is the duration of continuous pedal pressure in an armed run, not
the sum of pulse widths (domain §1).  At each multiple of 300 s (a bench may be configured to less)
the signal sounds until it is reset or for at least 2 s.  The end of a run does not silence it;
nothing but time or reset does.

Lives here: the clock of irradiation and the tone it asks for.  May not live here: the display, the
high-level tone, or the maximum that ends a run (`realtime.executive`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from realtime.limits import SIGNAL_EVERY_NS, SIGNAL_MIN_NS


class SignalState(StrEnum):
    """Whether the 5-minute signal sounds."""

    QUIET = "quiet"
    SOUNDING = "sounding"


class SignalEvent(StrEnum):
    """What can happen to the signal."""

    ELAPSED = "elapsed"
    SOUNDED = "sounded"
    RESET = "reset"


_S, _E = SignalState, SignalEvent
ROWS: Final = {
    (_S.QUIET, _E.ELAPSED): _S.SOUNDING,
    (_S.SOUNDING, _E.SOUNDED): _S.QUIET,
    (_S.SOUNDING, _E.RESET): _S.QUIET,
}
IGNORED: Final = {
    (_S.QUIET, _E.SOUNDED): "nothing sounds",
    (_S.QUIET, _E.RESET): "nothing sounds",
    (_S.SOUNDING, _E.ELAPSED): "sounds already; 2 s are far shorter than 10 s",
}
# Not Final: see `realtime.beam.NEXT`.
_NEXT: dict[tuple[SignalState, SignalEvent], SignalState] = {
    **{pair: pair[0] for pair in IGNORED},
    **ROWS,
}
assert SIGNAL_MIN_NS < SIGNAL_EVERY_NS


class Irradiation:
    """Accumulated irradiation in ns and the signal it drives."""

    __slots__ = ("_last_ns", "every_ns", "next_signal_ns", "state", "total_ns", "until_ns")

    def __init__(self, every_ns: int = SIGNAL_EVERY_NS) -> None:
        assert SIGNAL_MIN_NS < every_ns <= SIGNAL_EVERY_NS, "never later than the rule"
        self.every_ns = every_ns
        self.total_ns = 0
        self.next_signal_ns = every_ns
        self.state = SignalState.QUIET
        self.until_ns = 0
        self._last_ns = -1

    def turn(self, now_ns: int, irradiating: bool) -> None:
        """Advance to `now_ns`; `irradiating` is true from arming to the end of the run."""
        if self._last_ns >= 0:
            self.total_ns += now_ns - self._last_ns
        self._last_ns = now_ns if irradiating else -1
        if self.total_ns >= self.next_signal_ns:
            self.next_signal_ns += self.every_ns
            self.until_ns = now_ns + SIGNAL_MIN_NS
            self.state = _NEXT[self.state, SignalEvent.ELAPSED]
        if now_ns >= self.until_ns:
            self.state = _NEXT[self.state, SignalEvent.SOUNDED]

    def reset(self) -> None:
        """Back to zero (local act); silences the signal."""
        self.total_ns = 0
        self.next_signal_ns = self.every_ns
        self.state = _NEXT[self.state, SignalEvent.RESET]

    def wake_ns(self, now_ns: int) -> int | None:
        """When the signal must change, if that can be foreseen."""
        if self.state is SignalState.SOUNDING:
            return self.until_ns
        if self._last_ns >= 0:
            return now_ns + self.next_signal_ns - self.total_ns
        return None
