"""Techniques: ranges, the fit arithmetic, periods, ids and check sums."""

import struct
import zlib
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import technique as techniques
from controller.core.refusal import Blame, Refusal
from realtime.limits import Timing
from tests.controller.core.scene import BENCH, bench

pytestmark = pytest.mark.invariant(7)

GOOD: dict[str, Any] = {"kv": 70.0, "ma": 40.0, "ms": 8.0, "rate": 15.0}


def refused(wanted: dict[str, Any], config: Any = BENCH) -> Refusal:
    with pytest.raises(Refusal) as caught:
        techniques.checked({**GOOD, **wanted}, config)
    assert caught.value.blame is Blame.INPUT
    return caught.value


def test_the_bench_technique_is_exact_in_the_generators_steps() -> None:
    made = techniques.from_config(BENCH)
    assert (made.kv_tenths, made.ma_hundredths, made.set_us, made.tail_us) == (700, 4000, 8000, 263)
    assert (made.tube_kv, made.tube_ma, made.width_ms, made.filter_code) == (70.0, 40.0, 8.0, 1)
    raw = struct.pack("<IHIIB", 9, 700, 4000, 8000, 1)
    assert made.numbered(9).check == zlib.crc32(raw)
    assert made.shown()["tail_us"] == 263
    announced = made.numbered(9).announcement()
    assert (announced.technique_id, announced.kv, announced.tail_us) == (9, 70.0, 263)


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("kv", 39.9, "out_of_range"), ("kv", 120.1, "out_of_range"), ("ma", 0, "out_of_range"),
        ("ms", 51, "out_of_range"), ("kv", float("nan"), "out_of_range"),
        ("ma", float("inf"), "out_of_range"), ("kv", "70", "out_of_range"),
        ("ms", True, "out_of_range"), ("rate", 14.0, "rate_not_offered"),
        ("rate", "15", "rate_not_offered"), ("rate", None, "rate_not_offered"),
    ],
)  # fmt: skip
def test_what_is_outside_is_refused_by_name(key: str, value: Any, code: str) -> None:
    refusal = refused({key: value})
    assert (refusal.code, refusal.where) == (code, key)
    assert refusal.body["error"]["value"] == refusal.value


def test_the_ends_of_the_ranges_are_inside() -> None:
    assert techniques.checked({**GOOD, "kv": 120.0, "ma": 200.0}, BENCH).tube_kv == 120.0
    assert techniques.checked({**GOOD, "kv": 40, "ma": 40, "ms": 1}, BENCH).tube_kv == 40.0


def test_a_pulse_that_does_not_fit_is_refused_with_the_arithmetic() -> None:
    # 300 + 500 + 300 + width + 263 + 300 ≤ 13000 leaves 11337 µs.
    assert techniques.checked({**GOOD, "ms": 11.337}, BENCH).set_us == 11337
    refusal = refused({"ms": 11.338})
    assert refusal.code == "does_not_fit_window"
    for word in ("300", "500", "width 11338", "tail 263", "= 13001", "window 13000", "1 µs too"):
        assert word in refusal.allowed


def test_a_low_current_has_a_long_tail() -> None:
    # 150 pF · 120 kV / 1 mA = 18 ms: longer than the window by itself.
    assert "tail 18000" in refused({"kv": 120, "ma": 1, "ms": 1}).allowed


def test_the_width_cap_is_a_limit_of_its_own() -> None:
    assert refused({"ms": 9}, bench(beam__width_cap_us=8999)).code == "width_over_cap"
    assert techniques.checked({**GOOD, "ms": 9}, bench(beam__width_cap_us=9000)).set_us == 9000


def test_the_panel_must_follow_the_period() -> None:
    # 100 + 13000 + 20233 = 33333 ≤ 33333.3 µs at 30/s
    fits = techniques.checked({**GOOD, "rate": 30.0}, bench(panel__readout_us=20233))
    assert fits.pulses_per_s == 30.0
    refusal = refused({"rate": 30.0}, bench(panel__readout_us=20234))
    assert refusal.code == "does_not_fit_period"
    assert "trigger 100 + window 13000 + readout 20234 = 33334" in refusal.allowed


def test_pulses_keep_their_least_spacing() -> None:
    refusal = refused({"rate": 30.0}, bench(beam__spacing_min_us=33_334))
    assert refusal.code == "does_not_fit_period"


def test_a_free_running_panel_gives_every_kth_window() -> None:
    free = {"panel__topology": "panel_master", "panel__base_rate_hz": 30.0}
    assert techniques.checked({**GOOD, "rate": 7.5}, bench(**free)).pulses_per_s == 7.5
    refusal = refused({"rate": 4.0}, bench(**free))
    assert refusal.code == "not_a_divisor"
    # The trigger delay does not count where nobody triggers.
    tight = bench(**free, panel__readout_us=20333, panel__trigger_delay_us=5000)
    assert techniques.checked({**GOOD, "rate": 30.0}, tight).set_us == 8000


@given(
    st.sampled_from(BENCH["technique.rates"]),
    st.integers(1000, 13_000), st.integers(400, 1200), st.integers(100, 20_000),
)  # fmt: skip
def test_what_fits_here_fits_in_realtime(rate: float, us: int, kv: int, ma: int) -> None:
    timing = Timing.from_config(BENCH)
    try:
        made = techniques.checked({"kv": kv / 10, "ma": ma / 100, "ms": us / 1000, "rate": rate},
                                  BENCH)  # fmt: skip
    except Refusal:
        return
    needed = timing.needed_ns(made.rise_us * 1000, made.set_us * 1000, made.tail_us * 1000)
    assert needed <= timing.window_ns
    assert timing.fits_period(*techniques.period(rate))


@pytest.mark.parametrize("rate", [0.5, 1, 2, 3, 4, 7.5, 8, 12.5, 15, 25, 30])
def test_periods_are_exact(rate: float) -> None:
    num_ns, den = techniques.period(rate)
    assert Fraction(num_ns, den) == Fraction(1_000_000_000) / Fraction(rate)
    assert 1 <= den <= 1000


def test_an_edit_keeps_what_it_does_not_name() -> None:
    made = techniques.edited(techniques.from_config(BENCH), {"kv": 81.5, "rate": 30}, BENCH)
    assert (made.tube_kv, made.tube_ma, made.width_ms, made.pulses_per_s) == (81.5, 40.0, 8.0, 30.0)
    with pytest.raises(Refusal) as caught:
        techniques.edited(made, {"filter": "none"}, BENCH)
    assert (caught.value.code, caught.value.where) == ("unknown_key", "filter")
    assert "unknown_key" in str(caught.value)


def test_periods_in_whole_nanoseconds_are_pinned() -> None:
    """15/s is not a whole number of nanoseconds, 1/3 per s has a denominator of its own."""
    assert techniques.period(15.0) == (200_000_000, 3)
    assert techniques.period(0.5) == (2_000_000_000, 1)
    assert techniques.period(1000 / 999) == (999_000_000, 1)
    assert techniques.period(1 / 1000) == (1_000_000_000_000, 1)
    # 1001 as a denominator is beyond what a rate is taken for: 1/1001 is taken for 1/1000.
    assert techniques.period(1 / 1001) == (1_000_000_000_000, 1)


def test_numbers_that_the_generator_and_the_wire_know() -> None:
    assert techniques.FILTERS == {"none": 0, "3Al+0.1Cu": 1}
    assert techniques.ID_MAX == 0xFFFF_FFFF
    assert techniques.from_config(BENCH).technique_id == 1
    assert techniques.from_config(bench(technique__filter="none")).filter_code == 0


@pytest.mark.parametrize("wide", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_told_in_words(wide: float) -> None:
    assert refused({"kv": wide}).value == repr(wide)
    assert refused({"kv": 39.9}).value == 39.9
    assert refused({"kv": 1e9}).value == 1e9
    assert refused({"kv": 0.0}).value == 0.0


def test_a_period_that_just_fits_exactly_fits() -> None:
    # 100 + 13000 + 53566 = 66666 ≤ 66666.6 µs at 15/s; at 25/s 40000 is met exactly.
    exact = bench(panel__readout_us=26_900, technique__rates=(15.0, 25.0))
    assert techniques.checked({**GOOD, "rate": 25.0}, exact).pulses_per_s == 25.0
    over = bench(panel__readout_us=26_901, technique__rates=(15.0, 25.0))
    assert refused({"rate": 25.0}, over).code == "does_not_fit_period"


def test_without_a_trigger_of_ours_its_delay_is_no_part_of_the_cycle() -> None:
    free = {"panel__topology": "panel_master", "panel__base_rate_hz": 25.0,
            "technique__rates": (25.0,), "panel__trigger_delay_us": 5000}  # fmt: skip
    just = bench(**free, panel__readout_us=27_000)
    assert techniques.checked({**GOOD, "rate": 25.0}, just).pulses_per_s == 25.0
    over = refused({"rate": 25.0}, bench(**free, panel__readout_us=27_001))
    assert over.allowed.startswith("max(trigger 0 + window 13000 + readout 27001 = 40001")


@given(st.integers(0, 1 << 40), st.integers(1, 0xFFFF))
def test_ids_are_never_zero_and_fit(epoch: int, count: int) -> None:
    assert 1 <= techniques.id_of(epoch, count) <= techniques.ID_MAX


def test_an_epoch_has_its_own_ids() -> None:
    ids = {techniques.id_of(epoch, count) for epoch in (1, 2, 3) for count in (1, 2, 0xFFFF)}
    assert len(ids) == 9
    for count in (0, 0x10000):
        with pytest.raises(AssertionError):
            techniques.id_of(1, count)
    with pytest.raises(AssertionError):
        techniques.from_config(BENCH).numbered(0)
