"""Machine code is the shipped code: the same journals, the same verdicts, and never needed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Never

import pytest

from controller.cli import natively
from hil import native
from hil.sim import campaign
from hil.sim.campaign import do
from hil.sim.episode import run_episode
from tests.house.tree import ROOT

# Enough to show that a compiled executive steps in an interpreted world; all of it takes a minute.
A_PART = {"realtime": ("cycle", "irradiation"), "hil/room": ("room",)}


def quiet(text: str) -> None:
    """Says nothing."""


def never(*_given: object) -> Never:
    raise AssertionError("was not to be called")


def test_every_compiled_module_exists_once() -> None:
    assert len(set(native.modules())) == len(native.modules()) > 60
    assert [name for name in native.modules() if not (ROOT / name).is_file()] == []


def test_a_world_on_machine_code_writes_the_journal_of_the_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "PARTS", A_PART)
    said: list[str] = []
    root = native.build(tmp_path, said.append)
    assert native.build(tmp_path, never) == root, "a second time costs nothing"
    assert len(said) == 1
    program = (
        "from hil import native; from hil.room import room; from hil.sim.episode import "
        "run_episode; import json; print(json.dumps([native.is_native(), room.__file__, "
        "run_episode(5, 12).sha256, native.code_id()]))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env=native.environment(root),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    compiled, file, sha256, code = json.loads(done.stdout)
    assert compiled
    assert file.startswith(str(root))
    assert sha256 == run_episode(5, 12).sha256
    assert code == native.code_id(), "seeds of both are seeds of the same code"
    assert not native.is_native(), "what is shipped stays as it is"


def test_a_build_belongs_to_the_sources_and_drops_older_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_compiled", lambda root: root.mkdir())
    first = native.build(tmp_path, quiet)
    monkeypatch.setattr(native, "code_id", lambda: "other sources")
    second = native.build(tmp_path, quiet)
    assert first != second
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [second.name]


def test_code_that_a_campaign_still_runs_on_is_not_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_compiled", lambda root: root.mkdir())
    running = native.build(tmp_path, quiet)
    program = "import sys; print('on it', flush=True); sys.stdin.read()"
    start = "import sys; from pathlib import Path; from hil import native; "
    start += f"native.command = lambda *_: [sys.executable, '-c', {program!r}]; "
    start += f"native.go_on(Path({str(running)!r}), [])"
    with subprocess.Popen(
        [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as campaign_on_it:
        assert campaign_on_it.stdout is not None
        assert campaign_on_it.stdout.readline() == "on it\n"
        monkeypatch.setattr(native, "code_id", lambda: "other sources")
        second = native.build(tmp_path, quiet)
        assert running.is_dir()
        campaign_on_it.communicate("")
    monkeypatch.setattr(native, "code_id", lambda: "still others")
    third = native.build(tmp_path, quiet)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [third]
    assert len({running, second, third}) == 3


def test_code_that_is_measured_on_is_not_cleared_away_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_compiled", lambda root: root.mkdir())
    with native.held(tmp_path, quiet) as measured:
        monkeypatch.setattr(native, "code_id", lambda: "other sources")
        second = native.build(tmp_path, quiet)
        assert measured.is_dir()
    monkeypatch.setattr(native, "code_id", lambda: "still others")
    native.build(tmp_path, quiet)
    assert not measured.exists()
    assert not second.exists()


def test_sources_that_do_not_compile_are_no_machine_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = SimpleNamespace(returncode=1, stdout="", stderr="room.py:1: error: no such thing")
    monkeypatch.setattr("hil.native.subprocess.run", lambda *_a, **_k: failed)
    monkeypatch.setattr(native, "FOLDERS", ("realtime",))
    with pytest.raises(native.NativeUnavailable, match="no such thing"):
        native.build(tmp_path, quiet)
    assert not (tmp_path / native.key()).exists()


@pytest.mark.parametrize(
    ("lacking", "word"),
    [("shutil.which", "no C compiler"), ("sysconfig.get_paths", "python3-dev"),
     ("find_spec", "make setup")],
)  # fmt: skip
def test_without_a_compiler_the_command_goes_on_in_the_interpreter(
    lacking: str, word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: dict[str, Any] = {
        "shutil.which": lambda _name: None,
        "sysconfig.get_paths": lambda: {"include": "/nowhere"},
        "find_spec": lambda _name: None,
    }
    monkeypatch.setattr(f"hil.native.{lacking}", answers[lacking])
    monkeypatch.setattr(native, "go_on", never)
    natively.go_on_natively(True)
    told = capsys.readouterr().err
    assert word in told
    assert "going on in the interpreter" in told


def test_the_same_command_is_started_again_without_losing_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(native, "build", lambda _folder, _said: tmp_path)
    monkeypatch.setattr(os, "execve", lambda *given: started.append(given))
    monkeypatch.setattr(sys, "argv", ["carm", "campaign", "--native", "--hours", "2"])
    natively.go_on_natively(True)
    ((program, words, environment),) = started
    assert program == sys.executable
    assert words[-4:] == ["campaign", "--native", "--hours", "2"]
    assert environment["PYTHONPATH"] == str(tmp_path)
    assert environment[native.SHIPPED] == str(ROOT)


def test_nothing_happens_where_it_is_not_asked_for_or_already_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[Path] = []

    def build(folder: Path, _said: object) -> Path:
        built.append(folder)
        return folder

    monkeypatch.setattr(native, "build", build)
    monkeypatch.setattr(native, "go_on", lambda *_given: None)
    natively.go_on_natively(False)
    assert built == []
    natively.go_on_natively(True)
    assert built == [native.FOLDER]
    monkeypatch.setattr(native, "is_native", lambda: True)
    natively.go_on_natively(True)
    assert built == [native.FOLDER]


def test_on_machine_code_a_seed_runs_again_in_the_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(native, "is_native", lambda: True)
    monkeypatch.setenv(native.SHIPPED, str(ROOT))
    monkeypatch.setattr(campaign, "run_episode", never)
    row = do(("rerun", 3, 0, 0))
    monkeypatch.undo()
    assert row["sha256"] == do(("episode", 3, 0, 0))["sha256"]
    assert row["violations"] == []
    assert row["cpu_s"] > 0.1, "the time of the other process counts"


def test_an_interpreter_that_says_nothing_is_a_finding_of_the_seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(native, "is_native", lambda: True)
    monkeypatch.setenv(native.SHIPPED, str(tmp_path))
    monkeypatch.setattr(native, "command", lambda *_words: ["/bin/false"])
    (what,) = do(("rerun", 3, 0, 0))["violations"]
    assert "campaign in the interpreter" in what
