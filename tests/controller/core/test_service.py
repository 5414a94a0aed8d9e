"""Service at the supervisor: when a wish is refused, and what each granted one does."""

from collections.abc import Callable
from typing import Any

import pytest

from controller.core import events
from controller.core.condition import EXECUTIVE_AGE_MAX_NS, IMAGING_AGE_MAX_NS, Run
from controller.core.events import Command, EndProcess, Kind, Log, Prepare, Reply
from controller.core.faults import Held
from controller.core.modes import Mode
from controller.core.selftest import DRY, WHOLE
from controller.core.service import (
    MINUTES_MAX,
    WISHES,
    is_dark,
    pedals_up,
    picture,
    session_open,
    visible,
)
from realtime.wire.lines import In
from realtime.wire.messages import Mode as Function
from tests.controller.core.scene import RESTING, Scene, replies, sent, state

pytestmark = [pytest.mark.invariant(12), pytest.mark.invariant(14)]
MINUTE_NS = 60_000_000_000


def wish(scene: Scene, what: str, token: int = 3, **arguments: Any) -> list[Command]:
    return scene.tell(events.Remote(token, False, what, "anna", arguments))


def body(commands: list[Command]) -> Any:
    (only,) = replies(commands)
    return only


def code(commands: list[Command]) -> str:
    return str(body(commands)["error"]["code"])


def opened(at: str = "standby") -> Scene:
    """A session of a minute is open."""
    scene: Scene = getattr(Scene(), at)()
    scene.ask(Kind.SERVICE, "service_open", minutes=1)
    return scene


def test_a_session_ends_by_itself() -> None:
    scene = opened()
    until_ns = scene.core.session_until_ns
    assert until_ns == scene.now_ns + MINUTE_NS
    assert session_open(scene.core, until_ns - 1)
    assert not session_open(scene.core, until_ns)


def test_opening_is_told_with_what_is_left() -> None:
    scene = Scene().standby()
    commands = scene.ask(Kind.SERVICE, "service_open", token=6, minutes=2)
    assert commands == [
        Reply(6, {"ok": True, "mode": "STANDBY", "session_left_ms": 120_000}),
        Log("info", "service_open", {"left_ms": 120_000}),
    ]


def test_closing_ends_it_at_once() -> None:
    scene = opened()
    commands = scene.ask(Kind.SERVICE, "service_close", token=6)
    assert scene.core.session_until_ns == 0
    assert body(commands) == {"ok": True, "mode": "STANDBY", "session_left_ms": 0}


@pytest.mark.parametrize("minutes", [0, -1, 241, None, True, 1.0, "30"])
def test_a_session_of_no_minutes_is_refused(minutes: Any) -> None:
    scene = Scene().ready()
    reply = body(scene.ask(Kind.SERVICE, "service_open", minutes=minutes))
    assert (reply["error"]["code"], reply["error"]["value"]) == ("minutes", minutes)
    assert (scene.mode(), scene.core.session_until_ns) == (Mode.READY, 0)


@pytest.mark.parametrize("minutes", [1, 240])
def test_a_session_lasts_up_to_four_hours(minutes: int) -> None:
    assert MINUTES_MAX == 240
    scene = Scene().standby()
    scene.ask(Kind.SERVICE, "service_open", minutes=minutes)
    assert scene.core.session_until_ns == scene.now_ns + minutes * MINUTE_NS
    assert body(scene.last)["session_left_ms"] == minutes * 60_000
    assert picture(scene.core, scene.now_ns)["session_left_ms"] == minutes * 60_000


@pytest.mark.parametrize("held", [False, True])
def test_opening_takes_ready_away(held: bool) -> None:
    scene = Scene().ready()
    if held:
        scene.core.mode = Mode.HOLD
    commands = scene.ask(Kind.SERVICE, "service_open", minutes=1)
    assert sent(commands, Prepare) == [Prepare(False)]
    assert (scene.mode(), scene.core.committed) == (Mode.STANDBY, None)
    assert body(commands)["mode"] == "STANDBY"


def test_opening_in_standby_voids_nothing() -> None:
    scene = Scene().standby()
    assert sent(scene.ask(Kind.SERVICE, "service_open", minutes=1), Prepare) == []


Spoil = Callable[[Scene], Any]


def lines(**changes: Any) -> Spoil:
    return lambda s: setattr(s.core.executive, "state", state(s.now_ns, **changes))


def away(scene: Scene) -> Any:
    scene.core.executive.up = False


def in_run(scene: Scene) -> None:
    scene.core.run = Run(1, Function.FLUORO, 0, Mode.READY, True, 0)


@pytest.mark.parametrize(
    ("spoil", "dark"),
    [
        (lambda s: None, True), (in_run, False),
        (lambda s: setattr(s.core, "mode", Mode.PREP), False),
        (lambda s: setattr(s.core, "mode", Mode.EXPOSING), False),
        (lambda s: setattr(s.core, "mode", Mode.FAULT), True),
        (lines(run_id=1), False), (lines(lines_in=RESTING | 1 << In.XRAY_ON), False),
        (lines(lines_in=RESTING | 1 << In.WINDOW | 1 << In.PERMIT_OK), True),
        (lambda s: [do(s) for do in (lines(run_id=1), away)], True),
        (lambda s: setattr(s.core.executive, "state", None), True),
    ],
)  # fmt: skip
def test_dark_is_no_run_anywhere_and_no_kv(spoil: Spoil, dark: bool) -> None:
    scene = Scene().standby()
    spoil(scene)
    assert is_dark(scene.core) is dark


@pytest.mark.parametrize(
    ("spoil", "up"),
    [
        (lambda s: None, True), (lines(lines_in=RESTING | 1 << In.FLUORO_NO), False),
        (lines(lines_in=RESTING & ~(1 << In.CINE_NC)), False),
        (lines(lines_in=RESTING & ~(1 << In.DOOR)), True),
        (lines(link=False), None), (away, None),
        (lambda s: setattr(s.core.executive, "state", None), None),
    ],
)  # fmt: skip
def test_pedals_are_up_down_or_not_known(spoil: Spoil, up: bool | None) -> None:
    scene = Scene().standby()
    spoil(scene)
    assert pedals_up(scene.core, scene.now_ns) is up


def test_an_old_report_says_nothing_of_pedals() -> None:
    scene = Scene().standby()
    seen_ns = scene.core.executive.state_ns
    assert pedals_up(scene.core, seen_ns + EXECUTIVE_AGE_MAX_NS) is True
    assert pedals_up(scene.core, seen_ns + EXECUTIVE_AGE_MAX_NS + 1) is None


def test_a_picture_tells_everything() -> None:
    scene = opened()
    scene.core.faults = (Held("record_repaired", "2 added", 1), Held("imaging_lost", "", 2))
    scene.core.acknowledged = {"record_repaired": "anna"}
    told = picture(scene.core, scene.now_ns + MINUTE_NS - 1_999_999)
    assert (told["t_ns"], told["dark"], told["test"]) == (
        scene.now_ns + MINUTE_NS - 1_999_999, True, None,
    )  # fmt: skip
    assert told["session_left_ms"] == 1
    assert told["pedals_up"] is None, "nothing was heard for a minute"
    assert [one["acknowledged_by"] for one in told["faults"]] == ["anna", None]
    assert told["status"]["schema"] == "carm.status/1"
    assert "service_session_open" in [one["code"] for one in told["why"]]
    assert picture(scene.core, scene.now_ns + 2 * MINUTE_NS)["session_left_ms"] == 0
    assert picture(scene.core, scene.core.session_until_ns)["session_left_ms"] == 0


def test_a_picture_tells_how_far_the_test_is() -> None:
    scene = Scene().connect()
    scene.answer(scene.tick())
    assert picture(scene.core, scene.now_ns)["test"] == {"done": 1, "total": 7}


def test_looking_is_free_in_every_mode() -> None:
    for scene in (Scene(), Scene().exposing(), Scene().ready()):
        mode = scene.mode()
        (reply,) = scene.tell(events.Remote(9, True, "picture", "", {}))
        assert isinstance(reply, Reply)
        assert (reply.token, reply.body, scene.mode()) == (
            9, picture(scene.core, scene.now_ns), mode,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (in_run, "beam_on"), (lines(lines_in=RESTING | 1 << In.FLUORO_NO), "pedal_down"),
        (away, "pedal_down"), (lambda s: setattr(s.core, "session_until_ns", s.now_ns),
                               "no_session"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("what", sorted(WISHES))
def test_no_wish_is_granted_unless_dark_released_and_in_a_session(
    what: str, spoil: Spoil, wanted: str
) -> None:
    scene = opened()
    spoil(scene)
    mode = scene.mode()
    commands = wish(scene, what)
    assert code(commands) == wanted
    assert commands[1:] == [
        Log("warning", "remote_refused", {"what": what, "by": "anna", "code": wanted})
    ]
    assert (scene.mode(), scene.faults()) == (mode, [])


def test_what_is_no_wish_is_refused() -> None:
    assert code(wish(opened(), "radiate")) == "unknown"


def test_nothing_is_granted_at_the_end() -> None:
    scene = opened()
    scene.tell(events.Stop("SIGTERM"))
    assert code(wish(scene, "permit")) == "busy"


def test_a_permission_is_logged_with_its_name() -> None:
    commands = wish(opened(), "permit", token=8)
    assert commands == [
        Log("info", "remote_act", {"what": "permit", "by": "anna"}), Reply(8, {"ok": True}),
    ]  # fmt: skip


@pytest.mark.parametrize(("what", "steps"), [("self_test", WHOLE), ("dry_run", DRY)])
def test_a_test_runs_from_standby_back_to_standby(what: str, steps: Any) -> None:
    scene = opened()
    commands = wish(scene, what, token=8)
    assert scene.core.test is not None
    assert (scene.core.test.steps, scene.core.test_goal) == (steps, Mode.STANDBY)
    seen = scene.settle(commands)
    assert scene.mode() is Mode.STANDBY
    (reply,) = [c for c in seen if isinstance(c, Reply)]
    assert (reply.token, reply.body["ok"]) == (8, True)


def test_a_test_needs_standby_and_names_what_blocks_it() -> None:
    scene = opened()
    scene.core.mode = Mode.FAULT
    assert code(wish(scene, "self_test")) == "busy"
    scene = opened()
    lines(trips=["stall", "run_max"])(scene)
    assert code(wish(scene, "dry_run")) == "trip_stall"
    assert scene.mode() is Mode.STANDBY


def test_an_acknowledgement_is_kept_as_long_as_its_fault() -> None:
    scene = opened()
    scene.core.faults = (Held("record_repaired", "", 1), Held("imaging_lost", "", 2))
    assert code(wish(scene, "acknowledge", fault="stall")) == "not_held"
    commands = wish(scene, "acknowledge", fault="imaging_lost")
    assert body(commands) == {"ok": True, "fault": "imaging_lost", "acknowledged_by": "anna"}
    assert scene.core.acknowledged == {"imaging_lost": "anna"}
    scene.core.faults = scene.core.faults[:1]
    wish(scene, "acknowledge", fault="record_repaired")
    assert scene.core.acknowledged == {"record_repaired": "anna"}
    scene.core.faults = ()
    assert body(wish(scene, "acknowledge", fault="x"))["error"]["allowed"] == "none is held"


@pytest.mark.parametrize(("process", "pid"), [("realtime", 70), ("imaging", 80)])
def test_a_process_is_ended_by_its_pid(process: str, pid: int) -> None:
    commands = wish(opened(), "restart", process=process)
    assert sent(commands, EndProcess) == [EndProcess(process, pid)]
    assert body(commands) == {"ok": True, "pid": pid}


def test_what_does_not_run_cannot_be_ended() -> None:
    scene = opened()
    assert code(wish(scene, "restart", process="supervisor")) == "not_running"
    assert code(wish(scene, "restart")) == "not_running"
    scene.core.imaging.up = False
    refusal = body(wish(scene, "restart", process="imaging"))["error"]
    assert (refusal["code"], refusal["allowed"]) == ("not_running", "realtime")
    scene.core.executive.state = None
    scene = opened()
    scene.core.executive.pid = 0
    assert body(wish(scene, "restart", process="realtime"))["error"]["allowed"] == "imaging"


def test_a_lock_out_latches_and_names_its_engineer() -> None:
    scene = opened()
    commands = wish(scene, "lock_out", reason="x" * 300)
    assert (scene.mode(), scene.faults()) == (Mode.FAULT, ["locked_out"])
    detail = scene.core.faults[0].detail
    assert detail == ("anna: " + "x" * 300)[:160]
    assert body(commands) == {"ok": True, "mode": "FAULT"}


def test_no_run_no_test_and_whole_reports_are_told_by_values_of_their_own() -> None:
    """Nothing that could be there has the value of what is not there."""
    scene = Scene().ready()
    executive, imaging = scene.core.executive, scene.core.imaging
    executive.state_ns, imaging.state_ns = scene.now_ns, scene.now_ns - 1
    shown = visible(scene.core, scene.now_ns)
    assert (shown[3], shown[14]) == (0, -1)
    silent = [n for n, value in enumerate(shown) if value is False][-2:]
    for ns, wanted in (
        (EXECUTIVE_AGE_MAX_NS, [False, False]), (EXECUTIVE_AGE_MAX_NS + 1, [True, False]),
        (IMAGING_AGE_MAX_NS - 1, [True, False]), (IMAGING_AGE_MAX_NS, [True, True]),
    ):  # fmt: skip
        later = visible(scene.core, scene.now_ns + ns)
        assert [later[n] for n in silent] == wanted
