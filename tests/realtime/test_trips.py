"""Codes and their persisted bits."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.trips import Inhibit, TripCode, from_bits, to_bits


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
