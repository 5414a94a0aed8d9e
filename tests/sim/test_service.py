"""The service in virtual time: judged as shipped, counted, and never in the way of the beam."""

import pytest

from controller.core.modes import Mode
from controller.service import link
from controller.service.core.commands import COMMANDS
from controller.service.core.limits import INTAKE_MAX, NS, REFUSALS_PER_S
from controller.service.outbox import ROW_MAX
from hil.sim import broker, outside_takeouts, service_process
from hil.sim.case import Judged, configuration
from hil.sim.circumstances import Circumstances
from hil.sim.operator import Operator
from hil.sim.service_process import HOSTILE, ROWS
from hil.sim.words import CONNECTED
from hil.sim.world import MS, World


def serviced(seed: int) -> tuple[World, Operator]:
    """A world in STANDBY with somebody at the board who has opened a session."""
    world = World(configuration({}), seed, Judged().take, Circumstances())
    world.service.open(stays=True)
    operator = Operator(world)
    world.power_on()
    assert operator.boot()
    operator.act("open service")
    passes(world, 400)
    return world, operator


def passes(world: World, ms: int) -> None:
    world.run_until(world.clockwork.now_ns + ms * MS)


def heard(world: World) -> list[str]:
    return [word for _, word in world.observed.told]


def test_what_the_wire_knows_of_the_shipped_way_is_so() -> None:
    assert broker.RETRY_NS == (link.RETRY_S_MIN * NS / 2, link.RETRY_S_MAX * NS)
    assert outside_takeouts.ACK_WAIT_NS == link.ACK_WAIT_S * NS
    for name, row in ROWS.items():
        shipped = COMMANDS[name]
        assert (row.name, row.level, row.role) == (shipped.name, shipped.level, shipped.role)


def test_a_command_with_nothing_wrong_is_done() -> None:
    world, operator = serviced(1)
    world.service.send_hostile("nothing")
    passes(world, 100)
    assert world.service.accepted == 1
    assert operator.mode() is Mode.FAULT
    assert heard(world) == [CONNECTED]


@pytest.mark.parametrize("kind", HOSTILE)
def test_one_thing_wrong_is_refused_and_told(kind: str) -> None:
    world, operator = serviced(2)
    world.service.send_hostile(kind)
    passes(world, 100)
    assert heard(world) == [CONNECTED, HOSTILE[kind].value]
    assert world.service.accepted == 0
    assert operator.mode() is Mode.STANDBY


@pytest.mark.parametrize("kind", HOSTILE)
def test_two_that_come_before_the_first_is_read_are_two(kind: str) -> None:
    world, _ = serviced(2)
    world.service._publish(kind)
    world.service._publish(kind)
    passes(world, 100)
    assert heard(world) == [CONNECTED, HOSTILE[kind].value, HOSTILE[kind].value]


def test_a_flood_is_bounded_everywhere_and_counted() -> None:
    world, operator = serviced(3)
    before = world.supervisor.steps
    service = world.service
    service.broker.flood(10_000)
    passes(world, 1_000)
    service.broker.flood(0)
    judged = service.refusals.counted.total()
    assert service.broker.flooded >= 9_900
    assert judged + service.dropped + INTAKE_MAX >= 9_900
    assert judged + service.dropped <= service.broker.flooded
    assert len(service.outbox) <= ROW_MAX
    assert heard(world).count("malformed") <= 2 * REFUSALS_PER_S
    assert service.accepted == 0
    assert world.supervisor.steps - before < 100, "its own beat, and pictures"
    assert operator.mode() is Mode.STANDBY


def test_a_broker_that_comes_back_is_found_and_told_the_newest_state() -> None:
    world, operator = serviced(4)
    world.service.broker.down()
    operator.act("close service")
    operator.act("ready")
    passes(world, 2_500)
    assert not world.service.broker.linked
    world.service.broker.up()
    passes(world, 1_100)
    assert world.service.broker.linked
    assert heard(world) == [CONNECTED, CONNECTED]
    assert operator.mode() is Mode.READY


def test_a_network_that_nobody_struck_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_given: object) -> None:
        raise AssertionError("nobody is there")

    for name in ("_rhythm", "_take", "answered"):
        monkeypatch.setattr(service_process.ServiceProcess, name, never)
    world = World(configuration({}), 1, Judged().take, Circumstances())
    operator = Operator(world)
    world.power_on()
    assert operator.boot()
    assert not len(world.service.outbox)
