"""The scenario file: what it may say, and how it is refused."""

import tomllib
from pathlib import Path

import pytest

from controller.core.faults import table
from hil.sim.catalogue import NUMBERS, coverage
from hil.sim.commands import all_files, proved_rows, run_scenarios
from hil.sim.page import PAGE, filled
from hil.sim.reading import ScenarioError, nearest
from hil.sim.scenario import read
from tests.sim.bench import EXPECT, HEAD, written

WINDOW = '\n[[window]]\ncomponent = "interlock"\ntype = "open"\nonset_ms = 500\n'


def test_every_scenario_of_the_project_can_be_read() -> None:
    names = [read(path).id for path in all_files()]
    assert len(names) == len(set(names)) >= 70
    assert names == [path.stem for path in all_files()], "a file is called what it is"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (HEAD.replace("F08", "F98") + EXPECT, 3, "did you mean"),
        (HEAD + WINDOW.replace("open", "opens") + EXPECT, 8, "did you mean 'open'?"),
        (HEAD + WINDOW.replace("interlock", "interlok") + EXPECT, 7, "did you mean 'interlock'?"),
        (HEAD + WINDOW + 'instance = "dor"\n' + EXPECT, 10, "did you mean 'door'?"),
        (HEAD + WINDOW + 'unit = "s"\n' + EXPECT, 10, "is in no unit"),
        (HEAD + WINDOW.replace("500", "-1") + EXPECT, 9, "a number 0 …"),
        (HEAD + WINDOW.replace("500", "nan") + EXPECT, 9, "a number 0 …"),
        (HEAD + WINDOW + "onsets = 3\n" + EXPECT, 10, "did you mean 'onset_ms'?"),
        (HEAD, 1, "at least one"),
        (HEAD + EXPECT.replace("dark", "drak"), 7, "did you mean 'dark'?"),
        (HEAD + EXPECT.replace("within_ms = 10\n", ""), 6, "dark needs within_ms"),
        (HEAD + '[[stimulus]]\nat_ms = 1\ndo = "pres fluoro"\n' + EXPECT, 7, "'press fluoro'"),
        (HEAD + '[[stimulus]]\nat_ms = 1\ndo = "set kv high"\n' + EXPECT, 7, "not a number"),
        (HEAD + '[config]\n"beam.run_max" = 3\n' + EXPECT, 6, "beam.run_max_s"),
        (HEAD + "[circumstances]\nline_seq = 0.5\n" + EXPECT, 6, "a whole number"),
        (HEAD + "[wiring]\nchian = false\n" + EXPECT, 6, "did you mean 'chain'?"),
        (HEAD + "[wiring]\nchain = 0\n" + EXPECT, 6, "true (as built)"),
        (HEAD + '[sweep]\nover = "onset"\n' + EXPECT, 5, "span in ms"),
        (HEAD + "seeds = []\n" + EXPECT, 5, "whole numbers"),
        (HEAD + "duration_ms = 3\n" + EXPECT, 5, "overwrite"),
        (HEAD + WINDOW.replace("500", "1600") + EXPECT, 9, "an impossible time"),
        (HEAD + '[[stimulus]]\nat_ms = 1600\ndo = "estop"\n' + EXPECT, 6, "an impossible time"),
        (HEAD + EXPECT.replace("within_ms = 10", "within_ms = 1601"), 8, "before the end"),
        (HEAD + EXPECT + "from_ms = 20\nto_ms = 10\n", 9, "before to_ms, 10"),
        (HEAD + EXPECT.replace("dark", "fault") + 'text = "no_imag"\n', 9, "'no_image'?"),
        (HEAD + EXPECT.replace("dark", "trip") + 'text = "stal"\n', 9, "'stall'?"),
        (HEAD + EXPECT.replace("dark", "mode") + 'text = "REDY"\n', 9, "'READY'?"),
        (HEAD + WINDOW.replace("onset_ms = 500\n", "") + EXPECT, 6, "required"),
    ],
)
def test_a_refusal_names_the_line_and_the_nearest_word(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    with pytest.raises(ScenarioError) as refused:
        read(written(tmp_path, text))
    assert refused.value.line == line
    assert words in refused.value.allowed
    assert refused.value.body["error"]["file"].endswith("case.toml")


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = HEAD.replace("F08", "F98") + WINDOW.replace("open", "opens") + EXPECT.replace("d", "t")
    with pytest.raises(ScenarioError) as refused:
        read(written(tmp_path, text))
    error = refused.value.body["error"]
    assert (error["line"], error["key"]) == (3, "fault")
    assert [(one["line"], one["key"]) for one in error["also"]] == [(8, "type"), (12, "reaction")]


def test_a_refused_file_is_exit_code_2(tmp_path: Path) -> None:
    body, code = run_scenarios([tmp_path / "none.toml"], "virtual", 1, lambda text: None)
    assert (code, body["error"]["blame"]) == (2, "input")
    body, code = run_scenarios([], "sidereal", 1, lambda text: None)
    assert (code, body["error"]["key"]) == (2, "--clock")


def test_the_nearest_word_or_all_of_them() -> None:
    assert nearest("doar", ["door", "key"]) == "did you mean 'door'?"
    assert nearest("qqq", ["door", "key"]) == "one of door, key"


def test_nothing_is_covered_by_being_absent() -> None:
    rows = coverage([])
    assert [row["id"] for row in rows] == list(NUMBERS)
    assert {row["status"] for row in rows} == {"waiting_for"}
    (f08,) = [row for row in coverage([("F08", "a")]) if row["id"] == "F08"]
    assert (f08["status"], f08["scenarios"], f08["waiting_for"]) == ("covered", ["a"], None)


def test_every_number_with_a_subject_has_a_scenario() -> None:
    rows = coverage([(read(path).fault, read(path).id) for path in all_files()])
    assert [row["id"] for row in rows if row["waiting_for"] == "a scenario"] == []


def test_a_row_of_the_catalogue_shows_the_scenarios_of_its_numbers() -> None:
    rows = {row["id"]: row for row in proved_rows(table())}
    assert rows["internal_error"]["status"] == "covered"
    assert "F30-full-queue" in rows["internal_error"]["scenarios"]
    assert "F08-door" not in rows["internal_error"]["scenarios"]
    bare = proved_rows([{"id": "x", "covers": []}])
    assert bare == [{"id": "x", "covers": [], "status": "waiting_for", "scenarios": []}]


def test_the_page_says_what_the_code_knows() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text) == text, "python -m hil.sim.page"


def test_the_example_of_the_page_is_the_file() -> None:
    example = PAGE.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    path = next(path for path in all_files() if path.stem == "F08-door")
    assert tomllib.loads(example) == tomllib.loads(path.read_text(encoding="utf-8"))
