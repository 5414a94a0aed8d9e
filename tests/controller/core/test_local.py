"""Local operation: who may do what when, and the answers."""

from typing import Any

import pytest

from controller.core import events
from controller.core.events import Kind, Prepare, ResetGenerator
from controller.core.local import RESET_MAX_NS
from controller.core.modes import Mode
from controller.core.why import Blocks, standing
from realtime.wire.lines import In
from realtime.wire.messages import Dark, Reset, ResetTimer, Select, Trip
from realtime.wire.messages import Mode as Function
from tests.controller.core.scene import IDLE, MS, RESTING, Scene, replies, sent

pytestmark = pytest.mark.invariant(12)


def body(commands: list[events.Command]) -> Any:
    (only,) = replies(commands)
    return only


def faulted() -> Scene:
    scene = Scene().ready()
    scene.hear(Trip("stall", scene.now_ns, ""))
    assert scene.mode() is Mode.FAULT
    return scene


def test_ready_is_answered_when_the_short_test_has_passed() -> None:
    scene = Scene().standby()
    commands = scene.ask(Kind.READY, token=5)
    assert replies(commands) == []
    reply = body(scene.settle(commands))
    assert (reply["ok"], reply["mode"], scene.mode()) == (True, "READY", Mode.READY)
    assert body(scene.ask(Kind.READY))["mode"] == "READY"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (RESTING & ~(1 << In.DOOR), "interlock_door"),
        (RESTING & ~(1 << In.ESTOP), "interlock_estop"),
        (RESTING | 1 << In.FLUORO_NO, "pedal_down"),
        (RESTING & ~(1 << In.CINE_NC), "pedal_down"),
    ],
)  # fmt: skip
def test_ready_is_refused_with_the_first_thing_in_the_way(lines: int, code: str) -> None:
    scene = Scene().standby()
    scene.refresh(lines_in=lines)
    assert body(scene.ask(Kind.READY))["error"]["code"] == code
    assert scene.mode() is Mode.STANDBY


def test_ready_in_fault_names_the_fault() -> None:
    reply = body(faulted().ask(Kind.READY))
    assert reply["error"]["code"] == "fault_executive_trip"
    assert body(Scene().exposing().ask(Kind.READY))["error"]["code"] == "busy"


def test_a_reset_leaves_fault_once_realtime_has_cleared() -> None:
    scene = faulted()
    commands = scene.ask(Kind.RESET, token=8)
    assert len(sent(commands, Reset)) == 1
    assert sent(commands, ResetGenerator) == [ResetGenerator()]
    assert replies(commands) == []
    assert body(scene.ask(Kind.RESET, token=9))["error"]["code"] == "busy"
    scene.now_ns += 5 * MS
    scene.refresh(trips=["stall"])
    assert scene.tick() == []
    scene.refresh()
    reply = body(scene.tick())
    assert (reply["ok"], reply["mode"], reply["cleared"]) == (True, "STANDBY", ["executive_trip"])
    assert scene.mode() is Mode.STANDBY


def test_a_reset_is_followed_by_the_self_test_when_a_partner_is_new() -> None:
    scene = faulted()
    scene.core.executive.epoch += 1
    scene.ask(Kind.RESET)
    scene.now_ns += 5 * MS
    scene.refresh()
    assert replies(scene.tick()) == []
    assert scene.mode() is Mode.SELF_TEST
    scene.now_ns += 100 * MS
    scene.refresh()
    assert body(scene.settle(scene.tick()))["mode"] == "STANDBY"


def test_a_reset_waits_for_a_partner_but_not_for_ever() -> None:
    scene = faulted()
    scene.core.executive.epoch += 1
    scene.tell(events.ImagingDown("closed"))
    scene.ask(Kind.RESET)
    scene.now_ns += 5 * MS
    scene.refresh()
    assert scene.tick() == []
    scene.now_ns += RESET_MAX_NS
    scene.refresh()
    assert body(scene.tick())["mode"] == "STANDBY"


def test_a_reset_with_the_cause_still_there_is_refused() -> None:
    scene = faulted()
    scene.refresh(lines_in=RESTING | 1 << In.FLUORO_NO)
    assert body(scene.ask(Kind.RESET))["error"]["code"] == "pedal_down"
    scene = faulted()
    scene.ask(Kind.RESET)
    scene.now_ns += RESET_MAX_NS + MS
    scene.refresh(trips=["interlock_estop"])
    reply = body(scene.tick())
    assert (reply["error"]["code"], reply["error"]["value"]) == (
        "cause_still_present", "interlock_estop",
    )  # fmt: skip
    assert scene.mode() is Mode.FAULT


def test_a_generator_that_keeps_its_fault_keeps_ours() -> None:
    scene = faulted()
    scene.ask(Kind.RESET)
    scene.tell(events.GeneratorSeen(type(IDLE)(5, False, False, 2, 0)))
    scene.now_ns += RESET_MAX_NS + MS
    scene.refresh()
    assert body(scene.tick())["error"]["value"] == "generator faults"


def test_fault_stays_without_a_reset() -> None:
    scene = faulted()
    scene.refresh()
    for _ in range(100):
        assert scene.tick() == []
    assert scene.mode() is Mode.FAULT


def test_a_reset_at_rest_takes_notices_away() -> None:
    scene = Scene().standby()
    commands = scene.ask(Kind.RESET)
    assert body(commands)["cleared"] == []
    assert len(sent(commands, Reset)) == 1
    assert body(Scene().exposing().ask(Kind.RESET))["error"]["code"] == "busy"


@pytest.mark.parametrize("at", ["standby", "ready"])
def test_an_edit_voids_ready_until_it_is_applied(at: str) -> None:
    scene = getattr(Scene(), at)()
    before = scene.core.wanted.technique_id
    reply = body(scene.ask(Kind.SET, kv=81.0))
    assert (reply["mode"], reply["technique"]["kv"]) == ("STANDBY", 81.0)
    assert scene.core.wanted.technique_id != before
    assert scene.core.committed is None


def test_an_edit_during_the_preparation_ends_it() -> None:
    scene = Scene().ready()
    scene.tell(events.GeneratorSeen(IDLE))
    scene.press()
    assert scene.mode() is Mode.PREP
    commands = scene.ask(Kind.SET, rate=30)
    assert [dark.code for dark in sent(commands, Dark)] == ["technique_edited"]
    assert scene.mode() is Mode.STANDBY


def test_a_late_commit_of_an_edited_technique_counts_for_nothing() -> None:
    scene = Scene().standby()
    commands = scene.ask(Kind.READY)
    while scene.mode() is not Mode.READY:
        commands = scene.answer(commands)
    (commit,) = sent(commands, events.Commit)
    scene.ask(Kind.SET, kv=81.0)
    scene.tell(events.BankCommitted(commit.bank, commit.technique.technique_id, True, ""))
    assert scene.core.committed is None


def test_a_wrong_edit_changes_nothing() -> None:
    scene = Scene().ready()
    reply = body(scene.ask(Kind.SET, ms=40.0))
    assert reply["error"]["code"] == "does_not_fit_window"
    assert scene.mode() is Mode.READY
    assert body(Scene().exposing().ask(Kind.SET, kv=81.0))["error"]["code"] == "busy"


def test_select_tells_realtime() -> None:
    scene = Scene().ready()
    commands = scene.ask(Kind.SELECT, cine_mode="dsa")
    assert [select.cine_mode for select in sent(commands, Select)] == [Function.DSA]
    assert body(scene.ask(Kind.SELECT, cine_mode="fluoro"))["error"]["code"] == "unknown_function"
    assert body(scene.ask(Kind.SELECT))["error"]["value"] is None


def test_the_timer_is_reset_while_dark() -> None:
    commands = Scene().standby().ask(Kind.RESET_TIMER)
    assert len(sent(commands, ResetTimer)) == 1
    assert body(Scene().exposing().ask(Kind.RESET_TIMER))["error"]["code"] == "busy"


def test_the_whole_self_test_on_request() -> None:
    scene = Scene().standby()
    reply = body(scene.settle(scene.ask(Kind.SELF_TEST)))
    assert [one["ok"] for one in reply["self_test"]] == [True] * 7
    assert scene.mode() is Mode.STANDBY
    scene.tell(events.ImagingDown("closed"))
    assert body(scene.ask(Kind.SELF_TEST))["error"]["code"] == "imaging_not_connected"


def test_the_self_test_takes_readiness_away() -> None:
    scene = Scene().ready()
    commands = scene.ask(Kind.SELF_TEST)
    assert sent(commands, Prepare) == [Prepare(False)]
    assert scene.core.committed is None
    body(scene.settle(commands))
    assert scene.mode() is Mode.STANDBY
    assert body(Scene().exposing().ask(Kind.SELF_TEST))["error"]["code"] == "busy"


@pytest.mark.parametrize("what", ["status", "why", "faults"])
def test_questions_are_answered_in_every_mode(what: str) -> None:
    ended = Scene().standby()
    ended.tell(events.Stop("SIGTERM"))
    for scene in (Scene(), Scene().connect(), Scene().exposing(), faulted(), ended):
        reply = body(scene.ask(Kind.ASK, what))
        assert reply["schema"] == f"carm.{what}/1"
        assert reply["mode"] == scene.mode().value


def test_why_lists_what_stands_against_a_press_in_order() -> None:
    scene = Scene()
    codes = [one["code"] for one in body(scene.ask(Kind.ASK, "why"))["reasons"]]
    assert codes == [
        "executive_not_connected", "imaging_not_connected", "generator_not_connected",
        "records_not_reconciled", "record_not_durable", "self_test_not_passed",
        "technique_not_committed", "not_ready",
    ]  # fmt: skip
    scene = Scene().ready()
    codes = [one["code"] for one in body(scene.ask(Kind.ASK, "why"))["reasons"]]
    assert codes == ["no_press"]
    assert standing(scene.core, scene.now_ns, Blocks.PRESS) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"link": False}, "lines_not_fresh"),
        ({"trips": ["stall"]}, "trip_stall"),
        ({"inhibits": ["no_imaging", "pedals_not_released"]}, "inhibit_no_imaging"),
        ({"black_box_unread": 20_000}, "black_box_half_full"),
    ],
)
def test_why_names_what_realtime_holds(changes: dict[str, Any], code: str) -> None:
    scene = faulted()
    scene.refresh(**changes)
    assert code in [one["code"] for one in body(scene.ask(Kind.ASK, "why"))["reasons"]]
