"""A constancy test is paper until somebody at the board takes it; then the black box judges."""

import json
from pathlib import Path
from typing import Any

import pytest

from controller.core.refusal import Refusal
from controller.service import constancy
from controller.service.constancy import KEPT_MAX, Constancy, folder_of, judged
from realtime.wire.config import load
from tests.service import rooms
from tests.service.prompt import carm

PLAN: dict[str, Any] = {"kv": 70.0, "ma": 40.0, "ms": 8.0, "pulses": 3, "reason": "yearly"}
CONFIG = load(rooms.BENCH)


def rows(count: int, due_ns: int = 100, width_us: int = 8_300, **changed: Any) -> list[Any]:
    return [
        {"kind": "pulse", "state": "closed", "truncated": False, "set_us": 8_000,
         "due_ns": due_ns + n, "xray_on_ns": 1_000, "xray_off_ns": 1_000 + (width_us + n) * 1_000,
         **changed}
        for n in range(count)
    ]  # fmt: skip


def taken(tests: Constancy, now_ns: int = 50) -> str:
    name: str = tests.propose(PLAN, "emil", CONFIG, 1)["name"]
    tests.take(name, now_ns)
    return name


def test_a_test_goes_from_paper_to_a_result_and_the_first_is_the_baseline(tmp_path: Path) -> None:
    tests = Constancy(tmp_path)
    first = tests.conclude(taken(tests), rows(3))["result"]
    assert (first["pulses"], first["mean_us"], first["ok"]) == (3, 8_301.0, True)
    assert first["baseline"]
    second = tests.conclude(taken(tests), rows(3, width_us=9_300))["result"]
    assert not second["baseline"]
    assert second["drift_percent"] == pytest.approx(12.05, abs=0.01)
    assert not second["ok"]
    assert [one["state"] for one in tests.report()["tests"]] == ["concluded", "concluded"]


@pytest.mark.parametrize(
    "changed",
    [{"due_ns": 40}, {"truncated": True}, {"state": "intent"}, {"kind": "stray"},
     {"set_us": 9_000}, {"xray_off_ns": None}],
)  # fmt: skip
def test_only_whole_pulses_of_that_technique_after_it_was_taken_count(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    tests = Constancy(tmp_path)
    name = taken(tests)
    with pytest.raises(Refusal, match="too_few"):
        tests.conclude(name, [*rows(2), *rows(9, **changed)])


def test_pulses_that_differ_are_not_constant() -> None:
    assert not judged([8_000.0, 9_000.0, 7_000.0], None)["ok"]


@pytest.mark.parametrize(("key", "value"), [("kv", 149.0), ("ms", 50.0)])
def test_what_the_machine_cannot_expose_is_not_proposed(
    tmp_path: Path, key: str, value: float
) -> None:
    with pytest.raises(Refusal):
        Constancy(tmp_path).propose({**PLAN, key: value}, "emil", CONFIG, 1)
    assert not folder_of(tmp_path).exists()


def test_steps_keep_their_order(tmp_path: Path) -> None:
    tests = Constancy(tmp_path)
    name = tests.propose(PLAN, "emil", CONFIG, 1)["name"]
    with pytest.raises(Refusal, match="no_such_test"):
        tests.conclude(name, rows(3))
    tests.take(name, 1)
    with pytest.raises(Refusal, match="no_such_test"):
        tests.take(name, 2)


def test_paper_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEPT_MAX <= 64
    monkeypatch.setattr(constancy, "KEPT_MAX", 4)
    tests = Constancy(tmp_path)
    for _ in range(4):
        tests.propose(PLAN, "emil", CONFIG, 1)
    with pytest.raises(Refusal, match="too_many"):
        tests.propose(PLAN, "emil", CONFIG, 1)
    for one in tests.all():
        tests.take(one["name"], 50)
        tests.conclude(one["name"], rows(3))
    tests.propose(PLAN, "emil", CONFIG, 2)
    assert len(tests.all()) == 4


def test_at_the_board_it_is_read_and_nothing_is_taken_without_a_supervisor(tmp_path: Path) -> None:
    Constancy(tmp_path).propose(PLAN, "emil", CONFIG, 1)

    where = ("--run-dir", str(tmp_path), "--json")
    told = carm("service", "constancy", "list", *where)
    assert [one["name"] for one in json.loads(told.stdout)["tests"]] == ["test-1"]
    assert carm("service", "constancy", "take", "test-1", *where).returncode == 3
    assert carm("service", "constancy", "conclude", "test-1", *where).returncode in (2, 3)
    assert Constancy(tmp_path).all()[0]["state"] == "proposed"
