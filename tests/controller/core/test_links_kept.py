"""Links: what exactly is kept of each partner, and every command that a loss or a fault brings."""

from typing import Any

import pytest

from controller.core import events
from controller.core.condition import Run
from controller.core.events import (
    Command,
    KeepAccount,
    Kind,
    Log,
    Persist,
    Prepare,
    Reconcile,
    Reply,
    ToExecutive,
)
from controller.core.links import LET_GO_NS, apart, dark, fail, void
from controller.core.modes import Mode
from controller.core.reconcile import Account, Finding
from controller.core.results import COUNTER_MODULUS
from realtime.wire.messages import Dark, Hello, State
from realtime.wire.messages import Mode as Function
from tests.controller.core.scene import IDLE, Scene, report, sent, state

pytestmark = pytest.mark.invariant(12)


def kinds(commands: list[Command]) -> list[str]:
    return [type(command).__name__ for command in commands]


def test_a_fault_is_dark_first_then_void_then_told_then_written() -> None:
    scene = Scene().exposing()
    run_id = scene.run_id
    commands = fail(scene.core, "generator_lost", "silent", scene.now_ns)
    assert commands == [
        ToExecutive(Dark(scene.core.epoch, run_id, "generator_lost")),
        Prepare(False),
        Log("error", "fault_generator_lost", {"detail": "silent", "action": "fault"}),
        Persist(clean=False),
    ]
    assert (scene.mode(), scene.core.run) == (Mode.FAULT, None)
    assert scene.core.faults[0].t_ns == scene.now_ns


def test_a_fault_that_is_held_already_is_not_told_again() -> None:
    scene = Scene().ready()
    fail(scene.core, "no_image", "first", scene.now_ns)
    assert fail(scene.core, "no_image", "second", scene.now_ns + 1) == []
    other = fail(scene.core, "self_test", "third", scene.now_ns + 2)
    assert kinds(other) == ["Log", "Persist"], "in FAULT already: nothing to make dark or void"
    assert scene.faults() == ["no_image", "self_test"]


def test_a_notice_is_told_once_and_changes_no_mode() -> None:
    scene = Scene().ready()
    first = fail(scene.core, "record_repaired", "2 added", scene.now_ns)
    assert kinds(first) == ["Log", "Persist"]
    assert first[1] == Persist(clean=False)
    assert fail(scene.core, "record_repaired", "2 added", scene.now_ns) == []
    assert (scene.mode(), scene.core.committed is None) == (Mode.READY, False)


def test_a_loss_of_readiness_in_standby_voids_nothing_twice() -> None:
    scene = Scene().standby()
    commands = fail(scene.core, "imaging_lost", "", scene.now_ns)
    assert kinds(commands) == ["Log", "Persist"]
    assert scene.mode() is Mode.STANDBY


def test_void_takes_everything_that_made_ready() -> None:
    scene = Scene().ready()
    core = scene.core
    core.held_image, core.committing = True, core.committed
    assert void(core) == [Prepare(False)]
    assert (core.committed, core.committing) == (None, None)
    assert core.held_image is False
    assert core.generator.prepared_until_ns == 0


def test_dark_is_for_the_run_in_progress_only() -> None:
    scene = Scene().ready()
    assert dark(scene.core, "any") == []
    scene.press()
    assert dark(scene.core, "any") == [ToExecutive(Dark(scene.core.epoch, scene.run_id, "any"))]
    assert scene.core.run is None
    assert scene.core.ended is not None
    assert scene.core.ended.run_id == scene.run_id, "its account is still to come"


def test_a_fault_in_a_self_test_answers_whoever_asked_and_ends_it() -> None:
    scene = Scene().standby()
    scene.ask(Kind.SELF_TEST, token=9)
    commands = fail(scene.core, "executive_lost", "closed", scene.now_ns)
    (reply,) = [c for c in commands if isinstance(c, Reply)]
    error = reply.body["error"]
    assert (reply.token, error["code"], error["blame"]) == (9, "executive_lost", "device")
    assert (scene.core.test, scene.core.test_token) == (None, None)


def test_a_fault_in_a_self_test_that_nobody_asked_for_answers_nobody() -> None:
    scene = Scene().connect()
    scene.tick()
    assert scene.mode() is Mode.SELF_TEST
    commands = fail(scene.core, "executive_lost", "closed", scene.now_ns)
    assert kinds(commands) == ["Prepare", "Log", "Persist"]


def test_what_is_kept_of_a_hello_and_of_a_farewell() -> None:
    scene = Scene().ready()
    core = scene.core
    core.reconcile_due = False
    for _ in range(2):
        scene.tell(events.ExecutiveUp(Hello("realtime", 9, 71, 1, "")))
        scene.tell(events.ImagingUp(Hello("imaging", 10, 81, 0, "")))
    assert (core.executive.up, core.executive.epoch, core.executive.pid) == (True, 9, 71)
    assert (core.imaging.up, core.imaging.epoch, core.imaging.pid) == (True, 10, 81)
    assert (core.executive.state, core.imaging.state, core.reconcile_due) == (None, None, True)
    scene.refresh()
    scene.tell(events.ImagingDown("closed"))
    assert (core.imaging.up, core.imaging.state) == (False, None)
    scene.refresh()
    scene.tell(events.ExecutiveDown("closed"))
    assert (core.executive.up, core.executive.state) == (False, None)


def test_realtime_that_is_gone_while_booting_is_waited_for() -> None:
    scene = Scene().connect()
    (log,) = scene.tell(events.ExecutiveDown("closed"))
    assert isinstance(log, Log)
    assert (scene.core.executive.up, scene.core.executive.state) == (False, None)


def test_realtime_that_dies_in_a_run_ends_it_without_a_word_to_it() -> None:
    scene = Scene().exposing()
    assert scene.core.lease is not None
    scene.hear(report(scene.run_id, 0, scene.core.lease.technique.technique_id))
    assert scene.core.pairing.waiting
    commands = scene.tell(events.ExecutiveDown("closed"))
    assert sent(commands, Dark) == [], "nobody is there to hear it"
    assert (scene.core.run, scene.core.pairing.waiting) == (None, False)
    assert scene.core.executive.up is False


@pytest.mark.parametrize("loss", [events.ImagingDown("gone"), events.GeneratorDown("hb", "gone")])
def test_a_partner_lost_in_the_self_test_fails_it(loss: Any) -> None:
    scene = Scene().standby()
    scene.ask(Kind.SELF_TEST, token=9)
    commands = scene.tell(loss)
    assert scene.faults() == ["self_test"]
    assert sent(commands, Persist) == [Persist(clean=False)]
    gone = scene.core.imaging if isinstance(loss, events.ImagingDown) else scene.core.generator
    assert gone.up is False


def test_a_generator_that_comes_up_has_forgotten_what_was_committed() -> None:
    scene = Scene().ready()
    core = scene.core
    ups, core.committing = core.generator.ups, core.committed
    scene.tell(events.GeneratorDown("heartbeat", "silent"))
    assert (core.generator.up, core.generator.down_detail) == (False, "heartbeat: silent")
    core.committed = core.committing = core.wanted
    commands = scene.tell(events.GeneratorUp(77, IDLE))
    assert (core.generator.up, core.generator.ups, core.generator.status) == (True, ups + 1, IDLE)
    held = [core.committed, core.committing, core.pairing.counter]
    assert held == [None, None, 77]
    assert sent(commands, Reconcile) == [Reconcile()]
    assert core.finding is None


def test_a_generator_that_comes_up_in_a_run_is_a_fault_and_compared_later() -> None:
    scene = Scene().exposing()
    commands = scene.tell(events.GeneratorUp(77, IDLE))
    assert scene.faults() == ["generator_lost"]
    assert sent(commands, Reconcile) == []
    assert sent(scene.hear(state(scene.now_ns, run_id=0)), Reconcile) == [Reconcile()]


def test_since_when_the_copy_fails() -> None:
    scene = Scene().standby()
    durable = scene.core.durable
    assert (durable.ok, durable.failed_ns) == (True, 0)
    first_ns = scene.now_ns + 5
    for at_ns in (first_ns, first_ns + 7):
        scene.now_ns = at_ns
        scene.tell(events.DurableSeen(False, 11, 3, "no space"))
        assert (durable.ok, durable.failed_ns) == (False, first_ns)
        assert (durable.copied, durable.unread, durable.detail) == (11, 3, "no space")
    scene.tell(events.DurableSeen(True, 12, 0, ""))
    assert (durable.ok, durable.failed_ns, durable.detail) == (True, 0, "")


def test_a_copy_that_fails_is_told_when_it_begins_to() -> None:
    scene = Scene().standby()
    assert kinds(scene.tell(events.DurableSeen(False, 11, 3, "no space"))) == ["Log"]
    assert scene.tell(events.DurableSeen(False, 11, 3, "no space")) == []


def agreed(counter: int | None = 103, copied: int = 13) -> Scene:
    """STANDBY; the account stands at counter 100 and 10 records."""
    scene = Scene().standby()
    scene.core.account, scene.core.pairing.counter = Account(100, 10), counter
    scene.tell(events.DurableSeen(True, copied, 0, ""))
    return scene


def test_the_account_moves_on_where_generator_and_records_agree() -> None:
    scene = agreed()
    assert scene.last == [KeepAccount(Account(103, 13))]
    assert scene.core.account == Account(103, 13)
    assert scene.tell(events.DurableSeen(True, 13, 0, "")) == [], "there already"


@pytest.mark.parametrize(("counter", "copied"), [(103, 12), (103, 14), (100, 10), (None, 13)])
def test_the_account_stays_where_they_do_not_agree(counter: int | None, copied: int) -> None:
    scene = agreed(counter, copied)
    assert scene.last == []
    assert scene.core.account == Account(100, 10)


def test_the_account_stays_while_a_run_lasts_and_where_there_is_none() -> None:
    scene = Scene().standby()
    core = scene.core
    core.run = Run(1, Function.FLUORO, 0, Mode.READY, True, 0)
    core.account, core.pairing.counter = Account(100, 10), 103
    assert scene.tell(events.DurableSeen(True, 13, 0, "")) == []
    core.run, core.account = None, None
    assert scene.tell(events.DurableSeen(True, 13, 0, "")) == []


def test_counters_of_the_generator_wrap() -> None:
    scene = Scene().standby()
    scene.core.account = Account(COUNTER_MODULUS - 1, 10)
    scene.core.pairing.counter = 1
    scene.tell(events.DurableSeen(True, 12, 0, ""))
    assert scene.core.account == Account(1, 12)


def test_a_pulse_is_missing_only_when_more_were_emitted_than_kept() -> None:
    """Without an account or a counter nothing is known to be missing."""
    scene = agreed(103, 12)
    assert apart(scene.core)
    for spoil in ("account", "counter"):
        scene = agreed(103, 12)
        setattr(scene.core if spoil == "account" else scene.core.pairing, spoil, None)
        assert not apart(scene.core)
    assert not apart(agreed(103, 14).core), "a surplus is no loss"


def told(**changes: Any) -> events.FromExecutive:
    seen: State = state(0, **changes)
    return events.FromExecutive(seen)


def test_in_a_run_of_ours_a_state_of_it_is_no_fault_and_a_trip_names_its_first() -> None:
    scene = Scene().exposing()
    assert scene.tell(told(run_id=scene.run_id)) == []
    scene.tell(told(run_id=scene.run_id, trips=["stall", "run_max"]))
    assert [held.detail for held in scene.core.faults] == ["stall"]


@pytest.mark.parametrize(("missing", "ok", "told"), [(0, True, False), (1, True, True),
                                                     (0, False, True)])  # fmt: skip
def test_a_finding_is_kept_and_a_repair_is_told(missing: int, ok: bool, told: bool) -> None:
    scene = Scene().standby()
    lost: Any = (object(),) * missing
    finding = Finding(ok, 3, 2, lost, 0, 0, "words")
    scene.tell(events.Reconciled(finding, Account(103, 13)))
    assert (scene.core.finding, scene.core.account) == (finding, Account(103, 13))
    assert (scene.faults() == ["record_repaired"]) is told


def test_a_second_is_how_long_pedals_must_be_let_go() -> None:
    assert LET_GO_NS == 1_000_000_000
