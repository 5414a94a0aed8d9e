"""One turn, at the instants at which the two stages meet: rehearsal, and a pulse taken away."""

from typing import Any

import pytest

from realtime.beam import BeamState
from realtime.limits import MS
from realtime.pedals import PedalState
from realtime.permit import Gate
from realtime.turn import rehearse, turn
from realtime.wire.lines import Out, mask
from realtime.wire.messages import Pedal
from tests.realtime.stubs import Generosity
from tests.realtime.test_firing_instants import OPENED_NS, READY, T, due_now, pulsing

pytestmark = pytest.mark.invariant(13)

PULSE = mask(Out.PULSE)


class Witness(Gate):
    """A gate that remembers what it was asked to rehearse."""

    asked: tuple[Any, ...] = ()

    def rehearse(self, *question: Any) -> str:
        """Nothing but the question."""
        self.asked = question
        return ""


def test_the_gate_rehearses_the_very_rise_that_is_due() -> None:
    beam, gate = due_now(), Witness(0, 50_000)
    beam.outlines.sent, beam.book.raw = mask(Out.PERMIT, Out.BANK), b"raw"
    record = rehearse(beam, gate, T, b"packet", T - 1)
    assert gate.asked == (T, b"packet", T - 1, b"raw", mask(Out.PERMIT, Out.BANK, Out.PULSE))
    assert record is not None
    assert beam.state is BeamState.ARMED


@pytest.mark.parametrize(("now_ns", "goes_on"), [(T + 9 * MS, True), (T + 8 * MS, False)])
def test_a_pulse_that_falls_by_itself_is_not_taken_away(now_ns: int, goes_on: bool) -> None:
    beam = pulsing()
    beam.pedals.of[Pedal.FLUORO].state = PedalState.DOWN
    beam.outlines.sent = PULSE
    beam.last_turn_ns = now_ns - MS
    lit = READY & ~0b10 | 0b01 | 1 << 15
    inputs = beam.inputs._replace(levels=lit, xray_rise_ns=T, window_rise_ns=OPENED_NS)
    out = turn(beam, Generosity(0, 0), now_ns, inputs, [], beam.store, b"", now_ns, "lines")
    assert not out.lines & PULSE
    assert (beam.run is not None) is goes_on
