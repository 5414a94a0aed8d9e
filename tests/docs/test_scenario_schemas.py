"""Schemas of scenarios: files of the project and what is really written fit, spoils do not."""

import copy
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hil.sim.agreement import Side, compare
from hil.sim.case import Cases
from hil.sim.commands import SCENARIOS, all_files, plot_of, run_scenarios, truth_of
from hil.sim.judging import Reason, Ruling, verdict
from hil.sim.page import SCHEMA, schema
from tests.sim.bench import scenario

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
Payload = dict[str, Any]
Spoil = Callable[[Payload], object]


def validator(name: str) -> jsonschema.Draft202012Validator:
    loaded: Payload = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(loaded)
    return jsonschema.Draft202012Validator(loaded)


def accepts(name: str, payload: Payload) -> bool:
    return not list(validator(name).iter_errors(payload))


def file_of(name: str) -> Payload:
    return tomllib.loads((SCENARIOS / f"{name}.toml").read_text())


@pytest.fixture(scope="module")
def rows() -> list[Payload]:
    """A pass and a fail of virtual time, and what real time says when it has no verdict."""
    door = scenario("F08-door")
    line, played = Cases(door).played(1, 5)
    late = Ruling(Reason.RIG_LATE, "the rig was 3.0 ms late")
    cannot = Ruling(Reason.UNSUPPORTED, "nobody knows how")
    apart = ("the rig was 3.0 ms late",)
    failed = Ruling(Reason.REACTION, "dark: 12 ms")
    return [
        line.shown(),
        verdict(door, "virtual", 1, 5, 0.25, played, failed, played.sha256).shown(),
        verdict(door, "real", 1, 5, 0.25, played, late, played.sha256, apart).shown(),
        verdict(door, "real", 1, 0, -1.0, None, cannot, "").shown(),
    ]


def verdicts(rows: list[Payload]) -> Payload:
    return {"schema": "carm.scenario/1", "cases": copy.deepcopy(rows)}


def test_the_schema_of_the_file_says_what_the_reader_knows() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema(), "python -m hil.sim.page"


def test_every_scenario_of_the_project_fits() -> None:
    check = validator("scenario-file")
    wrong = {
        path.stem: error.message
        for path in all_files()
        for error in check.iter_errors(tomllib.loads(path.read_text()))
    }
    assert wrong == {}


FILE_SPOILS: list[Spoil] = [
    lambda f: f.update(extra=1),
    lambda f: f.pop("id"),
    lambda f: f.update(fault="F" + "49"),
    lambda f: f.update(duration_ms=-1),
    lambda f: f.update(duration_ms="1 s"),
    lambda f: f.update(start="warm"),
    lambda f: f.update(expect=[]),
    lambda f: f.update(seeds=[]),
    lambda f: f["sweep"].update(over="moon"),
    lambda f: f["sweep"].update(steps=0),
    lambda f: f["stimulus"][0].update(do="press harder"),
    lambda f: f["stimulus"][0].pop("at_ms"),
    lambda f: f["window"][0].update(component="intrlock"),
    lambda f: f["window"][0].update(type="opens"),
    lambda f: f["window"][0].update(instance="roof"),
    lambda f: f["window"][0].update(unit="s"),
    lambda f: f["window"][0].update(number="F21"),
    lambda f: f["expect"][0].update(reaction="drak"),
    lambda f: f["expect"][0].pop("within_ms"),
    lambda f: f["expect"][0].update(after=0),
    lambda f: f.update(config={"beam.run_max": 3}),
    lambda f: f.update(circumstances={"line_seq": 0.5}),
]


@pytest.mark.parametrize("spoil", FILE_SPOILS)
def test_a_spoiled_file_is_rejected(spoil: Spoil) -> None:
    payload = file_of("F08-door")
    assert accepts("scenario-file", payload)
    spoil(payload)
    assert not accepts("scenario-file", payload)


def test_verdicts_fit(rows: list[Payload]) -> None:
    assert accepts("scenario", verdicts(rows))
    body, code = run_scenarios([SCENARIOS / "F08-door.toml"], "virtual", 1, lambda text: None)
    assert code == 0
    assert accepts("scenario", body)


CASE_SPOILS: list[Spoil] = [
    lambda v: v.update(schema="carm.scenario/2"),
    lambda v: v.update(extra=1),
    lambda v: v["cases"][0].update(extra=1),
    lambda v: v["cases"][0].update(verdict="passed"),
    lambda v: v["cases"][0].update(reason="because"),
    lambda v: v["cases"][0].update(reason="reaction"),
    lambda v: v["cases"][0].update(clock="wall"),
    lambda v: v["cases"][0].update(fault="F0"),
    lambda v: v["cases"][0].update(effect_seen_ns=1.5),
    lambda v: v["cases"][0].update(reaction_ns=-2),
    lambda v: v["cases"][0].update(journal_sha256="abc"),
    lambda v: v["cases"][0].update(journal_sha256=""),
    lambda v: v["cases"][0].update(set_apart=["a late rig in virtual time"]),
    lambda v: v["cases"][0].pop("beam_at_onset"),
    lambda v: v["cases"][1].update(reason="none"),
    lambda v: v["cases"][1].update(detail=""),
    lambda v: v["cases"][1].update(reason="no_run"),
    lambda v: v["cases"][2].update(set_apart=[]),
    lambda v: v["cases"][2].update(reason="reaction"),
    lambda v: v["cases"][3].update(clock="virtual"),
]


@pytest.mark.parametrize("spoil", CASE_SPOILS)
def test_a_spoiled_verdict_is_rejected(spoil: Spoil, rows: list[Payload]) -> None:
    payload = verdicts(rows)
    spoil(payload)
    assert not accepts("scenario", payload)


def clocks() -> Payload:
    line, _ = Cases(scenario("F08-door")).played(1, 5)
    side, other = Side(line, ("press fluoro", "pulses")), Side(line, ("pulses",))
    rows = [compare(side, side), compare(side, other)]
    return {"schema": "carm.clocks/1", "rows": rows, "agree": False}


def test_both_clocks_fit_and_spoils_do_not() -> None:
    good = clocks()
    assert accepts("scenario-clocks", good)
    spoils: list[Spoil] = [
        lambda c: c.update(agree=None),
        lambda c: c["rows"][0].update(differs=["order"]),
        lambda c: c["rows"][1].update(differs=[]),
        lambda c: c["rows"][1].update(differs=["time"]),
        lambda c: c["rows"][0].update(virtual="waiting"),
        lambda c: c["rows"][0].pop("order_real"),
    ]
    for spoil in spoils:
        payload = copy.deepcopy(good)
        spoil(payload)
        assert not accepts("scenario-clocks", payload)


def test_picture_truth_and_refusal_fit(tmp_path: Path) -> None:
    def never(*_given: object) -> Payload:
        raise AssertionError

    path = SCENARIOS / "F08-door.toml"
    body, _ = plot_of(path, "virtual", None, 5, tmp_path / "a.png", False, never)
    assert accepts("scenario-plot", body)
    assert not accepts("scenario-plot", {**body, "panels": []})
    body, _ = truth_of(path, None, 5, tmp_path / "truth.jsonl", False)
    assert accepts("scenario-truth", body)
    assert not accepts("scenario-truth", {**body, "pulses": -1})
    (tmp_path / "case.toml").write_text('id = "x"\nfault = "F99"\n[[expect]]\nreaction = "drak"\n')
    body, code = truth_of(tmp_path / "case.toml", None, 0, tmp_path / "t", False)
    assert code == 2
    assert len(body["error"]["also"]) == 1
    assert accepts("refusal", body)
    body["error"]["also"][0]["why"] = "so"
    assert not accepts("refusal", body)
    body, _ = truth_of(tmp_path / "none.toml", None, 0, tmp_path / "t", False)
    assert accepts("refusal", body)
