"""The plugins of the test run: leaks fail a test, outcomes are written down, warnings bite."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.house import tree

ASYNC = "import asyncio\nasync def test_x():\n    assert asyncio\n    "
THREAD = "threading.Thread(target=threading.Event().wait, daemon=True).start()"


def outcome(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    """Run one source text as a test file, with the project's own settings, in another process."""
    pytester.makepyfile(source)
    config = str(tree.ROOT / "pyproject.toml")
    return pytester.runpytest_subprocess("-c", config, "--rootdir=.", *options, ".")


def verdict(pytester: pytest.Pytester, source: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    outcome(pytester, source, "--verdict=made", "--hypothesis-seed=7")
    made = Path(pytester.path, "made")
    return (
        json.loads((made / "verdict.json").read_text()),
        json.loads((made / "left-out.json").read_text()),
    )


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (f"import threading\ndef test_x():\n    {THREAD}", "thread"),
        ("import socket\nkept = []\ndef test_x():\n    kept.append(socket.socket())", "socket"),
        ("import subprocess\ndef test_x():\n    test_x.p = subprocess.Popen(['sleep', '9'])",
         "process * sleep 9"),
        (f"{ASYNC}asyncio.create_task(asyncio.Event().wait(), name='renewal')", "renewal"),
        ("import warnings\ndef test_x():\n    warnings.warn('worn out')", "worn out"),
    ],
    ids=["thread", "socket", "process", "task", "warning"],
)  # fmt: skip
def test_what_is_left_over_fails(pytester: pytest.Pytester, source: str, named: str) -> None:
    result = outcome(pytester, source)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*{named}*"])


def test_what_ends_in_time_passes(pytester: pytest.Pytester) -> None:
    outcome(pytester, f"{ASYNC}await asyncio.create_task(asyncio.to_thread(int))").assert_outcomes(
        passed=1
    )


def test_a_failure_says_which_invariant_where_and_how_to_replay(pytester: pytest.Pytester) -> None:
    said, left = verdict(
        pytester,
        """
        import pytest

        @pytest.mark.invariant(3)
        def test_marked():
            assert False

        def test_said(record_property):
            record_property("invariant", 7)
            record_property("path", "out/truth.jsonl")
            record_property("replay_command", "carm referee out/truth.jsonl")
            assert False

        def test_good():
            assert True
        """,
    )
    file = "test_a_failure_says_which_invariant_where_and_how_to_replay.py"
    assert said["ok"] is False
    assert said["wall_s"] > 0
    assert left == []
    assert said["failed"] == [
        {
            "test": f"{file}::test_marked",
            "invariant": 3,
            "path": file,
            "replay_command": f".venv/bin/pytest --hypothesis-seed=7 {file}::test_marked",
        },
        {
            "test": f"{file}::test_said",
            "invariant": 7,
            "path": "out/truth.jsonl",
            "replay_command": "carm referee out/truth.jsonl",
        },
    ]


def test_a_file_that_does_not_load_is_a_failure(pytester: pytest.Pytester) -> None:
    said, _ = verdict(pytester, "import no_such_module\n")
    assert said["ok"] is False
    assert len(said["failed"]) == 1


LEFT_OUT = "from tests.plugins.verdict import left_out\ndef test_x():\n    left_out('no broker')\n"


@pytest.mark.parametrize(("ci", "ok"), [("true", False), ("", True)])
def test_what_is_left_out_is_listed_and_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, ok: bool
) -> None:
    monkeypatch.setenv("CI", ci)
    said, left = verdict(pytester, LEFT_OUT)
    assert said["ok"] is ok
    assert [entry["reason"] for entry in left] == ["no broker"]


def test_the_seed_is_printed_and_used(pytester: pytest.Pytester) -> None:
    source = "from hypothesis import core\ndef test_x():\n    assert core.global_force_seed is None"
    result = outcome(pytester, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["replay with: --hypothesis-seed=*"])


@pytest.mark.parametrize(("folder", "ran"), [("realtime", 1), ("sim", 0)])
def test_only_what_the_twins_run_is_covered(
    pytester: pytest.Pytester, folder: str, ran: int
) -> None:
    pytester.makepyfile(subject="def answer():\n    return 42\n")
    place = pytester.path / "tests" / folder
    place.mkdir(parents=True)
    (place / "test_x.py").write_text(
        "import subject\n\n\ndef test_x():\n    assert subject.answer() == 42\n"
    )
    settings = pytester.path / "coverage.ini"
    settings.write_text("[run]\nsource = .\n")
    shown = pytester.path / "shown.json"
    outcome(pytester, "", "--cov", f"--cov-config={settings}", f"--cov-report=json:{shown}",
            "--cov-fail-under=0")  # fmt: skip
    files = json.loads(shown.read_text())["files"]
    assert (2 in files["subject.py"]["executed_lines"]) is bool(ran)
