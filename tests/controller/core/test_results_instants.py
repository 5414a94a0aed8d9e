"""Pairing and tolerances at the very instants and values of their limits."""

from dataclasses import replace

import pytest

from controller.core.results import (
    COUNTER_MODULUS,
    KV_TOLERANCE,
    MA_TOLERANCE,
    RESULT_WAIT_NS,
    WAITING_MAX,
    Finding,
    Matched,
    Pairing,
    judge,
)
from controller.core.technique import from_config
from tests.controller.core.scene import BENCH, MS, T0, report, result

pytestmark = pytest.mark.invariant(10)

TECHNIQUE = from_config(BENCH).numbered(77)


def test_what_the_requirements_fix() -> None:
    assert COUNTER_MODULUS == 4_294_967_296
    assert RESULT_WAIT_NS == 60_000_000
    assert WAITING_MAX == 8
    assert (KV_TOLERANCE, MA_TOLERANCE) == (0.08, 0.20)


@pytest.mark.parametrize(
    ("counter", "gap"),
    [(2**31 - 1, True), (2**31, False), (2**31 + 1, False), (2**32 // 3 + 2, True)],
)
def test_half_of_the_range_is_ahead_and_half_is_behind(counter: int, gap: bool) -> None:
    pairing = Pairing(counter=0)
    found = pairing.delivered(result(counter, 77), TECHNIQUE, T0)
    assert [isinstance(one, Finding) for one in found] == [True] * gap
    assert pairing.rejected == int(not gap)


@pytest.mark.parametrize("fired", [True, False])
def test_each_waits_its_whole_time_and_the_oldest_first(fired: bool) -> None:
    pairing = Pairing(counter=9)
    for n in range(2):
        if fired:
            pairing.fired(report(1, n, 77), TECHNIQUE, T0 + 10 * n * MS)
        else:
            pairing.delivered(result(10 + n, 77), TECHNIQUE, T0 + 10 * n * MS)
    assert pairing.expired(T0 + RESULT_WAIT_NS) == []
    first = "pulse_id 100" if fired else "generator counter 10"
    assert [one.detail for one in pairing.expired(T0 + RESULT_WAIT_NS + 1)] == [first]
    second = "pulse_id 101" if fired else "generator counter 11"
    assert [one.detail for one in pairing.expired(T0 + 10 * RESULT_WAIT_NS)] == [second]


def test_as_many_results_as_may_wait_are_no_finding() -> None:
    pairing = Pairing(counter=9)
    outcomes = [pairing.delivered(result(10 + n, 77), None, T0) for n in range(WAITING_MAX + 1)]
    assert [len(one) for one in outcomes] == [0] * WAITING_MAX + [1]


def test_what_is_forgotten_is_missed_by_nobody() -> None:
    pairing = Pairing(counter=9)
    pairing.fired(report(1, 0, 77), TECHNIQUE, T0)
    pairing.forget()
    assert pairing.expired(T0 + 10 * RESULT_WAIT_NS) == []
    pairing.delivered(result(10, 77), TECHNIQUE, T0)
    pairing.forget()
    assert pairing.expired(T0 + 10 * RESULT_WAIT_NS) == []


@pytest.mark.parametrize(("off_kv", "good"), [(4.0, True), (-4.0, True), (4.5, False)])
def test_eight_percent_of_the_voltage_are_good(off_kv: float, good: bool) -> None:
    technique = replace(TECHNIQUE, kv_tenths=500)
    outcome = judge(report(1, 0, 77), result(1, 77, tube_kv=50.0 + off_kv), technique)
    assert isinstance(outcome, Matched) is good


def test_the_charge_may_touch_its_bounds() -> None:
    slack_us = TECHNIQUE.rise_us + TECHNIQUE.tail_us
    most = TECHNIQUE.tube_ma * (1 + MA_TOLERANCE) * (8000 + slack_us) / 1e6 + 0.001
    least = TECHNIQUE.tube_ma * (1 - MA_TOLERANCE) * 8000 / 1e6 - 0.001
    for mas, good in ((most, True), (most + 1e-9, False), (least, True), (least - 1e-9, False)):
        outcome = judge(report(1, 0, 77), result(1, 77, mas=mas), TECHNIQUE)
        assert isinstance(outcome, Matched) is good, mas
