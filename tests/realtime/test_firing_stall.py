"""A pulse that a stall ends or sends late: what is recorded, and from when it is waited for."""

import pytest

from realtime.beam import BeamState
from realtime.inputs import Store
from realtime.limits import MS
from realtime.orders import bound_of
from realtime.trips import TripCode
from realtime.watch import Asked
from tests.realtime.test_firing_instants import ORDER, T, due_now, pulsing, turned


@pytest.mark.invariant(10)
def test_a_pulse_that_a_stall_ends_is_recorded_with_the_x_rays_that_came_meanwhile() -> None:
    beam = due_now()
    turned(beam)
    assert beam.state is BeamState.PULSE
    beam.last_turn_ns = T
    lit = beam.inputs._replace(xray_rise_ns=T + MS, xray_fall_ns=T + 9 * MS, xray_rises=1)
    closed = beam.step(T + 30 * MS, lit, [], Store(0, 8)).closed
    assert beam.trips == [TripCode.STALL]
    assert closed is not None
    assert (closed.xray_on_ns, closed.xray_off_ns) == (T + MS, T + 9 * MS)


@pytest.mark.invariant(5)
def test_a_pulse_that_left_late_is_waited_for_from_there() -> None:
    beam = pulsing()
    beam.firing.left(T + 2 * MS)
    assert beam.firing.asked == Asked(T, 0, bound_of(ORDER), T + 2 * MS)
    assert turned(beam, T + 9 * MS) is BeamState.READOUT
    assert beam.firing.asked == Asked(T, T + 9 * MS, bound_of(ORDER), T + 2 * MS)
    assert beam.closed is not None
    assert beam.closed.start_ns == T
    beam.firing.left(T + 10 * MS)
    assert beam.firing.asked.sent_ns == T + 2 * MS, "of a pulse, not of an exercise"
