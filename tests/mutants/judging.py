"""Judging mutants: one forked worker for each, the tests that touch its line, quickest first.

Theory of operation.  The plugin lets pytest collect the tests of the pool, then takes the place of
its loop.  First every test runs once, alone, with coverage noting which deciding lines it touches
(kept, and used again while no source changes).  Then each mutant gets a worker: a fork of this warm
process that plants the change and runs tests until one fails.  A failed assertion, the test's or
the code's own, kills.  Any other exception alone does not: the mutant is then stillborn, as it is
when its time runs out.

Lives here: the pool, the workers, the verdicts.  May not live here: operators, or what is printed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
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
TIMEOUT_S: Final = 40.0
TESTS_MAX: Final = 400
ACCIDENTS_MAX: Final = 5
SECOND_MAX: Final = 60
Touched = dict[str, dict[str, list[str]]]  # file → line → tests


@dataclass(slots=True)
class Fate:
    """What became of a mutant: `killed` by a test, `survived`, or `stillborn` and why."""

    mutant: Mutant
    fate: str
    by: str
    wall_s: float


@dataclass(slots=True)
class Map:
    """Which tests touch which line, and how long each takes."""

    touched: Touched = field(default_factory=dict)
    cost_s: dict[str, float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Tests that touch the line (warm) or anything of the file (cold), quickest first."""
        lines = self.touched.get(mutant.file, {})
        tests = set(lines.get(str(mutant.line), ()))
        if not tests:
            tests = {test for some in lines.values() for test in some}
        return sorted(tests - set(self.broken), key=lambda test: self.cost_s.get(test, 0.0))


def fingerprint(files: Iterable[Path]) -> str:
    """Of every source the map depends on."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Judge:
    """The plugin: maps, then judges `mutants`; `fates` has the outcome."""

    def __init__(self, mutants: list[Mutant], kept: Path, sources: list[Path], tell: Any) -> None:
        self.mutants = mutants
        self.kept = kept
        self.sources = sources
        self.tell = tell
        self.fates: list[Fate] = []
        self.map = Map()
        self._items: dict[str, pytest.Item] = {}
        self._error: BaseException | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In the place of running every test."""
        self._items = {item.nodeid: item for item in session.items}
        self._load_map()
        for fate in self._judge_all():
            self.fates.append(fate)
            self.tell(fate, len(self.fates), len(self.mutants))
        return True

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Keep the exception: only its kind tells a death from an accident."""
        if call.excinfo is not None:
            self._error = call.excinfo.value

    # The map -------------------------------------------------------------------------------------

    def _load_map(self) -> None:
        mark = fingerprint(self.sources)
        if self.kept.exists():
            kept = json.loads(self.kept.read_text())
            if kept["fingerprint"] == mark:
                self.map = Map(kept["touched"], kept["cost_s"], kept["broken"])
                return
        self._make_map()
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        self.kept.write_text(json.dumps({
            "fingerprint": mark, "touched": self.map.touched, "cost_s": self.map.cost_s,
            "broken": self.map.broken,
        }))  # fmt: skip

    def _make_map(self) -> None:
        include = [str(ROOT / folder / "*") for folder in ("realtime", "controller/core")]
        cover = coverage.Coverage(data_file=None, include=include, branch=False, config_file=False)
        cover.start()
        try:
            for name, item in self._items.items():
                cover.switch_context(name)
                begun_s = time.perf_counter()
                if self._fails(item):
                    self.map.broken.append(name)
                self.map.cost_s[name] = time.perf_counter() - begun_s
        finally:
            cover.stop()
        noted = cover.get_data()
        for path in noted.measured_files():
            file = Path(path).relative_to(ROOT).as_posix()
            by_line = noted.contexts_by_lineno(path)
            self.map.touched[file] = {
                str(line): [name for name in names if name] for line, names in by_line.items()
            }

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
        tests = [name for name in self.map.tests_of(mutant) if name in self._items][:TESTS_MAX]
        if not tests:
            return "survived no test touches it"
        if is_warm(mutant) and plant_warm(mutant):
            said = self._run_warm(tests)
            if not said.startswith("survived"):
                return said
            # The function may have done its work at import already: once more, from there.
            tests = tests[:SECOND_MAX]
        plant_cold(mutant)
        return _run_cold(tests)

    def _run_warm(self, tests: list[str]) -> str:
        accidents: list[str] = []
        for name in tests:
            if self._fails(self._items[name]):
                if is_assertion(self._error):
                    return f"killed {name}"
                accidents.append(f"{type(self._error).__name__} in {name}")
                if len(accidents) == ACCIDENTS_MAX:
                    break
        return f"stillborn {accidents[0]}" if accidents else f"survived {len(tests)} tests"


def is_assertion(error: BaseException | None) -> bool:
    """A failed assertion, of a test or of the code; pytest's own `fail` counts."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_assertion(one) for one in error.exceptions)
    return isinstance(error, AssertionError | pytest.fail.Exception)


class _Cold:
    """Watches a session of its own, in a worker whose modules are fresh."""

    def __init__(self) -> None:
        self.killed = ""
        self.accident = ""

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


def _run_cold(tests: list[str]) -> str:
    # A table is looked at by its twin first, and most of the pool after it.
    files: dict[str, None] = dict.fromkeys(name.partition("::")[0] for name in tests)
    watch = _Cold()
    for file in files:
        chosen = [name for name in tests if name.startswith(f"{file}::")]
        pytest.main(["-q", "--hypothesis-seed=0", *chosen], plugins=[watch])
        if watch.killed:
            return f"killed {watch.killed}"
        if watch.accident.startswith("import"):
            return f"stillborn {watch.accident}"
    return f"stillborn {watch.accident}" if watch.accident else f"survived {len(tests)} tests"
