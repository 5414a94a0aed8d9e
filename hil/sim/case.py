"""One run of a scenario: one seed, one step of its sweep, with its control and its two phases.

Lives here: building the world of a scenario, running timeline and recovery in virtual time.  May
not live here: the format (`scenario`), when a case counts (`judging`), or the referee, which judges
every run.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from typing import Any, Final

from hil.referee.referee import Referee
from hil.referee.truth import Truth
from hil.room.commands import Wiring
from hil.room.records import TruthRecord
from hil.sim.accounts import unaccounted
from hil.sim.circumstances import Circumstances
from hil.sim.injection import Injection, Window
from hil.sim.installation import PROFILE
from hil.sim.judging import Reason, Ruling, Verdict, judge, verdict
from hil.sim.observed import Observed
from hil.sim.operator import SETTLE_NS, Operator, Recovery
from hil.sim.removed import taken_out
from hil.sim.scenario import SWITCHES, Scenario
from hil.sim.world import ORIGIN_NS, SECOND, World
from realtime.wire.config import Config, check

# Steps of the sweep at which a scenario is tried without its reaction, until one is red.
PROOFS: Final = 5
RUNS: Final = frozenset({"clearing", "armed", "pulse", "readout"})


class Judged:
    """The referee, fed record by record while the world runs; keeps nothing but its picture."""

    def __init__(self, keep: bool = False) -> None:
        self.referee = Referee()
        self.kept: list[TruthRecord] | None = [] if keep else None
        self._line = 0

    def take(self, record: TruthRecord) -> None:
        """One record of truth."""
        self._line += 1
        if self.kept is not None:
            self.kept.append(record)
        self.referee.take(
            Truth(record.t_ns, record.kind, record.name, record.value,
                  record.pulse_id or None, self._line)
        )  # fmt: skip

    def violations(self) -> list[str]:
        """Finish, and say what was violated."""
        self.referee.finish()
        return [
            f"invariant {row['n']}: {row['examples'][0]}"
            for row in self.referee.verdict()["invariants"]
            if row["violations"]
        ]


@dataclass(slots=True)
class Run:
    """What one world gave: with the fault, or as its control."""

    observed: Observed
    injections: list[Injection]
    recovery: Recovery | None
    violations: list[str]
    sha256: str
    pulses: int
    ready: bool
    truth: list[TruthRecord]


def configuration(overrides: dict[str, Any]) -> Config:
    """The bench configuration with some keys replaced; raises ConfigError."""
    table = tomllib.loads(PROFILE.read_text(encoding="utf-8"))
    for name, value in overrides.items():
        section, _, key = name.rpartition(".")
        place = table.setdefault(section, {}) if section else table
        place[key] = value
    return check(table)


def windows_at(scenario: Scenario, step: int) -> list[Window]:
    """The windows of one step of the sweep."""
    sweep = scenario.sweep
    part = step / sweep.steps
    moved = []
    for number, window in enumerate(scenario.windows):
        if number not in scenario.swept:
            moved.append(window)
        elif sweep.over == "instance":
            instances = window.row.instances
            moved.append(dataclasses.replace(window, instance=instances[step % len(instances)]))
        elif sweep.over == "onset":
            onset_ns = window.onset_ns + round(part * sweep.span_ns)
            moved.append(dataclasses.replace(window, onset_ns=onset_ns))
        else:
            moved.append(dataclasses.replace(window, phase=part, phase_of=sweep.over))
    return moved


def world_of(scenario: Scenario, seed: int, judged: Judged, skips_idle: bool = True) -> World:
    """A world as the scenario's head describes it."""
    circumstances = Circumstances(skips_idle=skips_idle)
    numbers: dict[str, Any] = dict(scenario.circumstances)
    circumstances = dataclasses.replace(circumstances, **numbers)
    return World(configuration(dict(scenario.config)), seed, judged.take, circumstances)


def invite(world: World, scenario: Scenario) -> None:
    """Whoever the windows strike outside is there from the start, in the control as well."""
    struck = {window.component for window in scenario.windows}
    if "subscriber" in struck:
        world.audience.open(stays=True)
    if struck & {"broker", "command"}:
        world.service.open(stays=True)


def wiring_of(scenario: Scenario) -> Wiring:
    """The room as built, save what the scenario disconnects."""
    switches = {**dict.fromkeys(SWITCHES, True), **scenario.wiring}
    return Wiring(0, switches["window_gate"], switches["chain"], switches["preset"],
                  switches["backup"])  # fmt: skip


def run(
    scenario: Scenario, seed: int, windows: list[Window], keep: bool = False,
    skips_idle: bool = True,
) -> Run:  # fmt: skip
    """One world through the scenario's timeline, then its recovery."""
    judged = Judged(keep)
    world = world_of(scenario, seed, judged, skips_idle)
    operator = Operator(world)
    observed = world.observed
    invite(world, scenario)
    world.power_on()
    ready = True
    if scenario.start != "boot":
        ready = operator.boot()
    if scenario.start == "ready":
        ready = ready and operator.make_ready(scenario.rate)
    if scenario.wiring:
        world.command(wiring_of(scenario))
    observed.t0_ns = world.clockwork.now_ns if scenario.start != "boot" else ORIGIN_NS
    observed.period_ns = round(SECOND / scenario.rate)
    for stimulus in scenario.stimuli:
        world.clockwork.at(observed.t0_ns + stimulus.at_ns, operator.act, stimulus.do)
    injections = [Injection(world, window, observed.t0_ns) for window in windows]
    observed.end_ns = observed.t0_ns + scenario.duration_ns
    world.run_until(observed.end_ns)
    seen = _frozen(observed)
    recovery = operator.recover() if scenario.recovers else None
    if recovery is not None and recovery.alive:
        world.run_until(world.clockwork.now_ns + SETTLE_NS)
    return Run(
        seen, injections, recovery, judged.violations() + unaccounted(world), world.journal.sha256,
        world.room.generator.pulse_count, ready, judged.kept or [],
    )  # fmt: skip


def _frozen(observed: Observed) -> Observed:
    """What was seen up to the end of the timeline."""
    copies = {
        name: type(value)(value, maxlen=value.maxlen)
        for name in ("beams", "modes", "faults", "trips", "refusals", "tones", "told")
        if (value := getattr(observed, name)) is not None
    }
    copies["beams"] = type(observed.beams)(
        (dataclasses.replace(beam) for beam in observed.beams), maxlen=observed.beams.maxlen
    )
    return dataclasses.replace(observed, **copies)


class Cases:
    """Runs the cases of one scenario; its control runs once per seed."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._controls: dict[int, Run] = {}
        self._unproven: str | None = None

    def control(self, seed: int) -> Run:
        """The same timeline without any fault."""
        if seed not in self._controls:
            self._controls[seed] = run(self.scenario, seed, [])
        return self._controls[seed]

    def case(self, seed: int, step: int) -> Verdict:
        """One case, judged."""
        return self.played(seed, step)[0]

    def played(self, seed: int, step: int) -> tuple[Verdict, Run]:
        """One case, judged, and what it gave."""
        windows = windows_at(self.scenario, step)
        played = run(self.scenario, seed, windows)
        ruling = judge(self.scenario, played, lambda: self.control(seed))
        if ruling.reason is Reason.NONE and self.unproven(seed):
            ruling = Ruling(Reason.GREEN_WITHOUT_REACTION, self.unproven(seed))
        phase = windows[0].phase if windows else -1.0
        line = verdict(self.scenario, "virtual", seed, step, phase, played, ruling, played.sha256)
        return line, played

    def unproven(self, seed: int) -> str:
        """Why the scenario proves nothing: it is green without the reaction it names; '' if red."""
        if self._unproven is None:
            without = self.scenario.without
            self._unproven = "it names no reaction (`without`) that it proves"
            if without:
                steps = range(0, self.scenario.sweep.steps, -(-self.scenario.sweep.steps // PROOFS))
                red = any(self._red(seed, step) for step in steps)
                self._unproven = "" if red else f"it is green with {without!r} taken out as well"
        return self._unproven

    def _red(self, seed: int, step: int) -> bool:
        control = self.control(seed)
        with taken_out(self.scenario.without):
            try:
                played = run(self.scenario, seed, windows_at(self.scenario, step))
            except AssertionError:
                # An assertion of the product has noticed it first.
                return True
        return judge(self.scenario, played, lambda: control).word != "pass"
