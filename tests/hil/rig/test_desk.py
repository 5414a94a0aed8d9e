"""The desk answers every line, refuses in the common form, and passes acts on."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.rig.busfaults import BusFaults
from hil.rig.client import RigClient, RigError
from hil.rig.desk import LINE_BYTES_MAX, Desk
from hil.room.commands import Action, Clear, Command, Inject, Mark, Reply, Wiring

REFUSAL_KEYS = {"code", "blame", "key", "value", "allowed", "remedy"}


class Room:
    """Takes every command; refuses or is absent when told."""

    def __init__(self) -> None:
        self.asked: list[Command] = []
        self.reply: Reply | None = Reply(0, True, 77, "", "")

    def ask(self, command: Callable[[int], Command]) -> Reply | None:
        self.asked.append(command(1))
        return self.reply


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def faults() -> BusFaults:
    return BusFaults(lambda *_: None)


@pytest.fixture
def desk(tmp_path: Path, room: Room, faults: BusFaults) -> Iterator[Desk]:
    desk = Desk(tmp_path / "rig.sock", room.ask, faults, lambda: {"frames": 3}, lambda: 42)
    desk.start()
    yield desk
    desk.close()
    assert not (tmp_path / "rig.sock").exists()


@pytest.fixture
def rig(desk: Desk, tmp_path: Path) -> Iterator[RigClient]:
    with RigClient(tmp_path / "rig.sock") as client:
        yield client


def test_acts_faults_wiring_and_marks_reach_the_room(rig: RigClient, room: Room) -> None:
    assert rig.do("press fluoro") == 77
    rig.do("release fluoro", 0.25, "pulse")
    rig.inject("F08", target="door", for_ms=1.5, after_ms=2, phase=0.3)
    rig.clear("F08")
    rig.wiring(chain=False)
    rig.wiring(preset=False)
    rig.mark("realtime", "kill9", (1 << 60) + 1)
    assert room.asked == [
        Action(1, "press fluoro", -1.0, "cycle"),
        Action(1, "release fluoro", 0.25, "pulse"),
        Inject(1, "F08", "door", 0.0, 2_000_000, 1_500_000, 0.3, "cycle"),
        Clear(1, "F08"),
        Wiring(1, True, False, True),
        Wiring(1, True, False, False),
        Mark(1, (1 << 60) + 1, "realtime", "kill9"),
    ]
    assert rig.flush() == 42
    assert rig.status()["wiring"] == {
        "window_gate": True, "chain": False, "preset": False, "backup": True,
    }  # fmt: skip


def test_bus_faults_stay_here(rig: RigClient, room: Room, faults: BusFaults) -> None:
    rig.inject("F16", target="kv", amount=3)
    assert faults.names() == ["F16 kv"]
    rig.clear("F16")
    assert faults.names() == []
    assert room.asked == []
    rig.inject("F18")
    rig.clear()
    assert faults.names() == []
    assert room.asked == [Clear(1, "")]


def test_the_rooms_refusal_is_passed_on(rig: RigClient, room: Room) -> None:
    room.reply = Reply(1, False, 0, "unknown_act", "press, release")
    with pytest.raises(RigError) as refused:
        rig.do("dance")
    assert refused.value.error["code"] == "unknown_act"
    assert refused.value.error["blame"] == "input"
    room.reply = None
    with pytest.raises(RigError) as refused:
        rig.do("press fluoro")
    assert (refused.value.error["code"], refused.value.error["blame"]) == ("no_room", "machine")


@pytest.mark.parametrize(
    ("line", "code", "key"),
    [
        (b"", "malformed", "line"),
        (b"[1]", "malformed", "line"),
        (b"[" * 5000, "malformed", "line"),
        (b"{}", "unknown_request", "line"),
        (b'{"do": "x", "status": true}', "unknown_request", "line"),
        (b'{"do": 3}', "value", "do"),
        (b'{"do": "x", "speed": 1}', "unknown_key", "speed"),
        (b'{"do": "x", "phase": 2}', "value", "phase"),
        (b'{"do": "x", "phase": NaN}', "value", "phase"),
        (b'{"do": "x", "phase": 0.1, "phase_of": "moon"}', "value", "phase_of"),
        (b'{"inject": "F08", "for_ms": -1}', "value", "for_ms"),
        (b'{"inject": "F16", "target": "colour"}', "unknown_target", "target"),
        (b'{"wiring": {"chain": 1}}', "value", "wiring"),
        (b'{"wiring": {"fuse": true}}', "value", "wiring"),
        (b'{"truth": "burn"}', "value", "truth"),
        (b'{"mark": "a", "t_ns": -1}', "value", "t_ns"),
    ],
)
def test_bad_requests_are_refused_in_the_common_form(
    desk: Desk, room: Room, line: bytes, code: str, key: str
) -> None:
    reply = desk.answer(line)
    assert reply["ok"] is False
    assert reply["error"].keys() == REFUSAL_KEYS
    assert (reply["error"]["code"], reply["error"]["key"]) == (code, key)
    assert room.asked == []


ANSWERING = Desk.__new__(Desk)  # `answer` refuses these before it needs any part


@given(st.one_of(st.binary(max_size=60), st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3), max_leaves=5,
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_any_line_has_an_answer(line: bytes) -> None:
    reply: dict[str, Any] = ANSWERING.answer(line)
    assert reply["ok"] is False
    json.dumps(reply)


def test_an_endless_line_ends_the_visit_only(desk: Desk, tmp_path: Path, rig: RigClient) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        visitor.connect(str(tmp_path / "rig.sock"))
        visitor.settimeout(5)
        visitor.sendall(b"x" * (2 * LINE_BYTES_MAX))
        try:
            assert visitor.recv(10) == b""
        except ConnectionResetError:
            pass
    assert rig.status()["frames"] == 3


def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        RigClient(tmp_path / "rig.sock")
