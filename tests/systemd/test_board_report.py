"""The report of the booted board: its schema, and the words when no board can be booted."""

import json
import os
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from controller.supervisor.shell import CRITICAL
from tests.board import checks, container, hangs
from tests.board.container import CannotBoot

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/schemas/board.json").read_text())
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


FOUND: Final[dict[str, Any]] = {"restart_s": 3.1, "dark_ms": 12.0, "wrong": [], "beam_apart": ""}


def test_a_hang_after_which_nothing_shone_is_no_zero() -> None:
    tally = hangs.Tally("realtime")
    tally.note(FOUND | {"dark_ms": None})
    assert tally.darks_ms == []
    assert tally.row()["ok"]
    assert "dark_apart 1" in tally.row()["detail"]
    assert "dark_ms" not in tally.row()["detail"]
    tally.note(FOUND)
    assert "dark_ms max 12.0 of 20, n 1" in tally.row()["detail"]


def test_one_hang_that_was_answered_badly_or_not_at_all_fails_them_all() -> None:
    for spoil in (
        lambda tally: tally.note(FOUND | {"wrong": ["came up READY"]}),
        lambda tally: tally.lost("Late: an abort"),
        lambda tally: None,
    ):
        tally = hangs.Tally("supervisor")
        if spoil(tally) is None and tally.n:
            tally.note(FOUND)
        assert not tally.row()["ok"]
        jsonschema.validate({**REPORT, "checks": [tally.row()]}, SCHEMA)


def test_hangs_end_with_their_number_or_their_time() -> None:
    def late() -> dict[str, Any]:
        raise TimeoutError("no abort")

    assert hangs.repeated("imaging", 3, lambda: FOUND, 100.0).row()["value"] == 3
    assert hangs.repeated("imaging", 100, lambda: FOUND, 0.0).n == 1
    assert hangs.repeated("imaging", 2, late, 100.0).row()["value"] == 0


def test_the_limits_are_those_of_the_units() -> None:
    for kind in hangs.KINDS:
        unit = f"systemd/carm-{hangs.process_of(kind)}.service"
        given = dict(row.partition("=")[::2] for row in (ROOT / unit).read_text().splitlines())
        watchdog_s = float(given["WatchdogSec"].removesuffix("s"))
        restart = given["RestartSec"]
        restart_s = float(restart[:-2]) / 1000 if restart.endswith("ms") else float(restart[:-1])
        patience_s = hangs.PATIENCE_S.get(kind, 0)
        assert hangs.restart_max_s(kind) == pytest.approx(1.1 * watchdog_s + restart_s + patience_s)
    assert {*hangs.SUPERVISOR_TASKS} == {*CRITICAL}
    assert {name: ns / 1e9 for name, ns in CRITICAL.items() if ns} == hangs.PATIENCE_S
