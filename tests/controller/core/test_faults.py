"""The catalogue of faults: what each kind of row does, and how much is held."""

import pytest

from controller.core.faults import (
    BY_ID,
    CATALOGUE,
    HELD_MAX,
    Action,
    Clear,
    Held,
    Severity,
    added,
    latched,
    table,
    without,
)

pytestmark = pytest.mark.invariant(12)

IDS = (
    "unclean_restart", "latches_unreadable", "executive_lost", "executive_trip", "run_end_lost",
    "generator_lost", "generator_fault", "generator_emergency", "technique_mismatch",
    "result_implausible", "result_missing", "result_gap", "pulse_unordered", "commit_failed",
    "prep_failed", "self_test", "order_lapsed", "no_image", "imaging_lost", "generator_not_ready",
    "record_not_durable", "internal_error", "locked_out", "record_repaired",
)  # fmt: skip
STANDBY = {"imaging_lost", "generator_not_ready", "record_not_durable"}


def test_the_rows_and_their_order() -> None:
    assert tuple(row.id for row in CATALOGUE) == IDS
    assert {row.id: row for row in CATALOGUE} == BY_ID


def test_what_each_row_does_and_how_it_clears() -> None:
    for row in CATALOGUE:
        wanted = (Action.FAULT, Clear.LOCAL_RESET)
        if row.id in STANDBY:
            wanted = (Action.STANDBY, Clear.NEXT_READY)
        elif row.id == "record_repaired":
            wanted = (Action.RECORD, Clear.LOCAL_RESET)
        assert (row.action, row.clear) == wanted, row.id
    dangers = [row.id for row in CATALOGUE if row.severity is Severity.DANGER]
    assert dangers == list(IDS[8:13])


@pytest.mark.invariant(17)
def test_the_first_32_causes_are_kept() -> None:
    assert HELD_MAX == 32
    some = tuple(Held("no_image", "", n) for n in range(HELD_MAX - 1))
    new = Held("internal_error", "", 99)
    assert added(some, new) == (*some, new)
    full = (*some, Held("self_test", "", 98))
    assert added(full, new) is full
    assert added((new,), Held("internal_error", "again", 100)) == (new,)


def test_what_latches_and_what_an_act_leaves() -> None:
    held = tuple(Held(id_, "", 1) for id_ in ("imaging_lost", "no_image", "record_repaired"))
    assert [one.id for one in latched(held)] == ["no_image"]
    assert [one.id for one in without(held, Clear.NEXT_READY)] == ["no_image", "record_repaired"]
    assert [one.id for one in without(held, Clear.LOCAL_RESET)] == ["imaging_lost"]


def test_what_is_shown_of_one_that_is_held_and_of_the_catalogue() -> None:
    shown = Held("no_image", "two in a row", 7).shown()
    row = BY_ID["no_image"]
    assert shown == {
        "id": "no_image", "severity": "failure", "action": "fault", "clear": "local_reset",
        "cause": row.cause, "text": row.text, "remedy": row.remedy, "detail": "two in a row",
        "t_ns": 7,
    }  # fmt: skip
    rows = table()
    assert [one["id"] for one in rows] == list(IDS)
    assert rows[17]["covers"] == ["F21", "F22", "F24"]
    assert rows[0]["status"] == "waiting_for"
