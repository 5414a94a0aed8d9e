"""Pairing of pulses and results: order, gaps, duplicates, wraps, tolerances."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.results import (
    COUNTER_MODULUS,
    RESULT_WAIT_NS,
    WAITING_MAX,
    Finding,
    Matched,
    Pairing,
    judge,
)
from controller.core.technique import from_config
from tests.controller.core.scene import BENCH, T0, report, result

pytestmark = pytest.mark.invariant(10)

TECHNIQUE = from_config(BENCH).numbered(77)


def finding(outcomes: list[Any]) -> Finding:
    (only,) = outcomes
    assert isinstance(only, Finding)
    return only


def test_a_report_and_its_result_match_in_either_order() -> None:
    pairing = Pairing(counter=9)
    assert pairing.fired(report(1, 0, 77), TECHNIQUE, T0) == []
    (pair,) = pairing.delivered(result(10, 77), TECHNIQUE, T0)
    assert isinstance(pair, Matched)
    assert pairing.delivered(result(11, 77), TECHNIQUE, T0) == []
    (pair,) = pairing.fired(report(1, 1, 77), TECHNIQUE, T0)
    assert isinstance(pair, Matched)
    assert (pair.report.pulse_n, pair.result.counter) == (1, 11)
    assert pair.result.mean_ma == pytest.approx(40.6, abs=0.1)
    assert result(1, 7, width_us=0).mean_ma == 0.0


def test_whoever_has_no_other_half_waits() -> None:
    pairing = Pairing(counter=9)
    assert pairing.waiting is False
    pairing.fired(report(1, 0, TECHNIQUE.technique_id), TECHNIQUE, T0)
    assert pairing.waiting is True
    pairing.delivered(result(10, TECHNIQUE.technique_id), TECHNIQUE, T0)
    assert pairing.waiting is False
    pairing.delivered(result(11, TECHNIQUE.technique_id), TECHNIQUE, T0)
    assert pairing.waiting is True


def test_a_pulse_that_nobody_ordered_is_found() -> None:
    assert finding(Pairing().fired(report(1, 0, 77), None, T0)).fault_id == "technique_mismatch"
    other = TECHNIQUE.numbered(78)
    assert finding(Pairing().fired(report(1, 0, 77), other, T0)).fault_id == "technique_mismatch"


def test_another_technique_in_the_result_is_found() -> None:
    pairing = Pairing(counter=9)
    pairing.fired(report(1, 0, 77), TECHNIQUE, T0)
    found = finding(pairing.delivered(result(10, 78), TECHNIQUE, T0))
    assert found.fault_id == "technique_mismatch"
    assert "ordered 77, delivered 78" in found.detail


def test_duplicates_and_older_results_are_rejected_and_counted() -> None:
    pairing = Pairing(counter=9)
    pairing.fired(report(1, 0, 77), TECHNIQUE, T0)
    pairing.delivered(result(10, 77), TECHNIQUE, T0)
    for counter in (10, 9, 3):
        assert pairing.delivered(result(counter, 77), TECHNIQUE, T0) == []
    assert (pairing.rejected, pairing.counter) == (3, 10)


def test_a_gap_is_found_and_pairing_goes_on_after_it() -> None:
    pairing = Pairing(counter=9)
    assert finding(pairing.delivered(result(11, 77), TECHNIQUE, T0)).fault_id == "result_gap"
    pairing.fired(report(1, 0, 77), TECHNIQUE, T0)
    assert isinstance(pairing.delivered(result(12, 77), TECHNIQUE, T0)[0], Matched)


def test_the_first_result_ever_sets_the_counter() -> None:
    pairing = Pairing()
    pairing.delivered(result(4000, 77), TECHNIQUE, T0)
    assert pairing.counter == 4000


def test_the_counter_wraps() -> None:
    pairing = Pairing(counter=COUNTER_MODULUS - 1)
    pairing.fired(report(1, 0, 77), TECHNIQUE, T0)
    assert isinstance(pairing.delivered(result(0, 77), TECHNIQUE, T0)[0], Matched)
    assert pairing.delivered(result(COUNTER_MODULUS - 1, 77), TECHNIQUE, T0) == []
    assert pairing.rejected == 1


def test_a_missing_result_is_found_once_and_not_too_early() -> None:
    pairing = Pairing(counter=9)
    pairing.fired(report(1, 0, 77), TECHNIQUE, T0)
    assert pairing.expired(T0 + RESULT_WAIT_NS) == []
    assert finding(pairing.expired(T0 + RESULT_WAIT_NS + 1)).fault_id == "result_missing"
    assert pairing.expired(T0 + 10 * RESULT_WAIT_NS) == []


def test_a_truncated_pulse_may_have_no_result() -> None:
    pairing = Pairing(counter=9)
    pairing.fired(report(1, 0, 77, truncated=True), TECHNIQUE, T0)
    assert pairing.expired(T0 + RESULT_WAIT_NS + 1) == []
    assert pairing.unreported == 1


def test_a_result_without_a_report_is_a_pulse_nobody_fired() -> None:
    pairing = Pairing(counter=9)
    pairing.delivered(result(10, 77), None, T0)
    assert finding(pairing.expired(T0 + RESULT_WAIT_NS + 1)).fault_id == "pulse_unordered"


def test_waiting_is_bounded_on_both_sides() -> None:
    pairing = Pairing(counter=9)
    outcomes = [pairing.fired(report(1, n, 77), TECHNIQUE, T0) for n in range(WAITING_MAX + 1)]
    assert [len(one) for one in outcomes] == [0] * WAITING_MAX + [1]
    assert finding(outcomes[-1]).fault_id == "result_missing"
    pairing = Pairing(counter=9)
    outcomes = [pairing.delivered(result(10 + n, 77), TECHNIQUE, T0)
                for n in range(WAITING_MAX + 1)]  # fmt: skip
    assert finding(outcomes[-1]).fault_id == "pulse_unordered"
    pairing.forget()
    assert pairing.expired(T0 + 10 * RESULT_WAIT_NS) == []


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"width_us": 9800}, True), ({"width_us": 9801}, False),
        ({"width_us": 6200, "mas": 0.25}, True), ({"width_us": 6199, "mas": 0.25}, False),
        ({"tube_kv": 75.6}, True), ({"tube_kv": 75.7}, False),
        ({"tube_kv": 64.4}, True), ({"tube_kv": 64.3}, False),
        # 40 mA · 1.2 · (8 + 0.3 + 0.263) ms = 0.411 mAs; 40 · 0.8 · 8 = 0.256
        ({"mas": 0.411}, True), ({"mas": 0.413}, False),
        ({"mas": 0.256}, True), ({"mas": 0.254}, False),
    ],
)  # fmt: skip
def test_the_values_of_a_whole_pulse_are_held_to_the_tolerances(
    changes: dict[str, float], good: bool
) -> None:
    outcome = judge(report(1, 0, 77), result(1, 77, **changes), TECHNIQUE)
    assert isinstance(outcome, Matched) == good
    assert good or (isinstance(outcome, Finding) and outcome.fault_id == "result_implausible")


def test_a_truncated_pulse_is_held_to_identity_and_width_only() -> None:
    cut = report(1, 0, 77, truncated=True)
    assert isinstance(judge(cut, result(1, 77, width_us=900, mas=0.02), TECHNIQUE), Matched)
    assert isinstance(judge(cut, result(1, 77, width_us=9801), TECHNIQUE), Finding)
    assert isinstance(judge(report(1, 0, 77), result(1, 77, tube_kv=1.0), None), Matched)
    assert isinstance(
        judge(report(1, 0, 77), result(1, 77, tube_kv=1.0), TECHNIQUE.numbered(5)), Matched
    )


@given(st.lists(st.sampled_from(["fire", "deliver", "again"]), max_size=60), st.integers(0, 2**32))
def test_every_match_is_the_nth_report_with_the_nth_result(acts: list[str], start: int) -> None:
    pairing = Pairing(counter=start % COUNTER_MODULUS)
    fired = delivered = 0
    matches: list[Matched] = []
    for act in acts:
        ahead = fired - delivered
        outcomes: list[Any] = []
        if act == "fire" and ahead < WAITING_MAX:
            outcomes = pairing.fired(report(1, fired, 77), TECHNIQUE, T0)
            fired += 1
        elif act == "deliver" and -ahead < WAITING_MAX:
            delivered += 1
            number = (start + delivered) % COUNTER_MODULUS
            outcomes = pairing.delivered(result(number, 77), TECHNIQUE, T0)
        elif act == "again":
            number = (start + delivered) % COUNTER_MODULUS
            outcomes = pairing.delivered(result(number, 77), TECHNIQUE, T0)
        matches += outcomes
    assert all(isinstance(one, Matched) for one in matches)
    assert [one.report.pulse_n for one in matches] == list(range(min(fired, delivered)))
    numbers = [(one.result.counter - start) % COUNTER_MODULUS for one in matches]
    assert numbers == list(range(1, len(matches) + 1))
