"""Pairs of faults: the second strikes inside the first one's effect or recovery.

Lives here: which strikes stand for which number of the catalogue, and one pair in one world.  May
not live here: counting over pairs (`campaign`).

Theory of operation.  The phase is drawn from the seed: with an even one the second begins while the
first one's effect lasts, with an odd one while people put the first one right; where one of the two
cannot show anything (nobody is blocked while the power is off), the other is taken after half of
the attempts.  Both onsets count
from where the first effect *was seen*, never from where it was asked for, and each fault goes on
for a while after its own effect shows.  What does not show by itself gets its occasion: a contact
that bounces must move, a buzzer that is mute must be asked to sound.  After both, a recovery must
lead back to a clean pulse, and the referee watches throughout.
"""

from __future__ import annotations

import functools
from typing import Final

from hil.room.agenda import CYCLE, PULSE
from hil.sim.accounts import unaccounted
from hil.sim.case import Judged, configuration
from hil.sim.chance import Stream
from hil.sim.episode import BeamClock, Tally, circumstances_of, strikes
from hil.sim.faults import TABLE
from hil.sim.injection import Injection, Window
from hil.sim.operator import Operator
from hil.sim.world import MS, ORIGIN_NS, World

# How long a fault goes on once its effect shows.
LASTS_MS: Final = (60, 400)
# The effect of a fault shows within this, or it is given an occasion.
SHOWS_MS: Final = 400
# A recovery takes 0.8 … 2 s and ends in a run of 0.3 s; in a quick one later attempts are earlier.
RECOVERY_MS: Final = 1_400
WATCHED_MS: Final = 500
LOOK_NS: Final = MS
# What people do next, one after the other, until an effect shows: every contact moves, every
# signal sounds, a run begins and ends.
OCCASIONS: Final = (
    "release fluoro", "press fluoro", "press high", "release high", "press cine", "release cine",
    "release fluoro", "self test",
)  # fmt: skip
OCCASION_MS: Final = 200
# Recoveries that may be needed until the second effect shows.
TRIES_MAX: Final = 2
# Another instant and instance is drawn when an effect did not show: a dead executive cannot be
# blocked, but a supervisor can die instead.
ATTEMPTS_MAX: Final = 8
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
        self.tally = Tally(seed, inside=INSIDE[(seed + (2 * attempt >= ATTEMPTS_MAX)) % 2])
        self._chance = Stream(seed, f"pair {first} {second} {attempt}")
        self._judged = Judged()
        self._clock = BeamClock(self._judged)
        self.world = World(configuration({}), seed, self._clock.take, circumstances_of(seed))
        self._operator = Operator(self.world)
        self._numbers = (f"F{first:02}", f"F{second:02}")
        self._longest_ms = RECOVERY_MS // (1 + attempt // 2)

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
        if not one.effect_ns:
            return self._finish(one, None)
        two = self._in_effect(one) if tally.inside == "effect" else self._in_recovery(one)
        recovery = operator.recover()
        tally.recovered(recovery)
        if not recovery.alive:
            tally.violations.append(f"alive: {recovery.detail}")
        return self._finish(one, two)

    def _pass(self, ns: int) -> None:
        self.world.run_until(self.world.clockwork.now_ns + ns)

    def _shows(self, injection: Injection, longest_ms: int) -> bool:
        """Look until its effect shows."""
        return self._operator.wait(lambda: bool(injection.effect_ns), longest_ms * MS, LOOK_NS)

    def _provoke(self, injection: Injection) -> bool:
        """Give it one occasion after the other to show its effect."""
        for words in OCCASIONS:
            if injection.effect_ns:
                break
            self._operator.act(words)
            self._shows(injection, OCCASION_MS)
        return bool(injection.effect_ns)

    def _first(self) -> Injection:
        """Strike at a phase of the run, and look until the effect shows."""
        phase_of = CYCLE if self._chance.below(2) else PULSE
        one = self._strike(self._numbers[0], 0, self._chance.below(1000) / 1000, phase_of)
        if not self._shows(one, SHOWS_MS):
            self._provoke(one)
        return one

    def _in_effect(self, one: Injection) -> Injection:
        """While the first lasts: it ends `lasts_ns` after its effect, and that is later."""
        left_ns = max(0, one.effect_ns + one.window.lasts_ns - self.world.clockwork.now_ns)
        two = self._strike(self._numbers[1], self._chance.below(max(1, left_ns)))
        self._pass(left_ns + WATCHED_MS * MS)
        self.tally.struck = one.effect_ns <= two.onset_ns <= one.effect_ns + one.window.lasts_ns
        self._until_seen(two)
        return two

    def _in_recovery(self, one: Injection) -> Injection:
        """While somebody puts the first one right, up to the first clean run."""
        self._pass(one.window.lasts_ns + WATCHED_MS * MS)
        two = self._strike(self._numbers[1], self._chance.below(self._longest_ms) * MS)
        self._operator.recover(spare=two)
        self.tally.struck = two.onset_ns > 0
        if self.tally.struck:
            self._until_seen(two)
        else:
            # The recovery was quicker: this second one never comes, and another instant is drawn.
            two.end()
        return two

    def _until_seen(self, two: Injection) -> None:
        """People go on: they put things right and press, and take every other occasion."""
        for _ in range(TRIES_MAX):
            if two.effect_ns or self._provoke(two):
                break
            self._operator.recover(spare=two)
        if two.effect_ns:
            self._pass(two.window.lasts_ns)

    def _strike(
        self, number: str, after_ns: int, phase: float = -1.0, phase_of: str = CYCLE
    ) -> Injection:
        """Something that stands for this number, from now on or so much later."""
        rows = rows_of(number)
        _, component, kind, instance = rows[self._chance.below(len(rows))]
        lasts_ns = self._chance.between(*LASTS_MS) * MS
        window = Window(number, component, kind, instance, TABLE[component, kind].amount, 0, 0,
                        phase, phase_of, lasts_ns)  # fmt: skip
        return Injection(self.world, window, self.world.clockwork.now_ns + after_ns)

    def _finish(self, one: Injection, two: Injection | None) -> Tally:
        world, tally = self.world, self.tally
        tally.violations += self._judged.violations() + unaccounted(world)
        tally.faults = bool(one.effect_ns) + bool(two is not None and two.effect_ns)
        tally.unseen = 2 - tally.faults
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
