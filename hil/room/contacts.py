"""A foot pedal: two contacts that travel and bounce.

Lives here: one pedal's NO and NC contact in time.  May not live here: what the contacts mean for
anything else.

Pressing opens NC at once and closes NO after the travel; releasing opens NO at once and closes NC
after the travel.  Each change bounces: seeded dwells until the contact rests at its new level.  A
contact that is forced (unplugged, stuck) shows that; what the foot does meanwhile is remembered and
seen again when nothing forces it.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Final

from hil.room.parameters import MS, US
from hil.room.records import NEVER

TRAVEL_NS: Final = (2 * MS, 8 * MS)
BOUNCE_NS: Final = (100 * US, 5 * MS)
BOUNCE_MAX_NS: Final = 30 * MS
DWELL_NS: Final = (50 * US, 1 * MS)
BOUNCES_MAX: Final = 40
NO: Final = "no"
NC: Final = "nc"


class Pedal:
    """One pedal.  `foot` is what the foot wants; `no` and `nc` are levels at the connector."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.foot = False
        self.bounce_ns = BOUNCE_NS
        self.bounced = 0
        self._level = {NO: 0, NC: 1}
        self._forced: list[tuple[int, int]] = []
        self._shown = (0, 1)
        self._coming: deque[tuple[int, str, int]] = deque()
        self._random = Random(f"{seed} {name}")

    @property
    def no(self) -> int:
        """Level of the contact that closes when pressed, as at the connector."""
        return self._forced[-1][0] if self._forced else self._level[NO]

    @property
    def nc(self) -> int:
        """Level of the contact that opens when pressed, as at the connector."""
        return self._forced[-1][1] if self._forced else self._level[NC]

    def press(self, t_ns: int) -> None:
        """The foot goes down: NC opens now, NO closes after the travel."""
        self._move(t_ns, True, (NC, 0), (NO, 1))

    def release(self, t_ns: int) -> None:
        """The foot goes up: NO opens now, NC closes after the travel."""
        self._move(t_ns, False, (NO, 0), (NC, 1))

    def force(self, no: int, nc: int) -> None:
        """Force both contacts to a level; the last of several stands; seen at next `changes`."""
        self.free(no, nc)
        self._forced.append((no, nc))

    def free(self, no: int, nc: int) -> None:
        """End that force, if it is there; any other goes on."""
        if (no, nc) in self._forced:
            self._forced.remove((no, nc))

    def next_ns(self) -> int:
        """When a contact moves next, or NEVER."""
        return self._coming[0][0] if self._coming else NEVER

    def advance(self, t_ns: int) -> None:
        """Move every contact whose time has come."""
        while self._coming and self._coming[0][0] <= t_ns:
            _, contact, level = self._coming.popleft()
            self.bounced += 1
            self._level[contact] = level

    def changes(self) -> list[tuple[str, int]]:
        """Contacts that look different from the last call, as (truth name, level)."""
        no, nc = self.no, self.nc
        if (no, nc) == self._shown:
            return []
        (no_before, nc_before), self._shown = self._shown, (no, nc)
        moved = [(f"{self.name}_no", no)] if no != no_before else []
        return moved + ([(f"{self.name}_nc", nc)] if nc != nc_before else [])

    def _move(self, t_ns: int, foot: bool, first: tuple[str, int], then: tuple[str, int]) -> None:
        if foot == self.foot:
            return
        self.foot = foot
        travel = self._random.randint(*TRAVEL_NS)
        moves = [*self._train(t_ns, *first), *self._train(t_ns + travel, *then)]
        self._coming = deque(sorted(moves))
        self.advance(t_ns)

    def _train(self, t_ns: int, contact: str, level: int) -> list[tuple[int, str, int]]:
        if self._level[contact] == level:
            return []
        train = [(t_ns, contact, level)]
        end_ns = t_ns + self._random.randint(*self.bounce_ns)
        at_ns = t_ns
        while len(train) < BOUNCES_MAX:
            at_ns += self._random.randint(*DWELL_NS)
            back_ns = at_ns + self._random.randint(*DWELL_NS)
            if back_ns > end_ns:
                break
            train += [(at_ns, contact, 1 - level), (back_ns, contact, level)]
            at_ns = back_ns
        return train
