"""The beam executive as stories: a run from press to release, and what never starts."""

import pytest

from realtime.beam import BeamState
from realtime.inputs import Peer, Store
from realtime.limits import S, Timing
from realtime.trips import INHIBIT_OF_LINE, Inhibit, TripCode
from realtime.wire.lines import In
from realtime.wire.messages import (
    Mode,
    Pedal,
    Press,
    PulseReport,
    Select,
)
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import EPOCH
from tests.realtime.stories import BOTH, dark_at_once, in_pulse, pulsing, reset

pytestmark = pytest.mark.invariant(1)

# A run from press to release -------------------------------------------------------------------


@BOTH
def test_a_press_becomes_a_train_of_pulses_and_a_release_ends_it(timing: Timing) -> None:
    room = Room(timing).ready()
    room.press()
    room.run_for(1000)
    room.release()
    dark_at_once(room)
    assert room.ends() == [("release", "")]
    assert len(room.rises) == len(room.shines) == 28
    assert room.trips() == []
    assert room.executive.state is BeamState.DARK
    reports = room.sent(PulseReport)
    assert [r.pulse_n for r in reports] == list(range(28))
    assert [r.pulse_id for r in reports] == list(range(1, 29))
    assert all(r.start_ns >= r.due_ns for r in reports)
    assert reports == room.sent(PulseReport, Peer.IMAGING)


@BOTH
def test_every_photon_is_inside_its_window(timing: Timing) -> None:
    room = in_pulse(timing)
    room.run_for(500)
    for shine, report in zip(room.shines, room.sent(PulseReport), strict=False):
        assert report.window_open_ns + timing.guard_open_ns <= shine.start_ns
        tail_ns = room.technique.tail_us * 1000
        assert shine.end_ns + tail_ns <= report.window_close_ns - timing.guard_close_ns


@BOTH
def test_a_release_in_mid_pulse_is_dark_in_the_same_turn(timing: Timing) -> None:
    room = in_pulse(timing)
    room.release()
    dark_at_once(room)
    last = room.sent(PulseReport)[-1]
    assert last.truncated
    assert last.end_reason == "release"


def test_the_first_press_is_answered_by_a_run_id_that_was_never_used() -> None:
    room = in_pulse()
    room.release()
    room.run_for(100)
    room.press()
    room.run_for(100)
    first, second = room.sent(Press)
    assert second.run_id == first.run_id + 1
    assert (second.pedal, second.mode) == (Pedal.FLUORO, Mode.FLUORO)


@pytest.mark.parametrize(
    ("pedal", "mode"), [(Pedal.HIGH, Mode.HIGH_LEVEL), (Pedal.CINE, Mode.ONE_SHOT)]
)
def test_each_pedal_calls_its_mode(pedal: Pedal, mode: Mode) -> None:
    room = Room().ready()
    room.press(pedal)
    room.run_for(60)
    assert room.sent(Press)[0].mode is mode


def test_one_shot_is_one_pulse_however_long_the_pedal_is_held() -> None:
    room = Room().ready()
    room.press(Pedal.CINE)
    room.run_for(2000)
    assert len(room.rises) == 1
    assert room.ends() == [("complete", "")]


@pytest.mark.parametrize("mode", [Mode.CINE, Mode.DSA])
def test_a_selected_mode_counts_from_the_next_fresh_press(mode: Mode) -> None:
    room = Room().ready()
    room.letter(Select(EPOCH, mode))
    room.run_for(100)
    room.press(Pedal.CINE)
    room.run_for(400)
    assert room.sent(Press)[0].mode is mode
    assert len(room.rises) > 5


@BOTH
def test_any_shift_of_the_clock_changes_nothing(timing: Timing) -> None:
    def story(shift_ns: int) -> list[tuple[int, int, str]]:
        room = Room(timing, t0_ns=1000 * S + shift_ns).ready()
        room.press()
        room.run_for(300)
        room.release()
        room.run_for(100)
        return [(t - shift_ns, lines, state) for t, lines, state in room.turns]

    assert story(0) == story(1 << 32) == story((1 << 53) + 12345)


# What never starts -----------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("pedal", Pedal)
def test_a_pedal_held_at_power_on_fires_nothing_until_let_go(timing: Timing, pedal: Pedal) -> None:
    room = Room(timing)
    room.press(pedal)
    room.run_for(1000)
    assert room.rises == []
    assert room.sent(Press) == []
    room.release(pedal)
    room.run_for(60)
    room.press(pedal)
    pulsing(room, 1)


def test_a_pedal_held_over_a_reset_fires_nothing() -> None:
    room = Room(latched=[TripCode.UNCLEAN])
    room.run_for(100)
    room.press()
    room.run_for(100)
    reset(room)
    assert room.executive.state is BeamState.TRIPPED
    assert room.refusals() == [("Reset", "pedals_not_released")]
    room.release()
    room.run_for(100)
    reset(room)
    room.press()
    room.run_for(500)
    assert room.rises == [], "a reset is like boot: 50 ms of release first"


def test_a_latched_start_needs_a_reset() -> None:
    room = Room(latched=[TripCode.UNCLEAN]).ready()
    room.press()
    room.run_for(300)
    assert room.sent(Press) == []
    room.release()
    room.run_for(100)
    reset(room)
    assert room.executive.state is BeamState.DARK
    room.run_for(100)
    room.press()
    pulsing(room, 1)


def test_a_mode_change_demands_a_fresh_press() -> None:
    room = Room().ready()
    room.press()
    room.run_for(20)
    room.letter(Select(EPOCH, Mode.CINE))
    room.run_for(500)
    assert room.sent(Press) == []


def test_two_pedals_at_once_start_nothing() -> None:
    room = Room().ready()
    room.press(Pedal.FLUORO)
    room.press(Pedal.CINE)
    room.run_for(300)
    assert room.sent(Press) == []
    assert ("press", "pedals_not_released") in room.refusals()


@pytest.mark.parametrize("line", sorted(INHIBIT_OF_LINE), ids=lambda line: line.name)
def test_an_open_interlock_forbids_the_start_by_name(line: In) -> None:
    room = Room().ready()
    room.put(line, 0)
    room.run_for(10)
    room.press()
    room.run_for(300)
    assert room.rises == []
    assert room.refusals() == [("press", str(INHIBIT_OF_LINE[line]))]
    room.put(line, 1)
    room.run_for(300)
    assert room.rises == [], "the old press does not count"
    room.release()
    room.run_for(60)
    room.press()
    pulsing(room, 1)


@pytest.mark.parametrize("peer", Peer)
def test_without_supervisor_or_imaging_nothing_starts(peer: Peer) -> None:
    room = Room().ready()
    room.links(peer, up=False)
    room.run_for(10)
    room.press()
    room.run_for(300)
    inhibit = Inhibit.SUPERVISOR if peer is Peer.SUPERVISOR else Inhibit.IMAGING
    assert room.refusals() == [("press", str(inhibit))]


def test_standing_inhibits_forbid_every_start() -> None:
    room = Room(standing=[Inhibit.PREFLIGHT]).ready()
    room.press()
    room.run_for(300)
    assert room.refusals() == [("press", "preflight")]


def test_above_half_unread_nothing_starts() -> None:
    room = Room().ready()
    room.store = Store(50, 100)
    room.press()
    pulsing(room, 1)
    room.release()
    room.store = Store(51, 100)
    room.run_for(100)
    room.press()
    room.run_for(300)
    assert room.refusals() == [("press", "black_box_half_full")]


def test_a_press_without_an_answer_times_out() -> None:
    room = Room().ready()
    room.renewing = False
    room.press()
    room.run_for(34_900)
    assert room.executive.state is BeamState.CALLED
    room.run_for(300)
    assert room.ends() == [("timeout", "no_order")]
    assert room.rises == []


# One function ----------------------------------------------------------------------------------


def test_a_second_pedal_changes_nothing_and_does_not_take_over() -> None:
    room = in_pulse()
    room.press(Pedal.CINE)
    room.run_for(200)
    assert room.ends() == []
    room.release(Pedal.FLUORO)
    dark_at_once(room)
    assert [p.pedal for p in room.sent(Press)] == [Pedal.FLUORO]
    assert room.refusals() == [], "a pedal that does not count is not refused either"
    room.release(Pedal.CINE)
    room.run_for(60)
    room.press(Pedal.CINE)
    pulsing(room, len(room.rises) + 1)
