"""The frame stream in virtual time: what finds no place is named, and nobody waits for anybody."""

import pytest

from controller.stream.bounds import QUEUE_FRAMES
from hil.sim import audience
from hil.sim.case import Judged, configuration
from hil.sim.circumstances import Circumstances
from hil.sim.operator import Operator
from hil.sim.world import MS, World


def listened(seed: int) -> tuple[World, Operator]:
    """A world at 30 pulses a second in which somebody subscribes to the frames."""
    world = World(configuration({}), seed, Judged().take, Circumstances())
    world.audience.open(stays=True)
    operator = Operator(world)
    world.power_on()
    assert operator.boot()
    assert operator.make_ready(30.0)
    return world, operator


def passes(world: World, ms: int) -> None:
    world.run_until(world.clockwork.now_ns + ms * MS)


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_account_names_what_found_no_place_and_nothing_else(seed: int) -> None:
    world, operator = listened(seed)
    operator.act("press fluoro")
    passes(world, 300 + 37 * seed)
    world.audience.stop()
    passes(world, 300 * seed)
    world.audience.cont()
    passes(world, 200)
    operator.act("release fluoro")
    passes(world, 600)
    told = world.audience.seat.account.statement()
    dropped = world.audience.seat.dropped
    assert told["tail_complete"]
    assert told["received"] + told["lost"] == world.room.generator.pulse_count > 0
    assert told["lost"] == len(dropped)
    assert bool(dropped) == (seed >= 2), f"{QUEUE_FRAMES} messages are half a second"
    heard = [word for _, word in world.observed.told]
    assert heard == ["frames_lost"] * bool(dropped)


def test_a_healthy_subscriber_gets_every_frame_and_the_last_tail() -> None:
    world, operator = listened(1)
    operator.act("press fluoro")
    passes(world, 1000)
    operator.act("release fluoro")
    passes(world, 600)
    told = world.audience.seat.account.statement()
    assert (told["lost"], told["before_join"], told["tail_complete"]) == (0, 0, True)
    assert told["received"] == world.room.generator.pulse_count
    assert not world.observed.told
    assert world.audience.untaken == 0


def test_who_joins_late_is_shown_the_last_image() -> None:
    world, operator = listened(2)
    operator.act("press fluoro")
    passes(world, 500)
    world.audience.die()
    passes(world, 200)
    operator.act("release fluoro")
    passes(world, 400)
    world.audience.come_again()
    passes(world, 400)
    told = world.audience.seat.account.statement()
    assert (told["received"], told["lost"]) == (0, 0), "a held image is no live one"
    assert told["before_join"] == world.room.generator.pulse_count
    assert [word for _, word in world.observed.told] == ["late_joiner"]


def test_a_publisher_that_starts_anew_is_another_epoch() -> None:
    world, operator = listened(3)
    operator.act("press fluoro")
    passes(world, 500)
    world.kill("imaging")
    passes(world, 200)
    assert world.audience.outgoing is None
    assert operator.recover().alive
    assert len(world.audience.seat.account.epochs) == 2


def test_a_stream_that_nobody_opened_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_given: object, **_named: object) -> None:
        raise AssertionError("nobody listens")

    monkeypatch.setattr(audience, "Outgoing", never)
    world = World(configuration({}), 1, Judged().take, Circumstances())
    operator = Operator(world)
    world.power_on()
    assert operator.boot()
    assert operator.make_ready(15.0)
    operator.act("press fluoro")
    passes(world, 500)
    assert world.room.generator.pulse_count > 0
    assert world.audience.outgoing is None
