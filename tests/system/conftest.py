"""Machines for the tests of this folder: one at a time on this computer, one per module.

Lives here: the lock, the configurations, and the verdict of the referee when a module is over.
May not live here: an occasion (the test files) or how it is played (`machine`).
"""

import fcntl
import os
import random
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from controller.cli.machine import BENCH
from tests.system.machine import Machine

# Two real-time machines on one computer stall each other: sessions take turns, for all users.
LOG_TAIL = 1500
LOCK = Path(tempfile.gettempdir()) / "carm-one-machine.lock"


@pytest.fixture(scope="session", autouse=True)
def one_machine_at_a_time() -> Iterator[None]:
    """Wait until no other test session on this computer runs a machine."""
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def profile(path: Path, **changed: str) -> Path:
    """The bench profile at `path` with some values replaced, keys without their section."""
    lines = []
    for line in BENCH.read_text().splitlines():
        name = line.partition("=")[0].strip()
        lines.append(f"{name} = {changed.pop(name)}" if name in changed else line)
    assert not changed, f"no such keys: {changed}"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 pulses/s on a panel of 256 x 256: the beam is the subject, not the pixels."""
    path = tmp_path_factory.mktemp("config") / "small.toml"
    return profile(path, width="256", height="256", pulses_per_s="30.0")


@pytest.fixture(scope="module")
def machine(small: Path) -> Iterator[Machine]:
    """A machine that is READY; at the end the referee judges everything that happened to it."""
    with Machine(small) as up:
        up.make_ready()
        yield up
        up.assert_judged_good()


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Phases for one test, from the seed that the head of the run shows."""
    return random.Random(f"{request.config.getoption('hypothesis_seed')} {request.node.nodeid}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the processes of its machine said last."""
    report = yield
    machines = [up for up in getattr(item, "funcargs", {}).values() if isinstance(up, Machine)]
    for up in machines if report.failed else []:
        for log in sorted((up.run_dir / "log").glob("*.log")):
            words = log.read_text(errors="replace")[-LOG_TAIL:]
            report.sections.append((f"end of {log.name}", words))
    return report
