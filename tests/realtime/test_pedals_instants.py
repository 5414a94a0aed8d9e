"""Pedals at the very instants of their limits, and what a set that stands still need not read."""

import pytest

from realtime.limits import DISAGREE_MAX_NS, MS, RELEASED_MIN_NS, S
from realtime.pedals import OnePedal, Pedals, PedalState
from realtime.wire.lines import NC_CONTACTS, In, mask
from realtime.wire.messages import Pedal

pytestmark = pytest.mark.invariant(2)

UP = NC_CONTACTS
FLUORO = UP & ~mask(In.FLUORO_NC) | mask(In.FLUORO_NO)
CROSSED = UP & ~mask(In.FLUORO_NC)
DOOR = mask(In.DOOR)


def fluoro(pedals: Pedals) -> OnePedal:
    return pedals.of[Pedal.FLUORO]


def at_rest(since_ns: int = S) -> Pedals:
    """All pedals up; nothing changes any more."""
    pedals = Pedals()
    for ms in (0, 50, 51, 52):
        pedals.turn(since_ns + ms * MS, UP, 0)
    assert pedals.all_up()
    return pedals


def test_pedals_begin_unseen() -> None:
    pedals = Pedals()
    assert (pedals._rest_since_ns, pedals._rested, pedals.up_since_ns) == (-1, False, -1)
    for pedal in pedals.of.values():
        assert (pedal.state, pedal.since_ns, pedal.crossed_since_ns) == (PedalState.BLOCKED, 0, -1)
    assert pedals.pressed() is None


@pytest.mark.parametrize("since_ns", [0, S])
def test_contradiction_is_timed_from_its_first_turn(since_ns: int) -> None:
    pedal = OnePedal(mask(In.FLUORO_NO), mask(In.FLUORO_NC))
    for ms in (0, 1, 2):
        pedal.turn(since_ns + ms * MS, CROSSED, 0, since_ns + ms * MS)
    assert pedal.crossed_since_ns == since_ns
    assert pedal.wake_ns() == since_ns + DISAGREE_MAX_NS + 1
    assert not pedal.disagrees(since_ns + DISAGREE_MAX_NS)
    assert pedal.disagrees(since_ns + DISAGREE_MAX_NS + 1)


@pytest.mark.parametrize("since_ns", [0, S])
def test_rest_is_timed_from_its_first_turn(since_ns: int) -> None:
    pedals = Pedals()
    pedals._watch_rest(since_ns, UP, 0)
    pedals._watch_rest(since_ns + RELEASED_MIN_NS - 1, UP, 0)
    assert not pedals._rested
    pedals._watch_rest(since_ns + RELEASED_MIN_NS, UP, 0)
    assert pedals._rested


@pytest.mark.parametrize("since_ns", [0, S])
def test_how_long_they_are_up_counts_from_the_first_turn(since_ns: int) -> None:
    pedals = Pedals()
    for pedal in pedals.of.values():
        pedal.state = PedalState.UP
    for ms in (0, 1):
        pedals.stir()
        pedals.turn(since_ns + ms * MS, UP, 0)
    assert pedals.up_since_ns == since_ns
    pedals.turn(since_ns + 2 * MS, FLUORO, 0)
    assert pedals.up_since_ns == -1


@pytest.mark.parametrize("since_ns", [0, S])
def test_a_rest_that_is_not_long_enough_yet_is_watched_on(since_ns: int) -> None:
    """Every pedal is up, but since the last stop not all together for long enough."""
    pedals = at_rest()
    pedals._rested, pedals._rest_since_ns = False, since_ns
    pedals.stir()
    pedals.turn(since_ns + MS, UP, 0)
    assert not pedals.stands_still(UP)
    pedals.turn(since_ns + RELEASED_MIN_NS, UP, 0)
    assert pedals._rested


# Standing still ------------------------------------------------------------------------------


def reads(pedals: Pedals, levels: int = UP, edges: int = 0, now_ns: int = 2 * S) -> bool:
    """Whether a turn reads the contacts: then a state they contradict does not stay."""
    fluoro(pedals).state = PedalState.DOWN
    pedals.turn(now_ns, levels, edges)
    return fluoro(pedals).state is not PedalState.DOWN


def test_contacts_that_stand_still_are_not_read_again() -> None:
    assert not reads(at_rest())
    assert not reads(at_rest(), UP | DOOR, edges=DOOR)
    assert at_rest().stands_still(UP | DOOR)
    assert at_rest().wake_ns() is None
    assert at_rest().disagree(9 * S) is None


def test_whatever_moves_is_read() -> None:
    assert reads(at_rest(), UP, edges=mask(In.CINE_NC))
    assert reads(at_rest(), UP | mask(In.CINE_NO))
    stirred = at_rest()
    stirred.stir()
    assert reads(stirred)


def test_a_turn_that_changed_something_is_followed_by_one_that_reads() -> None:
    pedals = at_rest()
    pedals.turn(2 * S, FLUORO, 0)
    assert not pedals.stands_still(FLUORO)
    pedals.turn(2 * S + MS, FLUORO, 0)
    assert pedals.stands_still(FLUORO)
    assert pedals.wake_ns() == 2 * S + 40 * MS
    pedals.turn(2 * S + 40 * MS, FLUORO, 0)
    assert pedals.pressed() is Pedal.FLUORO
    assert not pedals.stands_still(FLUORO)


def test_an_edge_that_is_back_is_followed_by_a_turn_that_reads() -> None:
    pedals = at_rest()
    pedals.turn(2 * S, UP, mask(In.FLUORO_NC))
    assert not pedals.stands_still(UP)


def test_a_pedal_held_since_boot_stands_still() -> None:
    pedals = Pedals()
    for ms in (0, 50, 60, 70):
        pedals.turn(S + ms * MS, FLUORO, 0)
    assert pedals.stands_still(FLUORO)
    assert pedals.wake_ns() is None


def test_contacts_that_contradict_each_other_wait() -> None:
    pedals = at_rest()
    for ms in (0, 1, 2):
        pedals.turn(2 * S + ms * MS, CROSSED, 0)
    assert pedals.stands_still(CROSSED)
    assert pedals.wake_ns() == 2 * S + DISAGREE_MAX_NS + 1
    assert pedals.disagree(2 * S + DISAGREE_MAX_NS + 1) is Pedal.FLUORO


# What others do to them ----------------------------------------------------------------------


def test_void_demands_a_release_and_forgets_every_time() -> None:
    pedals = at_rest()
    fluoro(pedals).crossed_since_ns = S
    pedals.void(2 * S)
    assert {pedal.state for pedal in pedals.of.values()} == {PedalState.BLOCKED}
    assert fluoro(pedals).crossed_since_ns == -1
    assert (pedals.up_since_ns, pedals._rest_since_ns, pedals._rested) == (-1, -1, False)
    assert not pedals.stands_still(UP)


def test_only_a_press_in_the_making_starts_again() -> None:
    pedals = at_rest()
    fluoro(pedals).state, fluoro(pedals).since_ns = PedalState.PRESSING, S
    pedals.of[Pedal.CINE].state, pedals.of[Pedal.CINE].since_ns = PedalState.RELEASING, S
    pedals.restart_debounce(2 * S)
    assert [fluoro(pedals).since_ns, pedals.of[Pedal.CINE].since_ns] == [2 * S, S]


@pytest.mark.invariant(4)
def test_another_pedal_that_leaves_rest_must_be_let_go() -> None:
    pedals = at_rest()
    fluoro(pedals).state = PedalState.DOWN
    pedals.void_others(Pedal.FLUORO, 2 * S)
    assert pedals.stands_still(UP), "nothing was voided"
    pedals.of[Pedal.CINE].state = PedalState.PRESSING
    pedals.void_others(Pedal.FLUORO, 2 * S)
    assert (fluoro(pedals).state, pedals.of[Pedal.CINE].state) == (
        PedalState.DOWN, PedalState.BLOCKED)  # fmt: skip
    assert not pedals.stands_still(UP)
