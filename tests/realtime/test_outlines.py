"""From state to lines: PERMIT's rhythm, trigger, bank, tone, and the wake-ups they need."""

import itertools

import pytest

from realtime.beam import BeamState
from realtime.irradiation import SignalState
from realtime.limits import MS, PERMIT_GAP_MAX_NS, PERMIT_LEAD_NS, PERMIT_REARM_NS, Timing
from realtime.trips import TripCode
from realtime.wire.lines import In, Out, mask
from realtime.wire.messages import Exercise, Exercised, ExerciseResult, Reset
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import EPOCH, PANEL_MASTER, TIMING

pytestmark = pytest.mark.invariant(13)

BOTH = pytest.mark.parametrize("timing", [TIMING, PANEL_MASTER], ids=lambda t: t.topology.value)
PERMIT, TRIGGER, LAMP, TONE = (
    mask(Out.PERMIT), mask(Out.PANEL_TRIGGER), mask(Out.LAMP), mask(Out.TONE),
)  # fmt: skip


def edges(room: Room, line: int) -> list[int]:
    """Instants at which a line changed."""
    found, before = [], 0
    for t_ns, lines, _ in room.turns:
        if (lines ^ before) & line:
            found.append(t_ns)
        before = lines
    return found


def whole_run(timing: Timing, period_ns: int = 100_000_000) -> Room:
    room = Room(timing).ready()
    room.technique.period_num_ns = period_ns // timing.base_period_ns * timing.base_period_ns
    room.press()
    room.run_for(800)
    room.release()
    room.run_for(300)
    assert len(room.rises) > 4
    return room


@BOTH
def test_permit_toggles_from_8_ms_before_each_pulse_to_its_fall_and_rests_otherwise(
    timing: Timing,
) -> None:
    room = whole_run(timing)
    toggles = edges(room, PERMIT)
    allowed = [(rise - PERMIT_LEAD_NS, fall) for rise, fall in
               zip(room.rises, room.falls, strict=True)]  # fmt: skip
    next_due_ns = room.executive.cycle.due_ns
    assert next_due_ns == 0
    for t_ns in toggles:
        near = [span for span in allowed if span[0] <= t_ns <= span[1]]
        assert near or t_ns > room.rises[-1], f"a toggle at rest: {t_ns}"
    for rise_ns, fall_ns in zip(room.rises, room.falls, strict=True):
        inside = [t for t in toggles if rise_ns - PERMIT_LEAD_NS <= t <= fall_ns]
        assert inside[0] <= rise_ns - 2 * PERMIT_REARM_NS
        gaps = [b - a for a, b in itertools.pairwise(inside)]
        assert max([*gaps, fall_ns - inside[-1]]) <= PERMIT_GAP_MAX_NS
        assert min(gaps) >= PERMIT_REARM_NS


@BOTH
def test_permit_makes_no_edge_after_the_release(timing: Timing) -> None:
    room = Room(timing).ready()
    room.press()
    room.run_for(300)
    room.release()
    released_ns = room.now_ns
    room.run_for(300)
    assert edges(room, PERMIT)[-1] < released_ns


def test_the_trigger_rises_once_per_cycle_and_is_low_in_between() -> None:
    room = whole_run(TIMING)
    triggers = edges(room, TRIGGER)
    rises, falls = triggers[::2], triggers[1::2]
    assert len(rises) - len(room.rises) in (1, 2)
    for rise_ns in room.rises:
        assert rise_ns - TIMING.trigger_lead_ns in rises
    assert all(fall > rise for rise, fall in zip(rises, falls, strict=False))


def test_a_free_running_panel_is_never_triggered() -> None:
    assert edges(whole_run(PANEL_MASTER), TRIGGER) == []


def test_lamp_burns_from_arming_to_the_end() -> None:
    room = whole_run(TIMING)
    on_ns, off_ns = edges(room, LAMP)
    assert on_ns < room.rises[0]
    assert off_ns >= room.falls[-1]


def test_the_tone_of_high_level_follows_its_run() -> None:
    from realtime.wire.messages import Pedal

    room = Room().ready()
    room.press(Pedal.HIGH)
    room.run_for(300)
    room.release(Pedal.HIGH)
    room.run_for(100)
    on_ns, off_ns = edges(room, TONE)
    assert on_ns < room.rises[0]
    assert off_ns >= room.falls[-1]
    assert edges(whole_run(TIMING), TONE) == []


def test_x_rays_nobody_asked_for_sound_the_alarm_until_the_reset() -> None:
    room = Room().ready()
    room.put(In.XRAY_ON, 1)
    room.run_for(0)
    assert room.lines & TONE
    room.put(In.XRAY_ON, 0)
    room.run_for(500)
    assert room.lines & TONE, "it lasts although they have ended"
    room.letter(Reset(EPOCH))
    room.run_for(5)
    assert not room.lines & TONE
    assert len(edges(room, TONE)) == 2


def test_the_signal_of_the_irradiation_time_sounds() -> None:
    room = Room().ready()
    signal = room.executive.irradiation
    signal.state, signal.until_ns = SignalState.SOUNDING, room.now_ns + 100 * MS
    room.run_for(300)
    on_ns, off_ns = edges(room, TONE)
    assert off_ns - on_ns <= 100 * MS


def test_any_other_trip_is_silent() -> None:
    room = Room(latched=[TripCode.UNCLEAN]).ready()
    room.run_for(100)
    assert edges(room, TONE) == []


def test_the_alarm_pauses_while_the_buzzer_is_proved() -> None:
    room = Room(latched=[TripCode.XRAY_STRAY]).ready()
    room.run_for(100)
    assert room.lines & TONE
    room.letter(Exercised(EPOCH, 41, Exercise.TONE_LAMP))
    room.run_for(700)
    (result,) = room.sent(ExerciseResult)
    assert result.ok
    assert room.lines & TONE


def test_bank_keeps_its_level_between_pulses() -> None:
    room = whole_run(TIMING)
    assert len(edges(room, mask(Out.BANK))) == 1
    assert room.lines & mask(Out.BANK)


@BOTH
def test_it_wakes_exactly_when_a_line_must_change(timing: Timing) -> None:
    room = whole_run(timing)
    for _, lines, state in room.turns:
        if lines & mask(Out.PULSE):
            assert state == BeamState.PULSE.value
    assert {fall - rise for rise, fall in zip(room.rises, room.falls, strict=True)} == {9 * MS}


def test_a_refused_toggle_is_taken_back() -> None:
    outlines = Room().executive.outlines
    outlines.permit = PERMIT
    outlines.take_back(PERMIT)
    assert outlines.permit == 0
    outlines.take_back(0)
    assert outlines.permit == 0
