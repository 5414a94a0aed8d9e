"""How late the loop wakes, and why."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime import lateness
from realtime.lateness import (
    CLASSES,
    FRESH_TURNS,
    Evidence,
    Lateness,
    Schedstat,
    Stolen,
    cause,
    evidence,
)
from realtime.limits import LATE_MAX_NS, MS

ZERO = Evidence()
# Ten milliseconds have passed of which two were planned: eight are to be explained.
PLANNED_NS = 2 * MS


def after(**changed: int) -> Evidence:
    return Evidence(**{"at_ns": 10 * MS, **changed})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (after(run_delay_ns=6 * MS), "cpu_starved"),
        (after(run_delay_ns=6 * MS, faults_major=9), "cpu_starved"),
        (after(steal_ns=7 * MS), "cpu_starved"),
        (after(run_delay_ns=6 * MS, policy=1), "priority_lost"),
        (after(policy=1), "priority_lost"),
        (after(faults_major=1), "page_fault"),
        (after(cpu_ns=9 * MS, faults_minor=2000), "page_fault"),
        (after(cpu_ns=9 * MS, faults_minor=3), "own_code"),
        (after(blocks=8), "disk"),
        (after(blocks=8, cpu_ns=9 * MS), "own_code"),
        (after(), "blocked_call"),
        (after(faults_minor=5), "blocked_call"),
        (after(cpu_ns=9 * MS, packets=1000), "edge_flood"),
        (after(cpu_ns=9 * MS, packets=2), "own_code"),
        (after(packets=1000), "blocked_call"),
    ],
)
def test_the_cause(found: Evidence, expected: str) -> None:
    assert cause(ZERO, found, PLANNED_NS) == expected
    assert expected in CLASSES


def test_a_planned_sleep_is_no_cause() -> None:
    slept = after(at_ns=100 * MS, cpu_ns=3 * MS)
    assert cause(ZERO, slept, 98 * MS) == "own_code"
    assert cause(ZERO, slept, 2 * MS) == "blocked_call"


@pytest.fixture
def late() -> Iterator[Lateness]:
    late = Lateness()
    yield late
    late.close()


def test_lateness_is_a_maximum_and_a_count(late: Lateness) -> None:
    late.turn(1000, 1500)
    late.turn(1000, 1200)
    assert late.take() == (500, 0, "")
    late.turn(0, LATE_MAX_NS)
    late.turn(0, LATE_MAX_NS + 1)
    late.turn(0, 3 * MS)
    max_ns, turns, why = late.take()
    assert (max_ns, turns) == (3 * MS, 2)
    assert why.endswith(" 3.0 ms")
    assert why.split()[0] in CLASSES
    assert late.take() == (0, 0, "")


def test_an_early_turn_is_not_late(late: Lateness) -> None:
    late.turn(1000, 900)
    assert late.take() == (0, 0, "")


def test_a_policy_that_is_not_ours_any_more_is_told(
    late: Lateness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: 77)
    late.turn(0, 3 * MS)
    assert late.take()[2] == "priority_lost 3.0 ms"


def test_the_evidence_grows_with_work() -> None:
    schedstat = Schedstat()
    before = evidence(schedstat)
    while evidence(schedstat).cpu_ns - before.cpu_ns < 2 * MS:
        sum(range(10_000))
    now = evidence(schedstat, 5)
    assert now.cpu_ns > before.cpu_ns
    assert now.at_ns > before.at_ns
    assert now.faults_minor >= before.faults_minor
    assert (before.packets, now.packets) == (0, 5)
    schedstat.close()
    assert evidence(schedstat).cpu_ns == 0


@pytest.mark.parametrize("text", [None, "words here", ""])
def test_a_kernel_that_says_nothing_reads_zero(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "counters"
    if text is not None:
        file.write_text(text)
    schedstat = Schedstat(file)
    assert schedstat.read() == (0, 0)
    schedstat.close()
    assert Stolen(file).read_ns() == 0


def test_stolen_time_is_read(tmp_path: Path) -> None:
    file = tmp_path / "stat"
    file.write_text("cpu  1 2 3 4 5 6 7 300 9 10\ncpu0 1\n")
    assert Stolen(file).read_ns() == 300 * lateness._TICK_NS
    assert Stolen().read_ns() >= 0


def test_a_kernel_file_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    assert Stolen(tmp_path).words() == []


def test_the_counters_are_read_every_few_turns_and_when_a_turn_is_late(
    late: Lateness, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []

    def seen(schedstat: Schedstat, packets: int = 0) -> Evidence:
        reads.append(packets)
        return Evidence()

    monkeypatch.setattr(lateness, "evidence", seen)
    for number in range(1, 2 * FRESH_TURNS + 1):
        late.turn(1000, 1000, number)
    late.turn(0, 3 * MS, 99)
    late.turn(1000, 1000, 100)
    assert reads == [FRESH_TURNS, 2 * FRESH_TURNS, 99]
