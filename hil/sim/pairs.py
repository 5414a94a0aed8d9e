"""Pairs of faults: the second strikes inside the first one's effect or recovery.

Lives here: which strikes stand for which number of the catalogue, and one pair in one world.  May
not live here: counting over pairs (`campaign`).  The instant of the second is drawn from the seed;
the recovery that follows must lead back to a clean pulse, and the referee watches throughout.
"""

from __future__ import annotations

from typing import Final

from hil.room.agenda import CYCLE, PULSE
from hil.sim.case import Judged, configuration
from hil.sim.chance import Stream
from hil.sim.episode import BeamClock, Tally, circumstances_of, strikes
from hil.sim.faults import TABLE
from hil.sim.injection import Injection, Window
from hil.sim.operator import Operator
from hil.sim.world import MS, ORIGIN_NS, World

FIRST_MS: Final = (60, 400)
SECOND_AFTER_MS: Final = (0, 300)
WATCHED_MS: Final = 900


def numbers() -> list[str]:
    """Catalogue numbers that can strike a running examination, in order."""
    return sorted({number for number, _, _, _ in strikes()})


def pair_units() -> list[tuple[int, int]]:
    """Every ordered pair of different numbers, as numbers without their letter."""
    known = [int(number[1:]) for number in numbers()]
    return [(first, second) for first in known for second in known if first != second]


def run_pair(seed: int, first: int, second: int) -> Tally:
    """One pair at one seeded phase."""
    tally = Tally(seed)
    chance = Stream(seed, f"pair {first} {second}")
    judged = Judged()
    clock = BeamClock(judged)
    world = World(configuration({}), seed, clock.take, circumstances_of(seed))
    operator = Operator(world)
    world.power_on()
    if not operator.boot() or not operator.make_ready(15.0):
        tally.violations.append(f"alive: boot ended in {operator.mode()}")
        return tally
    operator.act("press fluoro")
    world.run_until(world.clockwork.now_ns + 400 * MS)
    start_ns = world.clockwork.now_ns
    one = Injection(world, _window(chance, f"F{first:02}", 0, phased=True), start_ns)
    after_ms = chance.between(*SECOND_AFTER_MS) + 70
    two = Injection(world, _window(chance, f"F{second:02}", after_ms, phased=False), start_ns)
    world.run_until(start_ns + WATCHED_MS * MS)
    recovery = operator.recover()
    if not recovery.alive:
        tally.violations.append(f"alive: {recovery.detail}")
    tally.violations += judged.violations()
    for injection in (one, two):
        tally.unseen += not injection.effect_ns
        tally.faults += bool(injection.effect_ns)
    tally.sim_ns = world.clockwork.now_ns - ORIGIN_NS
    tally.beam_ns, tally.pulses = clock.total_ns, world.room.generator.pulse_count
    tally.events, tally.turns = world.clockwork.done, world.realtime.turns
    tally.sha256 = world.journal.sha256
    return tally


def _window(chance: Stream, number: str, after_ms: int, *, phased: bool) -> Window:
    rows = [strike for strike in strikes() if strike[0] == number]
    _, component, kind, instance = rows[chance.below(len(rows))]
    phase = chance.below(1000) / 1000 if phased else -1.0
    phase_of = CYCLE if chance.below(2) else PULSE
    duration_ns = chance.between(*FIRST_MS) * MS
    amount = TABLE[component, kind].amount
    return Window(number, component, kind, instance, amount, after_ms * MS, duration_ns, phase,
                  phase_of)  # fmt: skip
