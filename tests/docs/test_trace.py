"""The trace has no orphans, and can tell when it has."""

from pathlib import Path

import pytest

from docs import trace
from hil.sim.catalogue import CATALOGUE


def test_nothing_is_orphaned() -> None:
    assert trace.orphans() == []


def test_a_scenario_of_no_known_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "scenarios", lambda: {"F" + "99": {"odd"}})
    assert any("F" + "99" in line and "in no catalogue" in line for line in trace.orphans())


def test_a_fault_without_a_scenario_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = trace.scenarios()
    gone = next(row.number for row in CATALOGUE if not row.waits)
    monkeypatch.setattr(trace, "scenarios", lambda: {k: v for k, v in real.items() if k != gone})
    assert f"{gone}: waits for nothing and has no scenario" in trace.orphans()


def test_an_invariant_that_nobody_judges_or_tests_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged, named = dict(trace.judged_by()), dict(trace.named_by_tests(trace.test_files()))
    del judged[16], named["invariant 17"]
    judged[3] = ("hil/referee/invariants/nothing.py",)
    monkeypatch.setattr(trace, "judged_by", lambda: judged)
    monkeypatch.setattr(trace, "named_by_tests", lambda files: named)
    assert trace.orphans() == [
        "invariant 16: nobody judges it", "invariant 17: no test names it",
        "invariant 3: hil/referee/invariants/nothing.py is not there",
    ]  # fmt: skip


def test_a_test_that_names_an_unknown_invariant_is_found(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.invariant(99)\ndef test_x():\n    assert 1\n"
    assert list(trace._invariants(source)) == ["invariant 99"]


def test_results_are_read_from_a_run(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    junit.write_text(
        "<testsuites><testsuite>"
        '<testcase classname="tests.realtime.test_run" name="a"/>'
        '<testcase classname="tests.realtime.test_run" name="b"><failure/></testcase>'
        '<testcase classname="tests.hil.test_x.TestY" name="c"/>'
        "</testsuite></testsuites>"
    )
    assert trace.results_of(junit) == {
        "tests/realtime/test_run.py": "1 of 2 failed", "tests/hil/test_x.py": "1 passed",
    }  # fmt: skip
    results = {"tests/realtime/test_run.py": "1 of 2 failed"}
    assert "not run" in trace.page(results)
