"""Judging, end to end: a diff is judged on its lines, and a sample of all mutants dies."""

import json
import subprocess
import sys
from pathlib import Path

from tests.mutants.__main__ import accepted, all_mutants, of_patch, settings
from tests.mutants.judging import Map, is_assertion
from tests.mutants.operators import mutants
from tests.mutants.planting import ROOT, code_of, is_warm, source_of

SAMPLE = 16
CLEAN = ("realtime/beam.py", "realtime/interlocks.py")


def test_the_pool_is_large_and_its_files_exist() -> None:
    assert len(all_mutants(settings()["files"])) >= 300
    assert all((ROOT / name).exists() for name in settings()["tests"])


def test_every_argument_is_about_a_mutant_that_exists() -> None:
    known = {mutant.key for mutant in all_mutants(settings()["files"])}
    assert set(accepted()) <= known
    assert all(len(words) > 20 for words in accepted().values())
    assert len(accepted()) <= len(known) / 100


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


def test_tables_are_planted_cold_and_functions_warm() -> None:
    found = list(mutants("realtime/beam.py", source_of("realtime/beam.py")))
    assert found
    assert not any(is_warm(mutant) for mutant in found)
    assert all(is_warm(m) for m in mutants("realtime/turn.py", source_of("realtime/turn.py"))
               if m.where != "module")  # fmt: skip
    assert code_of(found[0]).co_filename == str(ROOT / "realtime/beam.py")


def test_a_sample_drawn_by_the_commit_dies(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--sample", str(SAMPLE), "--out", str(out),
         *(word for file in CLEAN for word in ("--file", file))],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert out.exists(), done.stderr[-2000:]
    said = json.loads(out.read_text())
    unargued = [one for one in said["survivors"] if not one["reason"]]
    assert unargued == []
    assert done.returncode == 0
    assert said["total"] == SAMPLE
    assert said["killed"] > SAMPLE / 2
