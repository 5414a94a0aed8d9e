"""The journal: every input and output of every step, as one hash.

Lives here: turning steps into bytes that are equal on every machine, and their SHA-256.  May not
live here: what a step is.  Values are packed by msgpack, whose bytes are specified; dataclasses
are taken field by field in their declared order, so neither addresses, nor sets, nor hash seeds get
in.  With `keep` the entries are kept as well, to find the first that differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, Final

import msgpack

BATCH: Final = 256
KEPT_MAX: Final = 2_000_000


class Journal:
    """`note` after every step; `sha256` at any time."""

    def __init__(self, keep: bool = False) -> None:
        self.entries = 0
        self.kept: list[Any] | None = [] if keep else None
        self._hash = hashlib.sha256()
        self._batch: list[Any] = []
        self._pack = msgpack.Packer(default=_plain, autoreset=True).pack

    def note(self, *values: Any) -> None:
        """One entry: numbers, text, tuples of them, or None."""
        self.entries += 1
        self._batch.append(values)
        if self.kept is not None:
            assert len(self.kept) < KEPT_MAX, "keep journals of short runs only"
            self.kept.append(values)
        if len(self._batch) >= BATCH:
            self._flush()

    def values(self, thing: Any) -> tuple[Any, ...]:
        """A dataclass or event as (its name, field, …)."""
        kind: type = type(thing)
        return (kind.__name__, _getter(kind)(thing))

    @property
    def sha256(self) -> str:
        """The hash of everything noted so far."""
        self._flush()
        return self._hash.hexdigest()

    def _flush(self) -> None:
        self._hash.update(self._pack(self._batch))
        # A new list: entries may be kept elsewhere.
        self._batch = []


@cache
def _getter(kind: type) -> Callable[[Any], Any]:
    names = [field.name for field in fields(kind)]
    if not names:
        return lambda thing: None
    return attrgetter(*names)


_ways: dict[type, Callable[[Any], Any]] = {}


def _way(kind: type) -> Callable[[Any], Any]:
    """How a value inside another value is shown: an Enum by its value, a dataclass by its fields
    with its name first.
    """
    if issubclass(kind, Enum):
        return attrgetter("_value_")
    if is_dataclass(kind):
        return attrgetter("__class__.__name__", *(field.name for field in fields(kind)))
    raise TypeError(f"{kind.__name__} has no place in the journal")


def _plain(thing: Any) -> Any:
    kind: type = type(thing)
    way = _ways.get(kind)
    if way is None:
        way = _ways[kind] = _way(kind)
    return way(thing)
