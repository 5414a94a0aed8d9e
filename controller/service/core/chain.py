"""The audit log as a hash chain: each entry holds the hash of the one before.

Lives here: making and checking entries.  May not live here: files (`controller.service.journal`).

An entry is one JSON line `{"seq", "t_ms", "kind", "fields", "prev", "hash"}`.  `hash` is the
SHA-256 of the line without its last member: of the bytes before `,"hash"`.  Whoever cuts the end
off is found by the head, which is kept beside the log and published with the state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

GENESIS: Final = "0" * 64
_SEAL: Final = ',"hash":"'


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry: its number, from 1, and its hash."""

    seq: int
    hash: str


EMPTY: Final = Head(0, GENESIS)


@dataclass(frozen=True, slots=True)
class Damage:
    """The first line that does not fit; `line` counts from 1, 0 means the log's end."""

    line: int
    what: str


def entry(head: Head, t_ms: int, kind: str, fields: Mapping[str, Any]) -> tuple[str, Head]:
    """The line after `head` (without line end), and the new head."""
    body = {"seq": head.seq + 1, "t_ms": t_ms, "kind": kind, "fields": dict(fields),
            "prev": head.hash}  # fmt: skip
    text = json.dumps(body, ensure_ascii=True, separators=(",", ":"), allow_nan=False)[:-1]
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{text}{_SEAL}{digest}"}}', Head(head.seq + 1, digest)


def follow(line: str, head: Head) -> Head:
    """The head after `line`, which must follow `head`; raises ValueError saying what is wrong."""
    text, seal, rest = line.rpartition(_SEAL)
    if not seal or len(rest) != 66 or not rest.endswith('"}'):
        raise ValueError("not an entry")
    digest = hashlib.sha256(text.encode()).hexdigest()
    if digest != rest[:64]:
        raise ValueError("the entry was changed")
    body = json.loads(text + "}")
    if body["prev"] != head.hash:
        raise ValueError("does not follow the entry before it")
    if body["seq"] != head.seq + 1:
        raise ValueError(f"number {body['seq']} after {head.seq}")
    return Head(head.seq + 1, digest)


def first_head(line: str) -> Head:
    """The head that a log begins after, from its first line; raises ValueError, KeyError."""
    body = json.loads(line)
    return Head(int(body["seq"]) - 1, str(body["prev"]))


def verify(lines: Iterable[str], start: Head, kept: Head | None) -> tuple[Head, Damage | None]:
    """Follow all lines from `start`.  They must pass through `kept`, the head kept beside the log.

    Entries after `kept` are sound: a crash may fall between an entry and its head.
    """
    head, met = start, kept is None or kept == start
    for number, line in enumerate(lines, start=1):
        try:
            head = follow(line, head)
        except (ValueError, KeyError, TypeError) as error:
            return head, Damage(number, str(error))
        met = met or head == kept
    if not met:
        assert kept is not None
        return head, Damage(0, f"ends with entry {head.seq} and lacks the kept head {kept.seq}")
    return head, None
