"""The beam executive as stories: what starts a run, what ends it, and what never does."""

from dataclasses import replace

import pytest

from realtime.beam import RUN_STATES, BeamState
from realtime.inputs import Inputs, Letter, Peer, Store
from realtime.limits import MS, PRESS_DEBOUNCE_NS, S, Timing
from realtime.trips import INHIBIT_OF_LINE, TRIP_OF_LINE, Inhibit, TripCode
from realtime.wire.lines import In, Out, mask
from realtime.wire.messages import (
    Dark,
    Hello,
    Mode,
    Pedal,
    Press,
    PulseReport,
    Reset,
    ResetTimer,
    RunEnd,
    Select,
    State,
)
from realtime.wire.record import RecordKind, RecordState
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import EPOCH, PANEL_MASTER, TIMING

BOTH = pytest.mark.parametrize("timing", [TIMING, PANEL_MASTER], ids=lambda t: t.topology.value)
PULSE = mask(Out.PULSE)


def pulsing(room: Room, pulses: int = 3, ms: float = 4.0) -> Room:
    """Go on until `ms` into pulse number `pulses` (from 1)."""
    for _ in range(4000):
        if len(room.rises) >= pulses:
            room.run_for(ms)
            assert room.lines & PULSE, "in mid-pulse"
            return room
        room.run_for(0.5)
    raise AssertionError(f"no pulse: {room.ends()} {room.executive.inhibits}")


def in_pulse(timing: Timing = TIMING, pedal: Pedal = Pedal.FLUORO) -> Room:
    room = Room(timing).ready()
    room.press(pedal)
    return pulsing(room)


def dark_at_once(room: Room) -> None:
    """The very turn of the event is dark, and nothing comes after it."""
    now_ns, rises = room.now_ns, len(room.rises)
    room.run_for(0)
    assert room.turns[-1][0] == now_ns
    assert not room.lines & PULSE
    assert room.executive.run is None
    room.run_for(400)
    assert len(room.rises) == rises
    assert room.shines[-1].end_ns <= now_ns


def reset(room: Room) -> None:
    room.letter(Reset(EPOCH))
    room.run_for(1)


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


# What ends a run -------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("line", sorted(INHIBIT_OF_LINE), ids=lambda line: line.name)
def test_an_inhibiting_interlock_ends_the_run_without_a_latch(timing: Timing, line: In) -> None:
    room = in_pulse(timing)
    room.put(line, 0)
    dark_at_once(room)
    assert room.ends() == [("interlock", str(INHIBIT_OF_LINE[line]))]
    assert room.trips() == []
    room.put(line, 1)
    room.run_for(300)
    assert len(room.rises) == 3, "no resumption"


@BOTH
@pytest.mark.parametrize("line", sorted(TRIP_OF_LINE), ids=lambda line: line.name)
def test_a_latching_interlock_trips_until_closed_and_reset(timing: Timing, line: In) -> None:
    room = in_pulse(timing)
    room.put(line, 0)
    dark_at_once(room)
    assert room.ends() == [("trip", str(TRIP_OF_LINE[line]))]
    room.release()
    room.run_for(100)
    reset(room)
    assert room.refusals()[-1] == ("Reset", str(TRIP_OF_LINE[line]))
    room.put(line, 1)
    reset(room)
    assert room.executive.trips == []
    assert room.executive.state is BeamState.DARK


@pytest.mark.parametrize("line", [In.DOOR, In.ESTOP, In.KEY, In.BARRIER])
def test_a_flicker_of_an_interlock_between_two_turns_is_believed(line: In) -> None:
    room = in_pulse()
    room.put(line, 0)
    room.put(line, 1)
    dark_at_once(room)


def test_a_flicker_of_the_pedal_between_two_turns_is_believed() -> None:
    room = in_pulse()
    room.release()
    room.press()
    dark_at_once(room)
    assert room.ends() == [("release", "")]


def test_contacts_that_disagree_are_dark_at_once_and_a_fault_after_50_ms() -> None:
    room = in_pulse()
    room.put(In.FLUORO_NC, 1)
    dark_at_once(room)
    assert room.ends() == [("release", "")]
    assert room.trips() == ["pedal_disagree"]
    trip_ns = next(t for t, _, m in room.posts if getattr(m, "code", "") == "pedal_disagree")
    assert 50 * MS < trip_ns - room.sent(RunEnd)[0].t_ns <= 56 * MS


@BOTH
def test_losing_the_lines_is_dark_and_counts_as_boot(timing: Timing) -> None:
    room = in_pulse(timing)
    room.unplug()
    dark_at_once(room)
    assert room.ends() == [("link", "lines_not_fresh")]
    room.plug()
    room.run_for(500)
    assert len(room.rises) == 3, "the pedal is still down since before"
    room.release()
    room.run_for(60)
    room.press()
    pulsing(room, 4)


def test_a_new_epoch_of_the_lines_ends_a_run_even_if_fresh_again() -> None:
    room = in_pulse()
    room.plug()
    dark_at_once(room)
    assert room.ends() == [("link", "lines_not_fresh")]


@BOTH
def test_a_lease_that_is_not_renewed_ends_the_run(timing: Timing) -> None:
    room = in_pulse(timing)
    room.renewing = False
    stop_ns = room.now_ns
    room.run_for(200)
    assert room.ends() == [("order", "expired")]
    assert room.falls[-1] - stop_ns <= 100 * MS


def test_the_supervisor_leaving_ends_the_run_at_once() -> None:
    room = in_pulse()
    room.links(Peer.SUPERVISOR, up=False)
    dark_at_once(room)
    assert room.ends() == [("order", "no_supervisor")]


@pytest.mark.parametrize("run_id", ["this", 0])
def test_dark_from_the_supervisor_needs_no_permission(run_id: str | int) -> None:
    room = in_pulse()
    room.letter(Dark(0, room.run_id if run_id == "this" else 0, "why_not"))
    dark_at_once(room)
    assert room.ends() == [("dark", "why_not")]


def test_dark_for_another_run_changes_nothing() -> None:
    room = in_pulse()
    room.letter(Dark(EPOCH, room.run_id - 1, "old"))
    room.run_for(100)
    assert room.ends() == []


@BOTH
@pytest.mark.parametrize("state", sorted(RUN_STATES, key=str))
def test_dark_from_every_state_of_a_run_is_dark_in_the_same_turn(
    timing: Timing, state: BeamState
) -> None:
    if timing is PANEL_MASTER and state is BeamState.CLEARING:
        assert not Room(timing).executive.clears_first
        return
    room = Room(timing).ready()
    room.press()
    for _ in range(4000):
        if room.executive.state is state:
            break
        room.run_for(0.25)
    assert room.executive.state is state
    room.letter(Dark(EPOCH, 0, "x"))
    room.run_for(0)
    assert room.executive.state is BeamState.DARK
    assert room.lines & ~mask(Out.PERMIT, Out.BANK) == 0
    rises = len(room.rises)
    room.run_for(300)
    assert len(room.rises) == rises


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


# One function ----------------------------------------------------------------------------------


def test_a_second_pedal_changes_nothing_and_does_not_take_over() -> None:
    room = in_pulse()
    room.press(Pedal.CINE)
    room.run_for(200)
    assert room.ends() == []
    room.release(Pedal.FLUORO)
    dark_at_once(room)
    assert [p.pedal for p in room.sent(Press)] == [Pedal.FLUORO]
    room.release(Pedal.CINE)
    room.run_for(60)
    room.press(Pedal.CINE)
    pulsing(room, len(room.rises) + 1)


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


def test_state_is_reported_on_every_change_and_every_50_ms() -> None:
    room = Room().ready()
    room.run_for(1000)
    assert len(room.sent(State)) >= 20
    room.press()
    room.run_for(200)
    beams = [state.beam for state in room.sent(State)]
    assert {"dark", "called", "clearing", "armed"} <= set(beams)
    state = room.sent(State)[-1]
    assert state.run_id == room.run_id
    assert state.link


def test_how_long_the_pedals_have_been_up_is_reported() -> None:
    room = Room()
    room.run_for(20)
    assert room.sent(State)[-1].released_ns == 0
    room.run_for(200)
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
