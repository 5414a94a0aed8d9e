"""The values of a turn: what nobody said is dark."""

from realtime.inputs import Inputs, Letter, Outputs, Peer, Store


def test_inputs_nobody_read_are_unknown_and_safe() -> None:
    nothing = Inputs()
    assert nothing.link is False
    assert nothing.levels == 0
    assert nothing[3:] == (0,) * 7
    assert nothing.epoch == 0, "the first connection is a change"


def test_a_letter_without_a_message_is_a_link_going_down_unless_said() -> None:
    assert Letter(Peer.IMAGING, None).link_up is False
    assert Letter(Peer.IMAGING, None, link_up=True) != Letter(Peer.IMAGING, None)


def test_values_compare_by_value() -> None:
    assert Store(1, 2) == Store(1, 2)
    assert Outputs(0, 1, False, [], None, None, None) != Outputs(0, 1, True, [], None, None, None)
    assert Outputs(0, 1, False, [], None, None, None).at_rest is False
    assert {peer.value for peer in Peer} == {"supervisor", "imaging"}
