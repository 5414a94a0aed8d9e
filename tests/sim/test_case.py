"""Every scenario of the project at two of its phases; and cases that must not count."""

from dataclasses import replace
from pathlib import Path

import pytest

from controller.core import machine
from hil.room.generator import Generator
from hil.sim.case import Cases
from hil.sim.commands import all_files, steps_of
from hil.sim.removed import REMOVED, taken_out
from hil.sim.scenario import read
from realtime import executive, pedals
from realtime.executive import Executive
from realtime.orders import OrderBook
from realtime.pedals import Pedals
from realtime.permit import Gate
from realtime.run import Run
from tests.sim.bench import scenario

# Five minutes of irradiation take as long as all others together.
LONG = {"F01-signal"}
FILES = [path for path in all_files() if path.stem not in LONG]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario_passes(path: Path) -> None:
    found = read(path)
    cases = Cases(found)
    for step in steps_of(found, 2):
        verdict = cases.case(found.seeds[0], step)
        assert (verdict.verdict, verdict.detail) == ("pass", "")
        assert 0 < verdict.effect_seen_ns <= verdict.cleared_ns


def test_a_limit_that_cannot_be_met_fails() -> None:
    door = scenario("F08-door")
    dark = door.expectations[0]
    tight = replace(door, expectations=(replace(dark, limit_ns=1),))
    verdicts = {Cases(tight).case(1, step).verdict for step in (0, 10)}
    assert verdicts == {"pass", "fail"}, "between pulses there is nothing to end"


def test_an_effect_that_is_never_seen_is_an_error() -> None:
    door = scenario("F08-door")
    (window,) = door.windows
    blind = replace(window, component="panel", type="blind", instance="", duration_ns=1)
    verdict = Cases(replace(door, windows=(blind,))).case(1, 5)
    assert (verdict.verdict, verdict.detail) == ("error", "panel blind: its effect was never seen")


def test_a_reaction_that_shows_without_the_fault_is_an_error() -> None:
    door = scenario("F08-door")
    dark = door.expectations[0]
    slack = replace(door, expectations=(replace(dark, limit_ns=5_000_000_000),))
    verdict = Cases(slack).case(1, 0)
    assert verdict.verdict == "error"
    assert "without the fault" in verdict.detail


def test_a_fault_that_strikes_at_rest_is_an_error() -> None:
    door = scenario("F08-door")
    (press,) = door.stimuli
    late = replace(door, stimuli=(replace(press, at_ns=1_500_000_000),), swept=frozenset())
    verdict = Cases(late).case(1, 0)
    assert (verdict.verdict, verdict.detail) == ("error", "no run was in progress at the onset")


def test_the_same_case_is_the_same_journal() -> None:
    door = scenario("F08-in-pulse")
    first, again, other = (Cases(door).case(seed, 3) for seed in (1, 1, 2))
    assert first == again
    assert first.journal_sha256 != other.journal_sha256
    assert first.beam_at_onset


def test_a_scenario_that_is_green_without_its_reaction_is_an_error() -> None:
    door = scenario("F08-door")
    assert Cases(door).case(1, 0).verdict == "pass"
    verdict = Cases(replace(door, without="counters")).case(1, 0)
    assert (verdict.verdict, verdict.reason) == ("error", "green_without_reaction")
    assert verdict.detail == "it is green with 'counters' taken out as well"
    verdict = Cases(replace(door, without="")).case(1, 0)
    assert (verdict.verdict, verdict.reason) == ("error", "green_without_reaction")


def test_every_scenario_is_swept_over_twenty_phases() -> None:
    scenarios = [read(path) for path in all_files()]
    few = [found.id for found in scenarios if found.sweep.steps * len(found.seeds) < 20]
    assert few == []


def test_every_scenario_names_the_reaction_it_proves() -> None:
    assert [found.id for found in map(read, all_files()) if not found.without] == []
    used = {read(path).without for path in all_files()}
    assert used == set(REMOVED), "nobody is red without it"


def _levels() -> list[object]:
    owners = (Pedals, Gate, Executive, Run, pedals, executive, machine, OrderBook, Generator)
    return [dict(vars(owner)) for owner in owners]


@pytest.mark.parametrize("name", REMOVED)
def test_a_reaction_that_was_taken_out_is_put_back(name: str) -> None:
    before = _levels()
    with taken_out(name):
        pass
    assert _levels() == before
