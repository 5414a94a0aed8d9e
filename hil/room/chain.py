"""The hard-wired chain: a relay fed by (some pedal) and e-stop and door.

Lives here: the relay with its pick-up and drop-out delay.  May not live here: PULSE, PERMIT or any
software's opinion; the chain knows none of them.

The contact follows the coil only when the coil has kept its level for the whole delay: a bounce
shorter than the drop-out does not open it.
"""

from __future__ import annotations

from hil.room.records import NEVER


class Chain:
    """`contact` is the relay; `stuck` (F46) is a welded contact."""

    def __init__(self, pick_up_ns: int, drop_out_ns: int) -> None:
        self._delay_ns = {True: pick_up_ns, False: drop_out_ns}
        self._due_ns = NEVER
        self.coil = False
        self.contact = False
        self.stuck = False

    @property
    def ok(self) -> bool:
        """The contact is closed."""
        return self.contact or self.stuck

    def feed(self, t_ns: int, coil: bool) -> None:
        """The coil is fed or not from `t_ns` on."""
        if coil == self.coil:
            return
        self.coil = coil
        self._due_ns = NEVER if coil == self.contact else t_ns + self._delay_ns[coil]

    def next_ns(self) -> int:
        """When the contact moves if the coil keeps its level, or NEVER."""
        return self._due_ns

    def advance(self, t_ns: int) -> None:
        """Move the contact when its time has come."""
        if self._due_ns <= t_ns:
            self._due_ns = NEVER
            self.contact = self.coil
