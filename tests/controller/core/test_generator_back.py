"""A generator that comes up again while a pedal is pressed: its banks are not known any more."""

import pytest

from controller.core import events
from controller.core.modes import Mode
from realtime.wire.messages import Dark
from tests.controller.core.scene import IDLE, Scene, orders, sent

pytestmark = pytest.mark.invariant(6)


def test_a_generator_that_comes_up_in_a_run_ends_it_and_latches() -> None:
    scene = Scene().exposing()
    commands = scene.tell(events.GeneratorUp(scene.counter, IDLE))
    assert [dark.code for dark in sent(commands, Dark)] == ["generator_lost"]
    assert scene.mode() is Mode.FAULT
    assert scene.faults() == ["generator_lost"]
    assert orders(scene.tick()) == []


def test_at_rest_a_generator_that_comes_up_is_only_told() -> None:
    scene = Scene().standby()
    scene.tell(events.GeneratorUp(scene.counter, IDLE))
    assert scene.mode() is Mode.STANDBY
    assert scene.faults() == []
