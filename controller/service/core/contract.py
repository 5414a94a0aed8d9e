"""The contract as documents: JSON Schemas and the AsyncAPI description, made from the types.

Lives here: building them, as plain objects.  May not live here: writing files
(`python -m controller.service.contract_files`), or a single field that the types do not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from controller.service.core.answers import REPLIES
from controller.service.core.bodies import BODIES
from controller.service.core.commands import COMMANDS, Strict
from controller.service.core.envelope import Envelope, Unreadable
from controller.service.core.levels import Level, Role
from controller.service.core.limits import (
    COMMANDS_PER_S,
    EXPIRES_AHEAD_MS_MAX,
    PAYLOAD_BYTES_MAX,
    REFUSALS_PER_S,
)
from controller.service.core.states import EVENTS, STATES, TELEMETRY

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NEEDS: Final = {
    Level.ASK: "Needs nothing; answered at any time.",
    Level.FETCH: "Needs a signature, the beam dark and no pedal down.",
    Level.CHANGE: "Needs a signature, a session opened at the board, the beam dark, pedals up.",
}


def schema_of(kind: type[Strict]) -> dict[str, Any]:
    """The JSON Schema of one type, by the names on the wire."""
    return {"$schema": DIALECT, **kind.model_json_schema(by_alias=True)}


def types() -> Iterator[tuple[str, type[Strict]]]:
    """(file stem, type) of everything that travels."""
    yield "command-envelope", Envelope
    yield "reply", Unreadable
    for name in COMMANDS:
        yield f"body-{name}", BODIES[name]
        yield f"reply-{name}", REPLIES[name]
    for part, kinds in (("state", STATES), ("event", EVENTS), ("telemetry", TELEMETRY)):
        for name, kind in kinds.items():
            yield f"{part}-{name}", kind


def schemas() -> dict[str, dict[str, Any]]:
    """Schemas by file stem."""
    return {stem: schema_of(kind) for stem, kind in types()}


def _summary(kind: type[Strict]) -> str:
    return " ".join((kind.__doc__ or "").split())


def _message(stem: str, kind: type[Strict]) -> dict[str, Any]:
    return {"name": stem, "contentType": "application/json", "summary": _summary(kind),
            "payload": {"$ref": f"schemas/mqtt/{stem}.json"}}  # fmt: skip


_REPLIES: Final = ("reply", *(f"reply-{name}" for name in COMMANDS))
_DEVICE: Final = {"device": {"$ref": "#/components/parameters/device"}}


def _said(part: str, name: str, kind: type[Strict]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Channel and operation of something that the C-arm says by itself."""
    stem = f"{part}-{name}"
    retain, qos = part == "state", 1 if part != "telemetry" or name == "beat" else 0
    channel = {
        "address": f"carm/{{device}}/{part}/{name}",
        "parameters": _DEVICE,
        "messages": {stem: {"$ref": f"#/components/messages/{stem}"}},
        "bindings": {"mqtt": {"bindingVersion": "0.2.0"}},
    }
    operation = {
        "action": "send", "channel": {"$ref": f"#/channels/{stem}"},
        "bindings": {"mqtt": {"qos": qos, "retain": retain, "bindingVersion": "0.2.0"}},
    }  # fmt: skip
    return stem, channel, operation


def _command(name: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    row = COMMANDS[name]
    who = "Anybody." if row.role is Role.ANYBODY else f"Role: {row.role.name.lower()} or higher."
    stem = f"cmd-{name}"
    channel = {
        "address": f"carm/{{device}}/cmd/{name}",
        "description": f"{row.meaning[0].upper()}{row.meaning[1:]}. {_NEEDS[row.level]} {who} "
        f"The text under `body` is JSON of schemas/mqtt/body-{name}.json.",
        "parameters": _DEVICE,
        "messages": {"command": {"$ref": "#/components/messages/command-envelope"}},
    }
    operation = {
        "action": "receive", "channel": {"$ref": f"#/channels/{stem}"},
        "reply": {"channel": {"$ref": "#/channels/reply"},
                  "messages": [{"$ref": f"#/channels/reply/messages/reply-{name}"}]},
        "bindings": {"mqtt": {"qos": 1, "retain": False, "bindingVersion": "0.2.0"}},
    }  # fmt: skip
    return stem, channel, operation


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document; schemas are references to the files beside it."""
    channels: dict[str, Any] = {
        "reply": {
            "address": "carm/{device}/reply/{id}",
            "description": "Every command is answered here, also for clients of MQTT 3.1.1; a "
            "response topic of MQTT 5 below carm/{device}/reply/ is answered as well. A message "
            "without a readable id is answered under the first 32 hex digits of its SHA-256.",
            "parameters": {**_DEVICE, "id": {"description": "The id of the command."}},
            "messages": {stem: {"$ref": f"#/components/messages/{stem}"} for stem in _REPLIES},
        }
    }
    operations: dict[str, Any] = {
        "reply": {
            "action": "send", "channel": {"$ref": "#/channels/reply"},
            "bindings": {"mqtt": {"qos": 1, "retain": False, "bindingVersion": "0.2.0"}},
        }
    }  # fmt: skip
    for part, kinds in (("state", STATES), ("event", EVENTS), ("telemetry", TELEMETRY)):
        for name, kind in kinds.items():
            stem, channels[stem], operations[stem] = _said(part, name, kind)
    for name in COMMANDS:
        stem, channels[stem], operations[stem] = _command(name)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "C-arm service", "version": "1",
            "description": "What a C-arm says over MQTT and what it can be asked. A payload of a "
            f"command has at most {PAYLOAD_BYTES_MAX} bytes; at most {COMMANDS_PER_S} verified "
            f"commands a second are taken; a command expires at most {EXPIRES_AHEAD_MS_MAX} ms "
            f"ahead; up to {REFUSALS_PER_S} refusals a second are answered one by one. No command "
            "brings the machine nearer to X-rays. How to sign: mqtt.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "parameters": {"device": {"description": "The key `device` of the configuration."}},
            "messages": {stem: _message(stem, kind) for stem, kind in types()
                         if not stem.startswith("body-")},
        },
    }  # fmt: skip


def command_rows() -> Iterator[str]:
    """The table of commands for `docs/mqtt.md`."""
    yield "| command | needs | role | arguments | does |"
    yield "|---|---|---|---|---|"
    for row in COMMANDS.values():
        fields = ", ".join(f"`{name}`" for name in row.arguments.model_fields) or "—"
        role = "—" if row.role is Role.ANYBODY else row.role.name.lower()
        yield f"| `{row.name}` | {row.level.name.lower()} | {role} | {fields} | {row.meaning} |"


def topic_rows() -> Iterator[str]:
    """The table of topics for `docs/mqtt.md`."""
    yield "| topic | says |"
    yield "|---|---|"
    for part, kinds in (("state", STATES), ("event", EVENTS), ("telemetry", TELEMETRY)):
        for name, kind in kinds.items():
            yield f"| `{part}/{name}` | {_summary(kind)} |"
