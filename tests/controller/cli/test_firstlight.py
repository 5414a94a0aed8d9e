"""First light: PULSE, WINDOW and the trigger are there, PERMIT is not, and nothing shines."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from controller.cli.machine import BENCH, ROOM
from controller.cli.stage import Stage

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"


@pytest.fixture
def room() -> Iterator[Stage]:
    with Stage(BENCH, ROOM) as stage:
        yield stage


def first_light(room: Stage, *words: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "controller.cli.main", "first-light", "--run-dir",
         str(room.run_dir), "--json", *words],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout)


def truth(room: Stage) -> list[dict[str, Any]]:
    room.rig.flush()
    text = (room.run_dir / "truth.jsonl").read_text()
    return [json.loads(row) for row in text.splitlines()]


def rises(rows: list[dict[str, Any]], name: str) -> int:
    return sum(row["kind"] == "line" and row["name"] == name and row["value"] == 1 for row in rows)


@pytest.mark.process
def test_pulse_and_window_are_seen_and_permit_is_not(room: Stage) -> None:
    code, told = first_light(room, "--step", "pulse", "--repeat", "5", "--every", "0.05")
    assert (code, told["done"], told["failed"]) == (0, 5, [])
    assert told["permit_seen_high"] is False
    jsonschema.validate(told, json.loads((SCHEMAS / "first_light.json").read_text()))
    rows = truth(room)
    assert rises(rows, "pulse") == 10  # outside the window and inside it, each time
    assert rises(rows, "permit") == 0
    assert sum(row["kind"] == "window_open" for row in rows) >= 5
    assert not [row for row in rows if row["kind"] in ("hv", "photons_on") and row["value"]]
    assert not list(Path(room.run_dir).glob("orders.sock"))


@pytest.mark.process
def test_a_wiring_that_could_shine_is_refused(room: Stage) -> None:
    room.rig.inject("F46", target="chain")
    code, told = first_light(room, "--step", "pulse")
    assert code == 3
    assert told["error"]["code"] == "first_light"
    assert told["error"]["value"] == "CHAIN_OK reads closed"
    assert rises(truth(room), "pulse") == 0


@pytest.mark.process
def test_a_pedal_ends_it(room: Stage) -> None:
    room.rig.do("press fluoro")
    code, told = first_light(room, "--step", "pulse", "--repeat", "1")
    assert code in (1, 3)
    assert "error" in told or told["failed"]
    assert rises(truth(room), "pulse") == 0
