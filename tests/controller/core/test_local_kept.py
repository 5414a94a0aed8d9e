"""Local acts: what exactly each one clears, keeps, writes and answers."""

from typing import Any

import pytest

from controller.core import events
from controller.core.events import Command, Kind, Log, Persist, Reply
from controller.core.faults import Held
from controller.core.local import RESET_MAX_NS, fault_tick
from controller.core.modes import Mode
from realtime.wire.lines import In
from realtime.wire.messages import Trip
from tests.controller.core.scene import IDLE, MS, RESTING, Scene, replies, report, sent, state

pytestmark = pytest.mark.invariant(12)


def body(commands: list[Command]) -> Any:
    (only,) = replies(commands)
    return only


def faulted() -> Scene:
    scene = Scene().ready()
    scene.hear(Trip("stall", scene.now_ns, ""))
    assert scene.mode() is Mode.FAULT
    return scene


def test_a_yes_says_so_and_is_logged() -> None:
    commands = Scene().standby().ask(Kind.RESET_TIMER, token=4)
    reply, log = commands[1:]
    assert isinstance(reply, Reply)
    assert (reply.token, reply.body["ok"], reply.body["mode"]) == (4, True, "STANDBY")
    assert log == Log("info", "local_act", {"what": "reset_timer"})


def test_the_first_of_several_reasons_is_named() -> None:
    scene = Scene().standby()
    scene.refresh(lines_in=RESTING & ~(1 << In.DOOR) | 1 << In.FLUORO_NO)
    scene.core.durable.ok = False
    assert body(scene.ask(Kind.READY))["error"]["code"] == "interlock_door"


def test_ready_clears_what_only_took_readiness_and_writes_it() -> None:
    scene = Scene().standby()
    scene.core.faults = (Held("imaging_lost", "", 1), Held("record_repaired", "", 1))
    commands = scene.ask(Kind.READY)
    assert scene.faults() == ["record_repaired"]
    assert sent(commands, Persist) == [Persist(clean=False)]


@pytest.mark.parametrize("mode", [Mode.PREP, Mode.SELF_TEST, Mode.EXPOSING])
def test_ready_is_busy_outside_of_fault_even_with_a_fault_held(mode: Mode) -> None:
    scene = Scene().standby()
    scene.core.mode = mode
    assert body(scene.ask(Kind.READY))["error"]["code"] == "busy"
    scene.core.faults = (Held("no_image", "", 1),)
    assert body(scene.ask(Kind.READY))["error"]["code"] == "busy"


def test_ready_in_fault_without_a_latch_is_busy() -> None:
    scene = Scene().standby()
    scene.core.mode = Mode.FAULT
    assert body(scene.ask(Kind.READY))["error"]["code"] == "busy"


def reset(scene: Scene, after_ns: int, **changes: Any) -> list[Command]:
    """A reset, a report of realtime stamped `after_ns` later, and a beat at the same instant."""
    scene.ask(Kind.RESET, token=8)
    scene.now_ns += after_ns
    scene.refresh(**changes)
    return scene.tick(0)


def test_only_a_report_from_after_the_reset_counts() -> None:
    scene = faulted()
    assert reset(scene, 0) == [], "realtime may not have read it yet"
    assert scene.mode() is Mode.FAULT
    assert body(reset(faulted(), 1))["ok"] is True


def test_without_a_report_there_is_no_way_out_of_fault() -> None:
    scene = faulted()
    scene.ask(Kind.RESET, token=8)
    scene.core.executive.state = None
    assert fault_tick(scene.core, events.Tick(), scene.now_ns + MS) == []
    assert scene.mode() is Mode.FAULT
    late = fault_tick(scene.core, events.Tick(), scene.now_ns + RESET_MAX_NS + 1)
    assert body(late)["error"]["value"] == "executive_not_connected"


def test_a_reset_is_given_up_after_a_second_and_names_the_first_that_is_held() -> None:
    assert RESET_MAX_NS == 1_000_000_000
    assert reset(faulted(), RESET_MAX_NS, trips=["stall"]) == []
    scene = faulted()
    commands = reset(scene, RESET_MAX_NS + 1, trips=["interlock_estop", "stall"])
    assert body(commands)["error"]["value"] == "interlock_estop"
    assert scene.core.reset_token is None


def test_a_partner_that_comes_back_is_waited_for_to_the_end_of_the_second() -> None:
    scene = faulted()
    scene.core.executive.epoch += 1
    scene.tell(events.ImagingDown("closed"))
    assert reset(scene, RESET_MAX_NS) == []
    scene.now_ns += 1
    scene.hear(state(scene.now_ns))
    assert body(scene.tick(0))["mode"] == "STANDBY"


def test_leaving_fault_forgets_what_was_waited_for_and_writes_the_latches() -> None:
    scene = Scene().exposing()
    assert scene.core.lease is not None
    scene.hear(report(scene.run_id, 0, scene.core.lease.technique.technique_id))
    scene.hear(Trip("stall", scene.now_ns, ""))
    assert scene.core.pairing.waiting
    scene.core.pairing.counter = 41
    commands = reset(scene, 5 * MS)
    assert (scene.mode(), scene.core.pairing.waiting) == (Mode.STANDBY, False)
    assert scene.core.pairing.counter is None
    assert sent(commands, Persist) == [Persist(clean=False)]


def test_leaving_fault_into_the_self_test_writes_the_latches_as_well() -> None:
    scene = faulted()
    scene.core.executive.epoch += 1
    commands = reset(scene, 5 * MS)
    assert scene.mode() is Mode.SELF_TEST
    assert sent(commands, Persist) == [Persist(clean=False)]


def test_a_reset_at_rest_clears_notices_and_asks_for_a_fresh_release() -> None:
    scene = Scene().standby()
    scene.core.faults = (Held("record_repaired", "", 1), Held("imaging_lost", "", 1))
    commands = scene.ask(Kind.RESET)
    assert body(commands)["cleared"] == ["record_repaired", "imaging_lost"]
    assert scene.faults() == ["imaging_lost"]
    assert scene.core.voided_ns == scene.now_ns
    assert sent(commands, Persist) == [Persist(clean=False)]


def test_a_generator_fault_keeps_the_latch_until_it_is_gone() -> None:
    scene = faulted()
    scene.core.generator.status = type(IDLE)(5, False, False, 2, 0)
    assert reset(scene, 5 * MS) == []
    scene.tell(events.GeneratorSeen(IDLE))
    assert body(scene.tick(0))["ok"] is True


def test_a_question_is_answered_under_its_token_and_changes_nothing() -> None:
    scene = Scene().ready()
    (reply,) = scene.ask(Kind.ASK, "status", token=6)
    assert isinstance(reply, Reply)
    assert (reply.token, scene.mode()) == (6, Mode.READY)
