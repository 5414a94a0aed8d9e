"""The sums of many hangs: kept over slices, for one state of the program, and never prettier."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.board import campaign, hangs
from tests.board.container import ROOT
from tests.board.machine import Late

SCHEMA = json.loads((ROOT / "docs/schemas/hangs.json").read_text())
PROGRAM = "0123456789abcdef"
GOOD: dict[str, Any] = {"restart_s": 3.1, "dark_ms": 12.0, "wrong": []}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(campaign, "WORK", tmp_path)
    monkeypatch.setattr(campaign, "SUMS", tmp_path / "hangs.json")
    monkeypatch.setattr(campaign, "LOCK", tmp_path / "hangs.lock")
    return tmp_path


def kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(campaign.SUMS.read_text())
    jsonschema.validate(found, SCHEMA)
    return found


def struck(kind: str, found: dict[str, Any] | Exception, program: str = PROGRAM) -> bool:
    def strike() -> dict[str, Any]:
        if isinstance(found, Exception):
            raise found
        return found

    return campaign.played(strike, program, kind)


def test_a_slice_goes_on_where_the_last_one_ended() -> None:
    assert struck("realtime", GOOD)
    assert struck("realtime", GOOD | {"dark_ms": None, "restart_s": 3.3})
    row = kept()["kinds"]["realtime"]
    assert (row["n"], row["good"], row["dark_n"], row["dark_apart"]) == (2, 2, 1, 1)
    assert (row["restart_s_max"], row["dark_ms_max"]) == (3.3, 12.0)


def test_another_state_of_the_program_begins_anew() -> None:
    struck("realtime", GOOD)
    struck("imaging", GOOD, "f" * 16)
    kinds = kept()["kinds"]
    assert (kinds["realtime"]["n"], kinds["imaging"]["n"]) == (0, 1)


def test_a_bad_answer_and_none_at_all_are_hangs_and_a_beam_that_did_not_come_is_not() -> None:
    assert struck("supervisor", GOOD | {"wrong": ["came up READY"]})
    assert struck("supervisor", Late("a restart did not come"))
    assert not struck("supervisor", hangs.NotStruck("READY did not come"))
    row = kept()["kinds"]["supervisor"]
    assert (row["n"], row["good"], row["not_struck"], len(row["failed"])) == (2, 0, 1, 2)
    assert campaign.told(kept(), 1) == 1


def test_complete_means_so_many_of_every_kind() -> None:
    found = campaign.fresh(PROGRAM)
    assert campaign.told(found, 1) == campaign.INCOMPLETE
    for row in found["kinds"].values():
        campaign.add(row, GOOD)
    assert campaign.told(found, 1) == 0
    assert campaign.told(found, 2) == campaign.INCOMPLETE


def test_the_rarest_kind_is_next_and_none_that_the_slice_could_not_end() -> None:
    found = campaign.fresh(PROGRAM)
    assert {campaign.next_kind(found, 1, 100.0, turn) for turn in range(7)} == {*hangs.KINDS}
    found["kinds"]["imaging"]["n"] = -1
    assert campaign.next_kind(found, 1, 100.0, 4) == "imaging"
    assert campaign.next_kind(found, 1, 1.0, 0) is None
    for row in found["kinds"].values():
        row["n"] = 1
    found["kinds"]["durable"]["n"] = 0
    assert campaign.next_kind(found, 1, 12.0, 0) is None
    assert campaign.next_kind(found, 1, 30.0, 0) == "durable"


def test_the_fingerprint_names_what_runs_on_the_board() -> None:
    assert campaign.fingerprint() == campaign.fingerprint()
    jsonschema.validate(campaign.fresh(campaign.fingerprint()), SCHEMA)
