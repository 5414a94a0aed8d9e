"""The account of the last run, also of one that was over here before realtime told its end."""

import pytest

from controller.core import events
from controller.core.events import Kind, Log
from controller.core.modes import Mode
from realtime.wire.messages import EndReason, Hello, Trip
from tests.controller.core.scene import MS, Scene


@pytest.mark.parametrize("mode", [Mode.FAULT, Mode.STANDBY])
def test_a_run_that_was_made_dark_from_here_is_told_with_its_end(mode: Mode) -> None:
    scene = Scene().exposing()
    scene.pulse(0)
    if mode is Mode.FAULT:
        scene.hear(Trip("stall", scene.now_ns, "21 ms"))
    else:
        scene.tell(events.ImagingDown("gone"))
    assert scene.mode() is mode
    assert not scene.core.last_run, "its end is not told yet"
    scene.now_ns += 30 * MS
    commands = scene.end(EndReason.TRIP)
    assert [type(one) for one in commands] == [Log]
    assert scene.mode() is mode
    told = scene.core.last_run
    assert (told["run_id"], told["reason"], told["pulses"]) == (scene.run_id, "trip", 2)
    assert told["duration_ms"] == 30
    scene.core.last_run = {}
    assert scene.end(EndReason.TRIP) == []
    assert not scene.core.last_run, "one end is told once"


def test_the_end_of_a_run_nobody_knows_tells_nothing() -> None:
    scene = Scene().exposing()
    scene.hear(Trip("stall", scene.now_ns, "21 ms"))
    scene.run_id += 1
    assert scene.end() == []
    assert not scene.core.last_run


def test_an_old_end_that_comes_in_the_next_run_ends_nothing() -> None:
    scene = Scene().exposing()
    scene.tell(events.ImagingDown("gone"))
    scene.tell(events.ImagingUp(Hello("imaging", 8, 80, 0, "")))
    scene.refresh()
    scene.settle(scene.ask(Kind.READY))
    first = scene.run_id
    scene.press()
    assert scene.mode() is Mode.EXPOSING
    second, scene.run_id = scene.run_id, first
    scene.end(EndReason.DARK)
    assert scene.mode() is Mode.EXPOSING
    assert scene.core.last_run["run_id"] == first
    scene.run_id = second
    scene.end()
    assert scene.mode() is Mode.HOLD
    assert scene.core.last_run["run_id"] == second
