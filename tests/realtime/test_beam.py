"""The beam table: one way in, many ways out."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime import beam
from realtime.beam import ARMED_STATES, LINES, NEXT, PERMIT_STATES, RUN_STATES, BeamEvent, BeamState
from realtime.wire.lines import Out, mask

pytestmark = pytest.mark.invariant(12)

S, E = BeamState, BeamEvent


def test_the_table_is_total_and_disjoint() -> None:
    assert set(beam.ROWS) | set(beam.IGNORED) == set(product(S, E))
    assert not set(beam.ROWS) & set(beam.IGNORED)
    assert all(beam.IGNORED.values())
    assert set(NEXT) == set(product(S, E))


def test_pulse_is_entered_by_one_row_and_lit_in_one_state() -> None:
    assert [pair for pair, after in beam.ROWS.items() if after is S.PULSE] == [(S.ARMED, E.FIRE)]
    assert [state for state in S if LINES[state] & mask(Out.PULSE)] == [S.PULSE]


def test_stop_is_dark_from_everywhere_but_the_latch() -> None:
    for state in S:
        assert NEXT[state, E.STOP] is (S.TRIPPED if state is S.TRIPPED else S.DARK)


def test_trip_is_tripped_from_everywhere() -> None:
    assert all(NEXT[state, E.TRIP] is S.TRIPPED for state in S)


@pytest.mark.parametrize("event", [e for e in E if e is not E.RESET])
def test_only_a_reset_leaves_tripped_and_only_to_dark(event: BeamEvent) -> None:
    assert NEXT[S.TRIPPED, event] is S.TRIPPED
    assert NEXT[S.TRIPPED, E.RESET] is S.DARK


def test_dark_and_tripped_put_nothing_on_the_lines() -> None:
    assert LINES[S.DARK] == LINES[S.TRIPPED] == LINES[S.CALLED] == 0
    assert set(LINES) == set(S)
    assert all(lines & ~mask(Out.PULSE, Out.LAMP) == 0 for lines in LINES.values())


def test_permit_lives_in_the_states_around_a_pulse_only() -> None:
    assert {S.ARMED, S.PULSE, S.READOUT} == PERMIT_STATES
    assert PERMIT_STATES < ARMED_STATES < RUN_STATES
    assert not RUN_STATES & {S.DARK, S.TRIPPED}


@given(st.lists(st.sampled_from(E)))
def test_every_pulse_was_pressed_ordered_and_cleared(events: list[BeamEvent]) -> None:
    state, seen = S.DARK, set[BeamEvent]()
    for event in events:
        before, state = state, NEXT[state, event]
        if state in (S.DARK, S.TRIPPED):
            seen.clear()
        elif state is not before:
            seen.add(event)
        if state is S.PULSE:
            assert {E.PRESS, E.ORDER, E.CLEARED, E.FIRE} <= seen
