"""Irradiation time and the 5-minute signal."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime import irradiation
from realtime.irradiation import Irradiation, SignalEvent, SignalState
from realtime.limits import MS, SIGNAL_EVERY_NS, SIGNAL_MIN_NS, S

pytestmark = pytest.mark.invariant(11)

T0 = 50 * S


def test_the_table_is_total() -> None:
    pairs = set(product(SignalState, SignalEvent))
    assert set(irradiation.ROWS) | set(irradiation.IGNORED) == pairs
    assert not set(irradiation.ROWS) & set(irradiation.IGNORED)
    assert all(irradiation.IGNORED.values())


@given(st.lists(st.tuples(st.integers(1, 100_000), st.booleans()), max_size=60))
def test_time_counts_between_turns_that_irradiate(steps: list[tuple[int, bool]]) -> None:
    clock, now_ns, expected_ns, on_before = Irradiation(), T0, 0, False
    for ms, on in steps:
        now_ns += ms * MS
        if on_before:
            expected_ns += ms * MS
        clock.turn(now_ns, on)
        on_before = on
        assert clock.total_ns == expected_ns


def test_a_pause_does_not_count() -> None:
    clock = Irradiation()
    clock.turn(T0, True)
    clock.turn(T0 + S, False)
    clock.turn(T0 + 100 * S, True)
    clock.turn(T0 + 101 * S, True)
    assert clock.total_ns == 2 * S


def sounding_after(total_s: int) -> tuple[Irradiation, list[int]]:
    clock, starts, before = Irradiation(), list[int](), SignalState.QUIET
    for tick in range(total_s * 20 + 1):
        clock.turn(T0 + tick * 50 * MS, True)
        if clock.state is not before and clock.state is SignalState.SOUNDING:
            starts.append(tick * 50 * MS)
        before = clock.state
    return clock, starts


def test_the_signal_comes_at_every_multiple_of_five_minutes() -> None:
    _, starts = sounding_after(905)
    assert starts == [300 * S, 600 * S, 900 * S]


def test_it_sounds_two_seconds_whatever_the_run_does() -> None:
    clock, _ = sounding_after(300)
    at_ns = T0 + 300 * S
    assert clock.wake_ns(at_ns) == at_ns + SIGNAL_MIN_NS
    states = []
    for now_ns in (at_ns, at_ns + SIGNAL_MIN_NS - 1, at_ns + SIGNAL_MIN_NS):
        clock.turn(now_ns, False)
        states.append(clock.state)
    assert states == [SignalState.SOUNDING, SignalState.SOUNDING, SignalState.QUIET]


def test_a_reset_silences_it_and_starts_afresh() -> None:
    clock, starts = sounding_after(300)
    assert starts
    clock.reset()
    assert clock.total_ns == 0
    assert clock.wake_ns(T0 + 300 * S) == T0 + 300 * S + SIGNAL_EVERY_NS
    clock.reset()
    clock.turn(T0 + 301 * S, True)
    assert clock.state is SignalState.QUIET
    assert clock.next_signal_ns == SIGNAL_EVERY_NS


def test_it_wakes_for_the_next_signal_while_irradiating_only() -> None:
    clock = Irradiation()
    assert clock.wake_ns(T0) is None
    clock.turn(T0, True)
    assert clock.wake_ns(T0) == T0 + SIGNAL_EVERY_NS
    clock.turn(T0 + 10 * S, True)
    assert clock.wake_ns(T0 + 10 * S) == T0 + SIGNAL_EVERY_NS
    clock.turn(T0 + 11 * S, False)
    assert clock.wake_ns(T0 + 11 * S) is None


@pytest.mark.parametrize("every_ns", [10 * S, 299 * S])
def test_a_bench_may_hear_it_sooner(every_ns: int) -> None:
    clock = Irradiation(every_ns)
    clock.turn(T0, True)
    for mark in (1, 2):
        at_ns = T0 + mark * every_ns
        states = []
        for now_ns in (at_ns - 1, at_ns):
            clock.turn(now_ns, True)
            states.append(clock.state)
        assert states == [SignalState.QUIET, SignalState.SOUNDING]
        clock.turn(at_ns + SIGNAL_MIN_NS, True)
    clock.reset()
    assert clock.next_signal_ns == every_ns


@pytest.mark.parametrize("every_ns", [SIGNAL_EVERY_NS + 1, SIGNAL_MIN_NS, 0])
def test_nobody_may_hear_it_later_or_all_the_time(every_ns: int) -> None:
    with pytest.raises(AssertionError):
        Irradiation(every_ns)


def test_time_zero_is_a_time_like_any_other() -> None:
    clock = Irradiation()
    clock.turn(0, True)
    assert clock.wake_ns(0) == SIGNAL_EVERY_NS
    clock.turn(S, True)
    assert clock.total_ns == S
