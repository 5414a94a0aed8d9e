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
        self._shown = self.bank()

    def level(self, name: str) -> int:
        """1 closed, 0 open, as at the connector."""
        return int(self.closed[name] and name not in self.forced_open)

    def bank(self) -> int:
        """All levels as bits, in the order of NAMES."""
        bank, bit = 0, 1
        for name, closed in self.closed.items():
            if closed and name not in self.forced_open:
                bank |= bit
            bit <<= 1
        return bank

    def changes(self) -> list[tuple[str, int]]:
        """Contacts that look different from the last call, as (name, level)."""
        bank = self.bank()
        changed = bank ^ self._shown
        if not changed:
            return []
        self._shown = bank
        return [(name, bank >> k & 1) for k, name in enumerate(NAMES) if changed >> k & 1]
