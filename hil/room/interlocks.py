"""The interlock contacts of room, stand, generator and console.

Lives here: eight contacts, closed (1) or open (0), and the faults that force them open.  May not
live here: what an open contact means.  What somebody does to a contact and what a fault does to it
are kept apart, so that a fault that ends leaves the contact as people left it.
"""

from __future__ import annotations

from typing import Final

NAMES: Final = (
    "estop", "door", "collision", "barrier", "cooling", "key", "generator_ready", "panel_ready",
)  # fmt: skip


class Interlocks:
    """`closed` by name as people and devices left it; `forced_open` by faults."""

    def __init__(self) -> None:
        self.closed = dict.fromkeys(NAMES, True)
        self.forced_open: set[str] = set()
        self._shown = dict.fromkeys(NAMES, 1)

    def level(self, name: str) -> int:
        """1 closed, 0 open, as at the connector."""
        return int(self.closed[name] and name not in self.forced_open)

    def changes(self) -> list[tuple[str, int]]:
        """Contacts that look different from the last call, as (name, level)."""
        now = {name: self.level(name) for name in NAMES}
        moved = [(name, level) for name, level in now.items() if level != self._shown[name]]
        self._shown = now
        return moved
