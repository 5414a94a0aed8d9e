"""The sequences of the self-test, and the runner that says which step is next."""

import pytest

from controller.core.selftest import DRY, EXERCISES, SHORT, STEP_MAX_NS, WHOLE, SelfTest, Step
from realtime.wire.messages import DarkFrameResult, Exercise

pytestmark = pytest.mark.invariant(12)


def test_the_three_sequences() -> None:
    assert [step.value for step in WHOLE] == [
        "pedals_released", "monostable_drops", "chain_opens", "window_gate", "tone_and_lamp",
        "panel_dark_frame", "generator_banks",
    ]  # fmt: skip
    assert SHORT == (Step.PEDALS, Step.MONOSTABLE, Step.CHAIN)
    assert tuple(step for step in Step if step.value != "monostable_drops") == DRY


def test_each_step_is_the_exercise_of_its_name() -> None:
    assert {step.name: what.name for step, what in EXERCISES.items()} == {
        what.name: what.name for what in Exercise
    }
    assert all(EXERCISES[step] is Exercise[step.name] for step in WHOLE if step is not Step.BANKS)


def test_a_step_has_three_seconds_from_its_beginning() -> None:
    assert STEP_MAX_NS == 3_000_000_000
    test = SelfTest(SHORT)
    assert test.begin(4, 1_000) is Step.PEDALS
    assert (test.number, test.deadline_ns) == (4, 3_000_001_000)


def test_a_step_begins_with_nothing_of_the_one_before() -> None:
    test = SelfTest(SHORT)
    fresh: tuple[bool, bool, DarkFrameResult | None] = (False, False, None)
    assert (test.asked, test.exercised, test.dark) == fresh
    assert (test.number, test.deadline_ns, test.done) == (0, 0, [])
    test.asked = test.exercised = True
    test.dark = DarkFrameResult(1, True, 0.0, 0.0, "")
    test.begin(2, 0)
    again = (test.asked, test.exercised, test.dark)
    assert again == fresh


def test_a_failed_step_ends_the_sequence() -> None:
    test = SelfTest(SHORT)
    test.finish(True, 1.0, "ms", "good")
    assert (test.current, test.failed, test.passed) == (Step.MONOSTABLE, None, False)
    test.finish(False, 2.0, "ms", "stuck")
    assert test.failed is test.done[1]
    assert (test.current, test.passed) == (None, False)
    assert test.done[1].shown() == {
        "id": "monostable_drops", "ok": False, "value": 2.0, "unit": "ms", "detail": "stuck",
    }  # fmt: skip
    with pytest.raises(AssertionError):
        test.begin(3, 0)


def test_a_sequence_whose_last_step_failed_has_not_passed() -> None:
    test = SelfTest((Step.PEDALS,))
    test.finish(False, 0.0, "", "held")
    assert (test.passed, test.current) == (False, None)


def test_a_sequence_passes_when_every_step_has() -> None:
    test = SelfTest(SHORT)
    for step in SHORT:
        assert test.current is step
        assert not test.passed
        test.finish(True, 0.0, "", "")
    assert (test.passed, test.failed, test.current) == (True, None, None)
    with pytest.raises(AssertionError):
        test.finish(True, 0.0, "", "")
