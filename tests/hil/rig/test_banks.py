"""A bank becomes a technique only with all values in range and the right check written last."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.rig.banks import TOO_HIGH, TOO_LOW, WRONG_VALUE, Bank, BankValues, Refusal, limits
from realtime.wire.config import load

RANGES = limits(load(Path(__file__).parents[3] / "controller/profiles/bench.toml"))
GOOD = BankValues(7, 700, 4000, 8000, 1)
RAW = (7, 700, 4000, 8000, 1)


def filled(raw: tuple[int, ...] = RAW) -> Bank:
    bank = Bank(RANGES)
    for sub, value in enumerate(raw, 1):
        bank.write(sub, value)
    return bank


def test_a_checked_bank_is_a_technique() -> None:
    bank = filled()
    assert not bank.valid
    assert bank.read(6) == 0
    bank.confirm(GOOD.check())
    assert bank.valid
    assert [bank.read(sub) for sub in range(1, 6)] == list(RAW)
    assert bank.read(6) == GOOD.check()
    technique = bank.values.technique()
    assert (technique.kv, technique.ma, technique.set_us) == (70.0, 40.0, 8000)
    assert technique.filter == "3Al+0.1Cu"


@pytest.mark.parametrize("sub", range(1, 6))
def test_a_later_write_makes_it_invalid(sub: int) -> None:
    bank = filled()
    bank.confirm(GOOD.check())
    bank.write(sub, RAW[sub - 1])
    assert not bank.valid


def test_a_missing_value_is_refused() -> None:
    bank = Bank(RANGES)
    for sub in (1, 2, 3, 4):
        bank.write(sub, RAW[sub - 1])
    with pytest.raises(Refusal) as refusal:
        bank.confirm(bank.values.check())
    assert refusal.value.abort == WRONG_VALUE


@given(st.integers(0, (1 << 32) - 1).filter(lambda check: check != GOOD.check()))
def test_any_other_check_is_refused(check: int) -> None:
    bank = filled()
    with pytest.raises(Refusal) as refusal:
        bank.confirm(check)
    assert refusal.value.abort == WRONG_VALUE
    assert not bank.valid


@pytest.mark.parametrize(
    ("sub", "value", "abort"),
    [
        (1, 0, TOO_LOW), (2, 399, TOO_LOW), (2, 1201, TOO_HIGH), (3, 99, TOO_LOW),
        (3, 20_001, TOO_HIGH), (4, 999, TOO_LOW), (4, 50_001, TOO_HIGH), (5, 2, TOO_HIGH),
    ],
)  # fmt: skip
def test_out_of_range_is_refused_and_changes_nothing(sub: int, value: int, abort: int) -> None:
    bank = filled()
    bank.confirm(GOOD.check())
    with pytest.raises(Refusal) as refusal:
        bank.write(sub, value)
    assert refusal.value.abort == abort
    assert bank.values == GOOD
