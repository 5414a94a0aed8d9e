"""Partners that fall silent during a run, a preparation, or at rest in READY."""

from collections.abc import Callable

import pytest

from controller.core import events
from controller.core.events import Prepare
from realtime.wire.messages import Dark
from tests.controller.core.scene import IDLE, MS, Scene, imaging_state, orders, sent

pytestmark = pytest.mark.invariant(12)


def silence_imaging(scene: Scene) -> None:
    scene.core.imaging.state_ns = scene.now_ns - 600 * MS


def silence_realtime(scene: Scene) -> None:
    scene.core.executive.state_ns = scene.now_ns - 300 * MS


def lose_panel(scene: Scene) -> None:
    scene.tell(events.ImagingSeen(imaging_state(scene.now_ns, panel_link=False)))


def lose_verdicts(scene: Scene) -> None:
    scene.tell(events.ImagingSeen(imaging_state(scene.now_ns, executive_link=False)))


SILENCES = [
    (silence_imaging, "imaging_lost"), (silence_realtime, "executive_lost"),
    (lose_panel, "imaging_lost"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "fault"), [*SILENCES, (lose_verdicts, "imaging_lost")])
def test_a_silent_partner_ends_the_run(spoil: Callable[[Scene], None], fault: str) -> None:
    scene = Scene().exposing()
    scene.refresh()
    spoil(scene)
    commands = scene.tick(5)
    assert orders(commands) == []
    assert [dark.code for dark in sent(commands, Dark)] == [fault]
    assert scene.faults() == [fault]


@pytest.mark.parametrize(("spoil", "fault"), SILENCES)
def test_a_silent_partner_takes_readiness_away(spoil: Callable[[Scene], None], fault: str) -> None:
    scene = Scene().ready()
    scene.refresh()
    spoil(scene)
    assert sent(scene.tick(5), Prepare) == [Prepare(False)]
    assert scene.faults() == [fault]
    assert scene.core.committed is None


@pytest.mark.parametrize(("spoil", "fault"), SILENCES)
def test_a_silent_partner_ends_a_preparation(spoil: Callable[[Scene], None], fault: str) -> None:
    scene = Scene().ready()
    scene.tell(events.GeneratorSeen(IDLE))
    scene.press()
    scene.refresh()
    spoil(scene)
    assert [dark.code for dark in sent(scene.tick(5), Dark)] == [fault]
