"""One seed of a campaign: an examination with faults, each followed by a recovery.

Lives here: what one seed stands for: its circumstances, its presses, which fault strikes when.  May
not live here: scheduling over cores (`campaign`), or judgement: that is the referee's and the
liveness check's.  Everything is drawn from the seed; the same seed is the same journal.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final

from controller.core.modes import Mode
from hil.room.agenda import CYCLE, PULSE
from hil.room.records import TruthRecord
from hil.sim.accounts import unaccounted
from hil.sim.case import Judged, configuration
from hil.sim.chance import Stream
from hil.sim.circumstances import Circumstances
from hil.sim.faults import TABLE
from hil.sim.injection import Injection, Window
from hil.sim.operator import Operator, Press, Recovery
from hil.sim.world import MS, ORIGIN_NS, SECOND, World

OFFSETS_NS: Final = (0, 0, 1 << 40, (1 << 53) + 1, 4_294_967_296_000_000 - 60 * SECOND)
COUNTERS: Final = (0, 250, 65_500, (1 << 32) - 300)
# Shares of the table's amounts, which are the least that the catalogue speaks of.
AMOUNT_PER_CENT: Final = (100, 100, 150, 300)
DURATIONS_MS: Final = (1, 20, 60, 150, 400, 900)
# What ends with a start is no shorter: systemd waits so long (RestartSec), and a supply longer.
STARTS_ANEW: Final = frozenset(
    {("process", "killed"), ("process", "broken"), ("supervisor", "flooded"),
     ("machine", "unpowered"), ("configuration", "spoiled")}
)  # fmt: skip
RESTART_MS: Final = 100
# Kinds whose onset has no meaning in a running examination (circumstances of a world instead).
NOT_IN_RUN: Final = frozenset({("counter", "wraps")})


@dataclass(frozen=True, slots=True)
class Manner:
    """How people work: drawn ranges in ms, and how often a fault strikes.

    `lead_ms` is how long the pedal is down before a fault strikes; after it, and without one, it
    stays down for `run_ms`.  Before each press the beam was on for at most `share` of the time; 0:
    the pause alone decides when it comes.
    """

    name: str
    rates: tuple[float, ...]
    faults_per_cent: int
    lead_ms: tuple[int, int]
    run_ms: tuple[int, int]
    pause_ms: tuple[int, int]
    share: float = 0.0


# A short press, a look at it, the next: a third of the time with the beam on, hardly one in peace.
SIEGE: Final = Manner("episode", (15.0, 15.0, 15.0, 30.0), 85, (200, 900), (300, 1_300),
                      (700, 3_000))  # fmt: skip
# Long presses, the beam on a fifth of the time, and now and then something breaks: false alarms
# (invariant 18) and what builds up in a run show here.
CALM: Final = Manner("examination", (15.0,) * 15 + (30.0,), 40, (500, 9_000), (1_000, 12_000),
                     (700, 3_000), 0.188)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What an episode gave; times in ns of the rig."""

    seed: int
    sim_ns: int = 0
    beam_ns: int = 0
    pulses: int = 0
    faults: int = 0
    unseen: int = 0
    events: int = 0
    turns: int = 0
    by_number: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    sha256: str = ""
    # Of a pair: where the second strikes, and whether the first one's effect was there before it.
    inside: str = ""
    struck: bool = False
    # Invariant 18: presses with no fault about, those that were not answered as they should be,
    # recoveries; the slowest way to READY after a fault, and from any such press to its pulse.
    calm: int = 0
    false_trips: int = 0
    recoveries: int = 0
    ready_ns_max: int = 0
    first_ns_max: int = 0
    # The same from rest: the rotor has to come up first.
    rested: int = 0
    rested_ns_max: int = 0

    def recovered(self, recovery: Recovery) -> None:
        """People have put everything right."""
        self.recoveries += recovery.alive
        self.ready_ns_max = max(self.ready_ns_max, recovery.ready_ns)
        self.first_ns_max = max(self.first_ns_max, recovery.first_pulse_ns)

    def answered(self, press: Press) -> None:
        """A press with no fault about."""
        self.calm += 1
        if press.rested:
            self.rested += 1
            self.rested_ns_max = max(self.rested_ns_max, press.first_pulse_ns)
        else:
            self.first_ns_max = max(self.first_ns_max, press.first_pulse_ns)

    def shown(self) -> dict[str, Any]:
        """JSON-able."""
        return dataclasses.asdict(self)


class BeamClock:
    """How long the machine was irradiating: the lamp follows the armed run."""

    def __init__(self, judged: Judged) -> None:
        self._judged = judged
        self._since_ns = 0
        self.total_ns = 0

    def take(self, record: TruthRecord) -> None:
        """One record of truth."""
        if record.kind == "line" and record.name == "lamp":
            if record.value:
                self._since_ns = record.t_ns
            elif self._since_ns:
                self.total_ns += record.t_ns - self._since_ns
                self._since_ns = 0
        self._judged.take(record)


def strikes() -> list[tuple[str, str, str, str]]:
    """(number, component, type, instance) of everything that can strike a running examination."""
    return [
        (number, component, kind, instance)
        for (component, kind), row in TABLE.items()
        if (component, kind) not in NOT_IN_RUN
        for number in row.numbers
        for instance in row.instances
    ]


def circumstances_of(seed: int) -> Circumstances:
    """Clocks and counters of a seed."""
    chance = Stream(seed, "circumstances")
    return Circumstances(
        host_offset_ns=OFFSETS_NS[chance.below(len(OFFSETS_NS))],
        drift_ppm=chance.between(-100, 100),
        line_seq=((1 << 32) - chance.between(1, 100_000)) * chance.below(2),
        pulse_counter=COUNTERS[chance.below(len(COUNTERS))],
        beat_ns=20 * MS,
    )


class Episode:
    """Runs one seed for `sim_s` seconds."""

    def __init__(self, seed: int, sim_s: int, manner: Manner = SIEGE) -> None:
        self.tally = Tally(seed)
        self._manner = manner
        self._chance = Stream(seed, manner.name)
        self._judged = Judged()
        self._clock = BeamClock(self._judged)
        topology = "panel_master" if seed % 4 == 3 else "controller_master"
        config = configuration({"panel.topology": topology})
        self._rate = manner.rates[self._chance.below(len(manner.rates))]
        self.world = World(config, seed, self._clock.take, circumstances_of(seed))
        self._operator = Operator(self.world)
        self._end_ns = ORIGIN_NS + sim_s * SECOND
        self._strikes = strikes()

    def run(self) -> Tally:
        """Run to the end; violations carry their words."""
        world, operator, tally = self.world, self._operator, self.tally
        world.power_on()
        if not operator.boot() or not operator.make_ready(self._rate):
            tally.violations.append(f"alive: boot ended in {operator.mode()}")
        while not tally.violations and self._next_press():
            if self._chance.below(100) < self._manner.faults_per_cent:
                self._with_fault()
            else:
                self._without_fault()
        return self._finish()

    def _finish(self) -> Tally:
        world, tally = self.world, self.tally
        tally.violations += self._judged.violations() + unaccounted(world)
        tally.sim_ns = world.clockwork.now_ns - ORIGIN_NS
        tally.beam_ns = self._clock.total_ns
        tally.pulses = world.room.generator.pulse_count
        tally.events = world.clockwork.done
        tally.turns = world.realtime.turns
        tally.sha256 = world.journal.sha256
        return tally

    def _pass(self, ns: int) -> None:
        self.world.run_until(self.world.clockwork.now_ns + ns)

    def _pass_drawn(self, bounds_ms: tuple[int, int]) -> None:
        self._pass(self._chance.between(*bounds_ms) * MS)

    def _next_press(self) -> bool:
        """Look at what was seen until the next press is due; False when the time is over."""
        clockwork, share = self.world.clockwork, self._manner.share
        if share:
            due_ns = ORIGIN_NS + round(self._clock.total_ns / share)
            self.world.run_until(max(clockwork.now_ns, min(due_ns, self._end_ns)))
        return clockwork.now_ns < self._end_ns

    def _without_fault(self) -> None:
        """A press, its pulses in time, a release, a pause; nothing else may happen."""
        operator = self._operator
        # After a long look the tube may be at rest; between the presses of a siege it may not.
        warm = operator.warm() or self._manner.share > 0
        if operator.mode() not in (Mode.READY, Mode.HOLD) or not warm:
            self._false_trip(f"{operator.mode()}")
            return
        press = operator.press_to_pulse()
        self._pass_drawn(self._manner.run_ms)
        exposing = operator.mode() is Mode.EXPOSING
        operator.act("release fluoro")
        self._pass_drawn(self._manner.pause_ms)
        if not exposing and operator.told_to_wait():
            return
        self.tally.answered(press)
        if press.first_pulse_ns < 0:
            self._false_trip(f"no pulse in {press.limit_ns // MS} ms")
        elif not exposing or operator.mode() not in (Mode.HOLD, Mode.STANDBY):
            held = [fault.id for fault in self.world.supervisor.core.faults]
            self._false_trip(f"{operator.mode()} {held}")

    def _false_trip(self, words: str) -> None:
        self.tally.false_trips += 1
        self.tally.violations.append(f"false trip: {words}")

    def _window(self) -> Window:
        chance = self._chance
        number, component, kind, instance = self._strikes[chance.below(len(self._strikes))]
        row = TABLE[component, kind]
        amount = row.amount * AMOUNT_PER_CENT[chance.below(len(AMOUNT_PER_CENT))] / 100
        least_ms = RESTART_MS if (component, kind) in STARTS_ANEW else 0
        duration_ms = max(least_ms, DURATIONS_MS[chance.below(len(DURATIONS_MS))])
        phase = chance.below(1000) / 1000
        phase_of = CYCLE if chance.below(3) else PULSE
        return Window(number, component, kind, instance, amount, 0, duration_ms * MS, phase,
                      phase_of)  # fmt: skip

    def _with_fault(self) -> None:
        """A press; within it one fault; then people put everything right."""
        world, operator, tally = self.world, self._operator, self.tally
        operator.warm()
        operator.act("press fluoro")
        self._pass_drawn(self._manner.lead_ms)
        window = self._window()
        injection = Injection(world, window, world.clockwork.now_ns)
        self._pass_drawn(self._manner.run_ms)
        recovery = operator.recover()
        tally.recovered(recovery)
        world.injections.clear()
        if injection.effect_ns:
            tally.faults += 1
            tally.by_number[window.number] = tally.by_number.get(window.number, 0) + 1
        else:
            tally.unseen += 1
        if not recovery.alive:
            tally.violations.append(
                f"alive: {recovery.detail} after {window.number} {window.component} "
                f"{window.type} {window.instance} {window.amount:g} {window.duration_ns // MS} ms"
            )
        self._pass_drawn(self._manner.pause_ms)


def run_episode(seed: int, sim_s: int, manner: Manner = SIEGE) -> Tally:
    """One seed, whole; whatever breaks in it is a violation with its words."""
    return Episode(seed, sim_s, manner).run()
