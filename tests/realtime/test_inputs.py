"""The values of a turn: what nobody said is dark."""

import pytest

from realtime.inputs import Inputs, Letter, Outputs, Peer, Store, joined
from realtime.wire.lines import IN_SAFE


def test_inputs_nobody_read_are_unknown_and_safe() -> None:
    nothing = Inputs()
    assert nothing.link is False
    assert nothing.levels == 0
    assert nothing[3:] == (0,) * 7
    assert nothing.epoch == 0, "the first connection is a change"


def test_a_letter_without_a_message_is_a_link_going_down_unless_said() -> None:
    assert Letter(Peer.IMAGING, None).link_up is False
    assert Letter(Peer.IMAGING, None, link_up=True) != Letter(Peer.IMAGING, None)


def test_two_readings_are_one_turn_in_which_nothing_is_forgotten() -> None:
    first = Inputs(True, 3, 0b0110, 0b0001, 1, 2, 3, 4, 1, 5)
    second = Inputs(True, 4, 0b1010, 0b0100, 6, 7, 8, 9, 2, 10)
    assert joined(first, second) == Inputs(True, 4, 0b1010, 0b0101, 6, 7, 8, 9, 3, 10)


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (False, False)])
def test_a_turn_in_which_the_lines_were_lost_once_has_none(first: bool, second: bool) -> None:
    both = joined(Inputs(first, 1, 0b0110, 0b0001), Inputs(second, 2, 0b1010, 0b0100))
    assert (both.link, both.levels, both.unsafe_edges) == (False, IN_SAFE, 0b0101)


def test_values_compare_by_value() -> None:
    assert Store(1, 2) == Store(1, 2)
    assert Outputs(0, 1, False, [], None, None, None) != Outputs(0, 1, True, [], None, None, None)
    assert Outputs(0, 1, False, [], None, None, None).at_rest is False
    assert {peer.value for peer in Peer} == {"supervisor", "imaging"}
