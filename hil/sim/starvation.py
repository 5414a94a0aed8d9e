"""A computer that has no time for its processes: each waits for the processor, again and again.

Lives here: the waits, drawn from the seed.  May not live here: what becomes of a process that was
away (`beam_process`, `supervisor_process`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hil.sim.world import World

MS: Final = 1_000_000
APART_NS: Final = (5 * MS, 15 * MS)


class Starvation:
    """`waits` counts them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._longest_ns = 0
        self.waits = 0

    def starve(self, longest_ns: int) -> None:
        """From now on every process waits for the processor, now and then; 0 ends it."""
        begins = not self._longest_ns
        self._longest_ns = longest_ns
        if begins and longest_ns:
            self._wait()

    def _wait(self) -> None:
        world = self._world
        if not self._longest_ns:
            return
        for process in (world.realtime, world.supervisor):
            if process.alive and not process.stopped:
                process.block(world.chance.below(self._longest_ns))
                self.waits += 1
        world.look()
        world.after(world.chance.between(*APART_NS), self._wait)
