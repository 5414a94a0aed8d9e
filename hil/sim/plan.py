"""What a campaign consists of: its seeds, the reruns among them, the phases of every pair.

Lives here: the plan as a value, and the units that follow from it.  May not live here: doing them
(`campaign`) or adding them up (`totals`).
"""

from __future__ import annotations

import dataclasses
from typing import Final

from hil.sim.pairs import pair_units

EPISODE_S: Final = 120
EPISODES_PER_HOUR: Final = 3600 // EPISODE_S
# Every so many seeds one is run twice: the second journal must be the first.
RERUN_EVERY: Final = 10
# (kind, seed, first, second); kind is episode, rerun or pair.
Unit = tuple[str, int, int, int]
assert EPISODES_PER_HOUR * EPISODE_S == 3600, "an hour is whole episodes"


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign consists of; the same plan in the same directory goes on where it was."""

    first_seed: int
    hours: float
    pairs: int
    workers: int

    def units(self) -> list[Unit]:
        """(kind, seed, first, second) in order; kind is episode, rerun or pair."""
        count = max(1, round(self.hours * EPISODES_PER_HOUR)) if self.hours else 0
        seeds = range(self.first_seed, self.first_seed + count)
        episodes: list[Unit] = [("episode", seed, 0, 0) for seed in seeds]
        reruns: list[Unit] = [("rerun", seed, 0, 0) for seed in seeds if seed % RERUN_EVERY == 0]
        pairs: list[Unit] = [
            ("pair", self.first_seed + phase, first, second)
            for first, second in pair_units()
            for phase in range(self.pairs)
        ]
        return episodes + reruns + pairs
