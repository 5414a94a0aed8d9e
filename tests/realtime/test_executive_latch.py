"""Latches: how a trip is entered from a run, and what a reset asks of the contacts."""

import pytest

from realtime import executive as subject
from realtime.beam import BeamEvent, BeamState
from realtime.limits import MS
from realtime.trips import TripCode
from realtime.wire.lines import In
from realtime.wire.messages import Refused, Reset
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import EPOCH

pytestmark = pytest.mark.invariant(12)


@pytest.mark.invariant(2)
def test_a_reset_is_refused_while_a_contact_is_on_its_way() -> None:
    room = Room(latched=[TripCode.UNCLEAN]).ready()
    room.put(In.FLUORO_NC, 0)  # between its contacts: neither pressed nor released
    room.letter(Reset(EPOCH))
    room.run_for(10)
    assert room.executive.state.value == "tripped"
    assert [m.code for m in room.sent(Refused)] == ["pedals_not_released"]
    room.put(In.FLUORO_NC, 1)
    room.run_for(100)
    room.letter(Reset(EPOCH))
    room.run_for(10)
    assert room.executive.state is BeamState.DARK


@pytest.mark.invariant(12)
@pytest.mark.parametrize("after_ms", [45, 60, 95, 102, 110])
def test_a_trip_leads_straight_from_the_run_to_tripped(
    after_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[BeamState, BeamEvent]] = []
    real = subject.Executive.take

    def take(self: subject.Executive, event: BeamEvent) -> None:
        taken.append((self.state, event))
        real(self, event)

    monkeypatch.setattr(subject.Executive, "take", take)
    room = Room().ready()
    room.press()
    room.run_for(after_ms)
    before = room.executive.state
    assert before not in (BeamState.DARK, BeamState.TRIPPED)
    room.put(In.ESTOP, 0)
    room.until(room.now_ns - room.t0_ns + 1 * MS)
    assert (before, BeamEvent.TRIP) in taken
    assert room.executive.state is BeamState.TRIPPED
