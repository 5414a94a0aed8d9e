"""What of the room's levels reaches the line bus, and what is lost on the way.

Lives here: the faults of the bus itself: silence (F10) and lost snapshots (F06).  May not live
here: packets or sockets (`hil.rig`), which ask for permission to send here.
"""

from __future__ import annotations


class LineWire:
    """`may_send` is asked once per snapshot that the bus would carry."""

    def __init__(self) -> None:
        self.silent = False
        self.lose = 0
        self.withheld = 0
        self.lost = 0

    def may_send(self, edge: bool) -> bool:
        """False: this snapshot stays away.  A lost one (an edge) still uses up its number."""
        if self.silent:
            self.withheld += 1
            return False
        if edge and self.lose:
            self.lose -= 1
            self.lost += 1
            return False
        return True
