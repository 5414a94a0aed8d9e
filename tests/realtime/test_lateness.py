"""How late the loop wakes, and why."""

from pathlib import Path

import pytest

from realtime import lateness
from realtime.lateness import Evidence, Lateness, cause, evidence
from realtime.limits import LATE_MAX_NS, MS

ZERO = Evidence()


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (Evidence(run_delay_ns=6 * MS), "waited_for_cpu"),
        (Evidence(run_delay_ns=5 * MS, faults_major=1), "major_page_fault"),
        (Evidence(cpu_ns=6 * MS, faults_minor=3), "busy_in_own_code"),
        (Evidence(cpu_ns=5 * MS, faults_minor=3), "page_fault"),
        (Evidence(switches_forced=4), "stopped_or_blocked"),
        (Evidence(run_delay_ns=6 * MS, faults_major=9, cpu_ns=9 * MS), "waited_for_cpu"),
    ],
)
def test_the_likely_cause(after: Evidence, expected: str) -> None:
    assert cause(ZERO, after, 10 * MS) == expected


def test_lateness_is_a_maximum_and_a_count() -> None:
    late = Lateness()
    late.turn(1000, 1500)
    late.turn(1000, 1200)
    assert late.take() == (500, 0, "")
    late.turn(0, LATE_MAX_NS)
    late.turn(0, LATE_MAX_NS + 1)
    late.turn(0, 3 * MS)
    max_ns, turns, why = late.take()
    assert (max_ns, turns) == (3 * MS, 2)
    assert why.endswith(" 3.0 ms")
    assert late.take() == (0, 0, "")


def test_an_early_turn_is_not_late() -> None:
    late = Lateness()
    late.turn(1000, 900)
    assert late.take() == (0, 0, "")


def test_the_evidence_grows_with_work() -> None:
    before = evidence()
    while evidence().cpu_ns - before.cpu_ns < 2 * MS:
        sum(range(10_000))
    after = evidence()
    assert after.cpu_ns > before.cpu_ns
    assert after.faults_minor >= before.faults_minor


@pytest.mark.parametrize("text", [None, "words here", ""])
def test_a_kernel_that_says_nothing_reads_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    file = tmp_path / "schedstat"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(lateness, "_SCHEDSTAT", file)
    assert evidence()[:2] == (0, 0)
