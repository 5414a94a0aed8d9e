"""What ends a run and latches: stalls, stray X-rays, lost pictures, a full black box."""

from dataclasses import replace

import pytest

from realtime.beam import BeamState
from realtime.inputs import Store
from realtime.limits import MS, PRESS_DEBOUNCE_NS, S, Timing
from realtime.wire.lines import In
from realtime.wire.messages import (
    Press,
    RunEnd,
)
from realtime.wire.record import RecordKind, RecordState
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import TIMING
from tests.realtime.stories import BOTH, dark_at_once, in_pulse, reset

pytestmark = pytest.mark.invariant(12)


@BOTH
@pytest.mark.parametrize("ms", [21, 100, 1000])
def test_a_loop_that_was_away_comes_back_tripped(timing: Timing, ms: int) -> None:
    room = in_pulse(timing)
    room.sleep(ms)
    rises = len(room.rises)
    room.run_for(ms + 500)
    assert room.trips() == ["stall"]
    assert len(room.rises) == rises, "nothing fires after SIGCONT"
    assert room.ends() == [("trip", "stall")]


def test_the_hardware_is_dark_while_the_loop_is_away() -> None:
    room = in_pulse()
    asleep_ns = room.now_ns
    room.technique.set_us = 500_000
    room.shines[-1].end_ns = 0
    room.sleep(300)
    room.run_for(250)
    assert 0 < room.shines[-1].end_ns <= asleep_ns + 12 * MS


def test_a_long_absence_without_a_run_demands_a_fresh_press() -> None:
    """Away longer than an order may live: as after boot, the pressed pedal must be let go."""
    room = Room().ready()
    room.press()
    room.run_for(20)
    room.sleep(150)
    room.run_for(500)
    assert room.trips() == []
    assert room.sent(Press) == []


def test_a_short_absence_without_a_run_starts_the_debounce_again() -> None:
    """A press in the making that nobody watched for 50 ms needs its whole 40 ms anew."""
    room = Room().ready()
    room.press()
    room.run_for(20)
    room.sleep(50)
    back_ns = room.now_ns
    room.run_for(500)
    assert room.trips() == []
    (press,) = room.sent(Press)
    assert press.t_ns - back_ns >= PRESS_DEBOUNCE_NS


def test_away_for_less_is_no_trip() -> None:
    room = Room().ready()
    room.press()
    room.run_for(60)
    room.sleep(14)
    room.run_for(300)
    assert room.trips() == []


def test_x_rays_nobody_asked_for_trip_and_are_recorded() -> None:
    room = Room().ready()
    room.put(In.XRAY_ON, 1)
    room.run_for(0)
    assert room.trips() == ["xray_without_pulse"]
    stray = room.records[-1]
    assert (stray.kind, stray.state) == (RecordKind.STRAY, RecordState.CLOSED)
    assert stray.xray_on_ns == room.now_ns
    room.run_for(100)
    reset(room)
    assert room.refusals()[-1] == ("Reset", "xray_without_pulse")
    room.put(In.XRAY_ON, 0)
    room.put(In.XRAY_ON, 1)
    room.put(In.XRAY_ON, 0)
    room.run_for(10)
    assert len([r for r in room.records if r.kind is RecordKind.STRAY]) == 2
    reset(room)
    assert room.executive.state is BeamState.DARK


def test_stray_x_rays_in_a_run_name_the_run() -> None:
    room = in_pulse()
    room.put(In.XRAY_ON, 0)
    room.put(In.XRAY_ON, 1)
    room.put(In.XRAY_ON, 0)
    room.put(In.XRAY_ON, 1)
    run_id = room.run_id
    dark_at_once(room)
    assert room.trips() == ["xray_without_pulse"]
    assert next(r for r in room.records if r.kind is RecordKind.STRAY).run_id == run_id


def test_a_pulse_without_x_rays_trips() -> None:
    room = Room().ready()
    room.generator_on = False
    room.press()
    room.run_for(600)
    assert room.trips() == ["pulse_without_xray"]
    assert len(room.rises) == 1


def test_a_generator_that_will_not_stop_is_stray() -> None:
    room = in_pulse()
    room.run_for(2)
    room._xray = lambda shine, level: None  # type: ignore[method-assign]
    room.put(In.XRAY_ON, 1)
    room.run_for(300)
    assert room.trips() == ["xray_without_pulse"]
    assert len(room.rises) == 3
    kinds = [record.kind for record in room.records if record.state is RecordState.CLOSED]
    assert kinds == [RecordKind.PULSE] * 3, "one emission, one record"


def test_x_rays_that_begin_late_in_their_pulse_trip_and_have_one_record() -> None:
    room = Room().ready()
    room.generator_on = False
    room.press()
    while not room.rises:
        room.run_for(0.05)
    room.after(1.5, room.put, In.XRAY_ON, 1)
    room.sleep(1.6)
    room.run_for(10)
    assert room.trips() == ["xray_without_pulse"]
    (closed,) = (record for record in room.records if record.state is RecordState.CLOSED)
    assert closed.kind is RecordKind.PULSE, "one emission, one record"
    assert closed.xray_on_ns > closed.start_ns > 0


def test_a_second_rise_late_in_a_pulse_is_another_emission() -> None:
    room = in_pulse()
    room.put(In.XRAY_ON, 0)
    room.run_for(1.5)
    room.put(In.XRAY_ON, 1)
    room.run_for(10)
    kinds = [r.kind for r in room.records if r.state is RecordState.CLOSED][-2:]
    assert kinds == [RecordKind.PULSE, RecordKind.STRAY]


def test_a_generator_that_fires_again_after_it_would_not_stop_is_recorded() -> None:
    room = in_pulse()
    room.run_for(2)
    room._xray = lambda shine, level: None  # type: ignore[method-assign]
    room.put(In.XRAY_ON, 1)
    room.run_for(300)
    room.put(In.XRAY_ON, 0)
    room.put(In.XRAY_ON, 1)
    room.run_for(10)
    strays = [record for record in room.records if record.kind is RecordKind.STRAY]
    assert len(strays) == 1
    assert room.rises[-1] < strays[0].xray_on_ns


def test_two_pictures_lost_in_a_row_end_the_run() -> None:
    room = Room().ready()
    room.judging = lambda n: n not in (5, 6)
    room.press()
    room.run_for(1000)
    assert room.ends() == [("no_image", "verdicts")]
    assert len(room.rises) <= 8


def test_one_lost_picture_is_survived() -> None:
    room = Room().ready()
    room.judging = lambda n: n != 5
    room.press()
    room.run_for(600)
    assert room.ends() == []
    assert len(room.rises) > 10


def test_a_press_begun_while_the_lines_were_silent_is_none() -> None:
    """F10: what nobody saw begin must be let go first (invariant 2)."""
    room = Room().ready()
    room.run_for(200)
    room.link = False
    room.run_for(20)
    room.put(In.FLUORO_NO, 1)
    room.put(In.FLUORO_NC, 0)
    room.run_for(100)
    room.link = True
    room.run_for(500)
    assert (room.sent(Press), room.rises) == ([], [])
    room.release()
    room.run_for(100)
    room.press()
    room.run_for(500)
    assert room.rises


def test_silence_of_imaging_stops_the_beam_within_two_pulses() -> None:
    room = Room().ready()
    room.judging = lambda n: True if n < 5 else None
    room.press()
    room.run_for(1000)
    assert len(room.rises) == 7
    assert room.ends() == [("no_image", "skips")]


def test_a_renewal_never_refills_credit() -> None:
    room = Room().ready()
    room.crediting = False
    room.press()
    room.run_for(1000)
    assert room.order_seq > 5, "the order was renewed all the while"
    assert len(room.rises) == 2
    assert room.ends() == [("no_image", "skips")]


def test_a_full_black_box_is_dark() -> None:
    room = in_pulse()
    room.store = Store(32_768, 32_768)
    room.run_for(6)
    assert room.trips() == ["black_box_full"]
    room.release()
    room.run_for(100)
    reset(room)
    assert room.refusals()[-1] == ("Reset", "black_box_half_full")


def test_the_longest_irradiation_ends_latched() -> None:
    room = Room(replace(TIMING, run_max_ns=2 * S)).ready()
    room.press()
    room.run_for(3000)
    assert room.trips() == ["run_max"]
    end = room.sent(RunEnd)[0]
    assert 2 * S < end.t_ns - room.sent(Press)[0].t_ns <= 2 * S + 100 * MS


def test_the_clock_of_the_longest_run_does_not_end_a_call() -> None:
    room = Room(replace(TIMING, run_max_ns=1 * S)).ready()
    room.renewing = False
    room.press()
    room.run_for(3000)
    assert room.trips() == []
