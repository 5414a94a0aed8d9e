"""Pedal contacts: order, travel, bounce, force."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hil.room.contacts import BOUNCE_NS, TRAVEL_NS, Pedal
from hil.room.parameters import MS
from hil.room.records import NEVER

QUIET_NS = 200 * MS


def edges_of(pedal: Pedal, until_ns: int) -> list[tuple[int, str, int]]:
    """Play a pedal to `until_ns`; every change with its time."""
    seen = [(0, *change) for change in pedal.changes()]
    while pedal.next_ns() <= until_ns:
        t = pedal.next_ns()
        pedal.advance(t)
        seen += [(t, *change) for change in pedal.changes()]
    return seen


@given(st.integers(0, 1000))
def test_a_press_opens_nc_at_once_and_closes_no_after_the_travel(seed: int) -> None:
    pedal = Pedal("fluoro", seed)
    pedal.press(0)
    edges = edges_of(pedal, QUIET_NS)
    assert edges[0] == (0, "fluoro_nc", 0)
    closing = next(t for t, name, level in edges if (name, level) == ("fluoro_no", 1))
    assert TRAVEL_NS[0] <= closing <= TRAVEL_NS[1]
    assert (pedal.no, pedal.nc) == (1, 0)
    assert edges[-1][0] <= TRAVEL_NS[1] + BOUNCE_NS[1]


@given(st.integers(0, 1000), st.integers(0, 60 * MS))
def test_a_release_at_any_time_opens_no_at_once_and_comes_to_rest(seed: int, held: int) -> None:
    pedal = Pedal("fluoro", seed)
    pedal.press(0)
    pedal.advance(held)
    pedal.changes()
    pedal.release(held)
    assert pedal.no == 0
    pedal.advance(held + QUIET_NS)
    assert (pedal.no, pedal.nc) == (0, 1)
    assert pedal.next_ns() == NEVER


def test_the_same_seed_bounces_the_same_way_and_another_does_not() -> None:
    trains = []
    for seed in (1, 1, 2):
        pedal = Pedal("cine", seed)
        pedal.press(0)
        trains.append(edges_of(pedal, QUIET_NS))
    assert trains[0] == trains[1] != trains[2]


def test_an_unplugged_pedal_has_both_contacts_open_until_it_is_plugged_in() -> None:
    pedal = Pedal("fluoro", 1)
    pedal.press(0)
    pedal.advance(QUIET_NS)
    pedal.changes()
    pedal.force(0, 0)
    assert pedal.changes() == [("fluoro_no", 0)]
    pedal.free(0, 0)
    assert pedal.changes() == [("fluoro_no", 1)]


def test_of_two_forces_the_end_of_one_does_not_end_the_other() -> None:
    pedal = Pedal("fluoro", 1)
    pedal.force(1, 0)
    pedal.force(0, 0)
    assert (pedal.no, pedal.nc) == (0, 0)
    pedal.free(1, 0)
    pedal.free(1, 1)
    assert (pedal.no, pedal.nc) == (0, 0)
    pedal.free(0, 0)
    assert (pedal.no, pedal.nc) == (0, 1)


def test_pressing_twice_is_one_press() -> None:
    pedal = Pedal("fluoro", 1)
    pedal.press(0)
    pedal.advance(QUIET_NS)
    pedal.press(QUIET_NS)
    assert pedal.next_ns() == NEVER
