"""What is counted of both clocks: flakes, disagreements, and what nobody could judge."""

from typing import Any

import pytest

from bench import clocks
from bench.figure import load_goals, row
from bench.harness import CannotMeasure


def case(real: str = "pass", agree: bool | None = True, apart: int = 0) -> dict[str, Any]:
    return {"id": "F00", "step": 0, "virtual": "pass", "real": real, "agree": agree,
            "differs": [] if agree is not False else ["verdict"], "order_virtual": [],
            "order_real": [], "set_apart": ["late"] * apart}  # fmt: skip


ROWS = [case(), case(apart=1), case("fail", False), case("error", False), case("waiting", None, 4)]


def test_a_flake_is_judged_and_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def compared(scenarios: list[Any], repeat: int, _said: object, first: int) -> dict[str, Any]:
        asked.extend((len(scenarios), repeat, first))
        return {"rows": ROWS}

    monkeypatch.setattr(clocks, "compare_clocks", compared)
    samples = clocks.chunk(3)
    assert asked[:2] == [12, 3]
    assert 0 <= asked[2] < 20
    flakes, differ, apart = (row(one, load_goals()) for one in clocks.figures(samples, 3, ""))
    assert (flakes["value"], flakes["n"], flakes["holds"]) == (2.0, 4, False)
    assert "1 cases were spoiled" in flakes["what"]
    assert (differ["value"], differ["holds"]) == (2.0, False)
    assert apart["value"] == pytest.approx(5 / 6, abs=1e-4)


def test_without_a_machine_there_is_a_reason_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_given: object) -> dict[str, Any]:
        raise SystemExit(3)

    monkeypatch.setattr(clocks, "compare_clocks", refused)
    with pytest.raises(CannotMeasure, match="did not come up"):
        clocks.chunk(1)
    readings = [row(one, load_goals()) for one in clocks.figures({}, 0, "no machine")]
    assert {(one["value"], one["holds"], one["reason"]) for one in readings} == {
        (None, None, "no machine")
    }
