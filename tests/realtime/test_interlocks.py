"""Interlocks: every one, both classes, level and edge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.interlocks import cause_gone, judge
from realtime.trips import INHIBIT_OF_LINE, TRIP_OF_LINE, TripCode
from realtime.wire.lines import IN_ALL, INHIBITING, INTERLOCKS, LATCHING, In

pytestmark = pytest.mark.invariant(3)

LATCHING_LINES = [line for line in In if LATCHING >> line & 1]
INHIBITING_LINES = [line for line in In if INHIBITING >> line & 1]


def test_all_closed_is_silent() -> None:
    assert judge(INTERLOCKS, 0) == (False, [], [])
    assert judge(IN_ALL, IN_ALL & ~INTERLOCKS) == (False, [], [])


def test_every_interlock_has_its_code() -> None:
    assert set(TRIP_OF_LINE) == set(LATCHING_LINES)
    assert set(INHIBIT_OF_LINE) == set(INHIBITING_LINES)


@pytest.mark.parametrize("line", LATCHING_LINES, ids=lambda line: line.name)
def test_a_latching_one_trips_by_level_and_by_edge(line: In) -> None:
    bit = 1 << line
    code = TRIP_OF_LINE[line]
    assert judge(INTERLOCKS & ~bit, 0) == (True, [code], [])
    assert judge(INTERLOCKS, bit) == (True, [code], [])
    assert cause_gone(code, INTERLOCKS)
    assert not cause_gone(code, INTERLOCKS & ~bit)


@pytest.mark.parametrize("line", INHIBITING_LINES, ids=lambda line: line.name)
def test_an_inhibiting_one_inhibits_while_open_and_ends_by_edge(line: In) -> None:
    bit = 1 << line
    assert judge(INTERLOCKS & ~bit, 0) == (True, [], [INHIBIT_OF_LINE[line]])
    assert judge(INTERLOCKS, bit) == (True, [], [])


@given(st.integers(0, IN_ALL), st.integers(0, IN_ALL))
def test_opened_exactly_when_one_is_or_was_open(levels: int, edges: int) -> None:
    judgement = judge(levels, edges)
    assert judgement.opened == bool(INTERLOCKS & (~levels | edges))
    assert set(judgement.trips) == {
        TRIP_OF_LINE[line] for line in LATCHING_LINES if (~levels | edges) >> line & 1
    }
    assert set(judgement.inhibits) == {
        INHIBIT_OF_LINE[line] for line in INHIBITING_LINES if ~levels >> line & 1
    }


def test_a_trip_without_a_line_has_no_cause_to_read() -> None:
    assert all(cause_gone(code, 0) for code in TripCode if code not in TRIP_OF_LINE.values())
