"""Boot and self-test: what each step keeps, which bank it writes, and what READY asks for."""

from typing import Any

import pytest

from controller.core import events
from controller.core.boot import RELEASED_NS, arm, commit
from controller.core.events import Commit, Kind, Log, Prepare, Reply
from controller.core.faults import Held
from controller.core.modes import Mode
from controller.core.selftest import DRY, SHORT, WHOLE, SelfTest, Step
from realtime.wire.messages import DarkFrameResult, Exercise, Exercised, ExerciseResult
from tests.controller.core.scene import Scene, replies, sent, state

pytestmark = pytest.mark.invariant(12)
S = 1_000_000_000


def upto(step: Step) -> Scene:
    """A scene in SELF_TEST whose current step is `step`, its first command sent."""
    scene = Scene().connect()
    commands = scene.tick()
    while scene.core.test is not None and scene.core.test.current is not step:
        commands = scene.answer(commands)
    assert scene.core.test is not None
    return scene


def test_pedals_must_have_been_released_for_60_ms_since_a_reset() -> None:
    assert RELEASED_NS == 60_000_000
    scene = Scene().connect()
    scene.core.voided_ns = scene.now_ns
    for after_ns, asked in ((RELEASED_NS - 1, 0), (RELEASED_NS, 1)):
        scene.hear(state(scene.core.voided_ns + after_ns))
        assert len(sent(scene.tick(), Exercised)) == asked


def test_the_window_gate_is_counted_from_anew_each_time() -> None:
    scene = Scene().connect()
    scene.core.test_gate_before = 5
    scene.settle(scene.tick())
    assert scene.mode() is Mode.STANDBY
    scene.core.test_gate_before = 77
    scene.settle(scene.ask(Kind.SELF_TEST))
    assert (scene.mode(), scene.faults()) == (Mode.STANDBY, [])


def test_a_gate_count_that_cannot_be_read_is_shown_as_minus_one() -> None:
    scene = upto(Step.WINDOW_GATE)
    scene.tell(events.GateCounted(-1))
    assert (scene.core.results[-1].value, scene.core.results[-1].unit) == (-1.0, "rises")


def test_a_count_of_nothing_can_be_read() -> None:
    scene = upto(Step.WINDOW_GATE)
    (asked,) = sent(scene.tell(events.GateCounted(0)), Exercised)
    scene.hear(ExerciseResult(asked.exercise_id, asked.what, True, 1, "gates", ""))
    scene.tell(events.GateCounted(1))
    assert scene.core.results == []
    assert scene.core.test is not None
    done = scene.core.test.done[-1]
    assert (done.step, done.ok, done.value, done.unit) == (Step.WINDOW_GATE, True, 1.0, "rises")


def test_the_gate_count_wraps_at_32_bits() -> None:
    scene = upto(Step.WINDOW_GATE)
    (asked,) = sent(scene.tell(events.GateCounted((1 << 31) - 1)), Exercised)
    scene.hear(ExerciseResult(asked.exercise_id, asked.what, True, 1, "gates", ""))
    scene.tell(events.GateCounted(1 << 31))
    assert scene.mode() is Mode.SELF_TEST
    scene = upto(Step.WINDOW_GATE)
    (asked,) = sent(scene.tell(events.GateCounted(0)), Exercised)
    scene.hear(ExerciseResult(asked.exercise_id, asked.what, True, 1, "gates", ""))
    scene.tell(events.GateCounted((1 << 31) + 1))
    assert scene.mode() is Mode.FAULT, "half the counter further is not one"


def test_an_answer_for_a_bank_counts_once() -> None:
    scene = upto(Step.BANKS)
    first = scene.core.committing
    assert first is not None
    made = events.BankCommitted(0, first.technique_id, True, "")
    (second,) = sent(scene.tell(made), Commit)
    assert (second.bank, scene.core.committing_bank) == (1, 1)
    assert scene.tell(made) == [], "an answer that comes twice is no answer for the other bank"
    scene.tell(events.BankCommitted(1, second.technique.technique_id, True, ""))
    assert scene.core.committing is None
    assert (scene.core.results[-1].value, scene.core.results[-1].unit) == (2.0, "banks")


@pytest.mark.parametrize("bad", [0, 1])
def test_a_bank_that_does_not_read_back_is_named(bad: int) -> None:
    scene = upto(Step.BANKS)
    for bank in range(bad + 1):
        assert scene.core.committing is not None
        number = scene.core.committing.technique_id
        scene.tell(events.BankCommitted(bank, number, bank != bad, "kv"))
    last = scene.core.results[-1]
    assert (last.ok, last.value, last.detail) == (False, float(bad), "kv")
    assert scene.core.committing is None


def test_a_failed_step_takes_the_proof_away() -> None:
    scene = Scene().standby()
    assert scene.core.proof is not None
    scene.ask(Kind.SELF_TEST)
    scene.tick()
    assert scene.core.test is not None
    wrong = ExerciseResult(scene.core.test.number, Exercise.PEDALS, False, 0, "", "held")
    scene.hear(wrong)
    assert scene.core.proof is None


def test_only_the_whole_test_is_a_proof() -> None:
    scene = Scene().standby()
    before = scene.core.proof
    scene.settle(scene.ask(Kind.READY))
    assert scene.core.proof is before
    scene.ask(Kind.SELF_TEST)
    scene.settle(scene.last)
    assert scene.core.proof is not before
    assert scene.core.proof is not None
    assert scene.core.proof.executive_epoch == scene.core.executive.epoch
    assert scene.core.proof.generator_ups == scene.core.generator.ups


def test_the_end_of_the_test_is_answered_to_who_asked_and_to_nobody_else() -> None:
    scene = Scene().connect()
    seen = scene.settle(scene.tick())
    assert replies(seen) == []
    seen = scene.settle(scene.ask(Kind.SELF_TEST, token=12))
    (reply,) = [c for c in seen if isinstance(c, Reply)]
    assert (reply.token, reply.body["ok"], reply.body["mode"]) == (12, True, "STANDBY")
    assert len(reply.body["self_test"]) == len(WHOLE)
    assert (scene.core.test, scene.core.test_token) == (None, None)


def test_ready_brings_the_tube_to_speed_for_so_long() -> None:
    scene = Scene().standby()
    core = scene.core
    first, *rest = arm(core, scene.now_ns)
    assert first == Prepare(True)
    hold_ns = core.config["supervisor.prep_max_s"] * S
    assert core.generator.prepared_until_ns == scene.now_ns + hold_ns
    assert [type(c) for c in rest] == [Commit]


@pytest.mark.parametrize("bank", [0, 1])
def test_a_commit_goes_to_the_bank_that_no_order_names_under_a_fresh_id(bank: int) -> None:
    scene = Scene().ready()
    core = scene.core
    core.bank, before = bank, core.wanted
    (made,) = commit(core)
    assert isinstance(made, Commit)
    assert (made.bank, core.committing_bank) == (1 - bank, 1 - bank)
    assert core.committed is None
    assert core.wanted == before.numbered(core.wanted.technique_id)
    assert core.wanted.technique_id == before.technique_id + 1
    assert made.technique is core.committing is core.wanted


def test_a_latch_of_before_is_named_in_the_log() -> None:
    scene = Scene()
    scene.core.faults = (Held("unclean_restart", "", 1), Held("no_image", "", 2))
    assert scene.tick() == [Log("warning", "started_latched", {"first": "unclean_restart"})]


def test_a_dark_frame_is_shown_with_its_mean_and_noise() -> None:
    scene = upto(Step.PANEL_DARK)
    assert scene.core.test is not None
    number = scene.core.test.number
    scene.tell(events.DarkFrameSeen(DarkFrameResult(number, True, 0.25, 7.0, "")))
    scene.hear(ExerciseResult(number, Exercise.PANEL_DARK, True, 13, "ms", ""))
    done = scene.core.test.done[-1]
    assert (done.ok, done.value, done.unit, done.detail) == (True, 0.25, "du", "sigma 7.0 du")


@pytest.mark.parametrize("steps", [WHOLE, SHORT, DRY])
def test_a_sequence_gives_each_step_its_own_number_and_time(steps: Any) -> None:
    test = SelfTest(steps)
    for n, step in enumerate(steps):
        test.asked = test.exercised = True
        assert test.begin(40 + n, n * S) is step
        assert (test.number, test.deadline_ns) == (40 + n, n * S + 3 * S)
        assert (test.asked, test.exercised, test.dark) == (False, False, None)
        assert (test.passed, test.failed, test.current) == (False, None, step)
        test.finish(True, 1.0, "u", "d")
    assert (test.passed, test.current) == (True, None)
