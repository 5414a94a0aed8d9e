"""A witness of the moments in which this computer was away, and the tests that one has spoiled.

Lives here: one process per CPU that outranks everything of the product and only sleeps; what it
tells when it was woken late; the rule that such a failure of a test in real time is played again.
May not live here: a judgement of the product.  Nothing that the product does can hold a witness up,
so a failure beside which no witness was held up is final at once, and one that comes every time is
final too.  So is the end of a fixture: the referee's verdict over a module.  A test that was left
out beside a gap gets the same further chances before it stays out.
"""

import os
import subprocess
import sys
import time
import unittest
from collections.abc import Generator
from typing import IO, Any, Final, NamedTuple

import pytest

from tests.plugins.occasions import REPEATED

PRIORITY: Final = 97
STEP_NS: Final = 1_000_000
AWAY_NS: Final = 1_000_000
AGAIN: Final = 2
MARK: Final = "process"

# Without FIFO it would see what the product does to it, and so it ends at once.
_SLEEP: Final = """
import ctypes, os, select, sys, time
core, priority, step_ns, away_ns = (int(word) for word in sys.argv[1:])
try:
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
except OSError:
    sys.exit(1)
ctypes.CDLL(None).mlockall(3)
os.set_blocking(1, False)
os.write(1, b"here\\n")
asleep = time.monotonic_ns()
while not select.select([0], [], [], step_ns / 1e9)[0]:
    awake = time.monotonic_ns()
    if awake - asleep > step_ns + away_ns:
        try:
            os.write(1, b"%d %d\\n" % (asleep + step_ns, awake))
        except BlockingIOError:
            pass
    asleep = time.monotonic_ns()
"""


class Gap(NamedTuple):
    """A stretch in which one CPU ran nothing of ours, in monotonic ns."""

    core: int
    from_ns: int
    to_ns: int

    @property
    def length_ns(self) -> int:
        """How long that was."""
        return self.to_ns - self.from_ns


class ComputerWasAway(Exception):
    """A test failed, and this computer had been away meanwhile; its cause is that failure."""


class Witness:
    """The processes that sleep, and every gap they told."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self._sleepers: dict[int, subprocess.Popen[bytes]] = {}
        self._begun: dict[int, bytes] = {}

    def start(self) -> None:
        """Begin to watch, once; where FIFO is refused nobody watches."""
        if self._sleepers:
            return
        for core in sorted(os.sched_getaffinity(0)):
            numbers = (core, PRIORITY, STEP_NS, AWAY_NS)
            words = [sys.executable, "-I", "-S", "-c", _SLEEP, *map(str, numbers)]
            sleeper = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            _out(sleeper).readline()
            os.set_blocking(_out(sleeper).fileno(), False)
            self._sleepers[core], self._begun[core] = sleeper, b""

    def longest(self, since_ns: int) -> Gap | None:
        """The longest gap that reaches into the time from `since_ns` (monotonic) until now."""
        for core, sleeper in self._sleepers.items():
            self._hear(core, sleeper)
        late = [gap for gap in self.gaps if gap.to_ns > since_ns]
        return max(late, key=lambda gap: gap.length_ns, default=None)

    def _hear(self, core: int, sleeper: subprocess.Popen[bytes]) -> None:
        told = self._begun[core] + (_out(sleeper).read() or b"")
        *lines, self._begun[core] = told.split(b"\n")
        for line in lines:
            self.gaps.append(Gap(core, *map(int, line.split())))

    def stop(self) -> None:
        """End what watches."""
        for sleeper in self._sleepers.values():
            sleeper.communicate()
        self._sleepers.clear()


def _out(sleeper: subprocess.Popen[bytes]) -> IO[bytes]:
    assert sleeper.stdout is not None
    return sleeper.stdout


_WITNESS: Final = pytest.StashKey[Witness]()
_BEGUN_NS: Final = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Nothing watches before a test in real time begins."""
    config.stash[_WITNESS] = Witness()


def pytest_unconfigure(config: pytest.Config) -> None:
    """The run is over."""
    config.stash[_WITNESS].stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in real time may be played again, for this reason and no other."""
    for item in items:
        if item.get_closest_marker(MARK):
            item.add_marker(pytest.mark.flaky(reruns=AGAIN, only_rerun=ComputerWasAway))


def _witnessed(item: pytest.Item) -> Generator[None, Any, Any]:
    try:
        return (yield)
    except (Exception, pytest.fail.Exception) as error:
        gap = item.config.stash[_WITNESS].longest(item.stash[_BEGUN_NS])
        left_out = isinstance(error, unittest.SkipTest)
        if gap is None or (left_out and getattr(item, "execution_count", 0) > AGAIN):
            raise
        words = f"CPU {gap.core} was away for {gap.length_ns / 1e6:.1f} ms"
        REPEATED.append(f"{item.nodeid}: {words}: {' '.join(str(error).split())[:200]}")
        raise ComputerWasAway(f"{words} during this test") from error


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """From the first fixture on."""
    if not item.get_closest_marker(MARK):
        return (yield)
    item.config.stash[_WITNESS].start()
    item.stash[_BEGUN_NS] = time.monotonic_ns()
    return (yield from _witnessed(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """To the last line of the test."""
    if not item.get_closest_marker(MARK):
        return (yield)
    return (yield from _witnessed(item))
