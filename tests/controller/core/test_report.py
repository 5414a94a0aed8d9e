"""What the supervisor shows of itself: units and absences; words are judged where they are made."""

import pytest

from controller.core.events import GeneratorStatus
from controller.core.faults import Held
from controller.core.modes import DISTANCE
from controller.core.report import ANSWERS, faults, status, why
from realtime.wire.lines import In
from tests.controller.core.scene import MS, RESTING, Scene, imaging_state, state

pytestmark = pytest.mark.invariant(12)


def test_a_supervisor_that_nobody_spoke_to() -> None:
    scene = Scene()
    shown = status(scene.core, scene.now_ns)
    assert (shown["schema"], shown["mode"], shown["distance"]) == (
        "carm.status/1", "BOOT", DISTANCE[scene.mode()],
    )  # fmt: skip
    assert shown["executive"] == {"up": False, "pid": 0, "epoch": 0}
    assert shown["imaging"] == {"up": False, "pid": 0, "epoch": 0}
    assert shown["generator"] == {"up": False, "detail": "not connected yet"}
    empty = ("run_id", "committed_id", "reconciliation", "last_run")
    assert [shown[key] for key in empty] == [None] * 4
    assert (shown["faults"], shown["self_test"]) == ([], [])


def test_ages_and_lateness_in_their_units() -> None:
    scene = Scene().ready()
    core = scene.core
    core.executive.state = state(0, late_max_ns=1_500, late_turns=2, black_box_unread=5)
    core.imaging.state = imaging_state(0, frames_read=3, frames_published=2, frames_missing=1)
    core.executive.state_ns = core.imaging.state_ns = scene.now_ns
    later_ns = scene.now_ns + 60_000 * MS - 1
    shown = status(core, later_ns)
    assert (shown["executive"]["age_ms"], shown["imaging"]["age_ms"]) == (59_999, 59_999)
    assert status(core, later_ns + 1)["executive"]["age_ms"] == 60_000
    assert status(core, later_ns + 1)["imaging"]["age_ms"] == 60_000
    assert shown["executive"]["late_max_us"] == 1.5
    assert (shown["executive"]["late_turns"], shown["executive"]["black_box_unread"]) == (2, 5)
    pictures = shown["imaging"]
    assert [pictures[f"frames_{key}"] for key in ("read", "published", "missing")] == [3, 2, 1]


def test_each_line_is_shown_by_its_name() -> None:
    scene = Scene().ready()
    scene.core.executive.state = state(0, lines_in=RESTING | 1 << In.XRAY_ON)
    lines = status(scene.core, scene.now_ns)["executive"]["lines"]
    high = {name for name, level in lines.items() if level == 1}
    assert high == {line.name.lower() for line in In if (RESTING | 1 << In.XRAY_ON) >> line & 1}
    assert set(lines.values()) == {0, 1}
    assert len(lines) == len(In)


def test_a_run_and_what_was_committed_are_named() -> None:
    scene = Scene().exposing()
    shown = status(scene.core, scene.now_ns)
    assert scene.core.committed is not None
    assert shown["run_id"] == scene.run_id
    assert shown["committed_id"] == scene.core.committed.technique_id
    assert shown["reconciliation"] == ""
    scene.core.last_run = {"pulses": 3}
    assert status(scene.core, scene.now_ns)["last_run"] == {"pulses": 3}


@pytest.mark.parametrize(("up", "detail"), [(True, ""), (False, "silent")])
def test_a_generator_that_is_up_has_no_detail(up: bool, detail: str) -> None:
    scene = Scene().ready()
    scene.core.generator.up, scene.core.generator.down_detail = up, "silent"
    scene.core.generator.status = GeneratorStatus(3, True, False, 18, 250)
    shown = status(scene.core, scene.now_ns)["generator"]
    assert shown == {
        "up": up, "detail": detail, "rotor_ready": True, "filament_ready": False, "faults": 18,
        "heat_per_mille": 250, "counter": scene.core.pairing.counter,
    }  # fmt: skip


def test_the_three_answers() -> None:
    assert {"status": status, "why": why, "faults": faults} == ANSWERS
    scene = Scene().ready()
    scene.core.faults = (Held("no_image", "", 1),)
    assert [one["code"] for one in why(scene.core, scene.now_ns)["reasons"]] == [
        "fault_no_image", "no_press",
    ]  # fmt: skip
    told = faults(scene.core, scene.now_ns)
    assert ([one["id"] for one in told["held"]], len(told["catalogue"])) == (["no_image"], 24)
