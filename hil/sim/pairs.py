"""Pairs of faults: the second strikes inside the first one's effect or recovery.

Lives here: which strikes stand for which number of the catalogue, and one pair in one world.  May
not live here: counting over pairs (`campaign`).  The phase is drawn from the seed: with an even one
the second begins while the first one's effect lasts, with an odd one while people put the first one
right.  It begins where the effect *was seen*, never where it was asked for.  After both, a recovery
must lead back to a clean pulse, and the referee watches throughout.
"""

from __future__ import annotations

import functools
from typing import Final

from hil.room.agenda import CYCLE, PULSE
from hil.sim.case import Judged, configuration
from hil.sim.chance import Stream
from hil.sim.episode import BeamClock, Tally, circumstances_of, strikes
from hil.sim.faults import TABLE
from hil.sim.injection import Injection, Window
from hil.sim.operator import Operator
from hil.sim.world import MS, ORIGIN_NS, World

PHASES_MIN: Final = 5
FIRST_MS: Final = (60, 400)
SECOND_MS: Final = (60, 400)
# The effect of the first shows within this, or the pair did not happen.
SHOWS_MS: Final = 500
# A recovery takes 0.5 … 1.5 s and ends in a run of 0.3 s.
RECOVERY_MS: Final = (0, 1_400)
WATCHED_MS: Final = 500
LOOK_NS: Final = MS
# Another instant is drawn when an effect did not show; some pairs never show both (a dead
# executive fires no pulse whose frame could be lost).
ATTEMPTS_MAX: Final = 3
INSIDE: Final = ("effect", "recovery")


@functools.cache
def rows_of(number: str) -> tuple[tuple[str, str, str, str], ...]:
    """Everything that stands for a number in a running examination."""
    return tuple(strike for strike in strikes() if strike[0] == number)


def numbers() -> list[str]:
    """Catalogue numbers that can strike a running examination, in order."""
    return sorted({number for number, _, _, _ in strikes()})


def pair_units() -> list[tuple[int, int]]:
    """Every ordered pair of different numbers, as numbers without their letter."""
    known = [int(number[1:]) for number in numbers()]
    return [(first, second) for first in known for second in known if first != second]


class PairRun:
    """One ordered pair in one world; `attempt` draws other instants."""

    def __init__(self, seed: int, first: int, second: int, attempt: int) -> None:
        self.tally = Tally(seed, inside=INSIDE[seed % 2])
        self._chance = Stream(seed, f"pair {first} {second} {attempt}")
        self._judged = Judged()
        self._clock = BeamClock(self._judged)
        self.world = World(configuration({}), seed, self._clock.take, circumstances_of(seed))
        self._operator = Operator(self.world)
        self._numbers = (f"F{first:02}", f"F{second:02}")

    def run(self) -> Tally:
        """Both faults, the recoveries, and what the referee says."""
        world, operator, tally = self.world, self._operator, self.tally
        world.power_on()
        if not operator.boot() or not operator.make_ready(15.0):
            tally.violations.append(f"alive: boot ended in {operator.mode()}")
            return tally
        operator.act("press fluoro")
        self._pass(400 * MS)
        one = self._first()
        two = self._in_effect(one) if tally.inside == "effect" else self._in_recovery()
        recovery = operator.recover()
        if not recovery.alive:
            tally.violations.append(f"alive: {recovery.detail}")
        return self._finish(one, two)

    def _pass(self, ns: int) -> None:
        self.world.run_until(self.world.clockwork.now_ns + ns)

    def _first(self) -> Injection:
        """Strike at a phase of the run, and look until the effect shows."""
        world = self.world
        number, duration_ns = self._numbers[0], self._chance.between(*FIRST_MS) * MS
        phase_of = CYCLE if self._chance.below(2) else PULSE
        phase = self._chance.below(1000) / 1000
        window = self._window(number, duration_ns, phase, phase_of)
        injection = Injection(world, window, world.clockwork.now_ns)
        self._operator.wait(lambda: bool(injection.effect_ns), SHOWS_MS * MS, LOOK_NS)
        return injection

    def _in_effect(self, one: Injection) -> Injection:
        """While the first lasts: it ends when its window does, and that is later."""
        left_ns = max(0, one.onset_ns + one.window.duration_ns - self.world.clockwork.now_ns)
        return self._second(self._chance.below(max(1, left_ns)), WATCHED_MS)

    def _in_recovery(self) -> Injection:
        """While somebody puts the first one right, up to the first clean run."""
        self._pass(WATCHED_MS * MS)
        two = self._second(self._chance.between(*RECOVERY_MS) * MS, 0)
        self._operator.recover(spare=two)
        if not two.onset_ns:
            # The recovery was quicker than the onset: it strikes behind its clean run.
            self._operator.wait(lambda: bool(two.onset_ns), RECOVERY_MS[1] * MS)
        return two

    def _second(self, after_ns: int, watched_ms: int) -> Injection:
        world = self.world
        window = self._window(self._numbers[1], self._chance.between(*SECOND_MS) * MS, -1.0, CYCLE)
        two = Injection(world, window, world.clockwork.now_ns + after_ns)
        if watched_ms:
            self._pass(after_ns + watched_ms * MS)
        return two

    def _window(self, number: str, duration_ns: int, phase: float, phase_of: str) -> Window:
        rows = rows_of(number)
        _, component, kind, instance = rows[self._chance.below(len(rows))]
        amount = TABLE[component, kind].amount
        return Window(number, component, kind, instance, amount, 0, duration_ns, phase, phase_of)

    def _finish(self, one: Injection, two: Injection) -> Tally:
        world, tally = self.world, self.tally
        tally.violations += self._judged.violations()
        for injection in (one, two):
            tally.unseen += not injection.effect_ns
            tally.faults += bool(injection.effect_ns)
        tally.struck = bool(one.effect_ns and one.effect_ns <= two.onset_ns)
        tally.sim_ns = world.clockwork.now_ns - ORIGIN_NS
        tally.beam_ns, tally.pulses = self._clock.total_ns, world.room.generator.pulse_count
        tally.events, tally.turns = world.clockwork.done, world.realtime.turns
        tally.sha256 = world.journal.sha256
        return tally


def run_pair(seed: int, first: int, second: int) -> Tally:
    """One pair at one seeded phase: the attempt that shows most, or the first that violates."""
    best = PairRun(seed, first, second, 0).run()
    for attempt in range(1, ATTEMPTS_MAX):
        if best.violations or (best.struck and not best.unseen):
            break
        tally = PairRun(seed, first, second, attempt).run()
        if tally.violations or (tally.struck, -tally.unseen) > (best.struck, -best.unseen):
            best = tally
    return best
