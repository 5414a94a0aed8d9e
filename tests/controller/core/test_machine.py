"""The machine itself: one event, one row, its commands; the beat is noted by ticks alone."""

import pytest

from controller.core import events, machine
from controller.core.events import Kind, Tick
from controller.core.machine import ACTIONS
from controller.core.modes import TABLE, Mode, Row
from tests.controller.core.scene import MS, PREPARED, Scene

pytestmark = pytest.mark.invariant(12)


def test_every_row_has_the_action_of_its_name() -> None:
    wanted = {row.action for row in TABLE.values() if isinstance(row, Row)}
    assert set(ACTIONS) == wanted
    assert {name: action.__name__ for name, action in ACTIONS.items()} == {n: n for n in wanted}


def test_only_a_tick_is_a_beat() -> None:
    scene = Scene()
    scene.tell(events.GeneratorUp(3, PREPARED), after_ms=5)
    assert (scene.core.tick_ns, scene.core.late_ns) == (0, 0)
    scene.tick(after_ms=7)
    begun_ns = scene.now_ns
    assert (scene.core.tick_ns, scene.core.late_ns) == (begun_ns, 0)
    scene.tick(after_ms=30)
    assert (scene.core.tick_ns, scene.core.late_ns) == (begun_ns + 30 * MS, 30 * MS)


def test_what_is_ignored_does_nothing_and_says_nothing() -> None:
    scene = Scene()
    scene.core.mode = Mode.SHUTDOWN
    assert not isinstance(TABLE[Mode.SHUTDOWN, Kind.TICK], Row)
    assert scene.machine.step(Tick(), scene.now_ns) == []
    assert scene.mode() is Mode.SHUTDOWN


def test_a_step_gives_what_its_action_says(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    said = [events.Log("info", "one", {}), events.Log("info", "two", {})]
    monkeypatch.setitem(machine.ACTIONS, "boot_tick", lambda core, event, now_ns: said)
    assert scene.machine.mode is Mode.BOOT
    assert scene.machine.step(Tick(), scene.now_ns) == said


def test_a_mode_that_no_row_leads_to_is_our_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def leap(core, event, now_ns):  # type: ignore[no-untyped-def]
        core.mode = Mode.EXPOSING
        return []

    monkeypatch.setitem(machine.ACTIONS, "boot_tick", leap)
    scene = Scene()
    with pytest.raises(AssertionError, match="no row"):
        scene.machine.step(Tick(), scene.now_ns)
