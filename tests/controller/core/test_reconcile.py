"""Reconciliation: whatever was lost is named, nothing is counted twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.reconcile import Account, Finding, Recorded, reconcile
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


LIT, UNLIT = Recorded(7, True), Recorded(7, False)


def test_the_first_account_counts_nothing_as_lost() -> None:
    words = "first account of this machine"
    assert reconcile(None, [LIT] * 3, 4711, [result(4711, 7)]) == Finding(
        True, 0, 3, (), 0, 0, words
    )


@pytest.mark.parametrize("start", [0, 10, COUNTER_MODULUS - 2])
def test_half_the_counter_ahead_is_behind(start: int) -> None:
    """A counter that went back says nothing about pulses; one short of it says it all."""
    half = COUNTER_MODULUS // 2
    counter = (start + half) % COUNTER_MODULUS
    words = f"generator counter went back from {start} to {counter}"
    assert reconcile(Account(start, 5), [LIT, UNLIT], counter, []) == Finding(
        False, 0, 1, (), 0, 0, words
    )
    before = reconcile(Account(start, 5), [LIT], (counter - 1) % COUNTER_MODULUS, [])
    assert (before.ok, before.emitted, before.unknown) == (False, half - 1, half - 2)


def test_results_of_before_the_account_are_not_missing() -> None:
    """The generator keeps its last 256, whatever was accounted for: the same technique twice."""
    recent = [result(9, 7), result(10, 7), result(11, 7)]
    finding = reconcile(Account(10, 5), [], 11, recent)
    assert [one.counter for one in finding.missing] == [11]
    assert reconcile(Account(10, 5), [], 10, recent).missing == ()
    beyond = [result(11, 7), result(12, 7)]
    assert [one.counter for one in reconcile(Account(10, 5), [], 11, beyond).missing] == [11]


def test_with_as_many_records_as_pulses_nothing_is_missing_whatever_their_techniques() -> None:
    finding = reconcile(Account(10, 5), [Recorded(8, True)], 11, [result(11, 7)])
    assert (finding.missing, finding.unknown, finding.surplus) == ((), 0, 0)
    assert finding.detail == "1 emitted, 1 recorded, 0 added, 0 unknown"


def test_one_missing_is_the_latest_that_no_record_matches() -> None:
    recent = [result(11, 7), result(12, 8), result(13, 9)]
    records = [Recorded(6, True), Recorded(9, True)]
    finding = reconcile(Account(10, 5), records, 13, recent)
    assert [one.counter for one in finding.missing] == [12]
    assert (finding.emitted, finding.recorded, finding.unknown) == (3, 2, 0)
    assert (finding.surplus, finding.taken_back) == (0, 0)


@pytest.mark.parametrize(
    ("techniques", "recorded", "missing"),
    [
        ((7, 8, 7), (7,), [11]),  # the record is of 12: 10 was accounted for
        ((0, 8, 9), (9,), [11]),
        ((0, 7, 8, 9), (8, 9), [11]),
        ((0, 7, 8, 9), (7, 9), [12]),
        ((0, 7, 8, 9), (7, 8), [13]),
        ((0, 7, 8, 9), (), [11, 12, 13]),
    ],
)
def test_a_record_belongs_to_the_first_pulse_of_its_technique_since_the_account(
    techniques: tuple[int, ...], recorded: tuple[int, ...], missing: list[int]
) -> None:
    """Results from counter 10 on, which the account already holds."""
    recent = [result(10 + n, technique_id) for n, technique_id in enumerate(techniques)]
    records = [Recorded(technique_id, True) for technique_id in recorded]
    finding = reconcile(Account(10, 5), records, recent[-1].counter, recent)
    assert [one.counter for one in finding.missing] == missing


def test_records_older_than_the_generators_memory_are_passed_over() -> None:
    """Four records, two results kept: only the last two records can be theirs."""
    records = [Recorded(7, True), Recorded(7, True), Recorded(8, True), Recorded(8, True)]
    recent = [result(14, 7), result(15, 8)]
    finding = reconcile(Account(10, 5), records, 15, recent)
    assert [one.counter for one in finding.missing] == [14]


def test_as_many_records_as_results_are_all_compared() -> None:
    records = [Recorded(7, True), Recorded(8, True)]
    recent = [result(11, 7), result(12, 8)]
    assert reconcile(Account(10, 5), records, 13, [*recent, result(13, 9)]).missing == (
        result(13, 9),
    )
    assert reconcile(Account(10, 5), records, 12, recent).missing == ()


MEMORY = 256


@given(st.integers(0, 400), st.sets(st.integers(0, MEMORY - 1), min_size=1, max_size=9))
def test_of_a_run_longer_than_the_generators_memory_all_that_is_missing_is_named(
    older: int, missing: set[int]
) -> None:
    """One technique for all: nothing but the counts tells that a pulse has no record."""
    whole = older + MEMORY
    recent = [result(10 + n, 7) for n in range(older + 1, whole + 1)]
    finding = reconcile(Account(10, 5), [LIT] * (whole - len(missing)), 10 + whole, recent)
    assert (finding.ok, finding.unknown, len(finding.missing)) == (True, 0, len(missing))


def test_the_last_pulse_of_a_long_run_is_the_one_that_was_cut_before_it_was_seen() -> None:
    recent = [result(10 + n, 7) for n in range(70, 326)]
    finding = reconcile(Account(10, 5), [LIT] * 324, 335, recent)
    assert [one.counter for one in finding.missing] == [335]
    changed = [*recent[:-1], result(335, 8)]
    finding = reconcile(Account(10, 5), [LIT] * 324, 335, changed)
    assert [one.technique_id for one in finding.missing] == [8]


UNSURE = Recorded(7, True, sure=False)


def test_what_a_crash_left_open_counts_when_the_generator_counted_it() -> None:
    finding = reconcile(Account(10, 5), [LIT, UNSURE], 12, [result(11, 7), result(12, 7)])
    assert (finding.ok, finding.missing, finding.surplus, finding.taken_back) == (True, (), 0, 0)
    assert finding.detail == "2 emitted, 2 recorded, 0 added, 0 unknown"


@pytest.mark.parametrize(
    ("records", "counter", "taken_back", "surplus"),
    [
        ([LIT, UNSURE], 11, 1, 0),
        ([UNSURE, UNSURE], 11, 1, 0),
        ([UNSURE, UNSURE], 10, 2, 0),
        ([LIT, LIT, UNSURE], 11, 1, 1),
        ([LIT, LIT], 11, 0, 1),
        ([UNSURE, Recorded(7, False, sure=False)], 11, 0, 0),
    ],
)
def test_what_a_crash_left_open_is_taken_back_when_nothing_was_emitted(
    records: list[Recorded], counter: int, taken_back: int, surplus: int
) -> None:
    recent = [result(n, 7) for n in range(11, counter + 1)]
    finding = reconcile(Account(10, 5), records, counter, recent)
    assert (finding.ok, finding.missing) == (True, ())
    assert (finding.taken_back, finding.surplus) == (taken_back, surplus)
    told = f", {taken_back} taken back"
    assert finding.detail.endswith(told) is (taken_back > 0)
