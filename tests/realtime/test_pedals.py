"""Pedals: total table, debounce, instant release, the fresh edge, one function."""

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime import pedals
from realtime.limits import DISAGREE_MAX_NS, MS, PRESS_DEBOUNCE_NS, RELEASED_MIN_NS, STALL_NS, S
from realtime.pedals import OnePedal, PedalEvent, Pedals, PedalState, reading
from realtime.wire.lines import NC_CONTACTS, In, mask
from realtime.wire.messages import Pedal

pytestmark = pytest.mark.invariant(1)

UP = NC_CONTACTS
FLUORO = mask(In.HIGH_NC, In.CINE_NC, In.FLUORO_NO)
CINE = mask(In.FLUORO_NC, In.HIGH_NC, In.CINE_NO)
BOTH = mask(In.HIGH_NC, In.FLUORO_NO, In.CINE_NO)
CONTACT = {Pedal.FLUORO: (In.FLUORO_NO, In.FLUORO_NC), Pedal.HIGH: (In.HIGH_NO, In.HIGH_NC),
           Pedal.CINE: (In.CINE_NO, In.CINE_NC)}  # fmt: skip


def test_the_table_is_total() -> None:
    states, events = set(PedalState), set(PedalEvent)
    assert set(pedals.ROWS) | set(pedals.IGNORED) == set(product(states, events))
    assert not set(pedals.ROWS) & set(pedals.IGNORED)
    assert all(pedals.IGNORED.values())


def test_down_is_reached_by_one_row_only() -> None:
    ways = [pair for pair, after in pedals.ROWS.items() if after is PedalState.DOWN]
    assert ways == [(PedalState.PRESSING, PedalEvent.TIMER)]


def test_anything_but_pressed_and_time_ends_down() -> None:
    for event in (PedalEvent.RELEASED, PedalEvent.CROSSED, PedalEvent.VOID):
        assert pedals.ROWS[PedalState.DOWN, event] is not PedalState.DOWN


def test_a_press_is_in_the_making_from_its_contact_until_it_is_let_go_or_spent() -> None:
    items = Pedals()
    cine = items.of[Pedal.CINE]
    for state in PedalState:
        cine.state = state
        assert items.in_the_making() == (state in (PedalState.PRESSING, PedalState.DOWN))


@pytest.mark.parametrize(
    ("no", "nc", "event"),
    [
        (1, 0, PedalEvent.PRESSED),
        (0, 1, PedalEvent.RELEASED),
        (0, 0, PedalEvent.CROSSED),
        (1, 1, PedalEvent.CROSSED),
    ],
)
@pytest.mark.parametrize("pedal", Pedal)
def test_a_pair_of_contacts(pedal: Pedal, no: int, nc: int, event: PedalEvent) -> None:
    no_bit, nc_bit = CONTACT[pedal]
    levels = no << no_bit | nc << nc_bit
    assert reading(levels, 1 << no_bit, 1 << nc_bit) is event


class Feet:
    """The set of pedals with its own clock, turning every millisecond."""

    def __init__(self) -> None:
        self.of = Pedals()
        self.now_ns = S
        self.levels, self.edge_ns = 0, 0

    def hold(self, levels: int, ms: int, edges: int = 0) -> None:
        if levels != self.levels:
            self.levels, self.edge_ns = levels, self.now_ns
        for _ in range(ms):
            self.of.turn(self.now_ns, levels, edges, self.edge_ns)
            edges = 0
            self.now_ns += MS


def rested() -> Feet:
    feet = Feet()
    feet.hold(UP, 60)
    return feet


def test_a_press_counts_after_its_debounce() -> None:
    feet = rested()
    feet.hold(FLUORO, PRESS_DEBOUNCE_NS // MS)
    assert feet.of.pressed() is None
    assert not feet.of.any_down()
    feet.hold(FLUORO, 1)
    assert feet.of.pressed() is Pedal.FLUORO
    assert feet.of.any_down()
    assert feet.of.is_down(Pedal.FLUORO)
    assert not feet.of.is_down(Pedal.CINE)


def test_a_press_is_timed_from_its_contact_and_not_from_the_turn_that_saw_it() -> None:
    for late_ms in (0, 1, 14, STALL_NS // MS):
        feet = rested()
        contact_ns = feet.now_ns
        feet.now_ns += late_ms * MS
        feet.of.turn(feet.now_ns, FLUORO, 0, contact_ns)
        assert feet.of.wake_ns() == contact_ns + PRESS_DEBOUNCE_NS


@pytest.mark.parametrize("ago_ns", [STALL_NS + 1, S, -1])
def test_a_stamp_that_nobody_watched_or_of_the_future_counts_from_now(ago_ns: int) -> None:
    for levels, after_ns in ((FLUORO, PRESS_DEBOUNCE_NS), (UP | FLUORO, DISAGREE_MAX_NS + 1)):
        feet = rested()
        feet.of.turn(feet.now_ns, levels, 0, feet.now_ns - ago_ns)
        assert feet.of.wake_ns() == feet.now_ns + after_ns


def test_a_contradiction_is_timed_from_its_contact() -> None:
    feet = rested()
    feet.of.turn(feet.now_ns, UP | FLUORO, 0, feet.now_ns - 9 * MS)
    assert feet.of.wake_ns() == feet.now_ns - 9 * MS + DISAGREE_MAX_NS + 1


def test_a_release_is_timed_from_the_turn_that_saw_it() -> None:
    feet = Feet()
    feet.of.turn(feet.now_ns, UP, 0, feet.now_ns - 9 * MS)
    assert feet.of.wake_ns() == feet.now_ns + RELEASED_MIN_NS


def test_rested_means_all_up_together_and_none_has_moved() -> None:
    feet = rested()
    assert feet.of.rested
    feet.of.of[Pedal.CINE].take(PedalEvent.PRESSED, feet.now_ns)
    assert not feet.of.rested
    feet = rested()
    feet.of.void(feet.now_ns)
    assert not feet.of.rested


def test_the_first_reading_that_is_not_pressed_ends_a_press() -> None:
    for levels in (UP, FLUORO | mask(In.FLUORO_NC), FLUORO & ~mask(In.FLUORO_NO)):
        feet = rested()
        feet.hold(FLUORO, 50)
        feet.hold(levels, 1)
        assert not feet.of.is_down(Pedal.FLUORO)


def test_an_opening_that_is_already_back_ends_a_press() -> None:
    feet = rested()
    feet.hold(FLUORO, 50)
    feet.hold(FLUORO, 1, edges=mask(In.FLUORO_NO))
    assert not feet.of.is_down(Pedal.FLUORO)
    feet.hold(FLUORO, 200)
    assert feet.of.pressed() is None


def test_a_press_held_since_boot_never_counts() -> None:
    feet = Feet()
    feet.hold(FLUORO, 300)
    assert feet.of.pressed() is None
    assert not feet.of.any_down()


@given(st.integers(1, RELEASED_MIN_NS // MS))
def test_a_release_shorter_than_its_minimum_is_none(ms: int) -> None:
    feet = Feet()
    feet.hold(FLUORO, 100)
    feet.hold(UP, ms)
    feet.hold(FLUORO, 200)
    assert not feet.of.any_down()


@given(st.lists(st.integers(1, PRESS_DEBOUNCE_NS // MS), max_size=8))
def test_bounce_never_counts(bounces: list[int]) -> None:
    feet = rested()
    for ms in bounces:
        feet.hold(FLUORO, ms)
        feet.hold(UP, ms)
        assert not feet.of.any_down()


def test_void_demands_a_new_release_of_every_pedal() -> None:
    feet = rested()
    feet.hold(FLUORO, 50)
    feet.of.void(feet.now_ns)
    assert not feet.of.all_up()
    feet.hold(FLUORO, 200)
    assert not feet.of.any_down()
    feet.hold(UP, 60)
    assert feet.of.all_up()


@pytest.mark.parametrize("event", PedalEvent)
def test_void_leaves_no_state_that_could_count(event: PedalEvent) -> None:
    for state in PedalState:
        pedal = OnePedal(1, 2)
        pedal.state = state
        pedal.take(PedalEvent.VOID, S)
        assert pedal.state is PedalState.BLOCKED
        pedal.take(event, S)
        assert pedal.state in (PedalState.BLOCKED, PedalState.RELEASING)


def test_two_pedals_down_call_nothing() -> None:
    feet = rested()
    feet.hold(BOTH, 60)
    assert feet.of.any_down()
    assert feet.of.pressed() is None


def test_a_pedal_calls_only_when_the_others_have_been_let_go() -> None:
    feet = Feet()
    feet.hold(CINE, 60)
    feet.hold(UP, 40)
    feet.hold(FLUORO, 20)
    assert feet.of.pressed() is None
    feet = rested()
    feet.of.of[Pedal.CINE].take(PedalEvent.VOID, feet.now_ns)
    feet.of.of[Pedal.FLUORO].state = PedalState.DOWN
    assert feet.of.pressed() is None


def test_after_a_stop_all_pedals_must_be_seen_up_together() -> None:
    feet = rested()
    feet.of.void(feet.now_ns)
    feet.hold(UP, 20)
    feet.hold(FLUORO, 36)
    feet.hold(UP, 14)
    feet.hold(CINE, 60)
    assert feet.of.of[Pedal.FLUORO].state is PedalState.UP
    assert feet.of.is_down(Pedal.CINE)
    assert feet.of.pressed() is None
    feet.hold(UP, 60)
    feet.hold(CINE, 60)
    assert feet.of.pressed() is Pedal.CINE


def test_another_pedal_during_a_run_must_be_let_go_first() -> None:
    feet = rested()
    feet.hold(FLUORO, 60)
    feet.hold(BOTH, 10)
    feet.of.void_others(Pedal.FLUORO, feet.now_ns)
    assert feet.of.is_down(Pedal.FLUORO)
    feet.hold(CINE, 200)
    assert feet.of.pressed() is None
    feet.hold(UP, 60)
    feet.hold(CINE, 60)
    assert feet.of.pressed() is Pedal.CINE


@pytest.mark.parametrize("levels", [UP | mask(In.HIGH_NO), UP & ~mask(In.HIGH_NC)])
def test_contacts_that_contradict_each_other_are_timed(levels: int) -> None:
    feet = rested()
    feet.hold(levels, DISAGREE_MAX_NS // MS)
    assert feet.of.disagree(feet.now_ns - MS) is None
    assert feet.of.disagree(feet.now_ns + MS) is Pedal.HIGH
    wake_ns = feet.of.wake_ns()
    assert wake_ns is not None
    assert feet.of.disagree(wake_ns) is Pedal.HIGH
    feet.hold(UP, 1)
    assert feet.of.disagree(feet.now_ns + S) is None


def test_it_wakes_when_a_timer_runs_out() -> None:
    feet = Feet()
    assert feet.of.wake_ns() is None
    feet.hold(UP, 1)
    assert feet.of.wake_ns() == S + RELEASED_MIN_NS
    feet.hold(UP, 60)
    assert feet.of.wake_ns() is None
    pressed_ns = feet.now_ns
    feet.hold(FLUORO, 1)
    assert feet.of.wake_ns() == pressed_ns + PRESS_DEBOUNCE_NS


def test_how_long_all_pedals_have_been_up() -> None:
    feet = rested()
    since_ns = feet.of.up_since_ns
    assert since_ns == S + RELEASED_MIN_NS
    feet.hold(UP, 10)
    assert feet.of.up_since_ns == since_ns
    feet.hold(FLUORO, 1)
    assert feet.of.up_since_ns == -1


@given(st.lists(st.tuples(st.sampled_from([UP, FLUORO, CINE, BOTH, 0, UP | FLUORO]),
                          st.integers(1, 90)), max_size=30))  # fmt: skip
def test_a_call_means_pressed_long_enough_after_a_true_rest(steps: list[tuple[int, int]]) -> None:
    feet = Feet()
    history = {pedal: list[PedalEvent]() for pedal in Pedal}
    rested_ms, longest_ms = dict.fromkeys(Pedal, 0), dict.fromkeys(Pedal, 0)
    for levels, ms in steps:
        for _ in range(ms):
            feet.hold(levels, 1)
            for pedal, (no, nc) in CONTACT.items():
                event = reading(levels, 1 << no, 1 << nc)
                history[pedal].append(event)
                released = event is PedalEvent.RELEASED
                rested_ms[pedal] = rested_ms[pedal] + 1 if released else 0
                longest_ms[pedal] = max(longest_ms[pedal], rested_ms[pedal])
            called = feet.of.pressed()
            if called is not None:
                assert set(history[called][-40:]) == {PedalEvent.PRESSED}
                assert longest_ms[called] > 50
            for pedal in Pedal:
                if feet.of.is_down(pedal):
                    longest_ms[pedal] = max(longest_ms[pedal], 51)
                elif history[pedal][-1] is not PedalEvent.RELEASED and (
                    feet.of.of[pedal].state is PedalState.BLOCKED
                ):
                    longest_ms[pedal] = 0


def look(feet: Pedals, now_ns: int) -> tuple[object, ...]:
    each = [(p.state, p.since_ns, p.crossed_since_ns) for p in feet.of.values()]
    return (*each, feet.up_since_ns, feet._rested, feet._rest_since_ns, feet.wake_ns(),
            feet.disagree(now_ns), feet.pressed())  # fmt: skip


CALLS: dict[str, Callable[[Pedals, int], None]] = {
    "turn": lambda feet, now_ns: None,
    "void": lambda feet, now_ns: feet.void(now_ns),
    "others": lambda feet, now_ns: feet.void_others(Pedal.FLUORO, now_ns),
    "late": lambda feet, now_ns: feet.restart_debounce(now_ns),
}
STEPS = st.tuples(
    st.sampled_from((UP, UP, FLUORO, CINE, BOTH, 0, mask(*In))),
    st.sampled_from((0, 0, 0, 0, mask(In.FLUORO_NO), mask(In.DOOR))),
    st.sampled_from((1, 5, 20, 49, 51)),
    st.sampled_from(("turn", *CALLS)),
    st.integers(1, 3),
)


@given(st.lists(STEPS, max_size=25))
def test_contacts_that_are_not_read_again_would_have_said_nothing(
    steps: list[tuple[int, int, int, str, int]],
) -> None:
    quick, whole = Pedals(), Pedals()
    now_ns = S
    for levels, edges, ms, call, times in steps:
        for number in range(times):
            now_ns += ms * MS
            whole.stir()
            for feet in (quick, whole):
                feet.turn(now_ns, levels, 0 if number else edges)
            assert look(quick, now_ns) == look(whole, now_ns)
        for feet in (quick, whole):
            CALLS[call](feet, now_ns)
        assert look(quick, now_ns) == look(whole, now_ns)


@given(st.lists(STEPS, min_size=1, max_size=20))
def test_a_turn_that_stands_still_would_change_nothing_before_it_wakes(
    steps: list[tuple[int, int, int, str, int]],
) -> None:
    feet, now_ns = Pedals(), S
    for levels, edges, ms, call, _ in steps:
        now_ns += ms * MS
        feet.turn(now_ns, levels, edges)
        CALLS[call](feet, now_ns)
        if feet.stands_still(levels):
            before, wake_ns = look(feet, now_ns), feet.wake_ns()
            feet.stir()
            feet.turn(now_ns + S if wake_ns is None else wake_ns - 1, levels, 0)
            assert look(feet, now_ns) == before


def test_at_rest_the_pedals_stand_still() -> None:
    feet = Pedals()
    for ms in (0, 1, 51, 102, 103):
        feet.turn(S + ms * MS, UP, 0)
    assert feet.stands_still(UP)
    assert not feet.stands_still(FLUORO)
    feet.turn(S + 104 * MS, UP, mask(In.FLUORO_NO))
    assert not feet.stands_still(UP)
