"""Self-test steps: what they find, what they measure, and that nothing can shine meanwhile."""

from dataclasses import replace

import pytest

from realtime.beam import BeamState
from realtime.exercise import Exercising
from realtime.inputs import Inputs
from realtime.limits import MS, S, Timing
from realtime.trips import TripCode
from realtime.wire.lines import In, Out, mask
from realtime.wire.messages import Exercise, Exercised, ExerciseResult
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import EPOCH, PANEL_MASTER, TIMING

pytestmark = pytest.mark.invariant(13)

BOTH = pytest.mark.parametrize("timing", [TIMING, PANEL_MASTER], ids=lambda t: t.topology.value)
PULSE = mask(Out.PULSE)


def outcome(room: Room, what: Exercise, ms: float = 700) -> ExerciseResult:
    """Do one step and return its result."""
    before = len(room.sent(ExerciseResult))
    room.letter(Exercised(EPOCH, 41, what))
    room.run_for(ms)
    results = room.sent(ExerciseResult)[before:]
    assert len(results) == 1
    result: ExerciseResult = results[0]
    assert (result.exercise_id, result.what) == (41, what)
    assert room.executive.exercise is None
    return result


@BOTH
@pytest.mark.parametrize("what", Exercise)
@pytest.mark.parametrize("latched", [[], [TripCode.UNCLEAN]])
def test_every_step_passes_in_a_good_room_and_nothing_shines(
    timing: Timing, what: Exercise, latched: list[TripCode]
) -> None:
    room = Room(timing, latched=latched).ready()
    result = outcome(room, what)
    assert result.ok, result
    assert result.detail == ""
    assert room.shines == []
    assert not room.lines & ~mask(Out.PERMIT)
    assert room.executive.state is (BeamState.TRIPPED if latched else BeamState.DARK)


def test_the_monostable_is_measured() -> None:
    result = outcome(Room().ready(), Exercise.MONOSTABLE)
    assert result.unit == "ms"
    assert 11 <= result.value <= 14


@pytest.mark.parametrize("hold_ms", [5, 30, None])
def test_a_monostable_of_the_wrong_length_is_found(hold_ms: float | None) -> None:
    room = Room().ready()
    if hold_ms is None:
        room.monostable_on = False
    else:
        room.monostable_ns = round(hold_ms * MS)
    result = outcome(room, Exercise.MONOSTABLE)
    assert not result.ok
    assert "seen high" in result.detail


def test_a_monostable_stuck_closed_is_found() -> None:
    room = Room().ready()
    room._monostable = lambda: None  # type: ignore[method-assign]
    room.put(In.PERMIT_OK, 1)
    assert not outcome(room, Exercise.MONOSTABLE).ok
    room = Room().ready()
    room._monostable = lambda: room.put(In.PERMIT_OK, 1)  # type: ignore[method-assign]
    result = outcome(room, Exercise.MONOSTABLE)
    assert not result.ok
    assert "still high: True" in result.detail


def test_a_monostable_that_never_rises_is_waited_for_until_the_next_toggle_was_due() -> None:
    exercising = Exercising(1, Exercise.MONOSTABLE, S, TIMING)
    low = Inputs(True, 1)
    assert all(exercising.turn(S + n * 3 * MS, low).toggle for n in range(6))
    early = exercising.turn(S + 16 * MS, low)
    assert (early.result, early.wake_ns) == (None, S + 17 * MS)
    late = exercising.turn(S + 18 * MS, low).result
    assert late is not None
    assert not late.ok


def test_a_chain_stuck_closed_is_found() -> None:
    room = Room().ready()
    room._chain = lambda: None  # type: ignore[method-assign]
    room.put(In.CHAIN_OK, 1)
    result = outcome(room, Exercise.CHAIN)
    assert not result.ok
    assert result.value == 1.0


def test_a_chain_that_opens_in_time_is_good() -> None:
    room = Room().ready()
    room._chain = lambda: None  # type: ignore[method-assign]
    room.put(In.CHAIN_OK, 1)
    room.after(30, room.put, In.CHAIN_OK, 0)
    assert outcome(room, Exercise.CHAIN).ok


@BOTH
def test_the_window_gate_gets_one_pulse_in_each_half(timing: Timing) -> None:
    room = Room(timing).ready()
    assert outcome(room, Exercise.WINDOW_GATE).unit == "gates"
    assert len(room.rises) == 2
    assert {fall - rise for rise, fall in zip(room.rises, room.falls, strict=True)} == {2 * MS}
    assert not any(lines & PULSE and lines & mask(Out.PERMIT) for _, lines, _ in room.turns)


def test_the_window_gate_waits_for_the_monostable_to_drop() -> None:
    room = Room().ready()
    room.put(In.PERMIT_OK, 1)
    room.after(40, room.put, In.PERMIT_OK, 0)
    assert outcome(room, Exercise.WINDOW_GATE).ok
    assert room.rises[0] - room.t0_ns >= 140 * MS


def test_a_window_in_the_closed_half_is_found() -> None:
    room = Room().ready()
    room.after(1, room.put, In.WINDOW, 1)
    result = outcome(room, Exercise.WINDOW_GATE)
    assert not result.ok
    assert "closed half" in result.detail


def test_a_panel_without_windows_does_not_finish() -> None:
    room = Room().ready()
    room.panel_on = False
    for what in (Exercise.WINDOW_GATE, Exercise.PANEL_DARK):
        result = outcome(room, what)
        assert (result.ok, result.detail) == (False, "did not finish")


def test_the_dark_window_is_measured() -> None:
    room = Room().ready()
    result = outcome(room, Exercise.PANEL_DARK)
    assert (result.value, result.unit) == (13.0, "ms")
    room.timing = replace(TIMING, window_ns=14 * MS)
    result = outcome(room, Exercise.PANEL_DARK)
    assert (result.ok, result.detail) == (False, "window width")


def test_tone_and_lamp_are_read_back_both_ways() -> None:
    room = Room().ready()
    result = outcome(room, Exercise.TONE_LAMP)
    assert (result.value, result.unit) == (1.0, "ms")
    room.lamp_on = False
    assert outcome(room, Exercise.TONE_LAMP).detail == "no read-back"
    room.put(In.TONE_READBACK, 1)
    assert outcome(room, Exercise.TONE_LAMP).detail == "read-back high while off"


def test_a_buzzer_that_stays_on_is_found() -> None:
    room = Room().ready()
    room.after(20, setattr, room, "tone_on", False)
    put = room.put
    room.put = lambda bit, level: (  # type: ignore[method-assign]
        None if bit == In.TONE_READBACK and not level else put(bit, level)
    )
    assert outcome(room, Exercise.TONE_LAMP).detail == "stays on"


def test_x_rays_in_a_dark_step_end_it() -> None:
    exercising = Exercising(1, Exercise.PEDALS, S, TIMING)
    for inputs in (Inputs(True, 1, mask(In.XRAY_ON)), Inputs(True, 1, xray_rises=1)):
        move = exercising.turn(S, inputs)
        assert move.result is not None
        assert move.result.detail == "X-rays during a dark exercise"


@pytest.mark.parametrize("what", Exercise)
def test_a_pedal_that_moves_aborts_in_the_same_turn(what: Exercise) -> None:
    room = Room().ready()
    room.letter(Exercised(EPOCH, 1, what))
    room.put(In.CINE_NO, 1)
    room.run_for(0)
    assert room.executive.exercise is None
    assert not room.lines & PULSE
    assert [r.ok for r in room.sent(ExerciseResult)] == [False]


@pytest.mark.parametrize("bit", [In.FLUORO_NO, In.HIGH_NC])
def test_a_contact_that_moves_while_pulse_is_high_ends_it(bit: In) -> None:
    room = Room().ready()
    room.letter(Exercised(EPOCH, 1, Exercise.WINDOW_GATE))
    while not room.lines & PULSE:
        room.run_for(0.1)
    room.put(bit, int(bit == In.FLUORO_NO))
    room.run_for(0)
    assert not room.lines & PULSE
    assert room.executive.exercise is None


@pytest.mark.parametrize("what", [Exercise.MONOSTABLE, Exercise.WINDOW_GATE])
def test_losing_the_lines_aborts(what: Exercise) -> None:
    room = Room().ready()
    room.letter(Exercised(EPOCH, 1, what))
    room.run_for(1)
    room.unplug()
    room.run_for(0)
    assert room.executive.exercise is None
    assert not room.lines & PULSE
    assert [r.ok for r in room.sent(ExerciseResult)] == [False]


@BOTH
@pytest.mark.parametrize("what", Exercise)
def test_turns_between_the_planned_ones_change_no_result(timing: Timing, what: Exercise) -> None:
    quiet, busy = Room(timing).ready(), Room(timing).ready()
    busy.panel_on = quiet.panel_on = True
    for n in range(700):
        busy.after(n * 0.43, busy._snapshot)
    results = [outcome(room, what) for room in (quiet, busy)]
    assert [result.ok for result in results] == [True, True]
    assert busy.shines == []


def test_the_dark_picture_waits_for_a_panel_at_rest() -> None:
    room = Room().ready()
    room._open_window()
    room.run_for(1)
    result = outcome(room, Exercise.PANEL_DARK)
    assert (result.ok, result.value) == (True, 13.0)


def test_no_run_starts_during_a_step() -> None:
    room = Room().ready()
    room.panel_on = False
    room.letter(Exercised(EPOCH, 1, Exercise.PANEL_DARK))
    room.run_for(10)
    assert "exercise_running" in room.executive.inhibits
