"""Codes and their persisted bits."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.trips import (
    INHIBIT_OF_LINE,
    TRIP_OF_LINE,
    Inhibit,
    TripCode,
    from_bits,
    to_bits,
)
from realtime.wire.lines import INTERLOCKS, LATCHING, In


@given(st.lists(st.sampled_from(TripCode), unique=True))
def test_bits_round_trip(codes: list[TripCode]) -> None:
    assert set(from_bits(to_bits(codes))) == set(codes)


@given(st.integers(0, (1 << 64) - 1))
def test_unknown_bits_read_as_an_unclean_restart(bits: int) -> None:
    codes = from_bits(bits)
    assert len(codes) == len(set(codes))
    assert bits == 0 or codes
    if bits >> len(TripCode):
        assert TripCode.UNCLEAN in codes


def test_the_bit_of_a_code_never_moves() -> None:
    order = ["interlock_estop", "interlock_collision", "interlock_barrier", "pedal_disagree",
             "xray_without_pulse", "pulse_without_xray", "stall", "run_max", "black_box_full",
             "unclean_restart", "internal_error", "tone_failed_in_high_level"]  # fmt: skip
    assert [to_bits([TripCode(code)]) for code in order] == [1 << n for n in range(len(order))]
    assert len(order) == len(TripCode)


def test_no_code_means_two_things() -> None:
    assert not {str(code) for code in TripCode} & {str(code) for code in Inhibit}


def test_each_interlock_has_its_own_code() -> None:
    for codes in (TRIP_OF_LINE, INHIBIT_OF_LINE):
        assert {line: str(code) for line, code in codes.items()} == {
            line: f"interlock_{line.name.lower()}" for line in codes
        }
    assert set(TRIP_OF_LINE) | set(INHIBIT_OF_LINE) == {
        line for line in In if INTERLOCKS >> line & 1
    }
    assert {line for line in In if LATCHING >> line & 1} == set(TRIP_OF_LINE)
