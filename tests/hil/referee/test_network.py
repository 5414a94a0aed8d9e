"""Recorded MQTT traffic beside the truth: honest traffic holds, each lie is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hil.referee.commands import run_referee
from tests.hil.referee.story import MS, Story, exam

Line = dict[str, Any]
WALL_MS = 1_800_000_000_000
START_NS = 1_000 * MS


class Traffic:
    """A recording in the making, over the story's time."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.say(START_NS, "state/service", {"epoch": 7}, retain=True)
        self.say(START_NS, "state/mode", {"mode": "STANDBY"}, retain=True)

    def say(self, t_ns: int, topic: str, value: Any, retain: bool = False) -> None:
        self.lines.append({
            "t_ns": t_ns, "t_ms": WALL_MS + t_ns // MS, "topic": f"carm/bench-1/{topic}", "qos": 1,
            "retain": retain, "payload": value if isinstance(value, str) else json.dumps(value),
        })  # fmt: skip

    def command(
        self, t_ns: int, name: str, *results: str, retain: bool = False, sig: str | None = "x",
        took_ns: int = 20 * MS, **changed: Any,
    ) -> None:  # fmt: skip
        """A valid command with its replies; `changed` replaces fields of the body."""
        body = {
            "id": f"command-{len(self.lines)}", "device": "bench-1", "epoch": 7, "command": name,
            "not_before_ms": 0, "expires_ms": WALL_MS + t_ns // MS + 60_000, "arguments": {},
        } | changed  # fmt: skip
        self.say(t_ns, f"cmd/{name}", {"body": json.dumps(body), "sig": sig}, retain)
        for result in results:
            self.say(t_ns + took_ns, f"reply/{body['id']}", {"command": name, "result": result})

    def write(self, path: Path) -> Path:
        ordered = sorted(self.lines, key=lambda line: int(line["t_ns"]))
        head = {"schema": "carm.mqtt_record/1", "device": "bench-1"}
        path.write_text("".join(json.dumps(one) + "\n" for one in [head, *ordered]))
        return path


def pressed(story: Story) -> tuple[int, int]:
    """First press of the exam, and its release."""
    at = [r["t_ns"] for r in story.records if (r["name"], r["value"]) == ("fluoro_no", 1)]
    up = [r["t_ns"] for r in story.records if (r["name"], r["value"]) == ("fluoro_no", 0)]
    return at[0], next(t_ns for t_ns in up if t_ns > at[0])


def honest(story: Story) -> Traffic:
    """A session with a dry run, and commands that were rightly refused."""
    told, (down_ns, up_ns) = Traffic(), pressed(story)
    told.command(START_NS + 5 * MS, "why", "done", sig=None)
    told.say(START_NS + 6 * MS, "state/session", {"open": True}, retain=True)
    told.command(START_NS + 8 * MS, "dry_run", "accepted", "done", took_ns=4 * MS)
    told.say(START_NS + 20 * MS, "state/session", {"open": False}, retain=True)
    told.command(START_NS + 22 * MS, "lock_out", "refused", retain=True)
    told.command(START_NS + 23 * MS, "lock_out", "refused", epoch=6)
    middle_ns = (down_ns + up_ns) // 2
    assert middle_ns - down_ns > 300 * MS
    told.command(middle_ns, "lock_out", "refused", took_ns=MS)
    return told


def judged(story: Story, traffic: Traffic, folder: Path) -> tuple[dict[str, str], int]:
    """Status by id, and the exit code."""
    truth = story.write(folder / "truth.jsonl")
    verdict, code = run_referee(truth, mqtt=traffic.write(folder / "mqtt.jsonl"))
    return {row["id"]: row["status"] for row in verdict["crosschecks"]}, code


def test_honest_traffic_holds(tmp_path: Path) -> None:
    story = exam()
    told, code = judged(story, honest(story), tmp_path)
    assert (set(told.values()), len(told), code) == ({"holds"}, 6, 0), told


def _beam_without_foot(story: Story, told: Traffic) -> None:
    told.command(START_NS + 30 * MS, "telemetry_rate", "accepted", "done")
    story.pulse(START_NS + 60 * MS)


def _permit_in_dry_run(story: Story, told: Traffic) -> None:
    story.add(START_NS + 14 * MS, "line", "permit", 1)
    told.command(START_NS + 12 * MS, "dry_run", "accepted", took_ns=MS, id="dry-dry-dry")
    told.say(START_NS + 15 * MS, "reply/dry-dry-dry", {"command": "dry_run", "result": "done"})


def _risen(story: Story, told: Traffic) -> None:
    told.command(START_NS + 30 * MS, "self_test", "accepted", "done")
    told.say(START_NS + 60 * MS, "state/mode", {"mode": "READY"}, retain=True)


def _ready_in_session(story: Story, told: Traffic) -> None:
    at_ns = pressed(story)[1]
    told.say(at_ns, "state/session", {"open": True}, retain=True)
    told.say(at_ns + 400 * MS, "state/mode", {"mode": "READY"}, retain=True)
    told.say(at_ns + 500 * MS, "state/session", {"open": False}, retain=True)


def _with(**changed: Any) -> Callable[[Story, Traffic], None]:
    def doctor(story: Story, told: Traffic) -> None:
        told.command(START_NS + 30 * MS, "lock_out", "accepted", "done", **changed)

    return doctor


def _twice(story: Story, told: Traffic) -> None:
    for at_ns in (30 * MS, 60 * MS):
        told.command(START_NS + at_ns, "telemetry_rate", "accepted", "done", id="the-same-id")


def _unreadable(story: Story, told: Traffic) -> None:
    told.say(START_NS + 30 * MS, "cmd/lock_out", "{")
    told.say(START_NS + 31 * MS, "reply/021fb596db81e6d02bf3d2586ee3981f",
             {"command": "lock_out", "result": "accepted"})  # fmt: skip


def _pedal_down(story: Story, told: Traffic) -> None:
    down_ns, up_ns = pressed(story)
    told.command((down_ns + up_ns) // 2 + 2 * MS, "lock_out", "accepted", "done", took_ns=MS)


@pytest.mark.invariant(14)
@pytest.mark.parametrize(
    ("doctor", "row"),
    [
        (_beam_without_foot, "network_no_beam"), (_permit_in_dry_run, "network_dry_run"),
        (_risen, "network_no_rise"), (_ready_in_session, "network_no_rise"),
        (_with(retain=True), "network_refused"), (_with(sig=None), "network_refused"),
        (_with(epoch=6), "network_refused"), (_with(device="bench-2"), "network_refused"),
        (_with(expires_ms=WALL_MS), "network_refused"),
        (_with(not_before_ms=WALL_MS * 2), "network_refused"),
        (_with(command="why"), "network_refused"), (_unreadable, "network_refused"),
        (_twice, "network_once"), (_pedal_down, "network_only_dark"),
    ],
)  # fmt: skip
def test_a_doctored_log_is_red(
    doctor: Callable[[Story, Traffic], None], row: str, tmp_path: Path
) -> None:
    story = exam()
    traffic = honest(story)
    doctor(story, traffic)
    told, code = judged(story, traffic, tmp_path)
    assert {name for name, status in told.items() if status == "violated"} == {row}
    assert code == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"{}\n", b'{"schema": "carm.mqtt_record/1", "device": "bench-1"}\n[]\n',
     b'{"schema": "carm.mqtt_record/1", "device": "bench-1"}\n{"t_ns": 1}\n'],
)  # fmt: skip
def test_what_is_no_recording_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mqtt.jsonl"
    path.write_bytes(content)
    told, code = run_referee(exam().write(tmp_path / "truth.jsonl"), mqtt=path)
    assert (code, told["error"]["file"]) == (2, str(path))
