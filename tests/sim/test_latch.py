"""Invariant 12 in virtual time: a latch survives restarts; the referee sees when it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hil.sim.box import BlackBox
from hil.sim.case import Judged, configuration
from hil.sim.circumstances import Circumstances
from hil.sim.operator import Operator
from hil.sim.supervisor_process import SupervisorProcess
from hil.sim.world import MS, World

pytestmark = pytest.mark.invariant(12)
Patch = pytest.MonkeyPatch


def supervisor_forgets(patch: Patch) -> None:
    """It comes up as if it had ended cleanly and nothing had been held."""
    start = SupervisorProcess.start

    def anew(process: SupervisorProcess) -> None:
        process._clean, process._held = True, ()
        start(process)

    patch.setattr(SupervisorProcess, "start", anew)


def realtime_forgets(patch: Patch) -> None:
    """Its black box tells it nothing."""
    patch.setattr(BlackBox, "start", lambda box: [])


def passes(world: World, ms: int) -> None:
    world.run_until(world.clockwork.now_ns + ms * MS)


def hurried(judged: Judged, killed: str, reset: bool) -> World:
    """Killed and started again, then made ready and pressed, as a hurried person would.

    realtime is killed while the supervisor still boots: in a run it would latch it as well.
    """
    world = World(configuration({}), 3, judged.take, Circumstances())
    operator = Operator(world)
    world.power_on()
    if killed == "supervisor":
        assert operator.boot()
        assert operator.make_ready(15.0)
        operator.act("press fluoro")
        passes(world, 500)
    else:
        passes(world, 250)
    world.kill(killed)
    passes(world, 300)
    operator.act("release fluoro")
    world.restart(killed)
    passes(world, 3_000)
    for words in (["reset"] if reset else []) + ["ready", "ready"]:
        operator.act(words)
        passes(world, 3_000)
    operator.warm()
    operator.act("press fluoro")
    passes(world, 500)
    operator.act("release fluoro")
    passes(world, 200)
    return world


@pytest.mark.parametrize("killed", ["realtime", "supervisor"])
def test_who_was_killed_comes_back_latched_and_a_reset_lets_it_go_on(killed: str) -> None:
    counts = []
    for reset in (False, True):
        judged = Judged()
        world = hurried(judged, killed, reset)
        assert judged.violations() == []
        counts.append(world.room.generator.pulse_count)
    assert counts[1] > counts[0], "the run after the reset"


@pytest.mark.parametrize(
    ("killed", "forgets"), [("supervisor", supervisor_forgets), ("realtime", realtime_forgets)]
)
def test_without_the_latch_the_referee_is_red(
    killed: str, forgets: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    forgets(monkeypatch)
    judged = Judged()
    hurried(judged, killed, reset=False)
    (wrong,) = judged.violations()
    assert wrong.startswith("invariant 12")
    assert f"{killed} came back and nobody has reset" in wrong
