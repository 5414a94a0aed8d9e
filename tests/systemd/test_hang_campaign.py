"""The sums of many hangs: kept over slices, for one state of the program, and never prettier."""

import json
import time
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest

from tests.board import campaign, hangs
from tests.board.container import ROOT
from tests.board.machine import MS, Late, Machine

SCHEMA = json.loads((ROOT / "docs/schemas/hangs.json").read_text())
PROGRAM = "0123456789abcdef"
GOOD: dict[str, Any] = {"restart_s": 3.1, "dark_ms": 12.0, "wrong": [], "beam_apart": ""}


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


class Board:
    """A board whose beam went on, or not, while its service hung."""

    def __init__(self, gap_ms: float, fault: str, late_ms: float) -> None:
        now_ns = time.monotonic_ns()
        self.hung_ns = now_ns - round((gap_ms + 50) * MS)
        self._rises = [now_ns - 50 * MS]
        self._fault, self._late_ms = fault, late_ms

    def hv(self, value: int, since_ns: int) -> list[int]:
        return [t_ns for t_ns in self._rises if t_ns >= since_ns]

    def truth(self, since_ns: int) -> list[dict[str, Any]]:
        late = {"kind": "process", "name": "edge_late", "value": round(self._late_ms * MS)}
        return [late] if self._late_ms else []

    def mode(self) -> str:
        return "FAULT" if self._fault else "HOLD"

    def say(self, what: str) -> dict[str, Any]:
        faults = [{"id": "executive_trip", "detail": self._fault}] if self._fault else []
        return {"mode": self.mode(), "faults": faults}

    def do(self, what: str) -> None: ...

    def make_ready(self) -> None: ...


STALL = "stall: loop away for 60 ms: cpu_starved 55.5 ms"


@pytest.mark.parametrize(
    ("gap_ms", "fault", "late_ms", "wrong", "apart"),
    [
        (60, "", 0, 0, ""),
        (60, "", 2, 0, ""),
        (400, "", 0, 1, ""),
        (400, "pulse_without_xray: PULSE high, no X-rays", 0, 2, ""),
        (60, "stall: loop away for 60 ms: own_code 55.5 ms", 0, 1, ""),
        (400, "", 2, 0, "the room was 2.0 ms late: the beam paused for 400 ms"),
        (60, STALL, 0, 0, f"the loop was away: cpu_starved: FAULT: executive_trip ({STALL})"),
    ],
)
def test_a_beam_that_this_computer_took_away_is_judged_by_nobody_and_told(
    gap_ms: float, fault: str, late_ms: float, wrong: int, apart: str
) -> None:
    board = Board(gap_ms, fault, late_ms)
    found = hangs._goes_on(cast(Machine, board), "service", board.hung_ns)
    assert len(found["wrong"]) == wrong
    assert found.get("beam_apart", "") == apart


def test_a_beam_apart_is_counted() -> None:
    struck("service", GOOD | {"dark_ms": None, "beam_apart": "the room was 2.0 ms late"})
    assert kept()["kinds"]["service"]["beam_apart"] == 1


def test_complete_means_so_many_of_every_kind() -> None:
    found = campaign.fresh(PROGRAM)
    assert campaign.told(found, 1) == campaign.INCOMPLETE
    for row in found["kinds"].values():
        campaign.add(row, GOOD)
    assert campaign.told(found, 1) == 0
    assert campaign.told(found, 2) == campaign.INCOMPLETE


def test_of_kinds_that_were_chosen_only_those_are_asked() -> None:
    found = campaign.fresh(PROGRAM)
    campaign.add(found["kinds"]["service"], GOOD)
    assert campaign.told(found, 1, ("service",)) == 0
    assert campaign.told(found, 1, ("service", "durable")) == campaign.INCOMPLETE
    found["kinds"]["durable"]["failed"] = ["not dark"]
    assert campaign.told(found, 1, ("service",)) == 0
    assert campaign.told(found, 1, ("durable",)) == 1


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
