"""From state to lines: what each output is on this turn, and when it must change by itself.

Theory of operation.  Outputs follow from the state, so nothing has to be remembered to be switched
off.  PERMIT is the one line whose *edges* carry meaning: it is toggled while a pulse may come or
runs, and otherwise left where it is, because setting it low would be one more edge and feed the
monostable for another 12 ms.  BANK keeps its last level between pulses; it selects, it does not
energise.

Lives here: the output bank.  May not live here: reasons, or the gate that may refuse the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtime.beam import ARMED_STATES, LINES, PERMIT_STATES, BeamState
from realtime.exercise import Move
from realtime.firing import TRIGGER_HIGH_NS
from realtime.irradiation import SignalState
from realtime.limits import MS, PERMIT_LEAD_NS, PERMIT_PERIOD_NS, SPIN_NS
from realtime.trips import TripCode
from realtime.wire.lines import Out, mask
from realtime.wire.messages import Mode, Topology

if TYPE_CHECKING:
    from realtime.executive import Executive

_PERMIT = mask(Out.PERMIT)
_BANK = mask(Out.BANK)
_TRIGGER = mask(Out.PANEL_TRIGGER)
_TONE = mask(Out.TONE)
_REST = Move()


class Outlines:
    """The output bank; `sent` is what was last applied to the lines."""

    __slots__ = ("bank", "move", "permit", "sent", "toggled_ns")

    def __init__(self) -> None:
        self.permit = 0
        self.toggled_ns = 0
        self.bank = 0
        self.sent = 0
        self.move = _REST

    def lines(self, beam: Executive, now_ns: int) -> int:
        """The bank that follows from the state at `now_ns`; toggles PERMIT when it is time."""
        lines = LINES[beam.state]
        bound = beam.firing.bound
        if bound is not None:
            self.bank = _BANK if bound.bank else 0
        if self._toggle_due(beam, now_ns) or self.move.toggle:
            self.permit ^= _PERMIT
            self.toggled_ns = now_ns
        if self._triggers(beam, now_ns):
            lines |= _TRIGGER
        if self._sounds(beam):
            lines |= _TONE
        lines |= self.permit | self.bank | self.move.lines
        if self.move.toggle or self.move.lines:
            self.move = Move(wake_ns=self.move.wake_ns)
        return lines

    def _sounds(self, beam: Executive) -> bool:
        """The 5-minute signal, high level, and the alarm of X-rays that nobody asked for.

        The alarm lasts until the reset (F13, F15), and pauses where the buzzer itself is proved.
        """
        if beam.irradiation.state is SignalState.SOUNDING:
            return True
        if TripCode.XRAY_STRAY in beam.trips and beam.exercise is None:
            return True
        high_level = beam.run is not None and beam.run.mode is Mode.HIGH_LEVEL
        return high_level and beam.state in ARMED_STATES

    def _toggle_due(self, beam: Executive, now_ns: int) -> bool:
        if beam.inhibited or beam.state not in PERMIT_STATES:
            return False
        if now_ns - self.toggled_ns < PERMIT_PERIOD_NS:
            return False
        return beam.state is BeamState.PULSE or now_ns >= beam.cycle.due_ns - PERMIT_LEAD_NS

    def _triggers(self, beam: Executive, now_ns: int) -> bool:
        if beam.timing.topology is Topology.PANEL_MASTER:
            return False
        if beam.state is BeamState.CLEARING:
            return now_ns - beam.firing.clear_ns < TRIGGER_HIGH_NS
        if beam.state is not BeamState.ARMED or beam.firing.bound is None:
            return False
        return now_ns >= beam.cycle.trigger_ns()

    def take_back(self, lines: int) -> None:
        """The gate refused `lines`: PERMIT returns to the level that is on the wire."""
        if (lines ^ self.sent) & _PERMIT:
            self.permit ^= _PERMIT

    def wake_ns(self, beam: Executive, now_ns: int) -> int | None:
        """When a line has to change next, as far as time alone decides it."""
        if beam.state is BeamState.PULSE:
            return min(beam.firing.fall_ns, self.toggled_ns + PERMIT_PERIOD_NS)
        if beam.state is BeamState.CLEARING:
            low_ns = beam.firing.clear_ns + TRIGGER_HIGH_NS
            return low_ns if low_ns > now_ns else beam.cycle.due_ns - PERMIT_LEAD_NS - MS
        if beam.state is BeamState.ARMED:
            return self._armed_wake_ns(beam, now_ns)
        return self.move.wake_ns or None

    def _armed_wake_ns(self, beam: Executive, now_ns: int) -> int:
        cycle = beam.cycle
        first_ns = cycle.due_ns - PERMIT_LEAD_NS
        # The turn at SPIN_NS before due changes nothing: it is a rehearsal, so that the code that
        # must be quick at due is in the caches, and the wake-up latency lies behind us.
        prepare_ns = cycle.bind_ns() if beam.firing.bound is None else cycle.trigger_ns()
        times = (
            cycle.due_ns,
            cycle.due_ns - SPIN_NS,
            max(first_ns, self.toggled_ns + PERMIT_PERIOD_NS),
            prepare_ns,
        )
        return min(at for at in times if at > now_ns)
