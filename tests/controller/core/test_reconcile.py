"""Reconciliation: whatever was lost is named, nothing is counted twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.reconcile import Account, Recorded, reconcile
from controller.core.results import COUNTER_MODULUS
from tests.controller.core.scene import result

pytestmark = pytest.mark.invariant(10)


def test_a_new_machine_begins_where_the_generator_stands() -> None:
    finding = reconcile(None, [], 4711, [])
    assert finding.ok
    assert finding.missing == ()


def test_nothing_happened() -> None:
    assert reconcile(Account(10, 5), [], 10, []).ok


def test_a_pulse_nobody_recorded_is_named() -> None:
    recent = [result(11, 7), result(12, 7), result(13, 8)]
    finding = reconcile(Account(10, 5), [Recorded(7, True), Recorded(8, True)], 13, recent)
    assert finding.ok
    assert [one.counter for one in finding.missing] == [12]


def test_a_record_without_high_voltage_is_not_missing_at_the_generator() -> None:
    finding = reconcile(
        Account(10, 5), [Recorded(7, True), Recorded(7, False)], 11, [result(11, 7)]
    )
    assert (finding.ok, finding.missing, finding.surplus) == (True, (), 0)


def test_records_that_were_not_emitted_are_surplus() -> None:
    finding = reconcile(Account(10, 5), [Recorded(7, True)] * 3, 11, [result(11, 7)])
    assert (finding.ok, finding.surplus) == (True, 2)


def test_older_than_the_generators_memory_is_unknown_and_told() -> None:
    recent = [result(10 + n, 7) for n in range(45, 301)]
    finding = reconcile(Account(10, 5), [], 310, recent)
    assert not finding.ok
    assert (len(finding.missing), finding.unknown) == (256, 44)


def test_a_counter_that_went_back_is_told() -> None:
    assert not reconcile(Account(10, 5), [], 9, []).ok


@given(
    st.integers(0, COUNTER_MODULUS - 1),
    st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=200),
)
def test_recorded_and_missing_make_up_what_was_emitted(
    start: int, pulses: list[tuple[int, bool]]
) -> None:
    emitted = [
        result((start + n) % COUNTER_MODULUS, technique_id)
        for n, (technique_id, _) in enumerate(pulses, start=1)
    ]
    records = [Recorded(technique_id, True) for technique_id, kept in pulses if kept]
    counter = (start + len(pulses)) % COUNTER_MODULUS
    finding = reconcile(Account(start, 0), records, counter, emitted)
    assert finding.ok
    assert len(finding.missing) + len(records) == len(pulses) == finding.emitted
    assert len({one.counter for one in finding.missing}) == len(finding.missing)
