"""Worlds in virtual time for the bench: an examination with faults, a long run, and what they cost.

Lives here: playing them and taking processor time.  May not live here: figures or goals (`proof`).
Time is that of this process on one core (`process_time`), so a busy neighbour counts for less.
"""

from __future__ import annotations

import heapq
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

from bench.harness import CannotMeasure, Samples
from controller.core.machine import Machine
from hil.room.room import Room
from hil.sim import beam_process
from hil.sim.case import Judged, configuration
from hil.sim.chance import Stream
from hil.sim.circumstances import Circumstances
from hil.sim.episode import BeamClock, strikes
from hil.sim.faults import TABLE
from hil.sim.injection import Injection, Window
from hil.sim.journal import Journal
from hil.sim.operator import Operator
from hil.sim.world import World

MS: Final = 1_000_000
S: Final = 1_000_000_000
RATE: Final = 15.0
RUN_NS: Final = 4 * S
# A fault strikes one examination in so many, this long before its end.
FAULT_EVERY: Final = 4
STRIKE_NS: Final = 500 * MS
FAULT_NS: Final = 150 * MS
BEAM_ON_SHARE: Final = 0.2
STRETCH_S: Final = 2
EXAMINATIONS: Final = 4
# A heap of a world in a run holds about this many events.
WAITING: Final = 12


class Bench:
    """One world of one seed, READY at 15/s, with referee and hashed journal."""

    def __init__(self, seed: int) -> None:
        self.judged = Judged()
        self.beam = BeamClock(self.judged)
        self.world = World(configuration({}), seed, self.beam.take, Circumstances(drift_ppm=30))
        self.operator = Operator(self.world)
        self.faults = 0
        self._chance = Stream(seed, "bench")
        self._strikes = strikes()
        self.world.power_on()
        if not (self.operator.boot() and self.operator.make_ready(RATE)):
            raise CannotMeasure(f"seed {seed}: the machine of virtual time did not become READY")

    @property
    def now_ns(self) -> int:
        """Where the world is."""
        return self.world.clockwork.now_ns

    def let(self, ns: int) -> None:
        """Let so much time pass."""
        self.world.run_until(self.now_ns + ns)

    def examination(self, number: int) -> None:
        """A run of 4 s, now and then with a fault near its end, and rest until the beam was on
        a fifth of the time.
        """
        began_ns, beam_ns = self.now_ns, self.beam.total_ns
        self.operator.warm()
        self.operator.act("press fluoro")
        self.let(RUN_NS - STRIKE_NS)
        if number % FAULT_EVERY == 0:
            self._strike()
        else:
            self.let(STRIKE_NS)
            self.operator.act("release fluoro")
        self.let(S)
        rest_ns = (self.beam.total_ns - beam_ns) / BEAM_ON_SHARE - (self.now_ns - began_ns)
        self.let(max(0, round(rest_ns)))

    def _strike(self) -> None:
        number, component, kind, instance = self._strikes[self._chance.below(len(self._strikes))]
        amount = TABLE[component, kind].amount
        window = Window(number, component, kind, instance, amount, 0, FAULT_NS, 0.5)
        injection = Injection(self.world, window, self.now_ns)
        self.let(STRIKE_NS)
        recovery = self.operator.recover()
        self.world.injections.clear()
        self.faults += bool(injection.effect_ns)
        if not recovery.alive:
            raise CannotMeasure(f"after {number}: {recovery.detail}")


def timed(act: Callable[[], object]) -> float:
    """Seconds of processor time that `act` took."""
    began_s = time.process_time()
    act()
    return time.process_time() - began_s


def bare_events(count: int) -> float:
    """Seconds that a heap loop takes that does nothing but draw, push and pop so many events."""
    draw = Stream(1, "bare").bits
    heap: list[tuple[int, int, int, Callable[[], None], tuple[()]]] = []

    def nothing() -> None:
        pass

    def loop() -> None:
        now_ns = 0
        for number in range(count):
            heapq.heappush(heap, (now_ns + draw(20), draw(16), number, nothing, ()))
            if number >= WAITING:
                now_ns, _, _, act, arguments = heapq.heappop(heap)
                act(*arguments)

    return timed(loop)


PARTS: Final[tuple[tuple[str, Any, tuple[str, ...]], ...]] = (
    ("turns", beam_process, ("turn",)),
    ("supervisor", Machine, ("step",)),
    ("room", Room, ("apply", "advance")),
    ("referee", Judged, ("take",)),
    ("journal", Journal, ("note",)),
)


@contextmanager
def watched(spent: dict[str, float]) -> Iterator[None]:
    """Inside, the time spent in each part of `PARTS` is added up; a part inside itself once."""
    inside: set[str] = set()

    def around(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if part in inside:
                return call(*arguments, **named)
            inside.add(part)
            began_ns = time.process_time_ns()
            try:
                return call(*arguments, **named)
            finally:
                spent[part] = spent.get(part, 0.0) + (time.process_time_ns() - began_ns) / 1e6
                inside.discard(part)

        return wrapped

    with ExitStack() as stack:
        for part, place, names in PARTS:
            for name in names:
                stack.enter_context(patch.object(place, name, around(part, getattr(place, name))))
        yield


def continuous(count: int) -> Samples:
    """So many stretches of one run that never ends."""
    bench = _in_run()
    samples: Samples = {}
    for _ in range(count):
        _stretch(bench, samples)
    samples["violations"] = [float(len(bench.judged.violations()))]
    return samples


def parts() -> Samples:
    """Where the time of a pulse goes, ms; only the interpreter lets itself be watched."""
    bench = _in_run()
    spent: dict[str, float] = {}
    pulses = bench.world.room.generator.pulse_count
    with watched(spent):
        bench.let(STRETCH_S * S)
    pulses = bench.world.room.generator.pulse_count - pulses
    return {part: [spent[part] / pulses] for part, _, _ in PARTS}


def _in_run() -> Bench:
    bench = Bench(seed=1)
    bench.operator.act("press fluoro")
    bench.let(S)
    return bench


def _stretch(bench: Bench, samples: Samples) -> None:
    world = bench.world
    events, pulses, turns = (
        world.clockwork.done,
        world.room.generator.pulse_count,
        world.realtime.turns,
    )
    took_s = timed(lambda: bench.let(STRETCH_S * S))
    pulses = world.room.generator.pulse_count - pulses
    samples.setdefault("x", []).append(STRETCH_S / took_s)
    bare_s = bare_events(world.clockwork.done - events)
    samples.setdefault("bare", []).append(STRETCH_S / bare_s)
    samples.setdefault("pulse_ms", []).append(took_s * 1000 / pulses)
    samples.setdefault("bare_ms", []).append(bare_s * 1000 / pulses)
    samples.setdefault("turns_per_pulse", []).append((world.realtime.turns - turns) / pulses)


def typical(count: int) -> Samples:
    """So many worlds, each with a few examinations; one in four has a fault and a recovery."""
    samples: Samples = {"violations": []}
    for seed in range(1, count + 1):
        bench = Bench(seed)
        began_ns, beam_ns, events = bench.now_ns, bench.beam.total_ns, bench.world.clockwork.done

        def play(bench: Bench = bench) -> None:
            for number in range(EXAMINATIONS):
                bench.examination(number)

        took_s = timed(play)
        sim_s = (bench.now_ns - began_ns) / S
        samples.setdefault("x", []).append(sim_s / took_s)
        bare_s = bare_events(bench.world.clockwork.done - events)
        samples.setdefault("bare", []).append(sim_s / bare_s)
        samples.setdefault("share", []).append((bench.beam.total_ns - beam_ns) / S / sim_s)
        samples.setdefault("faults", []).append(float(bench.faults))
        samples["violations"].append(float(len(bench.judged.violations())))
    return samples


KINDS: Final = {"continuous": continuous, "typical": typical}

if __name__ == "__main__":
    json.dump(KINDS[sys.argv[1]](int(sys.argv[2])), sys.stdout)
