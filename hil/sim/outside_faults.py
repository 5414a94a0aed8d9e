"""Faults of those outside who listen to the machine and talk to it, for the table of `faults`.

Lives here: rows whose subject is no part of the beam path: who subscribes to frames.  May not live
here: what these faults do to their subject (`audience`), or what must follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hil.sim.rows import MS, Row

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
}  # fmt: skip
