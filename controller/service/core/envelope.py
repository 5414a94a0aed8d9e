"""What travels on `cmd/` and `reply/`: envelope, body, reply.

Lives here: the types, and reading bytes into them without a guess.  May not live here: whether the
command may run (`controller.service.core.verdict`), or why not (`reasons`).

The signature covers the bytes of the string under "body" exactly as they came, so that nobody ever
has to agree on how JSON is written down.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from controller.service.core.commands import COMMANDS, Command, Strict
from controller.service.core.limits import PAYLOAD_BYTES_MAX
from controller.service.core.reasons import Reason, Refused

INT_MAX = (1 << 53) - 1  # the largest integer that every JSON reader keeps
Id = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{8,64}$")]
Name = Annotated[str, Field(pattern="^[a-z0-9_-]{1,32}$")]
Milliseconds = Annotated[int, Field(ge=0, le=INT_MAX)]
SCALAR_MAX: Final = 1000
# A value that was measured or given, whatever it was; longer ones are shown by their beginning.
Scalar = bool | int | float | Annotated[str, Field(max_length=SCALAR_MAX)] | None


class Envelope(Strict):
    """The payload of a command: the body as text, and the signature over that text."""

    body: Annotated[str, Field(min_length=2, max_length=PAYLOAD_BYTES_MAX)]
    sig: Annotated[str, Field(pattern="^[A-Za-z0-9+/]{86}==$")] | None = None


class Body(Strict):
    """The text under "body", read.  Times are milliseconds since 1970, UTC."""

    id: Id
    device: Annotated[str, Field(min_length=1, max_length=200)]
    epoch: Annotated[int, Field(ge=0, le=INT_MAX)]
    command: Name
    by: Name | None = None
    not_before_ms: Milliseconds = 0
    expires_ms: Milliseconds
    arguments: dict[str, Any] = Field(default_factory=dict)


class Blamed(Strict):
    """The refusal of the machine in its usual form."""

    code: Annotated[str, Field(min_length=1, max_length=80)]
    blame: Literal["input", "machine", "device", "bug"]
    key: Annotated[str, Field(max_length=200)]
    value: Scalar
    allowed: Annotated[str, Field(max_length=4000)]
    remedy: Annotated[str, Field(max_length=1000)]


class Progress(Strict):
    """How far a long command has come, `done` of `total` parts."""

    done: Annotated[int, Field(ge=0)]
    total: Annotated[int, Field(ge=0)]


class Chunk(Strict):
    """One part of a download; `crc32` is over its decoded bytes."""

    index: Annotated[int, Field(ge=0)]
    crc32: Annotated[int, Field(ge=0, le=(1 << 32) - 1)]
    base64: str


# What the result decides about the other fields: their kinds in each of the three forms.
_FORMS: Final[dict[str, dict[str, str]]] = {
    "accepted": {"reason": "null", "error": "null", "answer": "null"},
    "done": {"reason": "null", "error": "null", "answer": "object"},
    "refused": {"reason": "string", "answer": "null", "chunk": "null"},
}


def _forms() -> dict[str, Any]:
    """The same in JSON Schema."""
    return {"oneOf": [
        {"properties": {"result": {"const": result},
                        **{name: {"type": kind} for name, kind in kinds.items()}},
         "required": [name for name, kind in kinds.items() if kind != "null"]}
        for result, kinds in _FORMS.items()
    ]}  # fmt: skip


class Reply(Strict):
    """What every answer on `reply/<id>` has; the fields of one that is done are its command's."""

    schema_: Annotated[Literal["carm.reply/1"], Field(alias="schema")]
    id: Id
    command: Annotated[str, Field(max_length=80)]
    result: Literal["accepted", "done", "refused"]
    reason: Reason | None = None
    detail: Annotated[str, Field(max_length=400)] = ""
    error: Blamed | None = None
    progress: Progress | None = None
    chunk: Chunk | None = None
    answer: Any = None

    model_config = ConfigDict(json_schema_extra=_forms())

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        for name, kind in _FORMS[self.result].items():
            if (getattr(self, name) is None) != (kind == "null"):
                raise ValueError(f"{name} of a reply that is {self.result}")
        return self


def scalar(value: Any) -> bool | int | float | str | None:
    """A value as a reply may carry it: numbers that JSON keeps, everything else as text."""
    whole = type(value) is int and abs(value) <= INT_MAX
    finite = type(value) is float and math.isfinite(value)
    if value is None or type(value) is bool or whole or finite:
        kept: bool | int | float | None = value
        return kept
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text[:SCALAR_MAX]


def blamed(error: Mapping[str, Any]) -> dict[str, Any]:
    """The refusal of the machine with a value that fits, whatever it was about."""
    return {**error, "value": scalar(error["value"]), "allowed": str(error["allowed"])[:4000]}


class Unreadable(Reply):
    """The answer to a message that is no command; its name is as much as could be read."""

    result: Literal["refused"]
    progress: None = None
    chunk: None = None
    answer: None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A message that has the form of a command.  Nothing in it is proved yet."""

    body: Body
    row: Command
    arguments: Strict
    text: bytes
    signature: bytes | None


def fallback_id(payload: bytes) -> str:
    """Where the reply to an unreadable message goes: the start of its SHA-256, in hex."""
    return hashlib.sha256(payload).hexdigest()[:32]


def readable_id(payload: bytes) -> str:
    """The id of a message, however wrong the rest of it is; `fallback_id` where there is none."""
    try:
        claimed = json.loads(json.loads(payload[:PAYLOAD_BYTES_MAX])["body"])["id"]
        return Body.model_validate(
            {"id": claimed, "device": "-", "epoch": 0, "command": "-", "expires_ms": 0}
        ).id
    except (ValueError, KeyError, TypeError, RecursionError):
        return fallback_id(payload)


def _first(error: ValidationError) -> str:
    one = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"


def _object(text: bytes | str, what: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # Two readers may disagree about which of two equal keys counts.
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("a key appears twice")
        return dict(pairs)

    def never(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    try:
        found = json.loads(text, object_pairs_hook=once, parse_constant=never)
    except (ValueError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, f"the {what} is not JSON: {error}") from None
    if type(found) is not dict:
        raise Refused(Reason.MALFORMED, f"the {what} is not an object")
    return found


def _signature(text: str | None) -> bytes | None:
    if text is None:
        return None
    raw = base64.b64decode(text, validate=True)
    # The last character has bits to spare; one signature has one form.
    if base64.b64encode(raw).decode() != text:
        raise Refused(Reason.MALFORMED, "sig: not the one form of base64")
    return raw


def read(payload: bytes, name: str) -> Request:
    """Read a payload that came on `cmd/<name>`; raises Refused (too_large, malformed)."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise Refused(Reason.TOO_LARGE, f"{len(payload)} bytes, at most {PAYLOAD_BYTES_MAX}")
    try:
        envelope = Envelope.model_validate(_object(payload, "payload"))
        body = Body.model_validate(_object(envelope.body, "body"))
        row = COMMANDS.get(name)
        if row is None or body.command != name:
            raise Refused(Reason.MALFORMED, f"{body.command!r} on the topic of {name!r:.40}")
        arguments = row.arguments.model_validate(body.arguments)
        return Request(body, row, arguments, envelope.body.encode(), _signature(envelope.sig))
    except ValidationError as error:
        raise Refused(Reason.MALFORMED, _first(error)) from None
    except (UnicodeEncodeError, binascii.Error) as error:
        raise Refused(Reason.MALFORMED, f"not text: {error}") from None
