"""A whole running machine with its room, for experiments that need the real processes.

Lives here: a stage with a changed profile, long runs that outlive a stall of the machine, acts at a
phase of the pulse, and the truth judged when it is over.  May not live here: what is measured.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final, Self

from bench.harness import CannotMeasure
from bench.machine import ROOT
from controller.cli.stage import Stage, StageError
from hil.referee.commands import run_referee
from hil.referee.crosscheck import Unreadable, load_blackbox
from hil.referee.metrics import Metrics
from hil.referee.truth import TruthError, read
from hil.rig.client import RigError

PROFILE: Final = ROOT / "controller" / "profiles" / "bench.toml"
TRIES_MAX: Final = 5
# A press counts when all pedals were seen up for 50 ms before it; the bounce comes on top.
UP_S: Final = 0.1
# Looking at the truth costs the room time; a long run is looked at seldom.
CALM_S: Final = 0.25


def profile(**changed: str) -> str:
    """The bench profile with some values replaced; `pulses_per_s="30.0"`."""
    lines = []
    missing = set(changed)
    for line in PROFILE.read_text().splitlines():
        name = line.partition("=")[0].strip()
        if name in changed:
            missing.discard(name)
            line = f"{name} = {changed[name]}"
        lines.append(line)
    assert not missing, f"no such keys: {missing}"
    return "\n".join(lines) + "\n"


class Bed(Stage):
    """A stage with some values of the profile changed, judged when the experiment is over.

    Raises StageError or CannotMeasure with the reason.
    """

    def __init__(self, **changed: str) -> None:
        super().__init__(PROFILE)
        self.config = self.run_dir / "bench.toml"
        self.config.write_text(profile(**changed))

    def __enter__(self) -> Self:
        try:
            return super().__enter__()
        except SystemExit as refused:
            raise CannotMeasure(f"the machine did not come up (exit {refused.code})") from None

    def hv_count(self) -> int:
        """Starts of high voltage in the truth log so far."""
        return self.pulses()

    def press_and_shine(self, pulses: int = 2) -> None:
        """Press the fluoroscopy pedal and wait for some pulses."""
        before = self.hv_count()
        self.rig.do("press fluoro")
        self.wait("the beam", lambda: self.hv_count() >= before + pulses)

    def let_go(self) -> None:
        """Release the pedal for as long as it takes until a press is a fresh one."""
        self.rig.do("release fluoro")
        time.sleep(UP_S)

    def shine(self, pulses: int = 2) -> int:
        """As press_and_shine, recovering from runs that a stall of the machine ended.

        Returns how many runs were lost; raises CannotMeasure when every one is.
        """
        for lost in range(TRIES_MAX):
            try:
                self.press_and_shine(pulses)
            except StageError:
                self.let_go()
                self.make_ready()
            else:
                return lost
        self.press_and_shine(pulses)
        return TRIES_MAX

    def shine_for(self, pulses: int) -> int:
        """Hold the pedal for so many pulses, pressing anew after a run that a stall ended.

        Returns how many runs were lost; raises CannotMeasure when more are lost than TRIES_MAX.
        """
        wanted = self.hv_count() + pulses
        lost = 0
        while True:
            lost += self.shine(1)
            if lost > TRIES_MAX:
                raise CannotMeasure(f"{lost} runs ended by themselves; {self.held()}")
            if self._goes_on(wanted):
                self.rig.do("release fluoro")
                return lost
            lost += 1
            self.let_go()
            self.make_ready()

    def _goes_on(self, wanted: int) -> bool:
        """Wait for the wanted count; False when no pulse came for a second."""
        seen, seen_s = self.hv_count(), time.monotonic()
        while seen < wanted:
            time.sleep(CALM_S)
            now = self.hv_count()
            if now == seen and time.monotonic() - seen_s > 1.0:
                return False
            if now != seen:
                seen, seen_s = now, time.monotonic()
        return True

    def act_in_pulse(self, act: str, phase: float) -> None:
        """Act at a phase of the next pulse's high voltage."""
        try:
            self.rig.do(act, phase=phase, phase_of="pulse")
        except RigError as error:
            raise CannotMeasure(f"{act}: {error}") from None

    def judge(self) -> tuple[Metrics, dict[str, Any]]:
        """Figures and verdict of the truth so far."""
        self.rig.flush()
        truth, box = self.run_dir / "truth.jsonl", self.run_dir / "blackbox.ring"
        try:
            metrics = Metrics(load_blackbox(box))
            for record in read(truth):
                metrics.take(record)
            verdict, code = run_referee(truth, box)
        except (OSError, TruthError, Unreadable) as error:
            raise CannotMeasure(str(error)) from None
        if code == 2:
            raise CannotMeasure(json.dumps(verdict)[:200])
        return metrics, verdict
