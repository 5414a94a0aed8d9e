"""What a test run leaves behind for machines: `verdict.json` and `left-out.json`.

Lives here: `left_out(reason)`, the only way for a test to say that this machine cannot do it, and
the plugin that collects outcomes and writes both files where `--verdict DIR` says. May not live
here: any judgement of its own; the run's exit status decides.

When a test of what decides fails, the exploration is asked for the shortest path to a broken rule
(`tests.plugins.paths`), and what it finds stands first.

A test marked `invariant(n)` fails in the name of that safety invariant. A test that can say more
does so with pytest's `record_property`: `invariant`, `path` (where the counterexample was kept) and
`replay_command`.
"""

import json
import os
import random
import shlex
import time
import unittest
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.plugins.paths import DECIDING, shortest_paths

SEED_OPTION = "hypothesis_seed"


def left_out(reason: str) -> NoReturn:
    """Give up the running test because the machine lacks something; `reason` names it.

    The entry appears in `left-out.json` and in pytest's summary. With `CI=true` any entry makes the
    whole run fail.
    """
    raise unittest.SkipTest(reason)


class Verdict:
    """Collects the outcome of every test and writes it down at the end."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.folder = folder
        self.seed = seed
        self.begun_s = time.monotonic()
        self.failed: dict[str, dict[str, Any]] = {}
        self.left_out: list[dict[str, str]] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report, {})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report, dict(report.user_properties))

    def _note(self, report: pytest.CollectReport | pytest.TestReport, said: dict[str, Any]) -> None:
        test = report.nodeid
        if report.skipped:
            self.left_out.append({"test": test, "reason": _reason(report)})
        if report.failed:
            replay = f".venv/bin/pytest --hypothesis-seed={self.seed} {shlex.quote(test)}"
            self.failed[test] = {
                "test": test,
                "invariant": said.get("invariant"),
                "path": said.get("path", test.partition("::")[0]),
                "replay_command": said.get("replay_command", replay),
            }

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.left_out and os.environ.get("CI") == "true":
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        ok = session.exitstatus == pytest.ExitCode.OK
        if any(test.startswith(DECIDING) for test in self.failed):
            self.failed = {path["test"]: path for path in shortest_paths(self.folder)} | self.failed
        if not ok and not self.failed:
            self.failed["run"] = {
                "test": "the run as a whole", "invariant": None,
                "path": None, "replay_command": "make test",
            }  # fmt: skip
        wall_s = round(time.monotonic() - self.begun_s, 1)
        verdict = {"ok": ok, "failed": list(self.failed.values()), "wall_s": wall_s}
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / "verdict.json", verdict)
        _write(self.folder / "left-out.json", self.left_out)


def _reason(report: pytest.CollectReport | pytest.TestReport) -> str:
    words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return words.removeprefix("Skipped: ")


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--verdict", metavar="DIR", help="write verdict.json and left-out.json there")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The invariant travels with the report, because workers and writer are several processes."""
    for item in items:
        if marker := item.get_closest_marker("invariant"):
            item.user_properties.append(("invariant", marker.args[0]))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption(SEED_OPTION) is None:  # chosen here, so that it is known and printed
        setattr(config.option, SEED_OPTION, str(random.SystemRandom().randrange(2**32)))
    folder = config.getoption("verdict")
    if folder and not hasattr(config, "workerinput"):
        plugin = Verdict(Path(config.rootpath, folder), config.getoption(SEED_OPTION))
        config.pluginmanager.register(plugin, "verdict-writer")


def pytest_report_header(config: pytest.Config) -> str:
    return f"replay with: --hypothesis-seed={config.getoption(SEED_OPTION)}"
