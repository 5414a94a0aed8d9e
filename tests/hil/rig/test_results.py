"""Counter and results survive: a restart, a torn slot, a counter beyond 2³²."""

from pathlib import Path

import pytest

from hil.rig.results import KEPT, SLOT_BYTES, Result, ResultStore, result_of
from hil.room.records import PulseResult


def result(number: int) -> Result:
    return Result(number, 7, 8000 + number % 100, 700, 320, 4000, 1, 0)


def stored(path: Path, numbers: range) -> None:
    store = ResultStore(path)
    for number in numbers:
        store.add(result(number))
    store.close()


def test_a_restart_finds_the_counter_and_the_last_256(tmp_path: Path) -> None:
    stored(tmp_path / "nv", range(1, 301))
    store = ResultStore(tmp_path / "nv")
    assert store.count == 300
    assert store.all() == [result(number) for number in range(45, 301)]
    assert store.get(44) is None
    assert store.get(300) == result(300)
    store.close()


def test_an_empty_memory_starts_at_zero(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "rig" / "nv")
    assert store.count == 0
    assert store.all() == []
    store.close()


@pytest.mark.parametrize("offset", [0, 9, 23, 24, 27])
def test_a_torn_slot_loses_one_result_only(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "nv"
    stored(path, range(1, 11))
    raw = bytearray(path.read_bytes())
    raw[10 * SLOT_BYTES + offset] ^= 1
    path.write_bytes(raw)
    store = ResultStore(path)
    assert store.count == 9
    assert len(store.all()) == 9
    store.close()


def test_the_counter_goes_on_beyond_the_width_of_the_bus(tmp_path: Path) -> None:
    first = (1 << 32) - 2
    stored(tmp_path / "nv", range(first, first + 5))
    store = ResultStore(tmp_path / "nv")
    assert store.count == first + 4
    assert store.get(2) == result(first + 4)
    assert len(result(first + 4).wire()) == 20
    assert len(store.all()) == 5
    store.close()


def test_a_pulse_is_rounded_to_the_units_of_the_bus() -> None:
    pulse = PulseResult(5, 7, 1, 70.04, 39.996, 8003, 0.32049, 1, 2, 3)
    assert result_of(pulse) == Result(5, 7, 8003, 700, 320, 4000, 1, 3)
    huge = PulseResult(5, 7, 1, 7e4, 7e4, 8003, 70.0, 1, 2, 0)
    assert result_of(huge)[3:6] == (0xFFFF, 0xFFFF, 0xFFFF)


def test_no_more_than_256_are_kept(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "nv")
    for number in range(1, 600):
        store.add(result(number))
    assert len(store.all()) == KEPT
    store.close()
