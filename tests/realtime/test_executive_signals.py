"""What the executive says: tone, lamp, the 5-minute signal, records and reports."""

from dataclasses import replace

import pytest

from realtime.beam import BeamState
from realtime.inputs import Inputs, Letter, Peer, Store
from realtime.limits import MS, S
from realtime.trips import Inhibit, TripCode
from realtime.wire.lines import In, Out, mask
from realtime.wire.messages import (
    Hello,
    Pedal,
    ResetTimer,
    State,
)
from realtime.wire.record import RecordState
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import EPOCH, TIMING
from tests.realtime.stories import in_pulse, reset

pytestmark = pytest.mark.invariant(11)

# High level ------------------------------------------------------------------------------------


def test_high_level_sounds_its_tone_and_fires() -> None:
    room = Room().ready()
    room.press(Pedal.HIGH)
    room.run_for(500)
    assert len(room.rises) > 5
    assert room.lines & mask(Out.TONE)


def test_high_level_without_a_tone_never_fires_and_trips() -> None:
    room = Room().ready()
    room.tone_on = False
    room.press(Pedal.HIGH)
    room.run_for(500)
    assert room.rises == []
    assert room.trips() == ["tone_failed_in_high_level"]


# Lamp, tone and the signal ---------------------------------------------------------------------


def test_a_lamp_that_does_not_light_forbids_the_next_start() -> None:
    room = Room().ready()
    room.lamp_on = False
    room.press()
    room.run_for(400)
    assert room.rises, "the lamp does not end a run"
    room.release()
    room.run_for(100)
    room.press()
    room.run_for(200)
    assert room.refusals() == [("press", "lamp_readback")]


def test_read_backs_are_not_timed_while_the_lines_are_unknown() -> None:
    room = Room().ready()
    room.put(In.LAMP_READBACK, 1)
    room.run_for(50)
    room.unplug()
    room.run_for(500)
    room.plug()
    room.run_for(50)
    assert Inhibit.LAMP not in room.executive.inhibits
    room.run_for(50)
    assert Inhibit.LAMP in room.executive.inhibits


def test_the_five_minute_signal_sounds_in_a_run_and_can_be_reset() -> None:
    room = in_pulse()
    room.executive.irradiation.total_ns = 300 * S - 100 * MS
    room.run_for(200)
    assert room.lines & mask(Out.TONE)
    room.letter(ResetTimer(EPOCH))
    room.run_for(1)
    assert not room.lines & mask(Out.TONE)
    assert room.executive.irradiation.total_ns < S


def test_the_signal_comes_as_often_as_the_configuration_says() -> None:
    room = Room(replace(TIMING, signal_every_ns=10 * S)).ready()
    assert room.executive.irradiation.every_ns == 10 * S
    assert Room().executive.irradiation.every_ns == 300 * S


def test_irradiation_counts_from_arming_to_the_end() -> None:
    room = Room().ready()
    room.press()
    room.run_for(1040)
    room.release()
    room.run_for(500)
    assert 980 * MS <= room.executive.irradiation.total_ns <= 1000 * MS


# Records and reports ---------------------------------------------------------------------------


def test_every_pulse_has_an_intent_before_it_and_a_close_after_it() -> None:
    room = in_pulse()
    room.run_for(100)
    room.release()
    room.run_for(50)
    intents = [r for r in room.records if r.state is RecordState.INTENT]
    closed = [r for r in room.records if r.state is RecordState.CLOSED]
    assert [r.pulse_id for r in intents] == [r.pulse_id for r in closed]
    assert [r.start_ns for r in intents] == room.rises
    assert [r.end_ns for r in closed] == room.falls
    for record, shine in zip(closed[:-1], room.shines, strict=False):
        assert record.xray_on_ns == shine.start_ns + 100_000
    whole = closed[0]
    assert 0 < whole.xray_on_ns < whole.xray_off_ns <= whole.end_ns


def test_state_is_reported_on_every_change_every_50_ms_and_at_rest_every_100() -> None:
    room = Room().ready()
    room.run_for(1000)
    assert 9 <= len(room.sent(State)) <= 16
    room.press()
    before = len(room.sent(State))
    room.run_for(1000)
    assert len(room.sent(State)) - before >= 19
    beams = [state.beam for state in room.sent(State)]
    assert {"dark", "called", "clearing", "armed"} <= set(beams)
    state = room.sent(State)[-1]
    assert state.run_id == room.run_id
    assert state.link


def test_how_long_the_pedals_have_been_up_is_reported() -> None:
    room = Room()
    room.run_for(20)
    assert room.sent(State)[-1].released_ns == 0
    room.run_for(250)
    assert room.sent(State)[-1].released_ns > 100 * MS


def test_inhibits_are_listed_in_the_order_of_a_persons_questions() -> None:
    room = Room(standing=[Inhibit.INHIBITED])
    room.put(In.DOOR, 0)
    room.put(In.FLUORO_NO, 1)
    room._mail.clear()
    room.run_for(5)
    assert room.executive.inhibits == [
        Inhibit.DOOR, Inhibit.INHIBITED, Inhibit.SUPERVISOR, Inhibit.IMAGING, Inhibit.PEDALS,
    ]  # fmt: skip


def test_before_the_lines_are_known_nothing_is() -> None:
    room = Room()
    room.unplug()
    room.run_for(200)
    assert Inhibit.LINK in room.executive.inhibits
    reset(room)
    assert room.refusals() == [("Reset", "lines_not_fresh")]


def test_a_trip_is_reported_once_and_the_first_cause_stays_first() -> None:
    room = in_pulse()
    room.put(In.ESTOP, 0)
    room.run_for(10)
    room.put(In.COLLISION, 0)
    room.run_for(200)
    assert room.executive.trips == [TripCode.ESTOP, TripCode.COLLISION]
    assert room.trips() == ["interlock_estop", "interlock_collision"]


def test_after_a_trip_the_pedals_must_be_seen_released_again() -> None:
    room = Room().ready()
    room.put(In.ESTOP, 0)
    room.run_for(1)
    room.put(In.ESTOP, 1)
    reset(room)
    assert room.refusals() == [("Reset", "pedals_not_released")]
    room.run_for(60)
    reset(room)
    assert room.executive.state is BeamState.DARK


def test_first_light_never_moves_permit() -> None:
    room = Room(inhibited=True).ready()
    room.press()
    room.run_for(600)
    assert room.rises == []
    assert all(not lines & mask(Out.PERMIT) for _, lines, _ in room.turns)


def test_in_run_is_true_from_press_to_end() -> None:
    room = in_pulse()
    assert room.executive.in_run
    room.release()
    room.run_for(0)
    assert not room.executive.in_run


def test_the_very_first_turn_needs_no_earlier_one() -> None:
    executive = Room().executive
    out = executive.step(0, Inputs(), [Letter(Peer.SUPERVISOR, Hello("x", 1, 1, 0, ""))],
                         Store(0, 1))  # fmt: skip
    assert out.lines == 0
    assert out.wake_ns > 0


def test_inhibits_stand_until_something_moves_that_they_were_found_from() -> None:
    room = Room()
    room.run_for(200)
    assert room.executive.inhibits_stand(room.now_ns)
    room.executive.links[Peer.IMAGING] = False
    assert not room.executive.inhibits_stand(room.now_ns)
    room.run_for(5)
    assert room.executive.inhibits_stand(room.now_ns)
