"""A recording of MQTT traffic, read into commands with their replies and into published states.

Lives here: the strict reader of `docs/mqtt.md` (*Recording*), made from that page alone.  May not
live here: a verdict, or any code of the service process.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hil.referee.crosscheck import Unreadable

SCHEMA: Final = "carm.mqtt_record/1"
ID: Final = re.compile("[A-Za-z0-9_-]{8,64}")
MESSAGES_MAX: Final = 2_000_000
KEYS: Final = {"t_ns": int, "t_ms": int, "topic": str, "qos": int, "retain": bool, "payload": str}


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `t_ns` CLOCK_MONOTONIC, `t_ms` since 1970; `value` None: not JSON."""

    t_ns: int
    t_ms: int
    part: str
    name: str
    retain: bool
    value: Any
    payload: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: `accepted`, `done` or `refused`."""

    t_ns: int
    result: str
    command: str
    chunk: bool


@dataclass(slots=True)
class Command:
    """One message on `cmd/<name>`; `body` is empty when it cannot be read."""

    t_ns: int
    t_ms: int
    name: str
    retain: bool
    signed: bool
    body: Mapping[str, Any]
    epoch: int | None
    fallback: str
    replies: list[Reply] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Where its replies go, also when it has no readable id."""
        found = self.body.get("id")
        return found if isinstance(found, str) and ID.fullmatch(found) else self.fallback


@dataclass(slots=True)
class Recording:
    """What was heard, in order of stamps; modes and sessions as (t_ns, value)."""

    device: str
    commands: list[Command] = field(default_factory=list)
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    modes: list[tuple[int, str]] = field(default_factory=list)
    sessions: list[tuple[int, bool]] = field(default_factory=list)


def _line(text: str, path: Path, number: int) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(path, "json", str(error)[:80], number) from None
    if not isinstance(found, dict):
        raise Unreadable(path, "json", "not an object", number)
    return found


def _message(found: Mapping[str, Any], prefix: str, path: Path, number: int) -> Message:
    if set(found) != set(KEYS) or any(type(found[key]) is not kind for key, kind in KEYS.items()):
        raise Unreadable(path, "keys", ", ".join(sorted(set(found) ^ set(KEYS))), number)
    if not found["topic"].startswith(prefix):
        raise Unreadable(path, "topic", found["topic"][:80], number)
    part, _, name = found["topic"].removeprefix(prefix).partition("/")
    try:
        value = json.loads(found["payload"])
    except (ValueError, RecursionError):
        value = None
    return Message(found["t_ns"], found["t_ms"], part, name, found["retain"], value,
                   found["payload"])  # fmt: skip


def _messages(path: Path) -> Iterator[Message | str]:
    """First the device, then every message; raises Unreadable."""
    try:
        with path.open(encoding="utf-8") as lines:
            head = _line(next(lines, ""), path, 1)
            if head.get("schema") != SCHEMA or not isinstance(head.get("device"), str):
                raise Unreadable(path, "header", f"the first line is not {SCHEMA}", 1)
            yield head["device"]
            prefix, last_ns = f"carm/{head['device']}/", 0
            for number, text in enumerate(lines, start=2):
                message = _message(_line(text, path, number), prefix, path, number)
                if message.t_ns < last_ns:
                    raise Unreadable(path, "order", "stamps go backwards", number)
                if number > MESSAGES_MAX:
                    raise Unreadable(path, "length", f"more than {MESSAGES_MAX} messages", number)
                last_ns = message.t_ns
                yield message
    except OSError as error:
        raise Unreadable(path, "unreadable", str(error)) from None
    except UnicodeDecodeError as error:
        raise Unreadable(path, "utf-8", str(error)[:80]) from None


def _command(message: Message, epoch: int | None) -> Command:
    value = message.value if isinstance(message.value, dict) else {}
    text = value.get("body")
    try:
        body = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        body = {}
    return Command(message.t_ns, message.t_ms, message.name, message.retain,
                   isinstance(value.get("sig"), str), body if isinstance(body, dict) else {},
                   epoch, hashlib.sha256(message.payload.encode()).hexdigest()[:32])  # fmt: skip


def load_recording(path: Path) -> Recording:
    """Read a recording; raises Unreadable."""
    read = _messages(path)
    device = next(read)
    assert isinstance(device, str)
    found, epoch = Recording(device), None
    for message in read:
        assert isinstance(message, Message)
        value = message.value if isinstance(message.value, dict) else {}
        if message.part == "cmd":
            found.commands.append(_command(message, epoch))
        elif message.part == "reply":
            reply = Reply(message.t_ns, str(value.get("result")), str(value.get("command")),
                          value.get("chunk") is not None)  # fmt: skip
            found.replies.setdefault(message.name, []).append(reply)
        elif (message.part, message.name) == ("state", "service"):
            epoch = value.get("epoch")
        elif (message.part, message.name) == ("state", "mode"):
            found.modes.append((message.t_ns, str(value.get("mode"))))
        elif (message.part, message.name) == ("state", "session"):
            found.sessions.append((message.t_ns, value.get("open") is True))
    for command in found.commands:
        command.replies = [one for one in found.replies.get(command.id, [])
                           if one.t_ns >= command.t_ns]  # fmt: skip
    return found
