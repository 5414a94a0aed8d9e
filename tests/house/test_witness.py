"""Failures beside which this computer was away are played again; no others are."""

from typing import Final

import pytest

from bench.machine import grants_fifo
from tests.house.test_plugins import outcome
from tests.plugins.verdict import left_out

pytestmark = pytest.mark.process  # CPUs are held up on purpose

# The head of each inner test file.
HEAD: Final = """
import os, subprocess, sys
import pytest

HOLD_UP = (
    "import os, time; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(98));"
    "until = time.monotonic() + 0.008; any(time.monotonic() > until for _ in iter(int, 1))"
)
plays = []

def hold_up():
    plays.append("one")
    subprocess.run([sys.executable, "-I", "-c", HOLD_UP], check=True)

"""
SPOILED: Final = """
@pytest.mark.process
def test_x():
    hold_up()
    assert len(plays) > 1, "too late"
"""
SPOILED_FIXTURE: Final = """
@pytest.fixture(scope="module")
def machine():
    hold_up()
    assert len(plays) > 1, "not ready"
    yield

@pytest.mark.process
def test_x(machine): ...

@pytest.mark.process
def test_y(machine): assert len(plays) == 2
"""
EVERY_TIME: Final = """
@pytest.mark.process
def test_x():
    hold_up()
    pytest.fail(f"play {len(plays)}")
"""
LEFT_OUT: Final = """
import unittest

@pytest.mark.process
def test_x():
    hold_up()
    raise unittest.SkipTest(f"play {len(plays)}")
"""
ITS_OWN: Final = """
@pytest.mark.process
def test_x():
    plays.append("one")
    assert len(plays) > 1, "wrong"
"""
UNMARKED: Final = """
def test_x():
    hold_up()
    assert len(plays) > 1, "wrong"
"""
VERDICT: Final = """
@pytest.fixture(scope="module")
def machine():
    yield
    assert len(plays) > 1, "violated"

@pytest.mark.process
def test_x(machine):
    hold_up()
"""


@pytest.fixture(autouse=True)
def fifo() -> None:
    """Nobody can be held up, and nobody watch, without it."""
    if not grants_fifo():
        left_out("FIFO is not granted here")


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    ("source", "passed"), [(SPOILED, 1), (SPOILED_FIXTURE, 2)], ids=["test", "fixture"]
)
def test_what_was_spoiled_is_played_again_and_told(
    pytester: pytest.Pytester, source: str, passed: int, workers: str
) -> None:
    result = outcome(pytester, HEAD + source, "-n", workers)
    assert result.parseoutcomes() == {"passed": passed, "rerun": 1}
    result.stdout.fnmatch_lines(
        ["*1 occasions played again*", "*test_x: CPU * was away for * ms: *"]
    )
    assert result.ret == pytest.ExitCode.OK


def test_what_fails_every_time_stays_red(pytester: pytest.Pytester) -> None:
    result = outcome(pytester, HEAD + EVERY_TIME)
    assert result.parseoutcomes() == {"failed": 1, "rerun": 2}
    result.stdout.fnmatch_lines(["*Failed: play 3", "*ComputerWasAway: CPU * was away for *"])


def test_what_is_left_out_every_time_stays_out(pytester: pytest.Pytester) -> None:
    result = outcome(pytester, HEAD + LEFT_OUT)
    assert result.parseoutcomes() == {"skipped": 1, "rerun": 2}
    result.stdout.fnmatch_lines(["SKIPPED*play 3"])


@pytest.mark.parametrize("source", [ITS_OWN, UNMARKED], ids=["nobody away", "not in real time"])
def test_any_other_failure_is_one_at_once(pytester: pytest.Pytester, source: str) -> None:
    tries = [outcome(pytester, HEAD + source).parseoutcomes()]
    while source == ITS_OWN and len(tries) < 5 and tries[-1] != {"failed": 1}:
        tries.append(outcome(pytester, HEAD + source).parseoutcomes())  # somebody was away
    assert tries[-1] == {"failed": 1}, tries


def test_the_verdict_at_the_end_of_a_fixture_is_final(pytester: pytest.Pytester) -> None:
    result = outcome(pytester, HEAD + VERDICT)
    assert result.parseoutcomes() == {"passed": 1, "errors": 1}
    result.stdout.fnmatch_lines(["*AssertionError: violated"])
