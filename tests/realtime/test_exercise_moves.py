"""Self-test steps turn by turn: every move, and the last instant on either side of every bound."""

from __future__ import annotations

import pytest

from realtime.exercise import MEASURED_MAX, TOGGLES, Exercising, Move
from realtime.inputs import Inputs
from realtime.limits import MS, S, Timing
from realtime.wire.lines import In, Out, mask
from realtime.wire.messages import Exercise, ExerciseResult
from tests.realtime.roomparts import PANEL_MASTER, TIMING

pytestmark = pytest.mark.invariant(13)

PULSE, TRIGGER = mask(Out.PULSE), mask(Out.PANEL_TRIGGER)
ON = mask(Out.TONE, Out.LAMP)
BACK = (In.TONE_READBACK, In.LAMP_READBACK)
HALF_NS = TIMING.window_ns // 2
REST_NS = TIMING.readout_ns // 2


class Script:
    """One exercise that began at second 1; times are in ns since then."""

    def __init__(self, what: Exercise, timing: Timing = TIMING) -> None:
        self.what = what
        self.exercising = Exercising(7, what, S, timing)

    def turn(self, t_ns: int, *high: In, rise_ns: int = -S, fall_ns: int = -S) -> Move:
        """A turn with these lines high and these stamps of WINDOW."""
        inputs = Inputs(True, 1, mask(*high), 0, S + rise_ns, S + fall_ns)
        return self.exercising.turn(S + t_ns, inputs)

    def over(self, ok: bool, value: float, unit: str, detail: str = "") -> Move:
        """The move that ends it so."""
        return Move(result=ExerciseResult(7, self.what, ok, value, unit, detail))


def wakes(t_ns: int, lines: int = 0, toggle: bool = False) -> Move:
    """The move that goes on, awake at an instant of the script."""
    return Move(lines, toggle, S + t_ns)


def test_no_step_lasts_longer_than_its_bound() -> None:
    for what in Exercise:
        script = Script(what)
        late = script.over(False, 0.0, "", "did not finish")
        assert script.turn(500 * MS, In.PERMIT_OK) != late
        assert script.turn(500 * MS + 1, In.PERMIT_OK) == late


def test_a_move_asks_for_nothing_by_itself() -> None:
    assert Move() == (0, False, 0, None)


def test_x_rays_end_any_step() -> None:
    for what in Exercise:
        script = Script(what)
        shone = script.over(False, 0.0, "", "X-rays during a dark exercise")
        assert script.turn(MS, In.XRAY_ON) == shone


def test_pedals_and_chain() -> None:
    pedals, chain = Script(Exercise.PEDALS), Script(Exercise.CHAIN)
    assert pedals.turn(3 * MS) == pedals.over(True, 3.0, "ms")
    assert chain.turn(60 * MS - 1, In.CHAIN_OK) == wakes(60 * MS)
    closed = chain.over(False, 1.0, "level", "chain reads closed with all pedals up")
    assert chain.turn(60 * MS, In.CHAIN_OK) == closed
    assert chain.turn(60 * MS) == chain.over(True, 0.0, "level")


# The monostable ------------------------------------------------------------------------------


def toggled(script: Script, t_ns: int) -> int:
    """The toggles from an instant on; when the last was."""
    for n in range(TOGGLES):
        at_ns = t_ns + n * 3 * MS
        if n:
            assert script.turn(at_ns - 1) == wakes(at_ns)
        assert script.turn(at_ns) == wakes(at_ns + 3 * MS, toggle=True)
    return t_ns + (TOGGLES - 1) * 3 * MS


def test_the_monostable_may_drop_first() -> None:
    script = Script(Exercise.MONOSTABLE)
    assert script.turn(60 * MS, In.PERMIT_OK) == wakes(61 * MS)
    stuck = script.over(False, 0.0, "ms", "PERMIT_OK high without a toggle")
    assert script.turn(60 * MS + 1, In.PERMIT_OK) == stuck
    assert script.turn(60 * MS + 1).toggle


@pytest.mark.parametrize("dropped_ns", [8 * MS, 12 * MS, 16 * MS])
def test_the_monostable_drops(dropped_ns: int) -> None:
    script = Script(Exercise.MONOSTABLE)
    last_ns = toggled(script, 0)
    assert script.turn(last_ns + MS, In.PERMIT_OK) == wakes(last_ns + 2 * MS)
    good = script.over(True, dropped_ns / MS, "ms")
    assert script.turn(last_ns + dropped_ns) == good


def test_a_monostable_is_waited_for_up_to_its_bound() -> None:
    script = Script(Exercise.MONOSTABLE)
    last_ns = toggled(script, 0)
    assert script.turn(last_ns + 3 * MS - 1) == wakes(last_ns + 4 * MS - 1)
    assert script.turn(last_ns + 16 * MS, In.PERMIT_OK) == wakes(last_ns + 17 * MS)
    assert script.turn(last_ns + 16 * MS + 1, In.PERMIT_OK) == wakes(last_ns + 17 * MS + 1)
    assert script.turn(last_ns + 17 * MS, In.PERMIT_OK) == wakes(last_ns + 18 * MS), "again"
    assert script.turn(last_ns + 76 * MS + 1, In.PERMIT_OK) == wakes(last_ns + 77 * MS + 1)
    assert script.turn(last_ns + 76 * MS + 2, In.PERMIT_OK).result is not None


@pytest.mark.parametrize(("held_ns", "seen", "still"), [
    (16 * MS + 1, True, True), (8 * MS - 1, True, False), (3 * MS, False, False),
])  # fmt: skip
def test_a_wrong_monostable_is_measured_again_and_told(
    held_ns: int, seen: bool, still: bool
) -> None:
    script, t_ns = Script(Exercise.MONOSTABLE), 0
    for tries in range(1, MEASURED_MAX + 1):
        last_ns = toggled(script, t_ns)
        if seen:
            script.turn(last_ns + MS, In.PERMIT_OK)
        t_ns = last_ns + held_ns
        move = script.turn(t_ns, *[In.PERMIT_OK] * still)
        words = f"seen high: {seen}, still high: {still}"
        told = script.over(False, held_ns / MS, "ms", words)
        assert move == (told if tries == MEASURED_MAX else wakes(t_ns + MS))
        t_ns += MS


# Tone and lamp ---------------------------------------------------------------------------------


def test_tone_and_lamp_fall_first() -> None:
    script = Script(Exercise.TONE_LAMP)
    for back in BACK:
        assert script.turn(60 * MS, back) == wakes(65 * MS)
    high = script.over(False, 0.0, "ms", "read-back high while off")
    assert script.turn(60 * MS + 1, In.LAMP_READBACK) == high
    assert script.turn(60 * MS + 1) == wakes(65 * MS + 1, ON)


@pytest.mark.parametrize(("rose_ns", "value"), [(500, 0.001), (2_000, 0.002), (60 * MS, 60.0)])
def test_tone_and_lamp_rise_and_fall(rose_ns: int, value: float) -> None:
    script = Script(Exercise.TONE_LAMP)
    assert script.turn(MS) == wakes(6 * MS, ON)
    assert script.turn(MS + rose_ns, In.LAMP_READBACK) == wakes(6 * MS + rose_ns, ON)
    assert script.turn(MS + rose_ns, *BACK) == wakes(2 * MS + rose_ns)
    fell_ns = 61 * MS + rose_ns
    assert script.turn(fell_ns, In.LAMP_READBACK) == wakes(fell_ns + 5 * MS)
    on = script.over(False, value, "ms", "stays on")
    assert script.turn(fell_ns + 1, In.TONE_READBACK) == on
    assert script.turn(fell_ns) == script.over(True, value, "ms")


def test_tone_and_lamp_that_never_rise() -> None:
    script = Script(Exercise.TONE_LAMP)
    assert script.turn(MS) == wakes(6 * MS, ON)
    assert script.turn(61 * MS) == wakes(66 * MS, ON)
    silent = script.over(False, 60.5, "ms", "no read-back")
    assert script.turn(61 * MS + MS // 2, In.TONE_READBACK) == silent


# The window gate -------------------------------------------------------------------------------


def closed_half(script: Script, t_ns: int, fall_ns: int) -> int:
    """The pulse with WINDOW closed, from an instant on; when the wait for the window begins."""
    assert script.turn(t_ns, fall_ns=fall_ns) == wakes(t_ns + 2 * MS, PULSE)
    assert script.turn(t_ns + 2 * MS - 1, fall_ns=fall_ns) == wakes(t_ns + 2 * MS, PULSE)
    assert script.turn(t_ns + 2 * MS, fall_ns=fall_ns) == wakes(t_ns + 3 * MS)
    return t_ns + 2 * MS


def test_the_gate_waits_for_a_panel_that_rests() -> None:
    script, readout_ns = Script(Exercise.WINDOW_GATE), TIMING.readout_ns
    assert script.turn(MS, In.PERMIT_OK) == wakes(2 * MS)
    assert script.turn(MS, In.WINDOW) == wakes(2 * MS)
    assert script.turn(readout_ns, fall_ns=0) == wakes(readout_ns + MS)
    closed_half(script, readout_ns + 1, fall_ns=0)


def test_the_gate_waits_for_a_window_that_has_just_closed() -> None:
    script = Script(Exercise.WINDOW_GATE, PANEL_MASTER)
    assert script.turn(MS, In.WINDOW, fall_ns=0) == wakes(2 * MS)
    assert script.turn(REST_NS, fall_ns=0) == wakes(REST_NS + MS)
    closed_half(script, 40 * MS + REST_NS - 1, fall_ns=40 * MS)
    assert script.turn(50 * MS, fall_ns=40 * MS) == wakes(51 * MS), "nothing to trigger"


def test_a_window_in_the_closed_half_ends_it() -> None:
    script = Script(Exercise.WINDOW_GATE)
    assert script.turn(MS).lines == PULSE
    opened = script.over(False, 0.0, "level", "WINDOW opened during the closed half")
    assert script.turn(2 * MS, In.WINDOW) == opened


def test_the_second_pulse_comes_in_the_first_half_of_a_fresh_window() -> None:
    script = Script(Exercise.WINDOW_GATE)
    mark_ns = closed_half(script, MS, fall_ns=-S)
    stale = wakes(mark_ns + 2 * MS)
    assert script.turn(mark_ns + MS, In.WINDOW, rise_ns=mark_ns) == stale, "rose before"
    assert script.turn(mark_ns + MS, rise_ns=mark_ns + 1) == stale, "closed again"
    for at_ns, lines in ((2 * MS - 1, 0), (2 * MS, TRIGGER), (6 * MS - 1, TRIGGER), (6 * MS, 0)):
        assert script.turn(mark_ns + at_ns) == wakes(mark_ns + at_ns + MS, lines)
    rise_ns = mark_ns + 7 * MS
    assert script.turn(rise_ns + HALF_NS, In.WINDOW, rise_ns=rise_ns).lines == 0
    now_ns = rise_ns + HALF_NS - 1
    pulse = wakes(now_ns + 2 * MS, PULSE)
    assert script.turn(now_ns, In.WINDOW, rise_ns=rise_ns) == pulse
    assert script.turn(now_ns + 2 * MS - 1, In.WINDOW, rise_ns=rise_ns) == pulse
    over = script.over(True, 1.0, "gates")
    assert script.turn(now_ns + 2 * MS, In.WINDOW, rise_ns=rise_ns) == over


# The dark window -------------------------------------------------------------------------------


def test_the_dark_window_is_measured_on_the_second_cycle() -> None:
    script, readout_ns = Script(Exercise.PANEL_DARK), TIMING.readout_ns
    assert script.turn(MS, In.WINDOW) == wakes(2 * MS)
    assert script.turn(readout_ns, fall_ns=0) == wakes(readout_ns + MS)
    mark_ns = readout_ns + 1
    assert script.turn(mark_ns, fall_ns=0) == wakes(mark_ns + MS)
    on = wakes(mark_ns + 3 * MS, TRIGGER)
    assert script.turn(mark_ns + 2 * MS, rise_ns=mark_ns, fall_ns=mark_ns + 1) == on, "rose before"
    assert script.turn(mark_ns + 2 * MS, rise_ns=mark_ns + 1, fall_ns=mark_ns + 1) == on
    rise_ns, fall_ns = mark_ns + 4 * MS, mark_ns + 17 * MS
    read_ns = fall_ns + readout_ns
    for now_ns in (fall_ns, read_ns - 1, read_ns):
        move = script.turn(now_ns, rise_ns=rise_ns, fall_ns=fall_ns)
        assert move == wakes(now_ns + MS), "the cleared one is not measured"
    assert script.turn(read_ns + 2 * MS, rise_ns=rise_ns, fall_ns=fall_ns).lines == TRIGGER
    second_ns = read_ns + 4 * MS
    over = script.over(True, 13.0, "ms")
    assert script.turn(read_ns + 17 * MS, rise_ns=second_ns, fall_ns=read_ns + 17 * MS) == over


@pytest.mark.parametrize("wrong_ns", [300_001, -300_001])
def test_a_wrong_window_is_measured_again_after_its_readout(wrong_ns: int) -> None:
    script, readout_ns = Script(Exercise.PANEL_DARK, PANEL_MASTER), TIMING.readout_ns
    assert script.turn(MS, In.WINDOW) == wakes(2 * MS), "nothing to trigger, nothing to wait for"
    rise_ns, width_ns = 2 * MS, TIMING.window_ns + wrong_ns
    for cycle in range(MEASURED_MAX + 1):
        stamps = {"rise_ns": rise_ns, "fall_ns": rise_ns + width_ns}
        fell_ns = rise_ns + width_ns
        move = script.turn(fell_ns, **stamps)
        if cycle == MEASURED_MAX:
            assert move == script.over(False, width_ns / MS, "ms", "window width")
            return
        assert move == wakes(fell_ns + MS)
        assert script.turn(fell_ns + readout_ns - 1, **stamps) == wakes(
            fell_ns + readout_ns - 1 + MS
        )
        assert script.turn(fell_ns + readout_ns, **stamps) == wakes(fell_ns + readout_ns + MS)
        assert script.turn(fell_ns + readout_ns + 3 * MS, **stamps).lines == 0
        rise_ns = fell_ns + readout_ns + 4 * MS


@pytest.mark.parametrize("wrong_ns", [300_000, -300_000])
def test_a_window_at_its_bound_is_good(wrong_ns: int) -> None:
    script, width_ns = Script(Exercise.PANEL_DARK), TIMING.window_ns + wrong_ns
    script.turn(0)
    cleared_ns = 14 * MS + TIMING.readout_ns
    script.turn(cleared_ns, rise_ns=MS, fall_ns=14 * MS)
    rise_ns, fall_ns = cleared_ns + MS, cleared_ns + MS + width_ns
    good = script.over(True, width_ns / MS, "ms")
    assert script.turn(fall_ns, rise_ns=rise_ns, fall_ns=fall_ns) == good
