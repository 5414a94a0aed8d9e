"""Faults of those outside who listen to the machine and talk to it, for the table of `faults`.

Lives here: rows whose subject is no part of the beam path: who subscribes to frames, who
brings messages and commands.  May not live here: what these faults do to their subject (`audience`,
`broker`, `service_process`, `installation`), or what must follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hil.sim.installation import KINDS
from hil.sim.rows import MS, Row
from hil.sim.service_process import HOSTILE

if TYPE_CHECKING:
    from hil.sim.world import World


def _subscriber_stops(world: World, _instance: str, _amount: float) -> None:
    world.audience.open(stays=False)
    world.audience.stop()


def _subscriber_slows(world: World, _instance: str, amount: float) -> None:
    world.audience.open(stays=False)
    world.audience.slow_down(round(amount * MS))


def _subscriber_goes_on(world: World, _instance: str) -> None:
    world.audience.cont()
    world.audience.close()


def _subscriber_dies(world: World, _instance: str, _amount: float) -> None:
    world.audience.open(stays=False)
    world.audience.die()


def _subscriber_returns(world: World, _instance: str) -> None:
    world.audience.come_again()
    world.audience.close()


def _untaken(world: World, _instance: str) -> int:
    return world.audience.untaken


def _misconfigure(world: World, instance: str, _amount: float) -> None:
    world.installation.replace(instance)


def _put_back(world: World, _instance: str) -> None:
    world.installation.put_back()


def _refused(world: World, _instance: str) -> int:
    return world.installation.refused


def _service(world: World) -> None:
    world.service.open(stays=False)


def _send_hostile(world: World, instance: str, _amount: float) -> None:
    _service(world)
    world.service.send_hostile(instance)


def _close(world: World, _instance: str) -> None:
    world.service.close()


def _arrived(world: World, _instance: str) -> int:
    return world.service.arrived_count


def _broker_down(world: World, _instance: str, _amount: float) -> None:
    _service(world)
    world.service.broker.down()


def _broker_up(world: World, _instance: str) -> None:
    world.service.broker.up()
    world.service.close()


def _broker_flaps(world: World, _instance: str, amount: float) -> None:
    _service(world)
    world.service.broker.flap(round(amount * MS))


def _broker_stays(world: World, _instance: str) -> None:
    world.service.broker.flap(0)
    _broker_up(world, "")


def _broker_slows(world: World, _instance: str, amount: float) -> None:
    _service(world)
    world.service.broker.extra_ns = round(amount * MS)


def _broker_quick(world: World, _instance: str) -> None:
    world.service.broker.extra_ns = 0
    world.service.close()


def _broker_floods(world: World, _instance: str, amount: float) -> None:
    _service(world)
    world.service.broker.flood(round(amount))


def _broker_calm(world: World, _instance: str) -> None:
    world.service.broker.flood(0)
    world.service.close()


OUTSIDE: Final[dict[tuple[str, str], Row]] = {
    ("subscriber", "stopped"): Row(
        ("F25",), "a subscriber of the frames is stopped", ("",), 0.0, "",
        _subscriber_stops, _subscriber_goes_on, _untaken,
    ),
    ("subscriber", "slow"): Row(
        ("F25",), "a subscriber is busy with each message for so long", ("",), 150.0, "ms",
        _subscriber_slows, _subscriber_goes_on, _untaken,
    ),
    ("subscriber", "dead"): Row(
        ("F25",), "a subscriber is killed; the end of the window is its next start", ("",), 0.0,
        "", _subscriber_dies, _subscriber_returns,
        lambda world, _: not world.audience.seat.connected,
    ),
    ("configuration", "spoiled"): Row(
        ("F35",), "everything is started anew with a configuration that is none", tuple(KINDS), 0.0,
        "", _misconfigure, _put_back, _refused,
    ),
    ("command", "hostile"): Row(
        ("F43",), "a command of the network with one thing wrong", tuple(HOSTILE), 0.0, "",
        _send_hostile, _close, _arrived,
    ),
    ("broker", "down"): Row(
        ("F42",), "the broker is away", ("",), 0.0, "",
        _broker_down, _broker_up, lambda world, _: not world.service.broker.is_up,
    ),
    ("broker", "flapping"): Row(
        ("F42",), "the broker goes and comes, each for so long", ("",), 120.0, "ms",
        _broker_flaps, _broker_stays, lambda world, _: world.service.broker.cuts,
    ),
    ("broker", "slow"): Row(
        ("F42",), "each message takes so much longer", ("",), 500.0, "ms",
        _broker_slows, _broker_quick, lambda world, _: world.service.broker.slowed,
    ),
    ("broker", "flood"): Row(
        ("F42",), "strangers publish on `cmd/`", ("",), 10_000.0, "messages/s",
        _broker_floods, _broker_calm, lambda world, _: world.service.broker.flooded,
    ),
}  # fmt: skip
