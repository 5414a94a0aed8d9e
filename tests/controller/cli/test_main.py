"""The command line: exit codes, refusals, what is absent, and that help is quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from controller.cli import judges, main
from controller.cli.machine import BENCH as BENCH_FILE
from controller.cli.room import milliseconds
from realtime.wire.config import KEYS


def carm(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "controller.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def refused(done: subprocess.CompletedProcess[str], code: int) -> Any:
    assert done.returncode == code, done.stderr
    error = json.loads(done.stdout)["error"]
    assert set(error) == {"code", "blame", "key", "value", "allowed", "remedy"}
    return error


@pytest.mark.process
def test_help_lists_the_commands_without_loading_their_subjects() -> None:
    code = (
        "import sys; sys.argv = ['carm', '--help']\n"
        "from controller.cli import main\n"
        "try:\n    main.main()\n"
        "finally:\n    print(sorted({'numpy', 'matplotlib', 'canopen'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          check=False)  # fmt: skip
    assert done.returncode == 0
    for command in ("up", "down", "status", "why", "ready", "reset", "referee", "frames", "rig"):
        assert f" {command} " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_was_not_asked_for_keeps_its_name_and_help_and_loses_its_options() -> None:
    table, inside = typer.Typer(), typer.Typer()

    def asked(number: int) -> None:
        """The one."""

    def other(number: int) -> None:
        """Another."""

    for level in (table, inside):
        level.command()(asked)
        level.command(name="not-me")(other)
    table.add_typer(inside, name="group")
    lean = main.outlined(table, "asked")
    within = lean.registered_groups[0].typer_instance
    assert within is not None
    kept, *bare = [*lean.registered_commands, *within.registered_commands]
    assert kept.callback is asked
    assert [each.callback.__doc__ for each in bare if each.callback] == [
        "Another.", "The one.", "Another."
    ]  # fmt: skip
    for each in bare:
        assert each.callback is not None
        with pytest.raises(AssertionError, match="was not asked for"):
            each.callback()
    assert [each.callback for each in table.registered_commands] == [asked, other], "untouched"


def test_a_group_that_was_asked_for_is_whole() -> None:
    table, inside = typer.Typer(), typer.Typer()

    def member(number: int) -> None:
        """One."""

    inside.command()(member)
    table.add_typer(inside, name="group")
    within = main.outlined(table, "group").registered_groups[0].typer_instance
    assert within is not None
    assert within.registered_commands[0].callback is member


@pytest.mark.process
def test_a_good_configuration_is_zero_and_a_bad_one_names_its_key(tmp_path: Path) -> None:
    done = carm("config", "check", str(BENCH_FILE), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["keys"] == len(KEYS)
    bad = tmp_path / "bad.toml"
    bad.write_text(BENCH_FILE.read_text().replace("ms = 8.0", "ms = 12.0"))
    assert refused(carm("config", "check", str(bad), "--json"), 2)["code"] == "does_not_fit_window"
    bad.write_text(BENCH_FILE.read_text().replace("rise_us = 300", "rise_us = nan"))
    assert refused(carm("config", "check", str(bad), "--json"), 2)["key"] == "generator.rise_us"
    words = carm("config", "check", str(bad))
    assert words.returncode == 2
    assert "generator.rise_us" in words.stderr


@pytest.mark.process
def test_a_machine_that_is_not_up_is_told_so(tmp_path: Path) -> None:
    error = refused(carm("why", "--run-dir", str(tmp_path), "--json"), 3)
    assert (error["code"], error["blame"]) == ("no_answer", "machine")
    assert "carm up" in error["remedy"]
    done = carm("down", "--run-dir", str(tmp_path), "--json")
    assert (done.returncode, json.loads(done.stdout)["was_up"]) == (0, False)


@pytest.mark.process
def test_the_catalogue_needs_no_machine() -> None:
    done = carm("faults", "--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)["catalogue"]
    assert {"id", "severity", "action", "clear", "status", "scenarios"} <= set(rows[0])


def test_commands_without_their_subject_are_absent() -> None:
    app = typer.Typer()
    judges.install(app, lambda module: None)
    assert app.registered_commands == []
    assert app.registered_groups == []

    def no_parent(module: str) -> None:
        raise ModuleNotFoundError(module)

    judges.install(app, no_parent)
    assert app.registered_commands == []
    names = {command.callback.__name__ for command in main.app.registered_commands
             if command.callback is not None}  # fmt: skip
    assert {"up", "down", "run", "status", "why", "ready", "reset", "select", "set_"} <= names


@pytest.mark.parametrize(("text", "ms"), [("1s", 1000), ("250ms", 250), ("0.5", 500)])
def test_durations_are_read(text: str, ms: int) -> None:
    assert milliseconds(text) == ms


@pytest.mark.parametrize("text", ["", "s", "fast", "1m"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        milliseconds(text)


@pytest.mark.parametrize("words", [("bogus",), ("status",), ("rig", "beam")])
def test_misuse_is_refused_input_in_words(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "controller.cli.main", *words],
        capture_output=True, text=True, check=False, timeout=60,
        env={key: value for key, value in os.environ.items() if key != "CARM_RUN_DIR"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bug_of_ours_is_exit_code_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_args: object, **_more: object) -> int:
        raise RuntimeError("our own")

    monkeypatch.setattr("controller.cli.files.check_config", broken)
    monkeypatch.setattr(sys, "argv", ["carm", "config", "check", "any"])
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == 4
    assert "bug of ours" in capsys.readouterr().err
