"""What the executive does when the last gate says no, and what an exercise moves."""

import pytest

from realtime.beam import BeamState
from realtime.exercise import Exercising, Move
from realtime.inputs import Inputs
from realtime.limits import MS
from realtime.wire.lines import Out, mask
from realtime.wire.messages import EndReason, Exercise, ExerciseResult, RunEnd
from tests.realtime.roomparts import TIMING
from tests.realtime.test_executive_clock import STORE, T, at_rest
from tests.realtime.test_firing_instants import pulsing

pytestmark = pytest.mark.invariant(13)

PULSE, PERMIT = mask(Out.PULSE), mask(Out.PERMIT)


def test_a_pulse_that_the_gate_refuses_is_taken_back_whole() -> None:
    beam = pulsing()
    beam.intent = beam.firing.rehearse(T)
    beam.outlines.permit, beam.outlines.sent = PERMIT, 0
    out = beam.veto(T, PULSE | PERMIT, "window")
    assert beam.run is not None
    assert (beam.run.fired, beam.state, beam.intent) == (0, BeamState.ARMED, None)
    assert beam.outlines.permit == 0
    assert not out.lines & PULSE
    assert out.intent is None


def test_a_toggle_that_the_gate_refuses_ends_an_exercise_and_no_run() -> None:
    executive = at_rest()
    executive.exercise = Exercising(1, Exercise.MONOSTABLE, T, TIMING)
    executive.veto(T, PERMIT, "chain")
    results = [message for _, message in executive.posts if isinstance(message, ExerciseResult)]
    assert executive.exercise is None
    assert [result.ok for result in results] == [False]


def test_a_pulse_that_the_gate_withdraws_ends_its_run() -> None:
    beam = pulsing()
    out = beam.withdraw(T + MS, "lines")
    ends = [message for _, message in beam.posts if isinstance(message, RunEnd)]
    assert beam.run is None
    assert {(end.reason, end.code) for end in ends} == {(EndReason.DARK, "gate_lines")}
    assert not out.lines & PULSE


def test_an_exercise_goes_on_at_every_turn_and_moves_its_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executive = at_rest()
    executive.exercise = Exercising(1, Exercise.MONOSTABLE, T, TIMING)
    move = Move(wake_ns=T + MS)
    monkeypatch.setattr(Exercising, "turn", lambda self, now_ns, inputs: move)
    executive._go_on_exercise(T)
    assert executive.outlines.move is move
    executive.step(T + MS, Inputs(False, 1), [], STORE)
    assert executive.exercise is None
