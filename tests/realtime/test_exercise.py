"""Self-test steps: what they find, what they measure, and that nothing can shine meanwhile."""

from dataclasses import replace
from itertools import pairwise

import pytest

from realtime.beam import BeamState
from realtime.exercise import TOGGLES, Exercising
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
    assert result.detail == "PERMIT_OK high without a toggle"


def lasting(room: Room, *hold_ms: float) -> list[float]:
    """The monostable of a room lasts this long after each last toggle, in turn; then 12 ms."""
    toggles, holds = [0], list(hold_ms)
    trigger = room._apply

    def counted(lines: int) -> None:
        if (lines ^ room.lines) & mask(Out.PERMIT):
            toggles[0] += 1
            if toggles[0] % TOGGLES == 0:
                room.monostable_ns = round((holds.pop(0) if holds else 12) * MS)
            elif toggles[0] % TOGGLES == 1:
                room.monostable_ns = 12 * MS
        trigger(lines)

    room._apply = counted  # type: ignore[method-assign]
    return holds


@pytest.mark.parametrize("late", [1, 2])
@pytest.mark.parametrize("hold_ms", [5, 30])
def test_a_monostable_that_was_wrong_is_measured_again(late: int, hold_ms: float) -> None:
    room = Room().ready()
    lasting(room, *[hold_ms] * late)
    result = outcome(room, Exercise.MONOSTABLE)
    assert (result.ok, result.detail) == (True, "")
    assert 11 <= result.value <= 14
    assert len({lines for _, lines, _ in room.turns}) == 2
    edges = [before ^ after for (_, before, _), (_, after, _) in pairwise(room.turns)]
    assert edges.count(mask(Out.PERMIT)) == (late + 1) * TOGGLES


def test_a_monostable_is_measured_three_times_at_most() -> None:
    room = Room().ready()
    left = lasting(room, *[30] * 4)
    result = outcome(room, Exercise.MONOSTABLE)
    assert not result.ok
    assert "seen high: True, still high: True" in result.detail
    assert len(left) == 1


@pytest.mark.parametrize(("falls_ms", "ok"), [(58, True), (64, False)])
def test_the_monostable_of_what_was_before_may_drop_first(falls_ms: float, ok: bool) -> None:
    room = Room().ready()
    holding = room._monostable
    room._monostable = lambda: None  # type: ignore[method-assign]
    room.put(In.PERMIT_OK, 1)
    room.after(falls_ms, room.put, In.PERMIT_OK, 0)
    room.after(falls_ms, setattr, room, "_monostable", holding)
    result = outcome(room, Exercise.MONOSTABLE)
    assert (result.ok, "without a toggle" in result.detail) == (ok, not ok)


def test_a_monostable_that_never_rises_is_waited_for_until_the_next_toggle_was_due() -> None:
    exercising = Exercising(1, Exercise.MONOSTABLE, S, TIMING)
    low = Inputs(True, 1)
    assert all(exercising.turn(S + n * 3 * MS, low).toggle for n in range(6))
    early = exercising.turn(S + 16 * MS, low)
    assert (early.result, early.toggle, early.wake_ns) == (None, False, S + 17 * MS)
    late = exercising.turn(S + 18 * MS, low)
    assert (late.result, late.toggle, late.wake_ns) == (None, False, S + 19 * MS)
    assert exercising.turn(S + 19 * MS, low).toggle, "measured again"


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


def windows(room: Room, *width_ms: float) -> list[float]:
    """The panel's windows last this long, in turn; then as configured.  What is left is told."""
    widths, opens = list(width_ms), room._open_window

    def open_window() -> None:
        width_ns = round(widths.pop(0) * MS) if widths else TIMING.window_ns
        room.timing = replace(room.timing, window_ns=width_ns)
        opens()

    room._open_window = open_window  # type: ignore[method-assign]
    return widths


@BOTH
@pytest.mark.parametrize(("widths_ms", "value"), [
    ((13.4, 13), 13.0), ((13, 13.4), 13.0), ((13, 12.6, 13.4, 12.8), 12.8), ((13, 13.3), 13.3),
    ((13, 12.7), 12.7),
])  # fmt: skip
def test_a_dark_window_that_came_late_is_measured_again(
    timing: Timing, widths_ms: tuple[float, ...], value: float
) -> None:
    room = Room(timing).ready()
    left = windows(room, *widths_ms)
    result = outcome(room, Exercise.PANEL_DARK)
    assert (result.ok, result.value, result.detail) == (True, value, "")
    assert left == []
    assert room.shines == []


@BOTH
def test_a_dark_window_is_measured_three_times_at_most(timing: Timing) -> None:
    room = Room(timing).ready()
    left = windows(room, 13, 13.4, 12.6, 13.5, *[13.6] * 40)
    before = len(left)
    result = outcome(room, Exercise.PANEL_DARK, 300)
    assert (result.ok, result.value, result.detail) == (False, 13.5, "window width")
    assert timing is PANEL_MASTER or before - len(left) == 4


def test_a_window_measured_again_is_triggered_when_the_panel_has_read_out() -> None:
    room = Room().ready()
    windows(room, 13, 13.4, 13.4)
    begun_ns = room.now_ns
    assert outcome(room, Exercise.PANEL_DARK).ok
    triggers = [
        now_ns - begun_ns
        for (_, before, _), (now_ns, after, _) in pairwise(room.turns)
        if after & ~before & mask(Out.PANEL_TRIGGER) and now_ns >= begun_ns
    ]
    assert len(triggers) == 4
    cycle_ns = TIMING.window_ns + TIMING.readout_ns
    assert all(cycle_ns <= b - a <= cycle_ns + 6 * MS for a, b in pairwise(triggers))


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
