"""Worlds and scenarios for the tests of virtual time."""

from pathlib import Path

from hil.sim.case import Judged, configuration
from hil.sim.circumstances import Circumstances
from hil.sim.commands import SCENARIOS
from hil.sim.operator import Operator
from hil.sim.scenario import Scenario, read
from hil.sim.world import MS, World

HEAD = 'id = "x"\ntitle = "t"\nfault = "F08"\nduration_ms = 1600\n'
EXPECT = '\n[[expect]]\nreaction = "dark"\nwithin_ms = 10\n'


def scenario(name: str) -> Scenario:
    return read(SCENARIOS / f"{name}.toml")


def written(folder: Path, text: str) -> Path:
    path = folder / "case.toml"
    path.write_text(text)
    return path


def examination(seed: int, host_offset_ns: int = 0) -> tuple[World, Judged]:
    """A world that boots, becomes READY and exposes for a second."""
    judged = Judged(keep=True)
    world = World(configuration({}), seed, judged.take, Circumstances(host_offset_ns))
    operator = Operator(world)
    world.power_on()
    assert operator.boot()
    assert operator.make_ready(15.0)
    operator.act("press fluoro")
    world.run_until(world.clockwork.now_ns + 1000 * MS)
    operator.act("release fluoro")
    world.run_until(world.clockwork.now_ns + 500 * MS)
    return world, judged
