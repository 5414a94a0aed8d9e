"""The mode table: total, without double rows, and nobody comes nearer by the network."""

import pytest

from controller.core import modes
from controller.core.events import Kind, Origin
from controller.core.machine import ACTIONS, Machine
from controller.core.modes import DISTANCE, TABLE, Ignore, Mode, Row, may_raise
from tests.controller.core.scene import Scene

pytestmark = pytest.mark.invariant(14)


def test_every_pair_has_a_row_or_a_written_reason() -> None:
    assert set(TABLE) == {(mode, kind) for mode in Mode for kind in Kind}
    for pair, row in TABLE.items():
        if isinstance(row, Ignore):
            assert len(row.reason.split()) >= 4, pair
        else:
            assert row.action in ACTIONS, pair


def test_no_pair_is_written_twice() -> None:
    pairs = [(mode, kind) for kind, at, _ in modes._ROWS for mode in at]
    assert len(pairs) == len(set(pairs))


def test_distance_is_ordered_as_required() -> None:
    order = (Mode.FAULT, Mode.STANDBY, Mode.READY, Mode.PREP, Mode.EXPOSING)
    assert sorted(order, key=DISTANCE.__getitem__) == list(order)
    assert len({DISTANCE[mode] for mode in order}) == len(order)


@pytest.mark.parametrize("before", Mode)
@pytest.mark.parametrize("after", Mode)
def test_a_network_input_keeps_or_lowers(before: Mode, after: Mode) -> None:
    assert may_raise(Origin.NETWORK, before, after) == (DISTANCE[after] <= DISTANCE[before])
    assert may_raise(Origin.LOCAL, before, after)


def rows_into(target: Mode) -> set[tuple[Mode, Kind]]:
    return {
        pair for pair, row in TABLE.items()
        if isinstance(row, Row) and target in row.targets and pair[0] is not target
    }  # fmt: skip


def test_exposing_is_reached_from_prep_and_by_a_press_only() -> None:
    from_rest = {pair for pair in rows_into(Mode.EXPOSING) if DISTANCE[pair[0]] < 3}
    pressed = {(mode, kind) for mode, kind in from_rest if kind is Kind.PRESS}
    assert pressed == {(Mode.READY, Kind.PRESS), (Mode.HOLD, Kind.PRESS)}


def test_fault_is_left_by_its_own_beat_and_the_end_only() -> None:
    leaving = {
        kind for (mode, kind), row in TABLE.items()
        if mode is Mode.FAULT and isinstance(row, Row) and row.targets - {Mode.FAULT}
    }  # fmt: skip
    assert leaving == {Kind.TICK, Kind.STOP}


def test_ready_is_reached_through_the_self_test_only() -> None:
    before_ready = {mode for mode, _ in rows_into(Mode.READY)}
    # From PREP only back, when the pedal was released before the first order.
    assert before_ready == {Mode.SELF_TEST, Mode.PREP}
    assert TABLE[Mode.PREP, Kind.RUN_END] == Row("prep_ended", frozenset({Mode.READY, Mode.HOLD}))


def test_some_row_leads_to_every_mode() -> None:
    assert [mode for mode in Mode if not rows_into(mode)] == [Mode.BOOT], "where it starts"


def test_a_result_that_no_row_allows_is_our_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()

    def leap(core: object, event: object, now_ns: int) -> list[object]:
        scene.core.mode = Mode.EXPOSING
        return []

    monkeypatch.setitem(ACTIONS, "boot_tick", leap)
    with pytest.raises(AssertionError, match="no row"):
        scene.tick()


def test_an_ignored_event_changes_nothing() -> None:
    scene = Scene().standby()
    before = repr(scene.core)
    assert scene.end() == []
    assert repr(scene.core) == before
    assert isinstance(scene.machine, Machine)
