"""Occasions that had to be played again are told at the end of a run, whoever played them.

Lives here: the list, and its way from a worker to the summary.  May not live here: whether an
occasion may be played again (`tests/system/machine.py`).
"""

from typing import Any

import pytest

REPEATED: list[str] = []
_KEY = "occasions_repeated"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands over what it has."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_KEY] = list(REPEATED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended."""
    REPEATED.extend(getattr(node, "workeroutput", {}).get(_KEY, []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell which occasions this computer's stalls have spoiled."""
    if REPEATED:
        terminalreporter.section(f"{len(REPEATED)} occasions played again")
        for words in REPEATED:
            terminalreporter.line(words)
