"""How bright a frame is in virtual time: its own exposures, and what the panel's traps give back.

Lives here: one number per frame, with the lag of the rig's panel.  May not live here: pixels, or
what is made of the number: that is the shipped `SignalFloor`.
"""

from __future__ import annotations

import math
from typing import Final

from hil.physics.lag import LAG, LAG_AT_NS
from hil.room.records import FrameDue

# A patient's mean behind the grid, about: 2500 du at 70 kV and 0.32 mAs.
DU_PER_MAS: Final = 8_000.0
REFERENCE_KV: Final = 70.0


class Light:
    """Mean levels after offset, in digital units; frames in the order of their integration."""

    def __init__(self) -> None:
        self._trapped = [0.0 for _ in LAG]
        self._at_ns = 0

    def level_du(self, due: FrameDue) -> float:
        """The level of a frame; a panel that does not integrate shows its traps only."""
        passed_ns, self._at_ns = due.integration_close_ns - self._at_ns, due.integration_close_ns
        self._trapped = [
            left * math.exp(-passed_ns / tau_ns)
            for left, (_, tau_ns) in zip(self._trapped, LAG, strict=True)
        ]
        own_du = _own_du(due) if due.integrates else 0.0
        level_du = own_du + sum(self._trapped)
        for number, (share, tau_ns) in enumerate(LAG):
            self._trapped[number] += own_du * share * math.exp(LAG_AT_NS / tau_ns)
        return level_du


def _own_du(due: FrameDue) -> float:
    return sum(DU_PER_MAS * one.mas_window * (one.kv / REFERENCE_KV) ** 2 for one in due.exposures)
