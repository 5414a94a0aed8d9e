"""What `carm … --json` says of a running machine fits its schema; a spoiled object does not."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from controller.cli import demo_summary
from controller.cli.demo_script import Script, Step
from controller.cli.demo_watch import Watch
from controller.cli.machine import BENCH
from controller.cli.stage import StageError
from tests.plugins.occasions import REPEATED
from tests.system.machine import PLAYS_MAX, Machine
from tests.system.test_bad_input import carm

SCHEMAS: Final = Path(__file__).resolve().parents[2] / "docs" / "schemas"
COMMANDS: Final = ("up", "down", "status", "why", "faults", "ready", "reset", "set", "select",
                   "selftest", "config-check", "frames", "rig-do", "rig-inject", "rig-truth",
                   "rig-beam", "refusal", "demo")  # fmt: skip
# Of the demo's script: what it takes to fill every figure, without its long stretches of beam.
STEPS: Final = ("self_test", "ready", "short_presses", "kill", "restart", "reset")
SELF_TEST_FAILED: Final = ("self_test", "fault_self_test")
Payload = dict[str, Any]


def validator(name: str) -> jsonschema.Draft202012Validator:
    """Of one schema, itself checked."""
    loaded = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(loaded)
    return jsonschema.Draft202012Validator(loaded)


def faults_of(name: str, payload: Payload) -> list[str]:
    """What is wrong with a payload, in words."""
    return [
        f"{'.'.join(str(key) for key in error.absolute_path)}: {error.message[:200]}"
        for error in validator(name).iter_errors(payload)
    ]


def run(code: int, *words: str) -> Payload:
    """The object of a command that must end with `code`; it is one object, alone on stdout."""
    return tried(*words, codes=(code,))[0]


def tried(*words: str, codes: tuple[int, ...]) -> tuple[Payload, int]:
    """The object of a command that may end with each of `codes`, and with which it did."""
    done = carm(*words, "--json")
    assert done.returncode in codes, f"{words}: {done.returncode} {done.stdout} {done.stderr}"
    return json.loads(done.stdout), done.returncode


def ready(command: str, *at: str) -> Payload:
    """What `ready` or `selftest` says when it goes well.

    A self-test times edges.  One that this computer has held up is answered as a person answers it,
    by a reset and once more, and told; a step that fails every time fails here.
    """
    for _ in range(PLAYS_MAX):
        body, code = tried(command, *at, codes=(0, 3))
        if code == 0:
            return body
        assert body["error"]["code"] in SELF_TEST_FAILED, body
        REPEATED.append(f"{command}: {run(0, 'faults', *at)['held']}")
        run(0, "reset", *at)
    raise AssertionError(f"{PLAYS_MAX} times in a row: {REPEATED[-1]}")


def filmed(*at: str) -> tuple[Payload, Payload]:
    """What a press says, and the frames of it; a press that a stall has spent is made again."""
    for _ in range(PLAYS_MAX):
        pressed = run(0, "rig", "do", "press fluoro", *at)
        frames, code = tried("frames", *at, "--count", "3", "--timeout", "10", codes=(0, 1))
        if code == 0:
            return pressed, frames
        REPEATED.append(f"frames: {run(0, 'status', *at)['mode']}")
        run(0, "rig", "do", "release fluoro", *at)
        run(0, "reset", *at)
        ready("ready", *at)
    raise AssertionError(f"no frames of {PLAYS_MAX} presses: {REPEATED[-1]}")


def played(machine: Machine, out: Path) -> Payload:
    """The summary of a short demo on a machine that is up."""
    watch = Watch(machine.endpoints["frames"])
    watch.start()
    script, done = Script(machine, seed=3), []
    try:
        for step, act in script.steps():
            if step.id in STEPS:
                done.append(played_step(machine, script, step, act))
        machine.quiet()
        lacking = demo_summary.degraded(machine.run_dir, machine.rig.status())
    finally:
        machine.rest()
        machine.rig.flush()
        report = watch.stop()
    for name in ("truth.jsonl", "blackbox.ring"):
        (out / name).write_bytes((machine.run_dir / name).read_bytes())
    return demo_summary.summarise(out, script, done, watch, report, lacking) | {"wall_s": 1.0}


def played_step(machine: Machine, script: Script, step: Step, act: Any) -> Step:
    """One step; a stall of this computer is told in it, as the demo does."""
    try:
        step.observed, step.ok = act(), True
    except StageError as error:
        step.observed = str(error)
        script.at_rest()
    return step


@pytest.fixture(scope="module")
def said(small: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Payload]:
    """What each command says, asked once."""
    folder = tmp_path_factory.mktemp("said")
    run_dir = folder / "run"
    at = ("--run-dir", str(run_dir))
    told = {"up": run(0, "up", *at, "--config", str(small))}
    try:
        told["ready"] = ready("ready", *at)
        told["set"] = run(0, "set", *at, "--kv", "71")
        told["select"] = run(0, "select", "cine", *at)
        told["selftest"] = ready("selftest", *at)
        ready("ready", *at)
        told["rig-do"], told["frames"] = filmed(*at)
        told["rig-inject"] = run(0, "rig", "inject", "F09", "--for", "1ms", *at)
        run(0, "rig", "do", "release fluoro", *at)
        told["why"] = run(0, "why", *at)
        told["faults"] = run(0, "faults", *at)
        told["status"] = run(0, "status", *at)
        told["reset"] = run(0, "reset", *at)
        told["refusal"] = run(2, "set", *at, "--ms", "12.5")
        told["rig-truth"] = run(0, "rig", "truth", *at, "--out", str(folder / "truth.jsonl"))
    finally:
        told["down"] = run(0, "down", *at)
    told["config-check"] = run(0, "config", "check", str(BENCH))
    told["rig-beam"] = run(0, "rig", "beam", "--kv", "70")
    with Machine(small) as machine:
        told["demo"] = played(machine, folder)
    return told


@pytest.mark.process
@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_command_says_fits_its_schema(said: dict[str, Payload], name: str) -> None:
    assert faults_of(name, said[name]) == []


@pytest.mark.process
@pytest.mark.parametrize("name", COMMANDS)
def test_a_spoiled_object_is_rejected(said: dict[str, Payload], name: str) -> None:
    required = json.loads((SCHEMAS / f"{name}.json").read_text())["required"]
    for spoiled in spoils(said[name], required):
        assert faults_of(name, spoiled), spoiled


def spoils(good: Payload, required: list[str]) -> Iterator[Payload]:
    """A key too many at every level, a required one missing, another type, another version."""
    for path in objects(good):
        spoiled = copy.deepcopy(good)
        at(spoiled, path)["unheard_of"] = 1
        yield spoiled
    for key in required:
        yield {k: v for k, v in good.items() if k != key}
    for key in good:
        yield good | {key: [{"of": "another kind"}]}
    if "schema" in good:
        yield good | {"schema": good["schema"].replace("/1", "/2")}


def objects(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths of every object in a payload, the first of each list."""
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from objects(inner, (*path, key))
    elif isinstance(value, list) and value:
        yield from objects(value[0], (*path, 0))


def at(payload: Any, path: tuple[str | int, ...]) -> Any:
    """The object at a path."""
    for key in path:
        payload = payload[key]
    return payload


BAD: Final = [
    ("status", ("mode",), "TIRED"), ("status", ("technique", "kv"), 1e6),
    ("status", ("executive", "lines", "door"), 2), ("status", ("distance",), 5),
    ("status", ("rates",), []), ("why", ("reasons", 0, "code"), "Not A Code"),
    ("faults", ("catalogue", 0, "severity"), "fine"), ("up", ("pids", "launcher"), 0),
    ("up", ("endpoints", "orders"), "orders.sock"), ("set", ("ok",), False),
    ("ready", ("mode",), None), ("down", ("was_up",), 1), ("frames", ("lost",), -1),
    ("frames", ("missing_by_reason",), {"gone": 1}), ("demo", ("pulses_emitted",), -1),
    ("demo", ("frames_missing",), {"gone": 1}), ("demo", ("commit",), "main"),
    ("refusal", ("error", "blame"), "nobody"), ("refusal", ("error", "remedy"), ""),
    ("rig-beam", ("hvl_mm_al",), 0), ("config-check", ("keys",), 0),
]  # fmt: skip


@pytest.mark.process
@pytest.mark.parametrize(("name", "path", "value"), BAD, ids=[f"{n} {p[-1]}" for n, p, _ in BAD])
def test_a_value_out_of_its_range_is_rejected(
    said: dict[str, Payload], name: str, path: tuple[str | int, ...], value: Any
) -> None:
    spoiled = copy.deepcopy(said[name])
    at(spoiled, path[:-1])[path[-1]] = value
    assert faults_of(name, spoiled)


@pytest.mark.process
def test_the_numbers_of_a_demo_agree(said: dict[str, Payload]) -> None:
    demo = said["demo"]
    assert demo["accounts_agree"] is True
    assert demo["pulses_emitted"] == demo["pulses_recorded"] > 0
    assert (demo["referee_violations"], demo["pulses_outside_window"]) == (0, 0)
    assert demo["beam_without_pedal"] == 0
    assert [step["id"] for step in demo["steps"]] == list(STEPS)


@pytest.mark.process
def test_exit_codes_tell_whose_it_was(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert run(3, "status", "--run-dir", nowhere)["error"]["blame"] == "machine"
    assert run(2, "rig", "beam", "--kv", "7000")["error"]["blame"] == "input"
    assert run(2, "config", "check", nowhere)["error"]["key"] == "file"
    assert run(0, "down", "--run-dir", nowhere)["was_up"] is False
