"""The output bank at the very instants at which a line must change, and when it wants to wake."""

import pytest

from realtime.beam import BeamState
from realtime.executive import Executive
from realtime.exercise import Move
from realtime.firing import TRIGGER_HIGH_NS
from realtime.limits import MS, PERMIT_LEAD_NS, PERMIT_PERIOD_NS, SPIN_NS, S, Timing
from realtime.orders import Bound
from realtime.outlines import Outlines
from realtime.run import Run
from realtime.wire.lines import Out, mask
from realtime.wire.messages import Mode, Pedal
from tests.realtime.roomparts import PANEL_MASTER, TIMING

pytestmark = pytest.mark.invariant(13)

T = 10 * S
BOUND = Bound(9, 1, 8000, 300, 263)
PERMIT, BANK, TRIGGER = mask(Out.PERMIT), mask(Out.BANK), mask(Out.PANEL_TRIGGER)
TONE, LAMP, PULSE = mask(Out.TONE), mask(Out.LAMP), mask(Out.PULSE)


def armed(timing: Timing = TIMING, mode: Mode = Mode.FLUORO) -> Executive:
    """ARMED, a pulse due at T, PERMIT long at rest."""
    beam = Executive(timing, 7, 1, [], [])
    beam.state, beam.run = BeamState.ARMED, Run(500, Pedal.FLUORO, mode, T - S)
    beam.cycle.due_ns = beam.cycle.epoch_ns = T
    return beam


def lines(beam: Executive, now_ns: int) -> int:
    return beam.outlines.lines(beam, now_ns)


def wake(beam: Executive, now_ns: int) -> int | None:
    return beam.outlines.wake_ns(beam, now_ns)


def test_permit_moves_from_its_lead_on_and_once_per_period() -> None:
    beam = armed()
    first_ns = T - PERMIT_LEAD_NS
    assert [lines(beam, first_ns + ns) & PERMIT for ns in (-1, 0, PERMIT_PERIOD_NS - 1)] == [
        0, PERMIT, PERMIT]  # fmt: skip
    assert beam.outlines.toggled_ns == first_ns
    assert not lines(beam, first_ns + PERMIT_PERIOD_NS) & PERMIT


@pytest.mark.parametrize("rests", ["inhibited", "dark", "clearing"])
def test_permit_rests_where_no_pulse_may_come(rests: str) -> None:
    beam = armed()
    beam.inhibited = rests == "inhibited"
    beam.state = {"dark": BeamState.DARK, "clearing": BeamState.CLEARING}.get(rests, beam.state)
    assert not lines(beam, T) & PERMIT
    assert beam.outlines.toggled_ns == 0


def test_permit_goes_on_during_a_pulse_whatever_is_due_next() -> None:
    beam = armed()
    beam.state, beam.cycle.due_ns = BeamState.PULSE, T + 100 * MS
    assert lines(beam, T) & PERMIT


@pytest.mark.parametrize(("bank", "level"), [(1, BANK), (0, 0)])
def test_bank_follows_what_is_bound_and_stays(bank: int, level: int) -> None:
    beam = armed()
    beam.outlines.bank = BANK - level
    beam.firing.bound = BOUND._replace(bank=bank)
    assert lines(beam, T - S) & ~LAMP == level
    beam.firing.bound = None
    assert lines(beam, T - S) & ~LAMP == level


def test_the_panel_is_triggered_at_its_instant_once_a_pulse_is_bound() -> None:
    beam = armed()
    trigger_ns = T - TIMING.trigger_lead_ns
    assert not lines(beam, trigger_ns) & TRIGGER
    beam.firing.bound = BOUND
    assert [lines(beam, trigger_ns + ns) & TRIGGER for ns in (-1, 0)] == [0, TRIGGER]
    beam.state = BeamState.READOUT
    assert not lines(beam, trigger_ns) & TRIGGER
    free = armed(PANEL_MASTER)
    free.firing.bound = BOUND
    assert not lines(free, T) & TRIGGER


def test_the_clearing_trigger_is_high_for_its_width() -> None:
    beam = armed()
    beam.state, beam.firing.clear_ns = BeamState.CLEARING, T
    assert lines(beam, T + TRIGGER_HIGH_NS - 1) & TRIGGER
    assert not lines(beam, T + TRIGGER_HIGH_NS) & TRIGGER
    free = armed(PANEL_MASTER)
    free.state, free.firing.clear_ns = BeamState.CLEARING, T
    assert not lines(free, T) & TRIGGER


@pytest.mark.parametrize(
    ("mode", "state", "tone"),
    [(Mode.HIGH_LEVEL, BeamState.ARMED, TONE), (Mode.HIGH_LEVEL, BeamState.CALLED, 0),
     (Mode.FLUORO, BeamState.ARMED, 0)],
)  # fmt: skip
def test_high_level_sounds_while_it_is_armed(mode: Mode, state: BeamState, tone: int) -> None:
    beam = armed(mode=mode)
    beam.state = state
    assert lines(beam, T - S) & TONE == tone
    beam.run = None
    assert not lines(beam, T - S) & TONE


def test_an_exercise_moves_its_lines_for_one_turn() -> None:
    beam = armed()
    beam.state, beam.run = BeamState.DARK, None
    beam.outlines.move = Move(toggle=True, lines=LAMP, wake_ns=T + MS)
    assert lines(beam, T) == PERMIT | LAMP
    assert beam.outlines.toggled_ns == T
    assert lines(beam, T) == PERMIT
    assert wake(beam, T) == T + MS
    beam.outlines.move = Move(lines=LAMP, wake_ns=T + MS)
    assert lines(beam, T) == PERMIT | LAMP
    assert lines(beam, T) == PERMIT
    assert Outlines().wake_ns(beam, T) is None


# Wake-ups ------------------------------------------------------------------------------------


def test_a_pulse_wakes_for_its_fall_or_the_next_toggle() -> None:
    beam = armed()
    beam.state, beam.firing.fall_ns = BeamState.PULSE, T + 9 * MS
    beam.outlines.toggled_ns = T
    assert wake(beam, T) == T + PERMIT_PERIOD_NS
    beam.outlines.toggled_ns = T + 8 * MS
    assert wake(beam, T) == T + 9 * MS


def test_clearing_wakes_for_the_end_of_its_trigger_then_to_look() -> None:
    beam = armed()
    beam.state, beam.firing.clear_ns = BeamState.CLEARING, T - 60 * MS
    low_ns = T - 60 * MS + TRIGGER_HIGH_NS
    assert wake(beam, low_ns - 1) == low_ns
    assert wake(beam, low_ns) == T - PERMIT_LEAD_NS - MS


def test_armed_wakes_for_everything_that_comes_before_a_pulse() -> None:
    beam = armed()
    bind_ns, first_ns = beam.cycle.bind_ns(), T - PERMIT_LEAD_NS
    assert wake(beam, first_ns - 1) == first_ns
    beam.outlines.toggled_ns = first_ns
    assert wake(beam, first_ns) == first_ns + PERMIT_PERIOD_NS
    beam.outlines.toggled_ns = T
    assert wake(beam, bind_ns - 1) == bind_ns
    beam.firing.bound = BOUND
    trigger_ns = beam.cycle.trigger_ns()
    assert wake(beam, bind_ns - 1) == trigger_ns
    assert wake(beam, trigger_ns) == T - SPIN_NS
    assert wake(beam, T - SPIN_NS) == T
    assert wake(beam, T) == T + PERMIT_PERIOD_NS


def test_a_free_running_panel_has_no_trigger_to_wake_for() -> None:
    beam = armed(PANEL_MASTER)
    beam.firing.bound, beam.outlines.toggled_ns = BOUND, T
    assert wake(beam, T - 20 * MS) == T - SPIN_NS


@pytest.mark.parametrize(("asked", "after"), [(0, 0), (PERMIT, 0), (PULSE, PERMIT)])
def test_a_permit_edge_that_the_gate_refused_is_taken_back(asked: int, after: int) -> None:
    outlines = Outlines()
    outlines.permit, outlines.sent = asked & PERMIT or PERMIT, 0
    if asked == 0:
        outlines.permit = 0
    outlines.take_back(asked)
    assert outlines.permit == (after if asked else 0)
