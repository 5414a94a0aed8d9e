"""`carm service watch` and completion: what people see, without a broker."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from controller.cli.completion import keys_and_values
from controller.cli.service_watch import EVENTS_MAX, ROWS_MAX, Seen, view
from controller.core.faults import Held
from controller.core.modes import Mode
from controller.core.service import picture
from controller.service.core.picture import STATE_OF
from tests.service.test_remote import NOW, machine


def drawn(seen: Seen) -> str:
    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(view(seen))
    return console.export_text()


def seen_of(mode: Mode) -> Seen:
    core = machine(mode).core
    core.faults = (Held("generator_lost", "three missed", NOW),) if mode is Mode.FAULT else ()
    found = Seen("bench-1")
    for name, make in STATE_OF.items():
        found.take(f"state/{name}", make(picture(core, NOW)).model_dump(mode="json"))
    service = {"online": True, "device": "bench-1", "epoch": 7, "pid": 12, "started_ms": 0,
               "commands": "signed"}  # fmt: skip
    found.take("state/service", service)
    return found


def test_before_anything_came_nothing_is_claimed() -> None:
    text = drawn(Seen("bench-1"))
    assert "OFFLINE" in text
    assert "not known yet" in text
    assert "STANDBY" not in text


def test_a_fault_is_seen_with_its_cause_and_what_to_do() -> None:
    text = drawn(seen_of(Mode.FAULT))
    for word in ("FAULT", "dark", "generator_lost", "three missed", "● estop", "70 kV", "pedals up",
                 "nobody", "realtime 4711"):  # fmt: skip
        assert word in text, word


def test_long_lists_end_and_say_how_much_is_left() -> None:
    seen = seen_of(Mode.STANDBY)
    one = {"code": "x", "value": None, "limit": "y", "remedy": "z"}
    seen.take("state/why", {"reasons": [one] * (ROWS_MAX + 3)})
    for number in range(EVENTS_MAX + 2):
        seen.take("event/mode", {"seq": number, "t_ms": 0, "before": None, "mode": f"M{number}"})
    text = drawn(seen)
    assert "and 3 more" in text
    assert "M1 " not in text


def test_an_unknown_pedal_is_not_shown_as_up() -> None:
    seen = seen_of(Mode.STANDBY)
    seen.take("state/pedals", {"known": False, "up": None, "contacts": None})
    assert "pedals not known" in drawn(seen)


@pytest.mark.parametrize(
    ("name", "words", "begun", "found"),
    [
        ("telemetry_rate", [], "", ["name=", "hz="]),
        ("telemetry_rate", ["name=beam"], "", ["hz="]),
        ("telemetry_rate", [], "name=b", ["name=beam"]),
        ("telemetry_rate", ["name", "="], "g", ["generator"]),
        ("process_restart", [], "process=", ["process=realtime", "process=imaging",
                                             "process=service"]),
        ("lock_out", [], "reason=", []),
        ("no_such", [], "", []),
    ],
)  # fmt: skip
def test_keys_and_values_complete(
    name: str, words: list[str], begun: str, found: list[str]
) -> None:
    assert [word for word, _ in keys_and_values(name, words, begun)] == found


def test_a_shell_gets_the_names_of_commands() -> None:
    asked: dict[str, Any] = {"_CARM_COMPLETE": "complete_bash", "COMP_CWORD": "3",
                             "COMP_WORDS": "carm service command fault"}  # fmt: skip
    carm = Path(sys.executable).with_name("carm")
    done = subprocess.run([carm], env=os.environ | asked, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.stdout.split() == ["faults", "fault_acknowledge"], done.stderr
