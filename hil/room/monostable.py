"""The retriggerable monostable: high voltage only while PERMIT keeps toggling.

Lives here: its level as a function of toggle times.  May not live here: who toggles, or what the
level gates.

Any toggle, up or down, holds an armed monostable for `hold_ns` more; it drops exactly at the last
toggle + `hold_ns`, computed, not observed.  Once dropped it arms again only at the second of two
consecutive toggles that lie at least `apart_ns` and less than `hold_ns` apart, so that a burst of
noise never arms it.
"""

from __future__ import annotations

from hil.room.records import NEVER


class Monostable:
    """`armed` is the electronics; `stuck` (F46) closes its output whatever it does."""

    def __init__(self, hold_ns: int, apart_ns: int) -> None:
        self._hold_ns = hold_ns
        self._apart_ns = apart_ns
        self._permit = 0
        self._last_ns: int | None = None
        self.armed = False
        self.stuck = False

    @property
    def ok(self) -> bool:
        """The output: high voltage is permitted."""
        return self.armed or self.stuck

    def permit(self, t_ns: int, level: int) -> None:
        """The level of PERMIT from `t_ns` on; only a change is a toggle."""
        if level == self._permit:
            return
        self._permit = level
        gap_ns = NEVER if self._last_ns is None else t_ns - self._last_ns
        if not self.armed:
            self.armed = self._apart_ns <= gap_ns < self._hold_ns
        self._last_ns = t_ns

    def next_ns(self) -> int:
        """When it drops if nothing toggles, or NEVER."""
        return NEVER if not self.armed or self._last_ns is None else self._last_ns + self._hold_ns

    def advance(self, t_ns: int) -> None:
        """Drop when its time is over."""
        if self.next_ns() <= t_ns:
            self.armed = False
