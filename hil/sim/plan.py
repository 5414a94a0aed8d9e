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
# The first hours are a siege, hardly a press in peace; all further ones are examinations.
SIEGE_HOURS_MAX: Final = 50
# Every so many seeds, or so many in all, are run twice: the second journal must be the first.
RERUN_EVERY: Final = 10
RERUNS_MAX: Final = 200
# (kind, seed, first, second); the last two are the faults of a pair.
Unit = tuple[str, int, int, int]
EPISODE: Final = "episode"
EXAMINATION: Final = "examination"
RERUN_OF: Final = {EPISODE: "rerun", EXAMINATION: "examination rerun"}
PAIR: Final = "pair"
assert EPISODES_PER_HOUR * EPISODE_S == 3600, "an hour is whole episodes"


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign consists of; the same plan in the same directory goes on where it was."""

    first_seed: int
    hours: float
    pairs: int
    workers: int

    def units(self) -> list[Unit]:
        """All of them, in order: the siege, every pair, what is run twice, the examinations."""
        count = max(1, round(self.hours * EPISODES_PER_HOUR)) if self.hours else 0
        first, besieged = self.first_seed, min(count, SIEGE_HOURS_MAX * EPISODES_PER_HOUR)
        episodes: list[Unit] = [
            (EPISODE if number < besieged else EXAMINATION, first + number, 0, 0)
            for number in range(count)
        ]
        every = max(RERUN_EVERY, count // RERUNS_MAX)
        reruns: list[Unit] = [
            (RERUN_OF[kind], seed, 0, 0) for kind, seed, _, _ in episodes if seed % every == 0
        ]
        pairs: list[Unit] = [
            (PAIR, first + phase, one, two)
            for one, two in pair_units()
            for phase in range(self.pairs)
        ]
        return episodes[:besieged] + pairs + reruns + episodes[besieged:]
