"""Bad configurations of scenarios: each is bad in one way, is refused, and the key is named."""

from pathlib import Path

import pytest

from hil.sim.case import Judged, configuration
from hil.sim.circumstances import Circumstances
from hil.sim.installation import KINDS, PROFILE, spoiled
from hil.sim.operator import Operator
from hil.sim.world import MS, World
from realtime.wire.config import ConfigError, load, parsed


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_refused_by_its_key(kind: str, tmp_path: Path) -> None:
    text = spoiled(kind)
    assert text != PROFILE.read_text(encoding="utf-8")
    file = tmp_path / "carm.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as read:
        parsed(text, "carm.toml")
    with pytest.raises(ConfigError) as loaded:
        load(file)
    assert read.value.key == loaded.value.key == KINDS[kind].key
    assert read.value.remedy


def test_there_are_twenty_kinds_and_the_right_file_is_none() -> None:
    assert len(KINDS) >= 20
    parsed(PROFILE.read_text(encoding="utf-8"), "carm.toml")


def test_who_refuses_is_not_started_again_until_the_file_is_right() -> None:
    world = World(configuration({}), 1, Judged().take, Circumstances())
    operator = Operator(world)
    world.power_on()
    assert operator.boot()
    world.installation.replace("swapped_limits")
    world.run_until(world.clockwork.now_ns + 2_000 * MS)
    processes = (world.realtime, world.supervisor, world.imaging)
    assert world.installation.refused == len(processes)
    assert not any(process.alive for process in processes)
    world.installation.put_back()
    assert operator.recover().alive
