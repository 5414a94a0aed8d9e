"""A press from end to end, and everything that may go wrong in between."""

import pytest

from controller.core import events
from controller.core.condition import Proof
from controller.core.events import Commit, KeepAccount, Kind, Prepare
from controller.core.modes import Mode
from controller.core.order import AHEAD_NS, TICK_NS
from controller.core.reconcile import Account, Finding
from controller.core.results import RESULT_WAIT_NS
from controller.core.why import Blocks, standing
from realtime.wire.lines import In
from realtime.wire.messages import (
    Committed,
    Dark,
    Delivered,
    EndReason,
    Pedal,
    RunEnd,
    Series,
    Skip,
    SkipReason,
)
from realtime.wire.messages import Mode as Function
from tests.controller.core.scene import (
    IDLE,
    MS,
    PREPARED,
    RESTING,
    Scene,
    imaging_state,
    orders,
    report,
    result,
    sent,
)

pytestmark = pytest.mark.invariant(5)


def test_a_warm_press_gives_series_technique_and_order_in_one_step() -> None:
    scene = Scene().ready()
    commands = scene.press()
    assert scene.mode() is Mode.EXPOSING
    (series,), (committed,), (order,) = (
        sent(commands, Series), sent(commands, Committed), orders(commands),
    )  # fmt: skip
    assert series.run_id == order.run_id == scene.run_id
    assert series.pulses_per_s == 15.0
    assert committed.technique_id == order.technique_id == scene.core.wanted.technique_id
    assert (order.bank, order.last_pulse_n) == (scene.core.bank, 1)
    names = [type(c.message).__name__ for c in commands if hasattr(c, "message")]
    assert names == ["Series", "Committed", "Order"]


def test_a_cold_press_waits_for_rotor_and_filament() -> None:
    scene = Scene().ready()
    scene.tell(events.GeneratorSeen(IDLE))
    commands = scene.press()
    assert scene.mode() is Mode.PREP
    assert sent(commands, Prepare) == [Prepare(True)]
    assert orders(commands) == []
    scene.refresh()
    assert orders(scene.tick()) == []
    commands = scene.tell(events.GeneratorSeen(PREPARED))
    assert len(orders(commands)) == 1
    assert scene.mode() is Mode.EXPOSING
    assert scene.core.run is not None
    assert not scene.core.run.warm


def test_a_press_before_the_commit_is_back_waits_for_it() -> None:
    scene = Scene().standby()
    commands = scene.ask(Kind.READY)
    while scene.mode() is not Mode.READY:
        commands = scene.answer(commands)
    (commit,) = sent(commands, Commit)
    scene.tell(events.GeneratorSeen(PREPARED))
    assert orders(scene.press()) == []
    assert scene.mode() is Mode.PREP
    assert scene.tell(events.BankCommitted(commit.bank, 4242, True, "")) == []
    commands = scene.tell(
        events.BankCommitted(commit.bank, commit.technique.technique_id, True, "")
    )
    assert [order.technique_id for order in orders(commands)] == [commit.technique.technique_id]


def test_a_press_commits_by_itself_when_nothing_is_committed() -> None:
    scene = Scene().ready()
    scene.tell(events.GeneratorUp(scene.counter, PREPARED))
    scene.core.proof = Proof(7, scene.core.generator.ups)
    blockers = standing(scene.core, scene.now_ns, Blocks.PRESS)
    assert [one.code for one in blockers] == ["records_not_reconciled"]
    scene.tell(events.Reconciled(Finding(True, 0, 0, (), 0, 0, ""), Account(scene.counter, 0)))
    commands = scene.press()
    assert scene.mode() is Mode.PREP
    assert len(sent(commands, Commit)) == 1


def test_banks_alternate_so_that_only_the_idle_one_is_written() -> None:
    scene = Scene().ready()
    first = scene.core.bank
    scene.ask(Kind.SET, kv=80.0)
    scene.settle(scene.ask(Kind.READY))
    assert scene.core.bank == 1 - first


@pytest.mark.parametrize(
    ("pedal", "function", "code"),
    [
        (Pedal.HIGH, Function.HIGH_LEVEL, "high_level_needs_dose_limits"),
        (Pedal.CINE, Function.CINE, "cine_needs_recorder"),
        (Pedal.CINE, Function.ONE_SHOT, "one_shot_needs_recorder"),
        (Pedal.CINE, Function.DSA, "dsa_needs_recorder"),
    ],
)
def test_what_does_not_exist_yet_is_refused_with_its_reason(
    pedal: Pedal, function: Function, code: str
) -> None:
    scene = Scene().ready()
    (dark,) = sent(scene.press(pedal, function), Dark)
    assert (dark.code, dark.run_id, scene.mode()) == (code, scene.run_id, Mode.READY)


def test_a_press_in_any_other_mode_is_refused() -> None:
    for scene in (Scene(), Scene().standby(), Scene().exposing()):
        before = scene.mode()
        (dark,) = sent(scene.press(), Dark)
        assert dark.code == f"mode_{before.value.lower()}"
        assert scene.mode() is before


def test_a_press_is_refused_with_the_first_thing_in_the_way() -> None:
    scene = Scene().ready()
    scene.refresh(lines_in=RESTING & ~(1 << In.DOOR))
    (dark,) = sent(scene.press(), Dark)
    assert dark.code == "interlock_door"
    assert scene.mode() is Mode.READY


def test_orders_are_renewed_by_the_beat_and_by_nothing_else() -> None:
    scene = Scene().exposing()
    for _ in range(20):
        scene.refresh()
        (order,) = orders(scene.tick())
        assert order.expires_ns == scene.now_ns + AHEAD_NS
        assert orders(scene.pulse(scene.core.run.fired if scene.core.run else 0)) == []
        scene.tell(events.ImagingSeen(imaging_state(scene.now_ns)))
    assert TICK_NS * 4 <= AHEAD_NS


def test_credit_follows_checked_results() -> None:
    scene = Scene().exposing()
    for n in range(3):
        delivered = sent(scene.pulse(n), Delivered)
        assert [(one.pulse_n, one.kv, one.ms) for one in delivered] == [(n, 70.0, 8.0)]
        (order,) = orders(scene.tick())
        assert order.last_pulse_n == n + 2


def test_a_pulse_without_result_is_a_fault_and_the_order_dies() -> None:
    scene = Scene().exposing()
    scene.hear(report(scene.run_id, 0, scene.core.wanted.technique_id))
    for _ in range(3):
        scene.refresh()
        commands = scene.tick()
        assert [order.last_pulse_n for order in orders(commands)] == [1]
    scene.now_ns += RESULT_WAIT_NS
    scene.core.tick_ns = scene.now_ns
    scene.refresh()
    commands = scene.tick()
    assert orders(commands) == []
    assert [dark.code for dark in sent(commands, Dark)] == ["result_missing"]
    assert scene.mode() is Mode.FAULT


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"technique_id": 5}, "technique_mismatch"),
        ({"tube_kv": 80.0}, "result_implausible"),
        ({"width_us": 12_000}, "result_implausible"),
    ],
)
def test_a_wrong_result_ends_the_run_at_once(changes: dict[str, float], fault: str) -> None:
    scene = Scene().exposing()
    commands = scene.pulse(0, **changes)
    assert [dark.code for dark in sent(commands, Dark)] == [fault]
    assert (scene.mode(), scene.faults()) == (Mode.FAULT, [fault])


def test_the_first_cause_is_kept() -> None:
    scene = Scene().exposing()
    scene.pulse(0, technique_id=5)
    scene.tell(events.ExecutiveDown("gone"))
    scene.tell(events.Emergency(0x3210, "overvoltage"))
    assert scene.faults()[0] == "technique_mismatch"
    scene.tell(events.Emergency(0x3210, "overvoltage"))
    assert scene.faults().count("generator_emergency") == 1


def test_a_pulse_of_a_run_without_an_order_is_found() -> None:
    scene = Scene().ready()
    scene.hear(report(999, 0, 4711))
    assert scene.faults() == ["technique_mismatch"]


def test_release_leads_to_hold_and_the_next_press_is_warm() -> None:
    scene = Scene().exposing()
    scene.pulse(0)
    scene.end()
    assert scene.mode() is Mode.HOLD
    assert scene.core.held_image
    assert scene.core.last_run["reason"] == "release"
    assert len(orders(scene.press())) == 1
    assert orders(scene.last)[0].last_pulse_n == 1


@pytest.mark.parametrize(
    ("reason", "fault"), [(EndReason.ORDER, "order_lapsed"), (EndReason.NO_IMAGE, "no_image")]
)
def test_some_ends_are_faults(reason: EndReason, fault: str) -> None:
    scene = Scene().exposing()
    scene.end(reason)
    assert (scene.mode(), scene.faults()) == (Mode.FAULT, [fault])


def test_the_end_of_another_run_changes_nothing() -> None:
    scene = Scene().exposing()
    scene.hear(RunEnd(scene.run_id - 1, scene.now_ns, EndReason.RELEASE, "", 0, 0))
    assert scene.mode() is Mode.EXPOSING
    scene = Scene().ready()
    scene.tell(events.GeneratorSeen(IDLE))
    scene.press()
    scene.hear(RunEnd(scene.run_id - 1, scene.now_ns, EndReason.RELEASE, "", 0, 0))
    assert scene.mode() is Mode.PREP
    scene.end()
    assert scene.mode() is Mode.READY


def test_a_preparation_that_takes_too_long_is_a_fault() -> None:
    scene = Scene().ready()
    scene.tell(events.GeneratorSeen(IDLE))
    scene.press()
    scene.now_ns += 30_000 * MS
    scene.refresh()
    (dark,) = sent(scene.tick(1), Dark)
    assert dark.code == "prep_failed"


def test_a_beat_that_comes_late_is_a_fault_of_its_own() -> None:
    scene = Scene().exposing()
    scene.refresh()
    scene.tick()
    scene.now_ns += AHEAD_NS
    scene.refresh()
    commands = scene.tick(1)
    assert orders(commands) == []
    assert scene.faults() == ["order_lapsed"]


def test_an_open_interlock_holds_the_first_order_back() -> None:
    scene = Scene().ready()
    scene.tell(events.GeneratorSeen(IDLE))
    scene.press()
    scene.refresh(lines_in=RESTING & ~(1 << In.DOOR))
    assert orders(scene.tick()) == []
    assert orders(scene.tell(events.GeneratorSeen(PREPARED))) == []
    scene.refresh()
    assert len(orders(scene.tick())) == 1


def test_a_result_that_comes_after_its_run_is_still_delivered() -> None:
    scene = Scene().exposing()
    technique_id = scene.core.wanted.technique_id
    scene.hear(report(scene.run_id, 0, technique_id))
    scene.end()
    commands = scene.tell(events.ResultSeen(result(scene.counter + 1, technique_id)))
    assert len(sent(commands, Delivered)) == 1
    assert scene.mode() is Mode.HOLD


def test_a_result_nobody_fired_is_found_at_rest() -> None:
    scene = Scene().standby()
    scene.tell(events.ResultSeen(result(scene.counter + 1, 5)))
    scene.now_ns += RESULT_WAIT_NS
    scene.refresh()
    scene.tick(1)
    assert (scene.mode(), scene.faults()) == (Mode.FAULT, ["pulse_unordered"])


def test_the_beat_is_not_at_rest_while_a_result_is_waited_for() -> None:
    scene = Scene().ready()
    assert scene.core.generator.prepared_until_ns
    assert scene.core.at_rest
    scene.tell(events.ResultSeen(result(scene.counter + 1, 5)))
    assert not scene.core.at_rest
    scene.core.pairing.forget()
    assert scene.core.at_rest


def test_an_open_interlock_stops_renewal_and_realtime_ends_the_run() -> None:
    scene = Scene().exposing()
    scene.refresh(lines_in=RESTING & ~(1 << In.DOOR))
    assert orders(scene.tick()) == []
    assert scene.mode() is Mode.EXPOSING
    scene.end(EndReason.INTERLOCK, "interlock_door")
    assert (scene.mode(), scene.faults()) == (Mode.HOLD, [])


def test_after_a_stall_at_rest_nobody_is_called_silent() -> None:
    scene = Scene().ready()
    scene.tick()
    scene.tick(5000)
    assert scene.mode() is Mode.READY
    scene.tick()
    assert "executive_lost" in scene.faults()


def test_the_tube_goes_to_rest_after_its_time() -> None:
    scene = Scene().ready()
    scene.refresh()
    scene.tick()
    scene.now_ns += 30_000 * MS
    scene.refresh()
    commands = scene.tick(1)
    assert sent(commands, Prepare) == [Prepare(False)]
    assert scene.mode() is Mode.READY
    scene.refresh()
    assert sent(scene.tick(), Prepare) == []
    assert orders(scene.press()) == []
    assert scene.mode() is Mode.PREP


def test_skips_are_counted_and_told() -> None:
    scene = Scene().exposing()
    scene.hear(Skip(scene.run_id, 3, scene.now_ns, SkipReason.LATE))
    assert scene.core.run is not None
    assert scene.core.run.skipped == 1
    scene.hear(Skip(scene.run_id - 1, 3, scene.now_ns, SkipReason.LATE))
    assert scene.core.run.skipped == 1


def test_a_bank_that_does_not_read_back_is_never_named_by_an_order() -> None:
    scene = Scene().standby()
    commands = scene.ask(Kind.READY)
    while scene.mode() is not Mode.READY:
        commands = scene.answer(commands)
    (commit,) = sent(commands, Commit)
    scene.tell(events.BankCommitted(commit.bank, commit.technique.technique_id, False, "kv 701"))
    assert scene.faults() == ["commit_failed"]
    assert scene.core.committed is None


def test_results_without_realtime_only_move_the_counter() -> None:
    scene = Scene().exposing()
    scene.tell(events.ExecutiveDown("gone"))
    scene.tell(events.ResultSeen(result(scene.counter + 1, 5)))
    assert scene.core.pairing.counter == scene.counter + 1
    assert scene.faults() == ["executive_lost"]


def test_the_account_moves_on_only_where_both_sides_agree() -> None:
    scene = Scene().exposing()
    scene.pulse(0)
    assert sent(scene.tell(events.DurableSeen(True, 11, 0, "")), KeepAccount) == []
    scene.end()
    assert sent(scene.tell(events.DurableSeen(True, 10, 1, "")), KeepAccount) == []
    (keep,) = sent(scene.tell(events.DurableSeen(True, 11, 0, "")), KeepAccount)
    assert (keep.account.counter, keep.account.records) == (41, 11)
    assert sent(scene.tell(events.DurableSeen(True, 11, 0, "")), KeepAccount) == []
