"""A bus fault is on between its instants, is logged when seen, and ends once."""

from typing import Any

import pytest

from hil.rig.busfaults import TABLE, BusFaults

Row = tuple[str, str, dict[str, Any]]


@pytest.fixture
def rows() -> list[Row]:
    return []


@pytest.fixture
def faults(rows: list[Row]) -> BusFaults:
    return BusFaults(lambda *row: rows.append(row))


def test_it_acts_only_between_its_instants(faults: BusFaults) -> None:
    assert faults.inject("F16", "kv", 5.0, now_ns=100, after_ns=10, for_ns=20) == ""
    assert faults.wants("F16", "kv", 109) is None
    assert faults.wants("F16", "kv", 110) == 5.0
    assert faults.wants("F16", "width", 110) is None
    assert faults.wants("F16", "kv", 129) == 5.0
    assert faults.wants("F16", "kv", 130) is None


def test_the_first_effect_is_logged_once_and_its_end_once(
    faults: BusFaults, rows: list[Row]
) -> None:
    faults.inject("F18", "", 0.0, 0, 0, 50)
    assert rows == []
    faults.seen("F18")
    faults.seen("F18")
    faults.expire(49)
    assert faults.names() == ["F18 duplicate"]
    faults.expire(50)
    faults.expire(51)
    value = {"target": "duplicate", "amount": 0.0}
    assert rows == [("fault_on", "F18", value), ("fault_off", "F18", value)]


def test_what_was_never_seen_leaves_no_trace(faults: BusFaults, rows: list[Row]) -> None:
    faults.inject("F17", "heartbeat", 0.0, 0, 0, 0)
    faults.clear("")
    faults.seen("F17")
    assert rows == []


def test_clear_ends_one_or_all(faults: BusFaults) -> None:
    for fault in TABLE:
        faults.inject(fault, "", 0.0, 0, 0, 0)
    faults.clear("F16")
    assert faults.names() == ["F17 heartbeat", "F18 duplicate"]
    faults.clear("")
    assert faults.names() == []


def test_an_unknown_target_is_refused_in_words(faults: BusFaults) -> None:
    assert "allowed is one of kv" in faults.inject("F16", "colour", 0.0, 0, 0, 0)
    assert faults.names() == []
