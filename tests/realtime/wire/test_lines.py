"""The line table is whole: bits, masks, safe levels, ages."""

import pytest

from realtime.wire import lines
from realtime.wire.lines import IN_ALL, INPUTS, OUT_ALL, OUTPUTS, In, Out, Role, mask


def test_every_bit_has_one_row_in_order() -> None:
    assert [row.bit for row in INPUTS] == list(In)
    assert [row.bit for row in OUTPUTS] == list(Out)
    assert list(In) == list(range(len(In)))
    assert list(Out) == list(range(len(Out)))


def test_masks_cover_exactly_the_bits() -> None:
    assert (1 << len(In)) - 1 == IN_ALL
    assert (1 << len(Out)) - 1 == OUT_ALL
    assert mask() == 0
    assert mask(0, 3) == 0b1001


def test_unknown_means_dark() -> None:
    for row in INPUTS:
        assert row.safe == 0
        assert row.max_age_ms == 15
    assert lines.IN_SAFE == 0
    assert all(row.safe == 0 and row.max_age_ms == 0 for row in OUTPUTS)


def test_classes_of_interlocks_are_those_of_the_fault_catalogue() -> None:
    assert mask(In.ESTOP, In.COLLISION, In.BARRIER) == lines.LATCHING
    inhibiting = mask(In.DOOR, In.COOLING, In.KEY, In.GENERATOR_READY, In.PANEL_READY)
    assert inhibiting == lines.INHIBITING
    assert lines.LATCHING | lines.INHIBITING == lines.INTERLOCKS
    assert lines.LATCHING & lines.INHIBITING == 0


def test_the_unsafe_side_of_each_contact() -> None:
    assert lines.NO_CONTACTS & lines.NC_CONTACTS == 0
    assert lines.NO_CONTACTS | lines.NC_CONTACTS == lines.PEDALS
    assert lines.UNSAFE_WHEN_LOW == lines.INTERLOCKS | lines.NO_CONTACTS
    assert lines.UNSAFE_WHEN_HIGH == lines.NC_CONTACTS


def test_energy_leaves_by_two_lines_only() -> None:
    assert {row.bit for row in OUTPUTS if row.role is Role.ENERGY} == {Out.PERMIT, Out.PULSE}


@pytest.mark.parametrize("row", INPUTS + OUTPUTS, ids=lambda row: row.bit.name)
def test_every_row_says_what_it_means_and_whose_it_is(row: lines.Line) -> None:
    assert row.meaning
    assert row.owner
