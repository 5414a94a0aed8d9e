"""The schemas of the judges accept what is really written and reject every spoiled payload."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hil.referee.commands import run_referee
from realtime.wire.recordfile import row, walk
from tests.hil.referee.doctors import CASES
from tests.hil.referee.story import exam
from tests.realtime.wire.test_recordfile import image_of, record

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
Payload = dict[str, Any]
Spoil = Callable[[Payload], object]

FIGURES: Payload = {
    "schema": "carm.bench/1", "commit": "0123abc", "dirty": False,
    "machine": {"cpu": "a cpu", "cores": 2, "kernel": "6.1", "python": "3.11.7", "realtime": True},
    "started": "2026-01-01T00:00:00+00:00", "wall_s": 1.5,
    "figures": [
        {"id": "beam.release_p50", "area": "beam", "what": "release to gate off", "value": 120.0,
         "unit": "us", "n": 10, "n_full": 10000, "pair": {"name": "bare echo", "value": 60.0},
         "ratio": 2.0, "goal": {"op": "<=", "value": 150, "on": "value"}, "holds": True},
        {"id": "beam.kill", "area": "beam", "what": "kill to dark", "value": None, "unit": "ms",
         "n": 0, "n_full": 200, "pair": None, "ratio": None, "goal": None, "holds": None,
         "reason": "the processes did not start"},
    ],
}  # fmt: skip


def schema(name: str) -> Payload:
    loaded: Payload = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(loaded)
    return loaded


def accepts(name: str, payload: Payload) -> bool:
    validator = jsonschema.Draft202012Validator(schema(name))
    return not list(validator.iter_errors(payload))


def verdict(tmp_path: Path, *, broken: bool) -> Payload:
    story = exam()
    if broken:
        CASES[0].doctor(story)
    return run_referee(story.write(tmp_path / "truth.jsonl"))[0]


def rows() -> list[Payload]:
    image = image_of([record(n) for n in range(1, 4)])
    image[4096 + 128 + 20] ^= 1
    return [row(entry) for entry in walk(bytes(image))]


@pytest.mark.parametrize("broken", [False, True])
def test_a_verdict_fits(broken: bool, tmp_path: Path) -> None:
    assert accepts("referee", verdict(tmp_path, broken=broken))


def test_rows_of_the_black_box_fit() -> None:
    assert [accepts("blackbox-row", one) for one in rows()] == [True, True, True]


def test_figures_fit() -> None:
    assert accepts("bench", FIGURES)


VERDICT_SPOILS: list[Spoil] = [
    lambda v: v.update(schema="carm.referee/2"),
    lambda v: v.update(extra=1),
    lambda v: v.pop("rig_late"),
    lambda v: v.update(pulses=-1),
    lambda v: v.update(invariants=[]),
    lambda v: v["invariants"][0].update(n=19),
    lambda v: v["invariants"][0].update(status="fine"),
    lambda v: v["invariants"][0].update(status="not_exercised"),
    lambda v: v["invariants"][0].update(violations=3),
    lambda v: v["invariants"][0].update(exercised=0),
    lambda v: v["invariants"][0].update(first_t_ns=5),
    lambda v: v["invariants"][0].update(examples="one"),
    lambda v: v["rig_late"].update(worst_ms=-0.1),
    lambda v: v.update(crosschecks=[{"id": "other"}]),
]
ROW_SPOILS: list[Spoil] = [
    lambda r: r.update(extra=1),
    lambda r: r.pop("order_id"),
    lambda r: r.update(order_id="5"),
    lambda r: r.update(bank=2),
    lambda r: r.update(mode="continuous"),
    lambda r: r.update(end_reason="tired"),
    lambda r: r.update(start_ns=0),
    lambda r: r.update(start_ns=1.5),
    lambda r: r.update(kind="damaged"),
    lambda r: r["window_margins_ns"].update(open="wide"),
    lambda r: r["window_margins_ns"].pop("close"),
    lambda r: r.update(truncated=1),
]
FIGURE_SPOILS: list[Spoil] = [
    lambda f: f.update(schema="carm.bench/2"),
    lambda f: f.update(figures=[]),
    lambda f: f.update(commit="main"),
    lambda f: f["machine"].pop("cores"),
    lambda f: f["figures"][0].update(unit="parsec"),
    lambda f: f["figures"][0].update(value="fast"),
    lambda f: f["figures"][0].update(n=-1),
    lambda f: f["figures"][0]["goal"].update(op="<"),
    lambda f: f["figures"][0].update(area="other"),
    lambda f: f["figures"][0].pop("pair"),
    lambda f: f["figures"][1].pop("reason"),
    lambda f: f["figures"][1].update(holds=True),
    lambda f: f["figures"][1].update(extra=0),
]


@pytest.mark.parametrize("spoil", VERDICT_SPOILS)
def test_a_spoiled_verdict_is_rejected(spoil: Spoil, tmp_path: Path) -> None:
    payload = verdict(tmp_path, broken=False)
    spoil(payload)
    assert not accepts("referee", payload)


@pytest.mark.parametrize("spoil", ROW_SPOILS)
def test_a_spoiled_row_is_rejected(spoil: Spoil) -> None:
    payload = rows()[0]
    spoil(payload)
    assert not accepts("blackbox-row", payload)


@pytest.mark.parametrize("spoil", FIGURE_SPOILS)
def test_spoiled_figures_are_rejected(spoil: Spoil) -> None:
    payload = copy.deepcopy(FIGURES)
    spoil(payload)
    assert not accepts("bench", payload)
