"""A run of the supervisor at the very instants and counts of its limits."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.core import events, run
from controller.core.events import Command, Log, Prepare
from controller.core.modes import Mode
from controller.core.order import AHEAD_NS
from realtime.wire.lines import In
from realtime.wire.messages import Dark, EndReason
from tests.controller.core.scene import IDLE, MS, PREPARED, RESTING, T0, Scene, orders, sent

pytestmark = pytest.mark.invariant(5)


def logged(commands: list[Command], name: str) -> Mapping[str, Any]:
    (log,) = [one for one in commands if isinstance(one, Log) and one.what == name]
    return log.fields


def prepared_until(scene: Scene) -> int:
    return scene.core.generator.prepared_until_ns


def test_what_the_requirements_fix() -> None:
    assert run._S == 1_000_000_000
    assert run.DURABLE_FAILS_NS == 250_000_000
    assert run._LOST == {
        "executive_silent": "executive_lost", "imaging_silent": "imaging_lost",
        "panel_not_connected": "imaging_lost", "verdicts_not_connected": "imaging_lost",
        "imaging_not_connected": "imaging_lost", "generator_not_connected": "generator_lost",
        "generator_faults": "generator_fault",
    }  # fmt: skip


def test_a_press_keeps_the_tube_prepared_for_as_long_as_a_preparation_may_take() -> None:
    scene = Scene().ready()
    longest_ns = scene.core.config["supervisor.prep_max_s"] * 1_000_000_000
    scene.core.generator.prepared_until_ns = 0
    scene.press()
    assert scene.core.run is not None
    assert scene.core.run.warm
    assert prepared_until(scene) == scene.core.run.give_up_ns == scene.now_ns + longest_ns
    scene.now_ns += MS
    scene.end()
    assert prepared_until(scene) == scene.now_ns + longest_ns


@pytest.mark.parametrize("cold", ["idle", "not committed"])
def test_a_press_is_warm_only_with_tube_and_technique(cold: str) -> None:
    scene = Scene().ready()
    if cold == "not committed":
        scene.core.committed = None
    else:
        scene.core.generator.status = IDLE
    scene.press()
    assert scene.core.run is not None
    assert not scene.core.run.warm


def test_the_first_of_several_things_in_the_way_is_named() -> None:
    scene = Scene().ready()
    scene.refresh(lines_in=RESTING & ~(1 << In.DOOR) & ~(1 << In.KEY))
    (dark,) = sent(scene.press(), Dark)
    assert dark.code == "interlock_door"


@pytest.mark.parametrize(("waited_ns", "ms"), [(10_000 * MS, 10_000), (10_000 * MS - 1, 9_999)])
def test_the_wait_for_the_first_order_is_told_in_whole_milliseconds(
    waited_ns: int, ms: int
) -> None:
    scene = Scene().ready()
    scene.tell(events.GeneratorSeen(IDLE))
    scene.press()
    assert scene.core.run is not None
    scene.core.run.press_ns = scene.now_ns - waited_ns
    fields = logged(scene.tell(events.GeneratorSeen(PREPARED)), "first_order")
    assert fields["after_press_ms"] == ms


@pytest.mark.parametrize(("took_ns", "ms"), [(10_000 * MS, 10_000), (10_000 * MS - 1, 9_999)])
def test_the_length_of_a_run_is_told_in_whole_milliseconds(took_ns: int, ms: int) -> None:
    scene = Scene().exposing()
    assert scene.core.run is not None
    scene.core.run.press_ns = scene.now_ns - took_ns
    assert logged(scene.end(), "run_end")["duration_ms"] == ms


def test_orders_are_numbered_one_by_one() -> None:
    scene = Scene().ready()
    before = scene.core.order_seq
    numbers = [order.order_seq for order in orders(scene.press())]
    for _ in range(3):
        scene.refresh()
        numbers += [order.order_seq for order in orders(scene.tick())]
    assert numbers == [before + 1, before + 2, before + 3, before + 4]


def test_a_preparation_is_given_up_after_its_time_and_not_before() -> None:
    scene = Scene().ready()
    scene.tell(events.GeneratorSeen(IDLE))
    scene.press()
    assert scene.core.run is not None
    give_up_ns = scene.core.run.give_up_ns = scene.now_ns + 20 * MS
    run.prep_tick(scene.core, events.Tick(), give_up_ns)
    assert scene.mode() is Mode.PREP
    run.prep_tick(scene.core, events.Tick(), give_up_ns + 1)
    assert scene.faults() == ["prep_failed"]


@pytest.mark.invariant(12)
def test_a_beat_that_is_as_late_as_an_order_lives_is_still_in_time() -> None:
    scene = Scene().exposing()
    scene.core.late_ns = AHEAD_NS
    assert len(orders(run.expose_tick(scene.core, events.Tick(), scene.now_ns))) == 1
    scene.core.late_ns = AHEAD_NS + 1
    run.expose_tick(scene.core, events.Tick(), scene.now_ns)
    assert scene.faults() == ["order_lapsed"]


@pytest.mark.parametrize(("late_ns", "ms"), [(10_000 * MS, 10_000), (10_000 * MS - 1, 9_999)])
def test_how_long_no_beat_came_is_told_in_whole_milliseconds(late_ns: int, ms: int) -> None:
    scene = Scene().exposing()
    scene.core.late_ns = late_ns
    run.expose_tick(scene.core, events.Tick(), scene.now_ns)
    assert scene.core.faults[0].detail == f"no beat for {ms} ms"


@pytest.mark.parametrize(("late_ns", "found"), [(AHEAD_NS, ["executive_lost"]), (AHEAD_NS + 1, [])])
def test_at_rest_nobody_is_silent_while_we_were_away_ourselves(
    late_ns: int, found: list[str]
) -> None:
    scene = Scene().ready()
    scene.core.late_ns = late_ns
    run._rest_lost(scene.core, scene.now_ns + 10_000 * MS)
    assert scene.faults() == found


@pytest.mark.parametrize(
    ("code", "detail"), [("verdicts", "verdicts"), ("", EndReason.NO_IMAGE.value)]
)
def test_an_end_that_is_a_fault_says_its_code_or_its_reason(code: str, detail: str) -> None:
    scene = Scene().exposing()
    scene.end(EndReason.NO_IMAGE, code)
    assert [(held.id, held.detail) for held in scene.core.faults] == [("no_image", detail)]


def test_the_tube_rests_after_its_time_and_not_before() -> None:
    scene = Scene().ready()
    scene.core.generator.prepared_until_ns = until_ns = scene.now_ns + 20 * MS
    assert sent(run.rest_tick(scene.core, events.Tick(), until_ns), Prepare) == []
    assert sent(run.rest_tick(scene.core, events.Tick(), until_ns + 1), Prepare) == [Prepare(False)]
    status = scene.core.generator.status
    assert status is not None
    assert (status.rotor_ready, status.filament_ready, prepared_until(scene)) == (False, False, 0)


def test_each_pulse_of_the_run_is_counted_once() -> None:
    scene = Scene().exposing()
    assert scene.core.run is not None
    scene.pulse(0)
    assert scene.core.run.fired == 1


@pytest.mark.parametrize(("booted", "mode"), [(False, Mode.BOOT), (True, Mode.FAULT)])
def test_a_fault_of_the_generator_latches_once_we_are_past_boot(booted: bool, mode: Mode) -> None:
    scene = Scene().ready() if booted else Scene().connect()
    status = events.GeneratorStatus(5, True, True, 0x2A, 0)
    commands = scene.tell(events.GeneratorSeen(status))
    assert scene.mode() is mode
    assert [held.detail for held in scene.core.faults] == (["bits 0x2a"] if booted else [])
    assert bool(commands) is booted


def test_a_commit_that_came_back_is_awaited_no_more() -> None:
    scene = Scene().ready()
    scene.core.committing = scene.core.wanted
    wanted = scene.core.wanted.technique_id
    scene.tell(events.BankCommitted(1, wanted, True, ""))
    assert scene.core.committing is None
    assert scene.now_ns >= T0


@pytest.mark.invariant(15)
@pytest.mark.parametrize(("since_ns", "found"), [(-1, []), (0, ["record_not_durable"])])
def test_a_copy_that_fails_takes_readiness_after_its_time(since_ns: int, found: list[str]) -> None:
    scene = Scene().ready()
    scene.core.durable.failed_ns = scene.now_ns
    run._not_durable(scene.core, scene.now_ns + run.DURABLE_FAILS_NS + since_ns)
    assert scene.faults() == found
