"""The tables of the small machines, written a second time from the requirements."""

import pytest

from realtime import beam, irradiation, orders, pedals
from realtime.beam import BeamEvent, BeamState
from realtime.pedals import OnePedal, PedalEvent, PedalState

pytestmark = pytest.mark.invariant(12)


def read(text: str) -> dict[tuple[str, str], str]:
    """`before event after`, one row per line."""
    rows = [line.split() for line in text.strip().splitlines()]
    return {(before, event): after for before, event, after in rows}


def plain(rows: dict) -> dict[tuple[str, str], str]:  # type: ignore[type-arg]
    return {(state.value, event.value): after.value for (state, event), after in rows.items()}


def test_the_table_of_a_pedal() -> None:
    assert plain(pedals.ROWS) == read("""
        blocked    released  releasing
        releasing  pressed   blocked
        releasing  crossed   blocked
        releasing  timer     up
        releasing  void      blocked
        up         pressed   pressing
        up         void      blocked
        pressing   released  up
        pressing   crossed   up
        pressing   timer     down
        pressing   void      blocked
        down       released  releasing
        down       crossed   blocked
        down       void      blocked
    """)


def test_a_pedal_takes_its_rows() -> None:
    for event, after in (
        (PedalEvent.RELEASED, PedalState.RELEASING),
        (PedalEvent.CROSSED, PedalState.BLOCKED),
        (PedalEvent.VOID, PedalState.BLOCKED),
        (PedalEvent.PRESSED, PedalState.DOWN),
    ):
        pedal = OnePedal(1, 2)
        pedal.state = PedalState.DOWN
        pedal.take(event, 7)
        assert pedal.state is after


def test_the_table_of_the_beam() -> None:
    wanted = read("""
        dark      press          called
        called    order          clearing
        clearing  cleared        armed
        armed     fire           pulse
        pulse     fall           readout
        pulse     veto           armed
        readout   window_closed  armed
        tripped   reset          dark
    """)
    for state in BeamState:
        if state is not BeamState.TRIPPED:
            wanted[state.value, "trip"] = "tripped"
        if state not in (BeamState.DARK, BeamState.TRIPPED):
            wanted[state.value, "stop"] = "dark"
    assert plain(beam.ROWS) == wanted
    others = {pair for pair in beam.NEXT if pair not in beam.ROWS}
    assert all(beam.NEXT[state, event] is state for state, event in others)
    assert len(beam.NEXT) == len(BeamState) * len(BeamEvent)


def test_what_each_state_of_the_beam_puts_on_the_lines() -> None:
    pulse, lamp = 1 << 1, 1 << 5
    lit = {"clearing": lamp, "armed": lamp, "readout": lamp, "pulse": lamp | pulse}
    assert {s.value: lines for s, lines in beam.LINES.items()} == {
        **dict.fromkeys(("dark", "called", "tripped"), 0), **lit,
    }  # fmt: skip


def test_the_tables_of_order_and_signal() -> None:
    assert plain(orders.ROWS) == read("""
        none  accept  held
        held  accept  held
        held  expire  none
        held  void    none
    """)
    assert plain(irradiation.ROWS) == read("""
        quiet     elapsed  sounding
        sounding  sounded  quiet
        sounding  reset    quiet
    """)
