"""A whole running machine with its room, for experiments that need the real processes.

Lives here: starting it in a directory of its own, making it READY, acting on the room at a phase of
the pulse, reading its truth when it is over.  May not live here: what is measured.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from bench.harness import CannotMeasure
from bench.machine import ROOT
from hil.referee.commands import run_referee
from hil.referee.crosscheck import Unreadable, load_blackbox
from hil.referee.metrics import Metrics
from hil.referee.truth import TruthError, read
from hil.rig.client import RigClient, RigError

PROFILE: Final = ROOT / "controller" / "profiles" / "bench.toml"
SHARED_MEMORY: Final = Path("/dev/shm")
READY_MAX_S: Final = 25.0
UP_MAX_S: Final = 90.0
BEAM_MAX_S: Final = 3.0
TRIES_MAX: Final = 5
PAUSE_S: Final = 0.02


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


class Bed:
    """A machine that is up; a context manager.  Raises CannotMeasure with the reason."""

    def __init__(self, **changed: str) -> None:
        under = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
        self.run_dir = Path(tempfile.mkdtemp(prefix="carm-bench-", dir=under))
        self.config = self.run_dir / "bench.toml"
        self.config.write_text(profile(**changed))
        self.rig: RigClient
        self._read_to = 0
        self._starts = 0

    def __enter__(self) -> Bed:
        try:
            self._carm("up", "--config", str(self.config), "--json")
            self.rig = RigClient(self.run_dir / "rig.sock")
        except BaseException:
            self._down()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.rig.close()
        self._down()

    def _down(self) -> None:
        try:
            self._carm("down")
        except CannotMeasure as error:
            sys.stderr.write(f"\n{error}\n")
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def _carm(self, command: str, *arguments: str) -> str:
        line = [sys.executable, "-m", "controller.cli.main", command]
        done = subprocess.run(
            [*line, "--run-dir", str(self.run_dir), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=UP_MAX_S,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-200:]
            raise CannotMeasure(f"carm {command} ended with {done.returncode}: {said}")
        return done.stdout

    def pid(self, name: str) -> int:
        """Process id of a part."""
        pids: dict[str, int] = json.loads((self.run_dir / "pids").read_text())
        return pids[name]

    def _mode(self) -> str:
        from controller.cli.answer import ask

        status = ask(self.run_dir / "local.sock", {"do": "status"}, 2.0)
        if "error" in status:
            return ""
        parts = ("executive", "imaging", "generator")
        return str(status["mode"]) if all(status[part]["up"] for part in parts) else ""

    def make_ready(self) -> None:
        """Reset and ready, locally, until a press will be answered."""
        from controller.cli.answer import ask

        acts = {"FAULT": "reset", "STANDBY": "ready", "HOLD": "ready"}
        until_s = time.monotonic() + READY_MAX_S
        while time.monotonic() < until_s:
            mode = self._mode()
            if mode == "READY":
                return
            if mode in acts:
                ask(self.run_dir / "local.sock", {"do": acts[mode]}, READY_MAX_S)
            time.sleep(PAUSE_S)
        raise CannotMeasure(f"not READY within {READY_MAX_S:g} s: {self._mode() or 'no answer'}")

    def hv_count(self) -> int:
        """Starts of high voltage in the truth log so far."""
        self.rig.flush()
        with (self.run_dir / "truth.jsonl").open("rb") as truth:
            truth.seek(self._read_to)
            whole = truth.read()
        whole = whole[: whole.rfind(b"\n") + 1]
        self._read_to += len(whole)
        self._starts += whole.count(b'"photons_on"')
        return self._starts

    def wait(self, what: str, is_so: Callable[[], bool], most_s: float = BEAM_MAX_S) -> None:
        """Poll until it is so; raises CannotMeasure naming what did not come."""
        until_s = time.monotonic() + most_s
        while not is_so():
            if time.monotonic() > until_s:
                raise CannotMeasure(
                    f"{what} did not come within {most_s:g} s; {self._last_words()}"
                )
            time.sleep(PAUSE_S)

    def _last_words(self) -> str:
        log = (self.run_dir / "log" / "supervisor.log").read_text().splitlines()
        return f"{self._mode() or 'no answer'}: {log[-1] if log else 'nothing logged'}"

    def press_and_shine(self, pulses: int = 2) -> None:
        """Press the fluoroscopy pedal and wait for some pulses."""
        before = self.hv_count()
        self.rig.do("press fluoro")
        self.wait("the beam", lambda: self.hv_count() >= before + pulses)

    def shine(self, pulses: int = 2) -> int:
        """As press_and_shine, recovering from runs that a stall of the machine ended.

        Returns how many runs were lost; raises CannotMeasure when every one is.
        """
        for lost in range(TRIES_MAX):
            try:
                self.press_and_shine(pulses)
            except CannotMeasure:
                self.rig.do("release fluoro")
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
                raise CannotMeasure(f"{lost} runs ended by themselves; {self._last_words()}")
            if self._goes_on(wanted):
                self.rig.do("release fluoro")
                return lost
            lost += 1
            self.rig.do("release fluoro")
            self.make_ready()

    def _goes_on(self, wanted: int) -> bool:
        """Wait for the wanted count; False when no pulse came for a second."""
        seen, seen_s = self.hv_count(), time.monotonic()
        while seen < wanted:
            time.sleep(PAUSE_S)
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
