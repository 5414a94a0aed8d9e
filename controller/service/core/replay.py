"""Once per id: the bounded memory of commands that were already taken.

Lives here: the window as a value with time as an argument.  May not live here: its file
(`controller.service.journal`).

An id is kept until its command has expired.  `floor_ms` is the latest expiry that was ever
forgotten: whatever expires no later is refused, so that a clock that is set back, or a full window,
can make commands fail but never run twice.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum, auto

from controller.service.core.limits import DUPLICATE_MS_MAX


class Seen(Enum):
    """What the window knows of an id."""

    NEVER = auto()
    JUST_NOW = auto()
    BEFORE = auto()
    FORGOTTEN = auto()


@dataclass(frozen=True, slots=True)
class Taken:
    """A command that was taken: when it expires, when it came, what its bytes hash to."""

    expires_ms: int
    taken_ms: int
    digest: str


@dataclass(slots=True)
class Window:
    """At most `capacity` ids."""

    capacity: int
    floor_ms: int = 0
    ids: OrderedDict[str, Taken] = field(default_factory=OrderedDict)

    def seen(self, key: str, expires_ms: int, digest: str, now_ms: int) -> Seen:
        """What is known of this id; asks only, changes nothing."""
        known = self.ids.get(key)
        if known is not None:
            same = known.digest == digest and 0 <= now_ms - known.taken_ms <= DUPLICATE_MS_MAX
            return Seen.JUST_NOW if same else Seen.BEFORE
        return Seen.FORGOTTEN if expires_ms <= self.floor_ms else Seen.NEVER

    def take(self, key: str, taken: Taken) -> None:
        """Remember a command that is about to run."""
        assert key not in self.ids, "taken twice"
        self._forget(taken.taken_ms)
        self.ids[key] = taken

    def _forget(self, now_ms: int) -> None:
        while self.ids:
            key, oldest = next(iter(self.ids.items()))
            if oldest.expires_ms >= now_ms and len(self.ids) < self.capacity:
                return
            del self.ids[key]
            self.floor_ms = max(self.floor_ms, oldest.expires_ms)
