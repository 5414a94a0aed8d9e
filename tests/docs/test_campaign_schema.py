"""The schemas of a campaign: what its sums really are fits, spoiled reports do not."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hil.sim.catalogue import coverage
from hil.sim.episode import Tally
from hil.sim.plan import Plan, Unit
from hil.sim.totals import sums

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
Payload = dict[str, Any]


def accepts(name: str, payload: Payload) -> bool:
    loaded: Payload = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(loaded)
    return not list(jsonschema.Draft202012Validator(loaded).iter_errors(payload))


def finished(unit: Unit, *violations: str) -> Payload:
    tally = Tally(unit[1], 120_000_000_000, 30_000_000_000, 400, 20, 1, 9_000, 800,
                  {"F08": 20}, list(violations), "ab" * 32, struck=True)  # fmt: skip
    return {"unit": list(unit), "cpu_s": 1.5, **tally.shown()}


def report() -> Payload:
    rows = [
        finished(("episode", 10, 0, 0)), finished(("rerun", 10, 0, 0)),
        finished(("examination", 40, 0, 0), "false trip: FAULT"),
        finished(("examination rerun", 40, 0, 0)),
        finished(("pair", 1, 8, 29)), finished(("pair", 2, 8, 29), "invariant 1: dead-man"),
    ]  # fmt: skip
    return sums(rows, Plan(10, 1.0, 2, 1), 12.0)


def test_a_report_fits_also_when_nothing_is_finished() -> None:
    assert accepts("campaign", report())
    assert accepts("campaign", sums([], Plan(1, 0.0, 0, 1), 0.0))


SPOILS: list[Callable[[Payload], object]] = [
    lambda r: r.update(schema="carm.campaign/2"),
    lambda r: r.update(extra=1),
    lambda r: r.pop("beam_on_fraction"),
    lambda r: r.update(beam_on_fraction=1.1),
    lambda r: r.update(pulses=-1),
    lambda r: r.update(pulses=1.5),
    lambda r: r.update(x_realtime="fast"),
    lambda r: r["faults_by_number"].update(**{"F" + "49": 1}),
    lambda r: r["faults_by_number"].update(F08=0),
    lambda r: r["violations"][0].update(what=[]),
    lambda r: r["violations"][0].update(replay="carm campaign"),
    lambda r: r["violations"][0]["unit"].append(1),
    lambda r: r["violations"][0]["unit"].__setitem__(0, "hour"),
    lambda r: r["units"].pop("planned"),
    lambda r: r["units"].update(failed=0),
]


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_spoiled_report_is_rejected(spoil: Callable[[Payload], object]) -> None:
    payload = copy.deepcopy(report())
    spoil(payload)
    assert not accepts("campaign", payload)


def test_one_unit_again_and_the_coverage_of_the_catalogue_fit() -> None:
    again = {"schema": "carm.replay/1", **Tally(7, sha256="cd" * 32).shown()}
    assert accepts("campaign-replay", again)
    assert not accepts("campaign-replay", {**again, "sha256": "x"})
    assert not accepts("campaign-replay", {**again, "inside": "nowhere"})
    body: Payload = {"schema": "carm.coverage/1", "faults": coverage([("F08", "F08-door")])}
    assert accepts("scenario-coverage", body)
    body["faults"][7].update(status="passed")
    assert not accepts("scenario-coverage", body)
