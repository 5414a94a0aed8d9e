"""The dosimeter agrees with the generator's own account without sharing its formula."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.room.dosimeter import Dosimeter
from hil.room.records import Technique
from hil.room.tube import Shape, tail_full_ns


@given(st.integers(1_000, 50_000_000), st.floats(40, 120), st.floats(5, 200))
def test_it_reads_what_the_tube_gave(hv_ns: int, kv: float, ma: float) -> None:
    dosimeter = Dosimeter(300_000, 150)
    dosimeter.pulse(hv_ns, kv, ma)
    shape = Shape(0, hv_ns, 300_000, tail_full_ns(150, Technique(1, kv, ma, 1, "none")))
    given_mas = shape.output_ns(0, shape.end_ns) * ma * 1e-9
    assert dosimeter.reading == pytest.approx(given_mas * kv**2, rel=0.005)


def test_it_adds_up() -> None:
    dosimeter = Dosimeter(300_000, 150)
    dosimeter.pulse(8_000_000, 70.0, 40.0)
    once = dosimeter.reading
    dosimeter.pulse(8_000_000, 70.0, 40.0)
    assert dosimeter.reading == pytest.approx(2 * once)
