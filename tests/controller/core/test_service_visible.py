"""Whoever watches is told when, and only when, a picture shows something new."""

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest

from controller.core import events
from controller.core.condition import EXECUTIVE_AGE_MAX_NS, IMAGING_AGE_MAX_NS
from controller.core.events import Kind
from controller.core.modes import Mode
from controller.core.service import picture, visible
from controller.service.core.picture import essence
from realtime.wire.lines import In
from tests.controller.core.scene import IDLE, MS, PREPARED, RESTING, Scene, imaging_state, state

Act = Callable[[Scene], object]
DOOR = RESTING & ~(1 << In.DOOR)
# What may happen next, in any order; most of it is refused or ignored in most modes.
ACTS: tuple[Act, ...] = (
    lambda s: s.tick(),
    lambda s: s.refresh(),
    lambda s: s.settle(s.last),
    lambda s: s.settle(s.ask(Kind.READY)),
    lambda s: s.settle(s.ask(Kind.RESET)),
    lambda s: s.ask(Kind.SELF_TEST),
    lambda s: s.ask(Kind.SET, "set", kv=random.choice((65, 75))),
    lambda s: s.ask(Kind.SERVICE, "service_open", minutes=1),
    lambda s: s.ask(Kind.SERVICE, "service_close"),
    lambda s: s.press(),
    lambda s: s.end(),
    lambda s: s.hear(state(s.now_ns, lines_in=DOOR, inhibits=["interlock_door"])),
    lambda s: s.hear(state(s.now_ns, late_max_ns=random.randrange(9), late_cause="own_code")),
    lambda s: s.hear(state(s.now_ns, pulses=random.randrange(3), black_box_unread=1)),
    lambda s: s.hear(state(s.now_ns, trips=["stall"])),
    lambda s: s.tell(events.ImagingSeen(imaging_state(s.now_ns, frames_read=random.randrange(3)))),
    lambda s: s.tell(events.ImagingDown("gone")),
    lambda s: s.connect(),
    lambda s: s.tell(events.GeneratorSeen(random.choice((IDLE, PREPARED)))),
    lambda s: s.tell(events.GeneratorDown("heartbeat", "silent")),
    lambda s: s.tell(events.DurableSeen(False, 10, 1, "EIO")),
    lambda s: s.tell(events.DurableSeen(True, 11, 0, "")),
    lambda s: s.tell(events.Remote(-1, False, "acknowledge", "emil", {"fault": "estop"})),
    lambda s: s.tell(events.Remote(-1, False, "lock_out", "emil", {"reason": "wear"})),
    lambda s: s.tick(400),
    lambda s: s.tick(70_000),
)


# Their values tell a time that passes; they are shown with whatever is told next.
BY_TIME = frozenset({"executive_silent", "imaging_silent", "service_session_open"})


def seen(scene: Scene) -> tuple[Any, tuple[object, ...]]:
    shown: Any = essence(picture(scene.core, scene.now_ns))
    why = [{**one, "value": 0} if one["code"] in BY_TIME else one for one in shown["why"]]
    return {**shown, "why": why}, visible(scene.core, scene.now_ns)


def test_no_picture_shows_anything_new_that_whoever_watches_is_not_told() -> None:
    random.seed(11)
    modes = set()
    for number in range(60):
        scene = Scene()
        (scene.ready if number % 2 else scene.exposing)()
        shown, key = seen(scene)
        for _ in range(40):
            random.choice(ACTS)(scene)
            modes.add(scene.mode())
            before, before_key = shown, key
            shown, key = seen(scene)
            assert key != before_key or shown == before
    assert modes >= set(Mode) - {Mode.BOOT, Mode.PREP, Mode.SHUTDOWN}, modes


def test_at_rest_reports_that_say_the_same_are_no_news() -> None:
    scene = Scene().ready()
    scene.refresh()
    _, key = seen(scene)
    for _ in range(30):
        scene.tick(70)
        scene.refresh(late_max_ns=random.randrange(9), released_ns=scene.now_ns)
        assert seen(scene)[1] == key


@pytest.mark.parametrize(
    "silence_ns", [EXECUTIVE_AGE_MAX_NS, IMAGING_AGE_MAX_NS], ids=["realtime", "imaging"]
)
def test_a_partner_that_falls_silent_is_news_by_time_alone(silence_ns: int) -> None:
    scene = Scene().ready()
    scene.refresh()
    before = visible(scene.core, scene.now_ns + silence_ns)
    assert visible(scene.core, scene.now_ns + silence_ns + MS) != before


def test_whatever_a_partner_says_of_itself_and_is_shown_is_news() -> None:
    scene = Scene().standby()
    core, now_ns = scene.core, scene.now_ns
    told: list[tuple[Any, Any]] = [
        (core.executive, state(now_ns)), (core.imaging, imaging_state(now_ns)),
        (core.generator, IDLE),
    ]  # fmt: skip
    for held, whole in told:
        name = "status" if whole is IDLE else "state"
        setattr(held, name, whole)
        first, key = seen(scene)
        for field in dataclasses.fields(whole):
            value = getattr(whole, field.name)
            other: Any = ["other"] if isinstance(value, list) else not value or "dark"
            if isinstance(value, int) and not isinstance(value, bool):
                other = value ^ 1
            setattr(held, name, dataclasses.replace(whole, **{field.name: other}))
            shown, now_key = seen(scene)
            assert now_key != key or shown == first, field.name
        setattr(held, name, whole)
    assert scene.mode() is Mode.STANDBY
