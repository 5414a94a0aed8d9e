"""A test that leaves something running has failed.

Lives here: the census of threads, child processes, sockets and asyncio tasks, before and after each
test. May not live here: cleaning up; whoever starts a thing ends it. What a fixture of a wider
scope started belongs to that fixture and is in the census before.
"""

import asyncio
import functools
import gc
import inspect
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

GRACE_S = 1.0  # a thread that was told to end may still be on its way out
PYTHONS_OWN = "multiprocessing.resource_tracker"  # one per process, kept until exit by design


def _children() -> Iterator[str]:
    for listing in Path("/proc/self/task").glob("*/children"):
        try:
            pids = listing.read_text().split()
        except OSError:  # the thread ended meanwhile
            continue
        for pid in pids:
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if PYTHONS_OWN not in words:
                yield f"process {pid} {words.replace(chr(0), ' ').strip() or '(not reaped)'}"


def _sockets() -> Iterator[str]:
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the descriptor of this very listing
            continue
        if target.startswith("socket:"):
            yield f"{target} as descriptor {name}"


def census() -> set[str]:
    """Everything of this process that could outlive a test, each as one line of text."""
    threads = {f"thread {thread.name} {thread.ident}" for thread in threading.enumerate()}
    return threads | set(_children()) | set(_sockets())


def left_over(before: set[str]) -> set[str]:
    """What is there now, was not before, and does not go away within the grace time."""
    until = time.monotonic() + GRACE_S
    while (left := census() - before) and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    return left


@pytest.fixture(autouse=True)
def nothing_left_over() -> Iterator[None]:
    """Fail the test in its teardown when something it started is still there."""
    before = census()
    yield
    left = left_over(before)
    assert not left, f"left over: {sorted(left)}"


def _watched(test: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(test)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        before = asyncio.all_tasks()
        result = await test(*args, **kwargs)
        left = {task.get_name() for task in asyncio.all_tasks() - before if not task.done()}
        assert not left, f"tasks left over: {sorted(left)}"
        return result

    return watched


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        item.obj = _watched(item.obj)
