"""Boot, the self-test step by step, and how each step can fail."""

from typing import Any

import pytest

from controller.core import events
from controller.core.boot import RELEASED_NS
from controller.core.events import Commit, Kind, ReadGateCount
from controller.core.faults import Held
from controller.core.modes import Mode
from controller.core.selftest import SHORT, STEP_MAX_NS, WHOLE, SelfTest, Step
from realtime.wire.lines import In
from realtime.wire.messages import DarkFrameResult, Exercise, Exercised, ExerciseResult
from tests.controller.core.scene import MS, RESTING, Scene, replies, sent, state

pytestmark = pytest.mark.invariant(12)


def upto(step: Step) -> Scene:
    """A scene in SELF_TEST whose current step is `step`, its first command sent."""
    scene = Scene().connect()
    commands = scene.tick()
    while scene.core.test is not None and scene.core.test.current is not step:
        commands = scene.answer(commands)
    assert scene.core.test is not None
    return scene


def fail_with(scene: Scene, event: Any) -> str:
    scene.tell(event)
    assert scene.mode() is Mode.FAULT
    (held,) = scene.core.faults
    assert held.id == "self_test"
    assert scene.core.proof is None
    return held.detail


def number(scene: Scene) -> int:
    assert scene.core.test is not None
    return scene.core.test.number


def test_boot_waits_for_every_partner() -> None:
    scene = Scene()
    for _ in range(5):
        assert scene.tick() == []
    assert scene.mode() is Mode.BOOT
    scene.connect()
    scene.core.finding = None
    scene.tick()
    assert scene.mode() is Mode.BOOT


def test_latched_faults_lead_from_boot_to_fault_at_once() -> None:
    scene = Scene()
    scene.core.faults = (Held("unclean_restart", "", 1),)
    scene.tick()
    assert scene.mode() is Mode.FAULT


def test_all_steps_pass_in_their_order() -> None:
    scene = Scene().standby()
    assert [one.step for one in scene.core.results] == list(WHOLE)
    assert all(one.ok for one in scene.core.results)
    assert all(one.shown()["ok"] for one in scene.core.results)


def test_a_held_pedal_is_waited_for_and_then_fails_by_time() -> None:
    scene = Scene().connect()
    scene.refresh(released_ns=RELEASED_NS - 1)
    assert sent(scene.tick(), Exercised) == []
    assert scene.mode() is Mode.SELF_TEST
    scene.refresh(released_ns=RELEASED_NS)
    (asked,) = sent(scene.tick(), Exercised)
    assert asked.what is Exercise.PEDALS
    assert sent(scene.tick(), Exercised) == [], "asked once"


def test_after_a_reset_only_a_fresh_release_counts() -> None:
    scene = Scene().connect()
    scene.core.voided_ns = scene.now_ns
    scene.refresh()
    assert sent(scene.tick(), Exercised) == []
    scene.now_ns += RELEASED_NS
    scene.refresh()
    assert len(sent(scene.tick(), Exercised)) == 1


def test_a_pressed_pedal_keeps_boot_waiting() -> None:
    scene = Scene().connect()
    scene.refresh(lines_in=RESTING | 1 << In.FLUORO_NO)
    scene.tick()
    assert scene.mode() is Mode.BOOT


@pytest.mark.parametrize("step", [step for step in WHOLE if step is not Step.BANKS])
def test_a_step_that_realtime_fails_is_a_fault(step: Step) -> None:
    scene = upto(step)
    if step is Step.WINDOW_GATE:
        scene.tell(events.GateCounted(5))
    wrong = ExerciseResult(number(scene), Exercise.CHAIN, False, 3.5, "ms", "stuck")
    assert fail_with(scene, events.FromExecutive(wrong)) == f"{step}: stuck"
    assert scene.core.results[-1].value == 3.5


@pytest.mark.parametrize("step", WHOLE)
def test_a_step_without_an_answer_fails_by_time(step: Step) -> None:
    scene = upto(step)
    scene.now_ns += STEP_MAX_NS
    scene.hear(state(scene.now_ns))
    scene.tick(0)
    assert scene.mode() is Mode.SELF_TEST
    scene.now_ns += 1
    assert "no answer in time" in fail_with(scene, events.Tick())


def test_late_answers_of_an_earlier_step_count_for_nothing() -> None:
    scene = upto(Step.CHAIN)
    old = ExerciseResult(number(scene) - 1, Exercise.MONOSTABLE, False, 0, "", "late")
    assert scene.hear(old) == []
    assert scene.tell(events.DarkFrameSeen(DarkFrameResult(1, False, 0, 0, ""))) == []
    assert scene.tell(events.GateCounted(1)) == []
    assert scene.tell(events.BankCommitted(0, 1, False, "")) == []
    assert scene.mode() is Mode.SELF_TEST


@pytest.mark.parametrize(("after", "good"), [(6, True), (5, False), (7, False)])
def test_exactly_one_of_two_rises_passes_the_window_gate(after: int, good: bool) -> None:
    scene = upto(Step.WINDOW_GATE)
    (asked,) = sent(scene.tell(events.GateCounted(5)), Exercised)
    assert asked.what is Exercise.WINDOW_GATE
    done = ExerciseResult(asked.exercise_id, asked.what, True, 1, "gates", "")
    assert sent(scene.hear(done), ReadGateCount) == [ReadGateCount()]
    scene.tell(events.GateCounted(after))
    assert (scene.mode() is Mode.SELF_TEST) == good


def test_the_gate_count_may_wrap_and_may_be_unreadable() -> None:
    scene = upto(Step.WINDOW_GATE)
    (asked,) = sent(scene.tell(events.GateCounted((1 << 32) - 1)), Exercised)
    scene.hear(ExerciseResult(asked.exercise_id, asked.what, True, 1, "gates", ""))
    scene.tell(events.GateCounted(0))
    assert scene.mode() is Mode.SELF_TEST
    assert "cannot be read" in fail_with(upto(Step.WINDOW_GATE), events.GateCounted(-1))


def test_the_dark_frame_needs_both_witnesses() -> None:
    scene = upto(Step.PANEL_DARK)
    good = ExerciseResult(number(scene), Exercise.PANEL_DARK, True, 13, "ms", "")
    assert scene.hear(good) == []
    assert scene.tell(events.DarkFrameSeen(DarkFrameResult(7777, True, 0, 0, ""))) == []
    bright = DarkFrameResult(number(scene), False, 900.0, 3.0, "bright")
    assert fail_with(scene, events.DarkFrameSeen(bright)) == "panel_dark_frame: bright"


def test_a_dark_frame_seen_first_waits_for_the_end_of_the_exercise() -> None:
    scene = upto(Step.PANEL_DARK)
    seen = DarkFrameResult(number(scene), True, 0.1, 7.0, "")
    assert scene.tell(events.DarkFrameSeen(seen)) == []
    scene.hear(ExerciseResult(number(scene), Exercise.PANEL_DARK, True, 13, "ms", ""))
    assert scene.core.test is not None
    assert scene.core.test.current is Step.BANKS


@pytest.mark.parametrize("bad", [0, 1])
def test_both_banks_must_read_back(bad: int) -> None:
    scene = upto(Step.BANKS)
    for bank in (0, 1):
        assert scene.core.committing is not None
        assert scene.core.committing_bank == bank
        made = events.BankCommitted(bank, scene.core.committing.technique_id, bank != bad, "kv")
        scene.tell(made)
        if bank == bad:
            break
    assert scene.mode() is Mode.FAULT


def test_losing_a_partner_during_the_test_fails_it_and_answers_the_caller() -> None:
    for loss in (events.ImagingDown("gone"), events.GeneratorDown("heartbeat", "silent")):
        scene = Scene().standby()
        scene.ask(Kind.SELF_TEST, token=9)
        commands = scene.tell(loss)
        (body,) = replies(commands)
        assert body["error"]["code"] == "self_test"
        assert scene.mode() is Mode.FAULT


def test_ready_runs_the_short_test_when_the_whole_one_holds() -> None:
    scene = Scene().standby()
    scene.ask(Kind.READY)
    assert scene.core.test is not None
    assert scene.core.test.steps == SHORT
    commands = scene.settle(scene.last)
    assert scene.mode() is Mode.READY
    assert len(sent(commands, Commit)) == 1
    assert len(scene.core.results) == len(WHOLE)


def test_ready_runs_the_whole_test_after_a_partner_changed() -> None:
    scene = Scene().standby()
    scene.core.executive.epoch += 1
    scene.ask(Kind.READY)
    assert scene.core.test is not None
    assert scene.core.test.steps == WHOLE


def test_a_sequence_knows_its_end() -> None:
    test = SelfTest(SHORT)
    for _ in SHORT:
        test.begin(1, 0)
        assert not test.passed
        test.finish(True, 0, "", "")
    assert test.passed
    assert test.current is None
    with pytest.raises(AssertionError):
        test.begin(2, 0)
    with pytest.raises(AssertionError):
        test.finish(True, 0, "", "")
    assert STEP_MAX_NS > 500 * MS
