"""Two workers: one for what runs in real time, one for arithmetic beside it.

Lives here: which files share a worker (all that start processes: two real-time machines on one
computer stall each other), which begin, and how arithmetic keeps out of their way.  May not live
here: which test starts processes; the mark `process` says so in its file.
"""

import os
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

MACHINE = "machine"
MARK = "pytest.mark.process"
WORLDS = ("tests", "sim")
NICE = 19


@cache
def unit_of(path: Path) -> str:
    """The unit of work a test file belongs to: itself, or all that start processes."""
    return MACHINE if MARK in path.read_text() else str(path)


class ByMachine(LoadScopeScheduling):  # type: ignore[misc]
    """Files stay whole, and those with processes stay together, one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(self.config.rootpath / nodeid.partition("::")[0])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest begins, so that no worker is left alone with it at the end."""

    def place(item: pytest.Item) -> int:
        if unit_of(item.path) == MACHINE:
            return 0
        return 1 if item.path.relative_to(config.rootpath).parts[:2] == WORLDS else 2

    items.sort(key=place)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByMachine:
    """With `-n`: this is who gets which tests."""
    return ByMachine(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Beside another worker, arithmetic leaves the processor to the tests in real time."""
    beside = "PYTEST_XDIST_WORKER" in os.environ and os.geteuid() == 0
    beside = beside and not item.get_closest_marker("process")
    before = os.getpriority(os.PRIO_PROCESS, 0)
    if beside:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    try:
        return (yield)
    finally:
        if beside:
            os.setpriority(os.PRIO_PROCESS, 0, before)
