"""Judging, end to end: a diff is judged on its lines, and a sample of all mutants dies."""

import difflib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.mutants.__main__ import accepted, all_mutants, left_out, of_patch, settings
from tests.mutants.judging import Map, fingerprint, is_assertion
from tests.mutants.operators import mutants
from tests.mutants.planting import ROOT, code_of, is_warm, source_of

SAMPLE = 24


def test_the_pool_is_large_and_its_files_exist() -> None:
    assert len(all_mutants(settings()["files"])) >= 300
    assert all((ROOT / name).exists() for name in settings()["tests"])


def test_every_argument_is_about_a_mutant_that_exists() -> None:
    known = {mutant.key for mutant in all_mutants(settings()["files"])}
    assert set(accepted()) <= known
    assert all(len(words) > 20 for words in accepted().values())
    assert len(accepted()) <= len(known) / 100


def test_every_file_that_could_decide_is_judged_or_left_out_with_a_reason() -> None:
    listed, apart = set(settings()["files"]), left_out()
    assert all(len(words) > 20 for words in apart.values())
    for folder in ("realtime", "controller/core"):
        for path in (ROOT / folder).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            reasons = [
                key for key in apart if name == key or name.startswith(f"{key.rstrip('/')}/")
            ]
            decides = any(mutants(name, source_of(name)))
            assert (name in listed) + len(reasons) == 1 or not decides, name
    assert all((ROOT / name).exists() for name in apart)


def test_a_diff_is_judged_on_the_lines_it_adds() -> None:
    file = "realtime/interlocks.py"
    line = next(m.line for m in mutants(file, source_of(file)) if m.where == "judge")
    patch = f"--- a/{file}\n+++ b/{file}\n@@ -{line},1 +{line},1 @@\n-old\n+new\n"
    found = of_patch(patch, [file])
    assert found
    assert {mutant.line for mutant in found} == {line}


def test_only_an_assertion_kills() -> None:
    assert is_assertion(AssertionError())
    assert is_assertion(BaseExceptionGroup("several", [KeyError(), AssertionError()]))
    assert not is_assertion(KeyError())
    assert not is_assertion(None)


def test_tests_are_chosen_by_the_line_and_quick_ones_first() -> None:
    mutant = next(iter(mutants("realtime/run.py", source_of("realtime/run.py"))))
    touched = {"realtime/run.py": {str(mutant.line): ["slow", "quick", "red"]}}
    cost_s = {"slow": 2.0, "quick": 0.1, "red": 0.0}
    assert Map(touched, cost_s, ["red"]).tests_of(mutant) == ["quick", "slow"]


def test_a_map_is_kept_for_the_tests_it_was_made_with() -> None:
    """The twins of another file touch other lines: their map would find no test at all."""
    source = [ROOT / "realtime" / "run.py"]
    assert fingerprint(source, ["a", "b"]) == fingerprint(source, ["b", "a"])
    assert fingerprint(source, ["a"]) != fingerprint(source, ["a", "b"])
    assert fingerprint(source, ["a"]) != fingerprint([], ["a"])


def test_tables_are_planted_cold_and_functions_warm() -> None:
    found = list(mutants("realtime/beam.py", source_of("realtime/beam.py")))
    assert found
    assert not any(is_warm(mutant) for mutant in found)
    assert all(is_warm(m) for m in mutants("realtime/turn.py", source_of("realtime/turn.py"))
               if m.where != "module")  # fmt: skip
    codec = "realtime/wire/codec.py"
    inner = [m for m in mutants(codec, source_of(codec)) if m.where == "_integer.check"]
    assert inner
    assert not any(is_warm(m) for m in inner), "a function made at import holds its old code"
    assert code_of(found[0]).co_filename == str(ROOT / "realtime/beam.py")


def mutants_said(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--json", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert done.stdout, done.stderr[-2000:]
    said: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, said


def complaints(said: dict[str, Any]) -> list[str]:
    schema = json.loads((ROOT / "docs" / "schemas" / "mutants.json").read_text())
    return [e.message for e in jsonschema.Draft202012Validator(schema).iter_errors(said)]


def test_a_sample_drawn_by_the_commit_dies() -> None:
    code, said = mutants_said("--sample", str(SAMPLE))
    assert [one for one in said["survivors"] if not one["reason"]] == []
    assert code == 0
    assert complaints(said) == []
    assert said["total"] == SAMPLE
    assert said["killed"] > SAMPLE / 2
    assert said["total"] == said["killed"] + said["stillborn"] + len(said["survivors"])


def test_a_strangers_diff_is_judged_in_a_copy(tmp_path: Path) -> None:
    """The tree does not have it; the copy does, and its new line is judged there."""
    file = "realtime/interlocks.py"
    source = (ROOT / file).read_text()
    old = source.splitlines()
    at = next(n for n, row in enumerate(old) if "opened = " in row)
    patch = tmp_path / "stranger.diff"
    new = [*old[:at], old[at] + "  # a stranger was here", *old[at + 1 :]]
    patch.write_text("\n".join(difflib.unified_diff(
        old, new, f"a/{file}", f"b/{file}", lineterm="")) + "\n")  # fmt: skip
    code, said = mutants_said("--patch", str(patch))
    assert code == 0
    assert complaints(said) == []
    assert said["total"] == said["killed"] + said["stillborn"] > 0
    assert (ROOT / file).read_text() == source


def test_what_is_no_diff_is_refused(tmp_path: Path) -> None:
    for name, text in (("missing.diff", None), ("words.diff", "no diff at all\n")):
        if text is not None:
            (tmp_path / name).write_text(text)
        code, said = mutants_said("--patch", str(tmp_path / name))
        assert code == 2
        assert (said["error"]["code"], said["error"]["blame"]) == ("patch", "input")


GOOD: dict[str, Any] = {
    "schema": "carm.mutants/1", "total": 2, "killed": 1, "stillborn": 0, "argued": 0,
    "wall_s": 1.0, "stillborn_mutants": [],
    "survivors": [{"file": "realtime/run.py", "line": 7, "where": "Run.skip",
                   "change": "1: 1 → 2", "reason": ""}],
}  # fmt: skip


@pytest.mark.parametrize(
    "spoiled",
    [{"total": -1}, {"killed": 1.5}, {"schema": "carm.mutants/2"}, {"more": 1}, {"wall_s": None},
     {"survivors": [{"file": "realtime/run.py"}]},
     {"survivors": [GOOD["survivors"][0] | {"file": "../x.py"}]},
     {"survivors": [GOOD["survivors"][0] | {"line": 0}]}],
)  # fmt: skip
def test_a_spoiled_report_is_none(spoiled: dict[str, Any]) -> None:
    assert complaints(GOOD) == []
    assert complaints(GOOD | spoiled)
    for key in GOOD:
        assert complaints({k: v for k, v in GOOD.items() if k != key}), key
