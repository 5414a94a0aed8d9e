"""Partners that fall silent during a run, a preparation, or at rest in READY."""

from collections.abc import Callable

import pytest

from controller.core import events
from controller.core.events import Prepare
from controller.core.modes import Mode
from controller.core.run import DURABLE_FAILS_NS
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


def test_a_copy_that_failed_during_the_run_takes_readiness_after_it() -> None:
    scene = Scene().exposing()
    scene.tell(events.DurableSeen(False, 10, 3, "No space left on device"))
    failed_ns = scene.now_ns
    scene.tell(events.DurableSeen(False, 10, 4, "No space left on device"))
    assert scene.core.durable.failed_ns == failed_ns, "since the first failure"
    scene.end()
    assert (scene.mode(), scene.faults()) == (Mode.HOLD, [])
    scene.refresh()
    scene.now_ns = failed_ns + DURABLE_FAILS_NS - 1
    scene.tick(0)
    assert scene.faults() == []
    scene.tick(1)
    assert (scene.mode(), scene.faults()) == (Mode.STANDBY, ["record_not_durable"])


def test_a_copy_that_went_on_is_no_fault() -> None:
    scene = Scene().exposing()
    scene.tell(events.DurableSeen(False, 10, 3, "caught between two writes"))
    scene.tell(events.DurableSeen(True, 13, 0, ""))
    scene.end()
    scene.tick(300)
    assert "record_not_durable" not in scene.faults()
