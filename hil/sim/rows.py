"""What a fault of virtual time is: one row of the table.

Lives here: the row and the kinds of its functions.  May not live here: a fault (`faults` strikes
what the machine consists of, `outside_faults` those who listen and talk to it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hil.sim.world import World

MS: Final = 1_000_000
Begin = Callable[["World", str, float], None]
End = Callable[["World", str], None]
# A level, or a counter that must grow beyond its value at onset.
Seen = Callable[["World", str], int | bool]


@dataclass(frozen=True, slots=True)
class Row:
    """One fault: the catalogue numbers it can stand for, and its virtual model.

    `room`: its number in the room's own table, which both clocks then ask for; else "".
    """

    numbers: tuple[str, ...]
    what: str
    instances: tuple[str, ...]
    amount: float
    unit: str
    begin: Begin
    end: End
    seen: Seen
    room: str = ""
