"""Due times: never early, evenly spaced in exact rationals, in both topologies."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from realtime.cycle import Cycle
from realtime.limits import BANK_LEAD_NS, BANK_SETTLE_NS, LATE_MAX_NS, PERMIT_LEAD_NS, US, S, Timing
from realtime.wire.messages import Mode, Order, Topology
from tests.realtime.roomparts import PANEL_MASTER, TIMING

pytestmark = pytest.mark.invariant(7)

NOW = 9 * S
ORDER = Order(3, 1, 77, Mode.FLUORO, 0, 9, 1, 1, NOW, Topology.CONTROLLER_MASTER, 33_333_333, 1,
              8000, 300, 263)  # fmt: skip
PERIODS = st.tuples(st.integers(32_000_000, 10_000_000_000), st.integers(1, 1000)).filter(
    lambda p: p[0] // p[1] >= TIMING.cycle_ns
)


def started(num_ns: int = 33_333_333, den: int = 1, now_ns: int = NOW) -> Cycle:
    cycle = Cycle(TIMING)
    cycle.start(replace(ORDER, period_num_ns=num_ns, period_den=den), now_ns, 0)
    return cycle


def test_nothing_is_due_before_a_run() -> None:
    cycle = Cycle(TIMING)
    assert cycle.due_ns == 0
    cycle.window_rose(NOW)
    assert cycle.due_ns == 0


@given(PERIODS, st.integers(0, 1 << 60))
def test_due_times_follow_the_rational_exactly(period: tuple[int, int], now_ns: int) -> None:
    num_ns, den = period
    cycle = started(num_ns, den, now_ns)
    epoch_ns = cycle.due_ns
    assert epoch_ns > now_ns
    for k in range(1, 60):
        assert cycle.next_slot(now_ns) == 0
        assert cycle.slot_k == k
        exact = epoch_ns + k * Fraction(num_ns, den)
        assert cycle.due_ns <= exact < cycle.due_ns + 1


@given(PERIODS, st.integers(0, 1 << 60), st.integers(1, 1 << 53))
def test_a_shift_of_the_clock_shifts_every_due_time_alike(
    period: tuple[int, int], now_ns: int, shift_ns: int
) -> None:
    one, other = started(*period, now_ns), started(*period, now_ns + shift_ns)
    for _ in range(20):
        assert other.due_ns == one.due_ns + shift_ns
        one.next_slot(now_ns)
        other.next_slot(now_ns + shift_ns)


@given(PERIODS, st.lists(st.integers(0, 300_000_000), max_size=20))
def test_a_slot_that_cannot_be_prepared_is_missed_never_late(
    period: tuple[int, int], waits: list[int]
) -> None:
    cycle = started(*period)
    now_ns, slots = NOW, 0
    for wait_ns in waits:
        now_ns += wait_ns
        before = cycle.slot_k
        missed = cycle.next_slot(now_ns)
        slots += missed + 1
        assert cycle.slot_k == before + missed + 1 == slots
        assert cycle.due_ns - cycle.prepare_lead_ns() > now_ns
        previous_ns = cycle.epoch_ns + (cycle.slot_k - 1) * period[0] // period[1]
        assert missed == 0 or previous_ns - cycle.prepare_lead_ns() <= now_ns


def test_the_clearing_cycle_comes_first() -> None:
    cycle = started()
    assert cycle.trigger_ns() - NOW >= TIMING.cycle_ns


SLOW_TRIGGER = replace(TIMING, trigger_delay_ns=5_000_000)


@pytest.mark.parametrize("timing", [TIMING, PANEL_MASTER, SLOW_TRIGGER])
def test_everything_before_a_pulse_has_its_lead(timing: Timing) -> None:
    cycle = Cycle(timing)
    cycle.start(ORDER, NOW, NOW - S)
    assert cycle.due_ns - cycle.bind_ns() >= BANK_LEAD_NS
    assert cycle.prepare_lead_ns() >= PERMIT_LEAD_NS
    assert cycle.due_ns - cycle.prepare_lead_ns() <= cycle.bind_ns()
    if cycle.trigger_ns():
        assert cycle.trigger_ns() - cycle.bind_ns() >= BANK_SETTLE_NS
        assert cycle.due_ns - cycle.trigger_ns() == cycle.timing.trigger_lead_ns
    assert cycle.due_ns > NOW


def free_running(windows: int, now_ns: int, rise_ns: int) -> Cycle:
    cycle = Cycle(PANEL_MASTER)
    period_ns = windows * PANEL_MASTER.base_period_ns
    cycle.start(replace(ORDER, period_num_ns=period_ns), now_ns, rise_ns)
    return cycle


@given(st.integers(1, 30), st.integers(0, 100_000_000))
def test_panel_master_uses_every_kth_window(windows: int, since_ns: int) -> None:
    rise_ns = NOW - since_ns
    cycle = free_running(windows, NOW, rise_ns)
    base_ns = PANEL_MASTER.base_period_ns
    assert cycle.trigger_ns() == 0
    assert (cycle.due_ns - PANEL_MASTER.window_to_due_ns - rise_ns) % base_ns == 0
    assert cycle.due_ns - cycle.prepare_lead_ns() >= NOW
    earliest_ns = NOW + cycle.prepare_lead_ns() + BANK_LEAD_NS
    assert 0 <= cycle.due_ns - PANEL_MASTER.window_to_due_ns - earliest_ns < base_ns
    first_ns = cycle.due_ns
    assert cycle.next_slot(NOW) == 0
    assert cycle.due_ns - first_ns == windows * base_ns


@given(st.integers(1, 8), st.lists(st.integers(-200 * US, 200 * US), min_size=1, max_size=40))
def test_a_drifting_panel_is_followed(windows: int, drifts: list[int]) -> None:
    rise_ns = NOW
    cycle = free_running(windows, NOW, rise_ns)
    for drift_ns in drifts:
        rise_ns += PANEL_MASTER.base_period_ns + drift_ns
        due_ns = cycle.due_ns
        cycle.window_rose(rise_ns)
        if cycle.due_ns - PANEL_MASTER.window_to_due_ns - rise_ns >= 0:
            ahead_ns = cycle.due_ns - PANEL_MASTER.window_to_due_ns - rise_ns
            assert ahead_ns % PANEL_MASTER.base_period_ns == 0 or cycle.due_ns == due_ns
        while cycle.due_ns - cycle.prepare_lead_ns() <= rise_ns:
            cycle.next_slot(rise_ns)


def test_its_own_window_does_not_move_a_slot() -> None:
    cycle = free_running(1, NOW, NOW)
    due_ns = cycle.due_ns
    cycle.window_rose(due_ns - PANEL_MASTER.window_to_due_ns + 100 * US)
    assert cycle.due_ns == due_ns
    cycle.window_rose(due_ns - PANEL_MASTER.window_to_due_ns - PANEL_MASTER.base_period_ns + US)
    assert cycle.due_ns == due_ns + US


def test_controller_master_ignores_when_windows_rise() -> None:
    cycle = started()
    due_ns = cycle.due_ns
    cycle.window_rose(due_ns - 50_000_000)
    assert cycle.due_ns == due_ns


def test_panel_master_without_a_window_yet_still_looks_ahead() -> None:
    cycle = free_running(1, NOW, 0)
    assert cycle.due_ns - cycle.prepare_lead_ns() > NOW


def test_late_is_more_than_a_turn_may_take() -> None:
    cycle = started()
    assert not cycle.is_late(cycle.due_ns + LATE_MAX_NS)
    assert cycle.is_late(cycle.due_ns + LATE_MAX_NS + 1)


@given(st.integers(100, 20_000), st.integers(0, 5000), st.integers(0, 5000),
       st.integers(-1_000_000, 14_000_000))  # fmt: skip
def test_in_window_is_exactly_the_arithmetic(
    set_us: int, rise_us: int, tail_us: int, start_in_ns: int
) -> None:
    cycle = started()
    order = replace(ORDER, set_us=set_us, rise_us=rise_us, tail_us=tail_us)
    rise_ns = NOW
    start_ns = rise_ns + start_in_ns
    end_ns = start_ns + (set_us + rise_us + tail_us) * US
    assert cycle.planned_end_ns(start_ns, order) == end_ns
    inside = start_in_ns >= 300 * US and end_ns <= rise_ns + 13_000_000 - 300 * US
    assert cycle.in_window(start_ns, order, rise_ns, rise_ns - 1) == inside
    assert not cycle.in_window(start_ns, order, rise_ns, rise_ns)
    assert not cycle.in_window(start_ns, order, rise_ns, rise_ns + 1)


@given(PERIODS, st.integers(0, 400))
def test_pulses_keep_their_spacing(period: tuple[int, int], slots: int) -> None:
    assume(period[0] // period[1] >= TIMING.spacing_min_ns)
    cycle = started(*period)
    last_ns = cycle.due_ns
    for _ in range(min(slots, 50)):
        cycle.next_slot(NOW)
        assert cycle.due_ns - last_ns >= TIMING.spacing_min_ns
        last_ns = cycle.due_ns


def test_stop_leaves_nothing_due() -> None:
    cycle = started()
    cycle.stop()
    assert (cycle.due_ns, cycle.slot_k, cycle.windows) == (0, -1, 1)


def test_a_slot_whose_last_instant_to_prepare_is_now_is_missed() -> None:
    cycle = started()
    second_ns = cycle.epoch_ns + 33_333_333
    assert cycle.next_slot(second_ns - cycle.prepare_lead_ns()) == 1
    assert cycle.slot_k == 2


def test_windows_per_pulse_follow_the_rational_and_are_at_least_one() -> None:
    base_ns = PANEL_MASTER.base_period_ns
    for num_ns, den, windows in ((base_ns, 4, 1), (6 * base_ns, 2, 3), (base_ns, 1, 1)):
        cycle = Cycle(PANEL_MASTER)
        cycle.start(replace(ORDER, period_num_ns=num_ns, period_den=den), NOW, NOW)
        assert cycle.windows == windows


def test_a_window_that_rises_at_the_last_moment_is_one_ahead_at_least() -> None:
    rise_ns = NOW + 2 * PANEL_MASTER.base_period_ns
    cycle = free_running(1, NOW, rise_ns)
    period_ns = PANEL_MASTER.base_period_ns
    assert cycle.due_ns == rise_ns + period_ns + PANEL_MASTER.window_to_due_ns


def test_an_idle_schedule_stays_idle_whatever_the_panel_does() -> None:
    cycle = Cycle(PANEL_MASTER)
    for rise_ns in (-S, 0, NOW):
        cycle.window_rose(rise_ns)
        assert cycle.due_ns == 0


def test_a_window_nearer_to_the_slot_than_half_a_period_is_its_own() -> None:
    cycle = free_running(1, NOW, NOW)
    due_ns = cycle.due_ns
    opens_ns = due_ns - PANEL_MASTER.window_to_due_ns
    cycle.window_rose(opens_ns - PANEL_MASTER.base_period_ns * 49 // 100)
    assert cycle.due_ns == due_ns
    cycle.window_rose(opens_ns - PANEL_MASTER.base_period_ns * 51 // 100)
    assert cycle.due_ns == due_ns + PANEL_MASTER.base_period_ns * 49 // 100 + 1


@pytest.mark.invariant(7)
def test_a_pulse_may_touch_both_guards_and_no_more() -> None:
    cycle = started()
    rise_ns, fits_us = NOW, (13_000_000 - 2 * 300 * US) // US
    order = replace(ORDER, set_us=fits_us, rise_us=0, tail_us=0)
    opens_ns = rise_ns + 300 * US
    assert cycle.in_window(opens_ns, order, rise_ns, rise_ns - 1)
    assert not cycle.in_window(opens_ns + 1, order, rise_ns, rise_ns - 1)
    shorter = replace(order, set_us=fits_us - 1)
    assert not cycle.in_window(opens_ns - 1, shorter, rise_ns, rise_ns - 1)


def test_the_first_window_is_the_first_that_can_still_be_prepared() -> None:
    base_ns, lead_ns = PANEL_MASTER.base_period_ns, PERMIT_LEAD_NS + BANK_LEAD_NS
    for since_ns, opens_in_ns in ((base_ns - lead_ns, lead_ns), (0, base_ns),
                                  (base_ns - lead_ns + 1, lead_ns - 1 + base_ns)):  # fmt: skip
        cycle = free_running(1, NOW, NOW - since_ns)
        assert cycle.due_ns == NOW + opens_in_ns + PANEL_MASTER.window_to_due_ns
