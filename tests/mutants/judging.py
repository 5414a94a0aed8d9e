"""Judging mutants: one forked worker for each, the tests that touch its line, quickest first.

Theory of operation.  The plugin lets pytest collect the tests of the pool, then takes the place of
its loop.  First every test runs once, alone, with coverage noting which deciding lines it touches
(kept, and used again while no source changes).  Then each mutant gets a worker: a fork of this warm
process that plants the change and runs tests until one fails, those first that killed a mutant of
the same file before.  A failed assertion, the test's or the code's own, kills.  Any other exception
alone does not: the mutant is then stillborn, as it is when a test takes many times the processor
time that it usually takes, which is how a loop that never ends looks.

Lives here: the pool, the workers, the verdicts.  May not live here: operators, or what is printed.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import coverage
import pytest
from _pytest.runner import runtestprotocol

from tests.mutants.operators import Mutant
from tests.mutants.planting import ROOT, is_warm, plant_cold, plant_warm

WORKERS: Final = max(1, os.cpu_count() or 1)
TIMEOUT_S: Final = 600.0  # of a worker that waits for something instead of computing
TEST_CPU_MIN_S: Final = 0.5
TEST_CPU_RATIO: Final = 10.0
MEMORY_MAX_BYTES: Final = 4 << 30
ACCIDENTS_MAX: Final = 4
AFTER_ACCIDENT_MAX: Final = 20  # tests that may still kill what has only crashed so far
# Leaks are judged elsewhere: what a mutant leaves behind is no assertion about what it decided.
OPTIONS: Final = ("-q", "--hypothesis-seed=0", "-p", "no:tests.plugins.leaks")
IMPORT: Final = ""  # the name under which coverage notes what no test did
_DECIDING: Final = [str(ROOT / folder / "*") for folder in ("realtime", "controller/core")]
Touched = dict[str, dict[str, list[str]]]  # file → line → tests


@dataclass(slots=True)
class Fate:
    """What became of a mutant: `killed` by a test, `survived`, or `stillborn` and why."""

    mutant: Mutant
    fate: str
    by: str
    wall_s: float


class TooLong(BaseException):
    """A test used many times its usual processor time."""


@dataclass(slots=True)
class Map:
    """Which tests touch which line (`IMPORT`: an import does), and how long each takes."""

    touched: Touched = field(default_factory=dict)
    cost_s: dict[str, float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    kills: dict[tuple[str, str], int] = field(default_factory=dict)

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Tests that touch the line, the likeliest killers first: its twin, then the quick ones.

        A line outside of functions runs at import only: then it is any test.
        """
        found = set(self.touched.get(mutant.file, {}).get(str(mutant.line), ())) - {IMPORT}
        tests = found or set(self.cost_s)
        twin = f"/test_{Path(mutant.file).stem}"

        def order(test: str) -> tuple[bool, float]:
            kills = self.kills.get((mutant.file, test), 0)
            return twin not in test and not kills, self.cost_s.get(test, 0.0) / (1 + kills)

        return sorted(tests - set(self.broken), key=order)

    def at_import(self, mutant: Mutant) -> bool:
        """Whether the line runs when its module is imported."""
        return IMPORT in self.touched.get(mutant.file, {}).get(str(mutant.line), ())


def fingerprint(files: Iterable[Path], tests: Iterable[str]) -> str:
    """Of every source the map depends on, and of the tests it was made with."""
    digest = hashlib.sha256()
    digest.update(repr(sorted(tests)).encode())
    for path in sorted(files):
        digest.update(path.as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Judge:
    """The plugin: maps, then judges `mutants`; `fates` has the outcome."""

    def __init__(self, mutants: list[Mutant], kept: Path, mark: str, tell: Any) -> None:
        self.mutants = mutants
        self.kept = kept
        self.tell = tell
        self.fates: list[Fate] = []
        self.map = Map()
        self._items: dict[str, pytest.Item] = {}
        self._error: BaseException | None = None

        self._cover: coverage.Coverage | None = None
        self._mark = mark
        if not self._load_map():
            # From here on, because importing the pool's tests runs lines as well.
            self._cover = coverage.Coverage(data_file=None, include=_DECIDING, branch=False,
                                            config_file=False)  # fmt: skip
            self._cover.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In the place of running every test."""
        self._items = {item.nodeid: item for item in session.items}
        if self._cover is not None:
            self._make_map(self._cover)
        gc.freeze()  # what a worker's collector does not touch, its fork need not copy
        for fate in self._judge_all():
            if fate.fate == "killed":
                key = (fate.mutant.file, fate.by)
                self.map.kills[key] = self.map.kills.get(key, 0) + 1
            self.fates.append(fate)
            self.tell(fate, len(self.fates), len(self.mutants))
        return True

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Keep the exception: only its kind tells a death from an accident."""
        if call.excinfo is not None:
            self._error = call.excinfo.value

    # The map -------------------------------------------------------------------------------------

    def _load_map(self) -> bool:
        kept = json.loads(self.kept.read_text()) if self.kept.exists() else {}
        if kept.get("fingerprint") != self._mark:
            return False
        self.map = Map(kept["touched"], kept["cost_s"], kept["broken"])
        return True

    def _make_map(self, cover: coverage.Coverage) -> None:
        try:
            for name, item in self._items.items():
                cover.switch_context(name)
                begun_s = time.process_time()
                if self._fails(item):
                    self.map.broken.append(name)
                self.map.cost_s[name] = time.process_time() - begun_s
        finally:
            cover.stop()
        noted = cover.get_data()
        for path in noted.measured_files():
            file = Path(path).relative_to(ROOT).as_posix()
            self.map.touched[file] = {
                str(line): names for line, names in noted.contexts_by_lineno(path).items()
            }
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        self.kept.write_text(json.dumps({
            "fingerprint": self._mark, "touched": self.map.touched, "cost_s": self.map.cost_s,
            "broken": self.map.broken,
        }))  # fmt: skip

    def _fails(self, item: pytest.Item) -> bool:
        self._error = None
        reports = runtestprotocol(item, log=False, nextitem=None)
        return any(report.failed for report in reports)

    # Workers -------------------------------------------------------------------------------------

    def _judge_all(self) -> Iterator[Fate]:
        waiting = list(reversed(self.mutants))
        running: dict[int, tuple[int, Mutant, float]] = {}
        with selectors.DefaultSelector() as ready:
            while waiting or running:
                while waiting and len(running) < WORKERS:
                    mutant = waiting.pop()
                    pid, pipe = self._fork(mutant)
                    running[pipe] = (pid, mutant, time.monotonic())
                    ready.register(pipe, selectors.EVENT_READ)
                done = {int(key.fd) for key, _ in ready.select(0.5)}
                for pipe, (pid, mutant, begun_s) in list(running.items()):
                    late = time.monotonic() - begun_s > TIMEOUT_S
                    if pipe not in done and not late:
                        continue
                    ready.unregister(pipe)
                    del running[pipe]
                    yield self._reap(pipe, pid, mutant, begun_s, late and pipe not in done)

    def _reap(self, pipe: int, pid: int, mutant: Mutant, begun_s: float, late: bool) -> Fate:
        said = b""
        if late:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        else:
            said = os.read(pipe, 4096)
        os.close(pipe)
        os.waitpid(pid, 0)
        fate, _, by = said.decode(errors="replace").partition(" ")
        if late:
            fate, by = "stillborn", "time-out"
        return Fate(mutant, fate or "stillborn", by or "the worker died",
                    time.monotonic() - begun_s)  # fmt: skip

    def _fork(self, mutant: Mutant) -> tuple[int, int]:
        sys.stdout.flush()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writing)
            return pid, reading
        os.setpgid(0, 0)
        with open(os.devnull, "r+b") as nothing:
            for fd in (0, 1, 2):
                os.dup2(nothing.fileno(), fd)
        try:
            said = self._work(mutant)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
            said = f"stillborn {type(error).__name__}: {error}"
        os.write(writing, said.encode()[:4000])
        os._exit(0)

    def _work(self, mutant: Mutant) -> str:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
        signal.signal(signal.SIGVTALRM, _too_long)
        tests = [name for name in self.map.tests_of(mutant) if name in self._items]
        if not tests:
            return "survived no test touches it"
        if is_warm(mutant) and plant_warm(mutant):
            said = self._run_warm(tests)
            if not (said.startswith("survived") and self.map.at_import(mutant)):
                return said
        plant_cold(mutant)
        return _run_cold(tests, self.map.cost_s)

    def _run_warm(self, tests: list[str]) -> str:
        accidents: list[str] = []
        last = len(tests)
        for n, name in enumerate(tests):
            if n == last:
                break
            with limited(self.map.cost_s[name]):
                fails = self._fails(self._items[name])
            if fails:
                if is_assertion(self._error):
                    return f"killed {name}"
                accidents.append(f"{type(self._error).__name__} in {name}")
                last = min(last, n + AFTER_ACCIDENT_MAX)
                if len(accidents) == ACCIDENTS_MAX:
                    break
        return f"stillborn {accidents[0]}" if accidents else f"survived {len(tests)} tests"


def _too_long(signum: int, frame: object) -> None:
    raise TooLong


@contextlib.contextmanager
def limited(usual_s: float) -> Iterator[None]:
    """`TooLong` is raised in the block once it has computed many times its usual time."""
    signal.setitimer(signal.ITIMER_VIRTUAL, max(TEST_CPU_MIN_S, TEST_CPU_RATIO * usual_s))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)


def is_assertion(error: BaseException | None) -> bool:
    """A failed assertion, of a test or of the code; pytest's own `fail` counts."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_assertion(one) for one in error.exceptions)
    return isinstance(error, AssertionError | pytest.fail.Exception)


class _Cold:
    """Watches a session of its own, in a worker whose modules are fresh."""

    def __init__(self, cost_s: dict[str, float]) -> None:
        self.cost_s = cost_s
        self.wanted: set[str] = set()
        self.killed = ""
        self.accident = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Only the wanted ones; to name each on the command line takes pytest longer."""
        items[:] = [item for item in items if item.nodeid in self.wanted]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """No test computes for ever."""
        with limited(self.cost_s.get(item.nodeid, 0.0)):
            return (yield)

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """The first assertion ends the session."""
        if call.excinfo is None:
            return
        if is_assertion(call.excinfo.value):
            self.killed = item.nodeid
            item.session.shouldstop = "killed"
        else:
            self.accident = self.accident or f"{call.excinfo.typename} in {item.nodeid}"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be imported."""
        if report.failed:
            self.accident = self.accident or f"import of {report.nodeid}"


def _run_cold(tests: list[str], cost_s: dict[str, float]) -> str:
    files: dict[str, list[str]] = {}
    for name in tests:
        files.setdefault(name.partition("::")[0], []).append(name)
    watch = _Cold(cost_s)
    for file, wanted in files.items():
        watch.wanted = set(wanted)
        pytest.main([*OPTIONS, file], plugins=[watch])
        if watch.killed:
            return f"killed {watch.killed}"
        if watch.accident.startswith("import"):
            return f"stillborn {watch.accident}"
    return f"stillborn {watch.accident}" if watch.accident else f"survived {len(tests)} tests"
