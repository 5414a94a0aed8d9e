"""A pulse that a stall ends: its record has what the lines say of that turn."""

import pytest

from realtime.beam import BeamState
from realtime.inputs import Store
from realtime.limits import MS
from realtime.trips import TripCode
from tests.realtime.test_firing_instants import T, due_now, turned


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
