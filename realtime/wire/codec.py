"""Bytes to messages and back: msgpack maps, checked field by field.

Lives here: `pack` and `unpack` for every class of `realtime.wire.messages`.  May not live here:
sockets or meaning.  A message that does not decode raises `BadMessage` with the kind of error, and
nothing else: never a guess, never a partial value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, NamedTuple, get_type_hints

import msgpack

from realtime.wire.messages import CATALOGUE, INT_MAX, MESSAGE_BYTES_MAX, VERSION, Message

TEXT_MAX: Final = 200
LIST_MAX: Final = 64


class BadMessage(ValueError):
    """The peer sent something that is not a message; `code` is the kind counted and logged."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class _Field(NamedTuple):
    name: str
    check: Callable[[Any], Any]


def _integer(low: float, high: float) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is not int:
            raise TypeError("not an integer")
        if not low <= value <= high:
            raise ValueError(f"{value} outside {low} … {high}")
        return value

    return check


def _number(low: float, high: float) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is not float and type(value) is not int:
            raise TypeError("not a number")
        if not math.isfinite(value) or not low <= value <= high:
            raise ValueError(f"{value} outside {low} … {high}")
        return float(value)

    return check


def _boolean(value: Any) -> Any:
    if type(value) is not bool:
        raise TypeError("not a boolean")
    return value


def _text(value: Any) -> Any:
    if type(value) is not str:
        raise TypeError("not text")
    if len(value) > TEXT_MAX:
        raise ValueError(f"longer than {TEXT_MAX}")
    return value


def _texts(value: Any) -> Any:
    if type(value) is not list or len(value) > LIST_MAX:
        raise TypeError(f"not a list of at most {LIST_MAX}")
    return [_text(item) for item in value]


def _check_for(hint: Any, bounds: tuple[float, float] | None) -> Callable[[Any], Any]:
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    if hint is int:
        return _integer(*(bounds or (0, INT_MAX)))
    if hint is float:
        return _number(*(bounds or (-math.inf, math.inf)))
    plain: dict[Any, Callable[[Any], Any]] = {bool: _boolean, str: _text, list[str]: _texts}
    return plain[hint]


def _spec(kind: type[Message]) -> tuple[_Field, ...]:
    hints = get_type_hints(kind)
    return tuple(
        _Field(f.name, _check_for(hints[f.name], kind.bounds.get(f.name)))
        for f in fields(kind)  # type: ignore[arg-type]
    )


_SPECS: Final = {name: (kind, _spec(kind)) for name, kind in CATALOGUE.items()}


def _values_of(names: list[str]) -> Callable[[Message], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda message: (getattr(message, names[0]),)


_FORMS: Final = {
    kind: (name, names, _values_of(names))
    for name, (kind, spec) in _SPECS.items()
    for names in [[field.name for field in spec]]
}
_packer: Final = msgpack.Packer(autoreset=True)


def pack(message: Message) -> bytes:
    """Return the datagram of a message.  Values are checked by the receiver, not here."""
    name, names, values_of = _FORMS[type(message)]
    body: dict[str, Any] = {"m": name, "v": VERSION}
    body.update(zip(names, values_of(message), strict=True))
    datagram: bytes = _packer.pack(body)
    assert len(datagram) <= MESSAGE_BYTES_MAX, f"{name} packs to {len(datagram)} bytes"
    return datagram


def unpack(datagram: bytes) -> Message:
    """Decode one datagram; raises `BadMessage` (length, msgpack, name, version, fields, value)."""
    if not 0 < len(datagram) <= MESSAGE_BYTES_MAX:
        raise BadMessage("length", f"{len(datagram)} bytes")
    try:
        body = msgpack.unpackb(datagram, max_map_len=64, max_array_len=LIST_MAX)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise BadMessage("msgpack", str(error)[:80]) from None
    if type(body) is not dict or type(body.get("m")) is not str or body["m"] not in _SPECS:
        raise BadMessage("name", "not a map with a known name under 'm'")
    if body.get("v") != VERSION or type(body["v"]) is not int:
        raise BadMessage("version", f"{body.get('v')!r}, not {VERSION}")
    kind, spec = _SPECS[body["m"]]
    if len(body) != len(spec) + 2:
        raise BadMessage("fields", f"{body['m']} has {len(body) - 2} fields, not {len(spec)}")
    values = []
    for name, check in spec:
        try:
            values.append(check(body[name]))
        except KeyError:
            raise BadMessage("fields", f"{kind.__name__} lacks {name}") from None
        except (TypeError, ValueError) as error:
            raise BadMessage("value", f"{kind.__name__}.{name}: {error}"[:120]) from None
    return kind(*values)
