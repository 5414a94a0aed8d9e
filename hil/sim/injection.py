"""One fault window in one world: onset, effect, end.

Lives here: the life of a window and what was so at its onset.  May not live here: what a fault does
(`faults`).  A fault counts from where its *effect* is seen, never from where it was asked for; a
window whose effect never shows is an error of the scenario, not a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hil.room.agenda import CYCLE, PULSE
from hil.sim.faults import TABLE
from hil.sim.rows import Row

if TYPE_CHECKING:
    from hil.sim.world import World

MS: Final = 1_000_000
WATCH_NS: Final = MS
# A fault whose effect has not shown by then will not be waited for any longer.
WATCHES_MAX: Final = 5_000


@dataclass(frozen=True, slots=True)
class Window:
    """One fault window: what, and from when to when, in ns.

    `onset_ns` counts from the start of the timeline.  `phase` −1: at `onset_ns`; else at that phase
    of the first `phase_of` (cycle or pulse) from then on.  `lasts_ns` is how long it goes on once
    its effect shows; 0: as long as `duration_ns` says, from the onset.
    """

    number: str
    component: str
    type: str
    instance: str
    amount: float
    onset_ns: int
    duration_ns: int
    phase: float = -1.0
    phase_of: str = CYCLE
    lasts_ns: int = 0

    @property
    def row(self) -> Row:
        """Its row of the table."""
        return TABLE[self.component, self.type]


class Injection:
    """The life of one window in one world; times are the rig's, 0: not yet."""

    def __init__(self, world: World, window: Window, origin_ns: int) -> None:
        self.window = window
        self.number = window.number
        self.of_room = bool(window.row.room)
        self.onset_ns = 0
        self.effect_ns = 0
        self.cleared_ns = 0
        self.beam_at_onset = False
        self.run_at_onset = False
        self._world = world
        self._baseline = 0
        self._watches = 0
        self._over = False
        at_ns = origin_ns + window.onset_ns
        if window.phase < 0:
            world.clockwork.at(at_ns, self._begin)
        else:
            world.clockwork.at(at_ns, self._await_phase)

    def _await_phase(self) -> None:
        world, window = self._world, self.window
        assert window.phase_of in (CYCLE, PULSE)

        def reached(t_ns: int) -> None:
            world.clockwork.at(t_ns, self._begin)

        world.room.agenda.at_phase(world.clockwork.now_ns, window.phase, window.phase_of, reached)

    def _begin(self) -> None:
        if self._over:
            return
        world, window = self._world, self.window
        world.room_to_now()
        self.onset_ns = world.clockwork.now_ns
        self.beam_at_onset = world.room.generator.firing is not None
        self.run_at_onset = world.realtime.executive.in_run
        seen = window.row.seen(world, window.instance)
        self._baseline = 0 if isinstance(seen, bool) else seen
        world.injections.append(self)
        window.row.begin(world, window.instance, window.amount or window.row.amount)
        if window.duration_ns:
            world.after(window.duration_ns, self.end)
        self._watch()

    def look(self) -> None:
        """Something happened in which the effect may show."""
        if self.effect_ns or self._over or self.of_room:
            return
        world, window = self._world, self.window
        if window.row.seen(world, window.instance) > self._baseline:
            self.saw(world.clockwork.now_ns)
            world.mark("fault_on", window.number, self._value())

    def _watch(self) -> None:
        """Look for the effect until it shows."""
        self.look()
        if self.effect_ns or self._over or self.of_room:
            return
        world = self._world
        self._watches += 1
        if self._watches < WATCHES_MAX:
            world.after(0 if self._watches == 1 else WATCH_NS, self._watch)

    def _value(self) -> dict[str, str | float]:
        window = self.window
        return {"target": window.instance, "amount": window.amount or window.row.amount}

    def saw(self, t_ns: int) -> None:
        """The effect shows (for the room's own faults the room says so)."""
        if self.effect_ns:
            return
        self.effect_ns = t_ns
        if self.window.lasts_ns:
            self._world.after(self.window.lasts_ns, self.end)

    def cleared(self, t_ns: int) -> None:
        """The effect is over."""
        self.cleared_ns = self.cleared_ns or t_ns

    def end(self) -> None:
        """End the window, once."""
        if self._over:
            return
        self._over = True
        if not self.onset_ns:
            return
        world, window = self._world, self.window
        window.row.end(world, window.instance)
        if not window.row.room and self.effect_ns:
            self.cleared(world.clockwork.now_ns)
            world.mark("fault_off", window.number, self._value())
