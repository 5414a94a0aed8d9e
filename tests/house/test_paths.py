"""When deciding code is broken, the verdict names the rule, the shortest path and its replay."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hil.explore import commands
from realtime.permit import Gate
from tests.plugins import paths


def exploration(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """In the place of the command: one study, in this process."""
    called = []

    def run(command: list[str], **_: Any) -> None:
        called.append(command)
        study = ("executive: five-minute signal", 1, 100_000, True)
        record = commands.report("executive", [commands.explore_one(study)], False, 0.0)
        commands.write_paths([record], Path(command[-1]))

    monkeypatch.setattr(subprocess, "run", run)
    return called


def test_a_broken_gate_is_named_with_its_invariant_path_and_replay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called = exploration(monkeypatch)
    monkeypatch.setattr(Gate, "agree", lambda self, *given: "")
    (found,) = paths.shortest_paths(tmp_path)
    assert called[0][1:3] == ["explore", "--first"]
    assert found["invariant"] == 13
    assert found["test"] == "exploration: PULSE only after the last gate has agreed on that turn"
    kept = Path(found["path"])
    assert found["replay_command"] == f".venv/bin/carm explore --replay {kept}"
    assert found["events"] == json.loads(kept.read_text())["events"]
    assert commands.replay(kept)


def test_where_nothing_is_found_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    exploration(monkeypatch)
    (tmp_path / "paths").mkdir()
    (tmp_path / "paths" / "old.json").write_text("{}")
    assert paths.shortest_paths(tmp_path) == []


def test_an_exploration_that_does_not_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(command: list[str], **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, paths.TIMEOUT_S)

    monkeypatch.setattr(subprocess, "run", run)
    assert paths.shortest_paths(tmp_path) == []
