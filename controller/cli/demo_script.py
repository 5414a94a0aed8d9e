"""What happens in the demo, step by step: an examination, and what must make it dark.

Lives here: the steps, what each expects and what it observed.  May not live here: numbers that the
room's truth gives afterwards, files, pictures (`demo`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from controller.cli.stage import Stage, StageError

LONG_S: Final = 10.0
FAST_S: Final = 5.0
# Contacts bounce up to 30 ms, a press counts after 40 ms, a release after 50 ms.
BETWEEN_S: Final = 0.2
# A stretch of beam counts as whole when so much of it was there: some slots may be skipped.
WHOLE: Final = 0.95
AS_BUILT: Final = {"window_gate": True, "chain": True, "preset": True, "backup": True}
# After high voltage came on, before the next toggle: the last one was 2 ms before due.
EARLY: Final = (0.01, 0.09)
SHORT_PRESSES: Final = 10
STOPS: Final = 3


@dataclass(slots=True)
class Step:
    """One line of the table."""

    id: str
    expected: str
    observed: str = ""
    ok: bool = False
    t_ms: float = 0.0


@dataclass(slots=True)
class Segment:
    """A stretch of beam at one rate; times are the room's (host monotonic ns)."""

    fps_commanded: float
    from_ns: int
    to_ns: int


@dataclass(slots=True)
class Script:
    """Plays the steps on a stage."""

    stage: Stage
    seed: int
    segments: list[Segment] = field(default_factory=list)
    self_test: list[dict[str, Any]] = field(default_factory=list)

    def steps(self) -> Iterator[tuple[Step, Callable[[], str]]]:
        """Each step with the act that returns what was observed; StageError is a failed step."""
        yield Step("self_test", "every step good"), self._self_test
        yield Step("ready", "READY by a local act"), self._ready
        yield Step("fluoro_15", f"{LONG_S:g} s of fluoroscopy at 15/s"), self._fluoro_15
        yield Step("release", "dark, last image held"), self._release
        yield Step("door_press", "a press with the door open is refused"), self._door_press
        yield Step("door_opens", "the door opens during exposure: dark"), self._door_opens
        yield Step("fluoro_30", f"{FAST_S:g} s of fluoroscopy at 30/s"), self._fluoro_30
        yield Step("short_presses", f"{SHORT_PRESSES} releases in mid-pulse"), self._short_presses
        yield Step("kill", "kill -9 of the executive in mid-pulse: dark"), self._kill
        yield Step("restart", "restarted and latched; a press does nothing"), self._restart
        yield Step("reset", "a local reset, then READY"), self._reset
        stops = f"{STOPS} × SIGSTOP in mid-pulse: dark, SIGCONT fires nothing"
        yield Step("stop", stops), self._stop
        yield Step("press_again", "one more press: pictures again"), self._press_again

    def at_rest(self) -> None:
        """The room as the next step expects it: nothing planned, foot off, closed, connected."""
        for act in ("forget", "release fluoro", "close door"):
            self.stage.rig.do(act)
        self.stage.rig.wiring(**AS_BUILT)
        time.sleep(BETWEEN_S)

    def _self_test(self) -> str:
        stage = self.stage
        if stage.mode() == "FAULT":
            stage.local("reset")
        stage.wait("STANDBY", lambda: stage.mode() in ("STANDBY", "READY"), 5)
        answer = stage.local("status") if stage.mode() == "READY" else stage.local("ready")
        self.self_test = list(answer.get("self_test", []))
        bad = [step["id"] for step in self.self_test if not step["ok"]]
        if bad or not self.self_test:
            raise StageError(f"failed: {', '.join(bad) or 'no self-test was reported'}")
        return f"{len(self.self_test)} steps good"

    def _ready(self) -> str:
        self.stage.make_ready()
        return self.stage.mode()

    def _beam_for(self, fps: float, seconds: float) -> None:
        stage = self.stage
        stage.make_ready()
        begun_ns = stage.press(1)
        time.sleep(seconds)
        self.segments.append(Segment(fps, begun_ns, time.monotonic_ns()))

    def _fluoro_15(self) -> str:
        return self._fluoro(15.0, LONG_S)

    def _fluoro(self, fps: float, seconds: float) -> str:
        before = self.stage.pulses()
        self._beam_for(fps, seconds)
        fired = self.stage.pulses() - before
        if fired < WHOLE * fps * seconds:
            raise StageError(f"only {fired} pulses: {self.stage.held()}")
        return f"{fired} pulses"

    def _release(self) -> str:
        self._release_in_pulse(0.5)
        return f"dark, {self.stage.mode()}"

    def _release_in_pulse(self, phase: float) -> None:
        stage = self.stage
        stage.rig.do("release fluoro", phase=phase, phase_of="pulse")
        stage.wait("HOLD", lambda: stage.mode() == "HOLD")
        time.sleep(BETWEEN_S)
        if not stage.is_dark():
            raise StageError("the beam went on after the release")

    def _door_press(self) -> str:
        stage = self.stage
        stage.rig.do("open door")
        stage.wait("the door in `why`", lambda: _reason(stage, "door"))
        before = stage.pulses()
        stage.rig.do("press fluoro")
        time.sleep(0.5)
        fired = stage.pulses() - before
        stage.rig.do("release fluoro")
        stage.rig.do("close door")
        time.sleep(BETWEEN_S)
        if fired:
            raise StageError(f"{fired} pulses with the door open")
        return "refused, 0 pulses"

    def _door_opens(self) -> str:
        stage = self.stage
        stage.make_ready()
        stage.press(8)
        stage.rig.do("open door", phase=0.4, phase_of="pulse")
        time.sleep(BETWEEN_S)
        dark = stage.is_dark()
        stage.rig.do("close door")
        time.sleep(0.3)
        resumed = not stage.is_dark()
        stage.rig.do("release fluoro")
        time.sleep(BETWEEN_S)
        if not dark or resumed:
            raise StageError("went on" if not dark else "resumed when the door closed")
        return "dark; stays dark when the door closes"

    def _fluoro_30(self) -> str:
        stage = self.stage
        stage.local("set", rate=30.0)
        stage.make_ready()
        observed = self._fluoro(30.0, FAST_S)
        self._release_in_pulse(0.3)
        return observed

    def _short_presses(self) -> str:
        chance = random.Random(self.seed)
        for _ in range(SHORT_PRESSES):
            self.stage.make_ready()
            self.stage.press(2)
            self._release_in_pulse(chance.uniform(0.05, 0.95))
        return f"{SHORT_PRESSES} times dark"

    def _kill(self) -> str:
        stage = self.stage
        stage.make_ready()
        stage.press(8)
        stage.strike("realtime", "KILL", random.Random(self.seed).uniform(*EARLY))
        time.sleep(BETWEEN_S)
        if not stage.is_dark():
            raise StageError("the beam outlived its executive")
        return "dark, with only the monostable to end it"

    def _restart(self) -> str:
        stage = self.stage
        took_ms = stage.wait("a latched fault", lambda: stage.mode() == "FAULT")
        stage.rig.do("release fluoro")
        time.sleep(BETWEEN_S)
        before = stage.pulses()
        stage.rig.do("press fluoro")
        time.sleep(0.5)
        fired = stage.pulses() - before
        stage.rig.do("release fluoro")
        time.sleep(BETWEEN_S)
        if fired:
            raise StageError(f"{fired} pulses while latched")
        held = ", ".join(one["id"] for one in stage.local("status")["faults"])
        return f"back after {took_ms:.0f} ms, latched: {held}"

    def _reset(self) -> str:
        self.stage.rig.wiring(**AS_BUILT)
        self.stage.make_ready()
        return self.stage.mode()

    def _stop(self) -> str:
        chance = random.Random(self.seed + 1)
        for _ in range(STOPS):
            self._stop_once(chance.uniform(*EARLY))
        return f"{STOPS} times dark, 0 pulses after SIGCONT"

    def _stop_once(self, phase: float) -> None:
        stage = self.stage
        stage.make_ready()
        stage.press(4)
        pid = stage.pid("realtime")
        stage.strike("realtime", "STOP", phase)
        time.sleep(BETWEEN_S)
        dark = stage.is_dark()
        before = stage.pulses()
        stage.rig.do(f"signal realtime {pid} CONT")
        time.sleep(0.3)
        fired = stage.pulses() - before
        stage.rig.do("release fluoro")
        stage.rig.wiring(**AS_BUILT)
        time.sleep(BETWEEN_S)
        if not dark or fired:
            raise StageError(f"dark: {dark}, pulses after SIGCONT: {fired}")

    def _press_again(self) -> str:
        stage = self.stage
        stage.make_ready()
        stage.press(20)
        self._release_in_pulse(0.5)
        return "pictures again"


def _reason(stage: Stage, word: str) -> bool:
    """True when `why` names the word."""
    reasons = stage.local("why").get("reasons", [])
    return any(word in str(reason) for reason in reasons)
