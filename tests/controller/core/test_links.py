"""Partners come and go; faults, trips, emergencies, the end."""

from collections.abc import Callable
from typing import Any

import pytest

from controller.core import events
from controller.core.events import Exit, Kind, Persist, Prepare, Reconcile
from controller.core.faults import (
    CATALOGUE,
    HELD_MAX,
    Action,
    Clear,
    Held,
    added,
    latched,
    table,
    without,
)
from controller.core.links import LET_GO_NS, state_seen
from controller.core.modes import Mode
from controller.core.reconcile import Account, Finding
from controller.core.why import Blocks, standing
from realtime.wire.messages import Dark, Hello, Refused, Select, Trip
from tests.controller.core.scene import IDLE, PREPARED, T0, Scene, sent, state

pytestmark = pytest.mark.invariant(12)


def test_realtime_lost_is_latched_everywhere_but_in_boot() -> None:
    for scene in (Scene().standby(), Scene().ready(), Scene().exposing()):
        scene.tell(events.ExecutiveDown("closed"))
        assert (scene.mode(), scene.faults()) == (Mode.FAULT, ["executive_lost"])
        assert scene.core.run is None
    scene = Scene().connect()
    scene.tell(events.ExecutiveDown("closed"))
    assert (scene.mode(), scene.faults()) == (Mode.BOOT, [])


def test_a_new_realtime_is_told_the_function_and_records_are_compared_again() -> None:
    scene = Scene().ready()
    scene.tell(events.ExecutiveDown("closed"))
    commands = scene.tell(events.ExecutiveUp(Hello("realtime", 8, 71, 1, "")))
    assert [select.cine_mode for select in sent(commands, Select)] == [scene.core.cine_mode]
    assert sent(scene.hear(state(scene.now_ns)), Reconcile) == [Reconcile()]
    assert scene.core.finding is None
    assert sent(scene.hear(state(scene.now_ns)), Reconcile) == []


def test_reconciliation_waits_for_both_partners() -> None:
    scene = Scene()
    assert sent(scene.tell(events.GeneratorUp(1, IDLE)), Reconcile) == []
    scene.tell(events.ExecutiveUp(Hello("realtime", 8, 71, 1, "")))
    assert len(sent(scene.hear(state(T0)), Reconcile)) == 1


def test_trips_latch_whichever_way_they_are_heard() -> None:
    scene = Scene().exposing()
    commands = scene.hear(Trip("interlock_estop", scene.now_ns, "flicker"))
    assert [dark.code for dark in sent(commands, Dark)] == ["executive_trip"]
    assert scene.core.faults[0].detail == "interlock_estop: flicker"
    scene = Scene().ready()
    scene.refresh(trips=["stall"])
    assert scene.core.faults[0].detail == "stall"
    scene.refresh(trips=["stall"])
    assert len(scene.core.faults) == 1
    scene.hear(Trip("stall", 0, ""))
    assert len(scene.core.faults) == 1


def test_imaging_lost_takes_readiness_but_does_not_latch() -> None:
    scene = Scene().exposing()
    commands = scene.tell(events.ImagingDown("closed"))
    assert [dark.code for dark in sent(commands, Dark)] == ["imaging_lost"]
    assert scene.mode() is Mode.STANDBY
    codes = [reason.code for reason in standing(scene.core, scene.now_ns, Blocks.PRESS)]
    assert codes == ["fault_imaging_lost", "imaging_not_connected"]
    scene.tell(events.ImagingUp(Hello("imaging", 9, 81, 0, "")))
    scene.refresh()
    scene.settle(scene.ask(Kind.READY))
    assert (scene.mode(), scene.faults()) == (Mode.READY, [])
    scene = Scene().standby()
    scene.tell(events.ImagingDown("closed"))
    assert (scene.mode(), scene.faults()) == (Mode.STANDBY, [])


@pytest.mark.parametrize(
    ("at", "mode", "faults"),
    [
        ("standby", Mode.STANDBY, []), ("ready", Mode.STANDBY, ["generator_not_ready"]),
        ("exposing", Mode.FAULT, ["generator_lost"]),
    ],
)  # fmt: skip
def test_the_generator_lost(at: str, mode: Mode, faults: list[str]) -> None:
    scene = getattr(Scene(), at)()
    scene.tell(events.GeneratorDown("heartbeat", "silent for 300 ms"))
    assert (scene.mode(), scene.faults()) == (mode, faults)


def test_a_generator_fault_bit_and_an_emergency_latch() -> None:
    scene = Scene().exposing()
    scene.tell(events.GeneratorSeen(type(PREPARED)(5, True, True, 4, 0)))
    assert scene.faults() == ["generator_fault"]
    assert "0x4" in scene.core.faults[0].detail
    scene = Scene().ready()
    scene.tell(events.Emergency(0, "over"))
    assert scene.faults() == []
    scene.tell(events.Emergency(0x2310, "overcurrent"))
    assert scene.faults() == ["generator_emergency"]


def test_a_record_that_cannot_be_kept_takes_readiness() -> None:
    scene = Scene().ready()
    scene.tell(events.DurableSeen(False, 10, 3, "No space left on device"))
    assert (scene.mode(), scene.faults()) == (Mode.STANDBY, ["record_not_durable"])
    scene = Scene().exposing()
    scene.tell(events.DurableSeen(False, 10, 3, "No space left on device"))
    assert scene.mode() is Mode.EXPOSING, "an exposure may finish (F40)"
    assert scene.tell(events.DurableSeen(False, 10, 4, "No space")) == []


def test_a_repair_is_told_once_and_latches_nothing() -> None:
    scene = Scene().standby()
    finding = Finding(True, 2, 1, (), 0, 0, "")
    scene.tell(events.Reconciled(finding, Account(1, 1)))
    assert scene.faults() == []
    bad = Finding(False, 300, 1, (), 44, 0, "44 unknown")
    scene.tell(events.Reconciled(bad, Account(1, 1)))
    scene.tell(events.Reconciled(bad, Account(1, 1)))
    assert (scene.mode(), scene.faults()) == (Mode.STANDBY, ["record_repaired"])


def test_what_was_taken_back_is_told() -> None:
    scene = Scene().standby()
    scene.tell(events.Reconciled(Finding(True, 2, 3, (), 0, 0, "", taken_back=1), Account(1, 1)))
    assert (scene.mode(), scene.faults()) == (Mode.STANDBY, ["record_repaired"])


def test_what_realtime_refuses_is_told() -> None:
    scene = Scene().exposing()
    (log,) = scene.hear(Refused("order", "epoch", "", 1))
    assert isinstance(log, events.Log)
    assert log.what == "refused_epoch"


def test_the_end_is_dark_first_and_clean() -> None:
    scene = Scene().exposing()
    commands = scene.tell(events.Stop("SIGTERM"))
    assert isinstance(commands[0], events.ToExecutive)
    assert isinstance(commands[0].message, Dark)
    assert sent(commands, Persist) == [Persist(clean=True)]
    assert sent(commands, Prepare) == [Prepare(False)]
    assert commands[-1] == Exit(0)
    assert scene.mode() is Mode.SHUTDOWN
    assert scene.tick() == []


def test_a_failure_of_ours_is_dark_latched_and_ends_the_process() -> None:
    scene = Scene().exposing()
    commands = scene.tell(events.Broken("a queue is full"))
    assert isinstance(commands[0], events.ToExecutive)
    assert commands[-1] == Exit(4)
    assert sent(commands, Persist)[-1] == Persist(clean=False)
    assert scene.faults() == ["internal_error"]


def test_the_catalogue_says_everything_about_every_fault() -> None:
    for row in CATALOGUE:
        assert row.cause
        assert row.text.endswith(".")
        assert row.remedy.endswith(".")
        assert (row.action is Action.FAULT) <= (row.clear is Clear.LOCAL_RESET)
        assert all(id_[0] == "F" and id_[1:].isdigit() for id_ in row.covers)
    assert [row["id"] for row in table()] == [row.id for row in CATALOGUE]


def test_held_faults_are_bounded_and_keep_their_order() -> None:
    held: tuple[Held, ...] = ()
    for row in CATALOGUE:
        held = added(added(held, Held(row.id, "first", 1)), Held(row.id, "second", 2))
    assert [one.id for one in held] == [row.id for row in CATALOGUE][:HELD_MAX]
    assert {one.detail for one in held} == {"first"}
    assert all(one.fault.action is Action.FAULT for one in latched(held))
    assert all(one.fault.clear is Clear.NEXT_READY for one in without(held, Clear.LOCAL_RESET))
    full = tuple(Held("no_image", "", n) for n in range(HELD_MAX))
    assert added(full, Held("internal_error", "", 1)) == full
    with pytest.raises(AssertionError):
        added((), Held("no_such_fault", "", 1))
    assert held[0].shown()["severity"] == "failure"


@pytest.mark.parametrize("other", [0, 78])
def test_a_run_whose_end_was_not_told_is_a_fault(other: int) -> None:
    scene = Scene().exposing()
    scene.refresh()
    assert scene.mode() is Mode.EXPOSING
    scene.refresh(run_id=other)
    assert scene.mode() is Mode.FAULT
    assert [fault.id for fault in scene.core.faults] == ["run_end_lost"]


def test_at_rest_realtime_may_be_in_whatever_run() -> None:
    scene = Scene()
    scene.ready()
    scene.refresh(run_id=78)
    assert scene.mode() is Mode.READY


def short_of_one() -> Scene:
    """READY; the generator has counted one pulse more than the durable copy holds."""
    scene = Scene().ready()
    scene.core.account, scene.core.pairing.counter = Account(100, 10), 103
    scene.tell(events.DurableSeen(True, 12, 0, ""))
    return scene


def asked(scene: Scene, released_ns: int = LET_GO_NS) -> bool:
    """Whether a report asks for the records to be compared."""
    return Reconcile() in scene.hear(state(scene.now_ns, released_ns=released_ns))


def test_a_pulse_that_stays_missing_is_asked_for_while_the_generator_remembers_it() -> None:
    scene = short_of_one()
    assert not asked(scene, LET_GO_NS - 1), "who has just let go may press again"
    assert asked(scene)
    assert not asked(scene), "once, until it is answered"
    for act in (Blocks.READY, Blocks.PRESS):
        reasons = standing(scene.core, scene.now_ns, act)
        assert "records_not_reconciled" in [one.code for one in reasons]
    scene.tell(events.Reconciled(Finding(True, 3, 2, (), 0, 0, ""), Account(103, 13)))
    assert scene.core.durable.copied == 13
    assert not asked(scene)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda scene: scene.tell(events.DurableSeen(True, 13, 0, "")),
        lambda scene: scene.tell(events.DurableSeen(True, 12, 1, "")),
        lambda scene: setattr(scene.core, "finding", None),
        lambda scene: setattr(scene.core, "account", None),
        lambda scene: setattr(scene.core.pairing, "counter", None),
        lambda scene: setattr(scene.core.pairing, "counter", 102),
        lambda scene: setattr(scene.core, "mode", Mode.PREP),
        lambda scene: setattr(scene.core, "mode", Mode.EXPOSING),
        lambda scene: setattr(scene.core.durable, "ok", False),
        lambda scene: scene.core.pairing._results.append((None, 0)),
    ],
)
def test_what_is_not_settled_or_agrees_is_not_asked_about(spoil: Callable[[Scene], Any]) -> None:
    scene = short_of_one()
    spoil(scene)
    report = events.FromExecutive(state(scene.now_ns, released_ns=LET_GO_NS))
    assert Reconcile() not in state_seen(scene.core, report, scene.now_ns)
