"""The report of the booted board: its schema, and the words when no board can be booted."""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.board import checks, container
from tests.board.container import CannotBoot

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/board.json").read_text())
REPORT: dict[str, Any] = {
    "schema": "carm.board/1", "commit": "0123", "dirty": False, "machine": "x86_64", "reason": "",
    "status": "ran", "degraded": [], "wall_s": 1.0,
    "checks": [checks.row("boot", "the system is up", 1.2, "s", 30, True)],
}  # fmt: skip


def test_a_report_keeps_its_schema_and_a_spoiled_one_does_not() -> None:
    jsonschema.validate(REPORT, SCHEMA)
    for spoiled in ({"status": "skipped"}, {"checks": [{"id": "x"}]}, {"extra": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**REPORT, **spoiled}, SCHEMA)


def test_a_check_that_raises_is_a_check_that_failed() -> None:
    def late() -> checks.Row:
        raise TimeoutError("READY did not come")

    found = checks._tried("cold_start", "start to READY", late)
    assert (found["ok"], found["value"]) == (False, None)
    assert "READY did not come" in found["detail"]


def test_a_machine_that_cannot_boot_a_container_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(CannotBoot, match="root"):
        container.take_tools()
