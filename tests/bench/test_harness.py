"""The bench keeps what it measured, takes it up again, and never calls a missing figure good."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench import board, clocks, floors, live, proof, rest, service
from bench.figure import Goal, Reading, load_goals, row
from bench.floors import quantile
from bench.harness import (
    SLICE_OVER,
    CannotMeasure,
    Experiment,
    Parts,
    Samples,
    run_all,
    run_one,
    slice_of,
)
from bench.machine import head
from bench.peers import copy, echo, sleep, wake

AREAS = (floors, board, live, service, clocks, proof)
SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schemas" / "bench.json"


def quiet(name: str, done: int, wanted: int) -> None:
    """Progress that nobody sees."""


class Counting:
    """An experiment that notes how much it was asked for, and may fail at a chunk."""

    def __init__(self, fails_at: int = -1) -> None:
        self.asked: list[int] = []
        self.fails_at = fails_at

    def chunk(self, count: int) -> Samples:
        if len(self.asked) == self.fails_at:
            raise CannotMeasure("no machine to measure on")
        self.asked.append(count)
        return {"x": [float(len(self.asked))] * count}

    def read(self, samples: Samples, n: int, reason: str) -> list[Reading]:
        value = quantile(samples.get("x", []), 1.0)
        what = "a number for a test"
        return [Reading("floor.test", "floor", what, "us", value, n, 10, None, reason)]

    def experiment(self) -> Experiment:
        return Experiment("counting", 4, 10, 3, self.chunk, self.read)


def reading(value: float | None, pair: tuple[str, float] | None = None) -> Reading:
    return Reading("beam.x", "beam", "some figure", "us", value, 5, 10, pair, "")


@pytest.mark.parametrize(
    ("op", "measured", "holds"),
    [("<=", 5, True), ("<=", 5.01, False), (">=", 5, True), (">=", 4.9, False),
     ("==", 5, True), ("==", 5.1, False)],
)  # fmt: skip
def test_a_goal_is_met_or_not(op: str, measured: float, holds: bool) -> None:
    assert Goal(op, 5.0, "value").holds(measured) is holds


def test_holds_is_derived_from_the_value_or_the_ratio() -> None:
    on_value = {"beam.x": Goal("<=", 10.0, "value")}
    on_ratio = {"beam.x": Goal("<=", 2.0, "ratio")}
    assert row(reading(9.0), on_value)["holds"] is True
    assert row(reading(11.0), on_value)["holds"] is False
    assert row(reading(9.0, ("peer", 3.0)), on_ratio)["holds"] is False
    assert row(reading(5.0, ("peer", 3.0)), on_ratio)["holds"] is True


def test_what_was_not_measured_neither_holds_nor_fails() -> None:
    on_ratio = {"beam.x": Goal("<=", 2.0, "ratio")}
    assert row(reading(None), {"beam.x": Goal("==", 0.0, "value")})["holds"] is None
    assert row(reading(4.0), on_ratio)["holds"] is None
    assert row(reading(4.0, ("peer", 0.0)), on_ratio)["ratio"] is None


def test_a_quick_run_measures_the_quick_number_anew(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "c.jsonl", "abc")
    first, second = Counting(), Counting()
    run_one(first.experiment(), parts, False, quiet)
    run_one(second.experiment(), parts, False, quiet)
    assert first.asked == second.asked == [3, 1]


def test_a_full_run_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "c.jsonl", "abc")
    broken, again = Counting(fails_at=2), Counting()
    told = run_one(broken.experiment(), parts, True, quiet)
    assert (told[0].n, told[0].reason) == (6, "no machine to measure on")
    told = run_one(again.experiment(), parts, True, quiet)
    assert again.asked == [3, 1]
    assert (told[0].n, told[0].reason) == (10, "")


def test_a_full_run_may_be_cut_into_slices(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "c.jsonl", "abc")
    counting = Counting()
    told = run_one(counting.experiment(), parts, True, quiet, lambda: len(counting.asked) == 2)
    assert (told[0].n, told[0].reason) == (6, SLICE_OVER)
    again = Counting()
    told = run_one(again.experiment(), parts, True, quiet, slice_of(3600))
    assert (again.asked, told[0].n, told[0].reason) == ([3, 1], 10, "")
    assert slice_of(0)()


@pytest.mark.parametrize("key", ["other", ""])
def test_parts_of_another_commit_or_a_dirty_tree_are_not_taken_up(key: str, tmp_path: Path) -> None:
    run_one(Counting(2).experiment(), Parts(tmp_path / "c.jsonl", "abc"), True, quiet)
    again = Counting()
    run_one(again.experiment(), Parts(tmp_path / "c.jsonl", key), True, quiet)
    assert again.asked == [3, 3, 3, 1]


def test_a_torn_part_is_not_taken_up(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "c.jsonl", "abc")
    run_one(Counting(2).experiment(), parts, True, quiet)
    parts.path.write_text(parts.path.read_text()[:-9])
    assert parts.load() == ({}, 0)


def test_the_file_fits_its_schema_and_says_why_a_figure_is_missing(tmp_path: Path) -> None:
    run_all([Counting(0).experiment()], head(), tmp_path, False, quiet)
    told: dict[str, Any] = json.loads((tmp_path / "figures.json").read_text())
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert [error.message for error in validator.iter_errors(told)] == []
    figure = told["figures"][0]
    assert (figure["value"], figure["holds"]) == (None, None)
    assert figure["reason"] == "no machine to measure on"


def test_every_goal_belongs_to_a_figure_and_every_figure_to_one_experiment() -> None:
    every = [each for area in AREAS for each in area.experiments()]
    ids = [r.id for e in every for r in e.read({}, 0, "nothing was measured")]
    assert len(ids) == len(set(ids))
    assert set(load_goals()) <= set(ids)


def test_every_figure_without_samples_is_null_with_its_reason() -> None:
    for experiment in [each for area in AREAS for each in area.experiments()]:
        for one in experiment.read({}, 0, "nothing was measured"):
            assert one.value is None, one.id
            assert one.reason, one.id


@pytest.mark.parametrize("text", ['[x]\nop = "<"\nvalue = 1\non = "value"', "[x]\nop = '<='"])
def test_a_goal_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "goals.toml").write_text(text)
    with pytest.raises(ValueError, match=r"goals\.toml: x"):
        load_goals(tmp_path / "goals.toml")


def test_a_copy_takes_time() -> None:
    assert all(value > 0 for value in copy(5, side=64))


def test_the_bare_peers_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process without FIFO, so that the test disturbs nobody."""
    monkeypatch.setattr("bench.peers.realtime", lambda priority: False)
    assert min(echo(5)) > 0
    assert min(sleep(5, 1_000_000)) >= 0
    assert min(wake(5, 0.001)) > 0


def test_what_rests_is_told_beside_as_many_bare_wake_ups() -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        found = rest.idle({"sleeper": sleeper.pid}, 20)
        sleeper.kill()
    assert found.used == {"sleeper": 0.0}
    found = rest.idle({"this": os.getpid()}, 20)
    assert found.used["this"] >= 0
    assert found.bare > 0


def test_the_worst_occasion_of_rest_is_told_with_its_own_bare_wake_ups() -> None:
    samples = {"cpu": [2.0, 2.9, 2.4], "bare": [0.5, 0.9, 1.3]}
    told = {each.id: each for each in rest.rest_read(samples, 3, "")}
    assert told["machine.idle_cpu"].value == 2.9
    assert told["machine.idle_cpu"].pair == ("as many bare wake-ups", 0.9)
    assert told["machine.idle_memory"].pair is None
