"""The shape of a pulse against numerical integration and domain.md's tail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.room.records import Technique
from hil.room.tube import Shape, tail_full_ns


def fraction(shape: Shape, t: float) -> float:
    """Fraction of set kV, drawn from the words: linear rise, flat, linear tail."""
    if t < shape.on_ns:
        return 0.0
    if t < shape.off_ns:
        return min(1.0, (t - shape.on_ns) / shape.rise_ns)
    return max(0.0, shape.peak - (t - shape.off_ns) / shape.full_ns)


shapes = st.builds(
    lambda on, hv, rise, full: Shape(on, on + hv, rise, full),
    st.integers(0, 10_000), st.integers(1, 20_000), st.integers(10, 3000), st.integers(1, 9000),
)  # fmt: skip


@given(shapes, st.integers(-5000, 40_000), st.integers(0, 40_000))
def test_output_is_the_integral_of_the_square(shape: Shape, start: int, span: int) -> None:
    steps = 2000
    numeric = sum(
        fraction(shape, start + (k + 0.5) * span / steps) ** 2 for k in range(steps)
    ) * (span / steps)  # fmt: skip
    assert shape.output_ns(start, start + span) == pytest.approx(numeric, abs=max(25, span / 400))


@given(shapes, st.floats(0.05, 0.95))
def test_crossings_lie_where_the_voltage_passes(shape: Shape, level: float) -> None:
    if shape.peak > level:
        assert fraction(shape, shape.up_ns(level)) >= level - 1 / shape.rise_ns
        assert fraction(shape, shape.down_ns(level)) >= level - 1e-9
        assert fraction(shape, shape.down_ns(level) + 2) <= level


def test_the_tail_is_charge_over_current() -> None:
    # domain §4: 1 nF at 80 kV / 10 mA = 8 ms, 150 pF = 1.2 ms
    assert tail_full_ns(1000, Technique(1, 80.0, 10.0, 1, "none")) == 8_000_000
    assert tail_full_ns(150, Technique(1, 80.0, 10.0, 1, "none")) == 1_200_000


def test_half_the_width_gives_half_the_output() -> None:
    full, half = (Shape(0, hv, 300_000, 262_500) for hv in (8_225_000, 4_225_000))
    ratio = half.output_ns(0, half.end_ns) / full.output_ns(0, full.end_ns)
    assert ratio == pytest.approx(0.5, rel=0.02)


def test_the_width_is_taken_at_three_quarters() -> None:
    shape = Shape(0, 8_225_000, 300_000, 400_000)
    assert shape.width_ns == 8_225_000 - 225_000 + 100_000
