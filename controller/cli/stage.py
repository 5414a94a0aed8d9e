"""A whole running machine with its room: start, local acts, acts on the room, its truth, the end.

Lives here: a run directory in memory, the acts on it, and waiting by asking; the demo, the bench
and the system tests all stand on it.  May not live here: the script of the demo (`demo_script`),
what is made of it (`demo`), or a judgement.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from controller.cli.answer import ask
from controller.cli.launch import read_pids
from controller.cli.machine import DOWN_MAX_S, EVERYTHING, end, start
from hil.rig.client import RigClient

SHARED_MEMORY: Final = Path("/dev/shm")
READY_MAX_S: Final = 25.0
BEAM_MAX_S: Final = 6.0
# Asking is the test; the pause only keeps it from burning a core.
PAUSE_S: Final = 0.02
WAYS_TO_READY: Final = {"FAULT": "reset", "STANDBY": "ready"}
PRESSES_MAX: Final = 5
# What the supervisor says of a press that counts for nothing because lines or loop were away.
SPENT: Final = b"made while nobody watched"
# Contacts bounce up to 30 ms and a pedal must be seen up for 50 ms before the next press.
LIFTED_S: Final = 0.12
# In HOLD the last image is shown and a press is answered as in READY.
ARMED: Final = ("READY", "HOLD")


class StageError(Exception):
    """Something that had to come did not come; the words say what and for how long."""


class Stage:
    """A context manager: `parts` are up inside, and down with no litter afterwards."""

    def __init__(self, config: Path, parts: tuple[str, ...] = EVERYTHING) -> None:
        roomy = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)
        # The name tells whose it is, should that process be killed.
        prefix, place = f"carm-{os.getpid()}-", SHARED_MEMORY if roomy else None
        self.run_dir = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        self.config = config
        self.parts = parts
        self.endpoints: dict[str, Any] = {}
        self.rig: RigClient
        self._launcher: subprocess.Popen[bytes] | None = None
        self._counted_to = 0
        self._pulses = 0

    def __enter__(self) -> Self:
        try:
            self._launcher, body = start(self.run_dir, self.config, self.parts, as_json=True)
            self.endpoints = body["endpoints"]
            self.rig = RigClient(self.run_dir / "rig.sock")
        except BaseException:
            end(self.run_dir)
            self._reap()
            shutil.rmtree(self.run_dir, ignore_errors=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def end(self) -> None:
        """End every process, dark first; the files stay until the context ends."""
        self.rig.close()
        end(self.run_dir)
        self._reap()

    def _reap(self) -> None:
        if self._launcher is not None:
            self._launcher.wait(DOWN_MAX_S)

    def local(self, do: str, **arguments: Any) -> dict[str, Any]:
        """A local act or question at the board."""
        return ask(self.run_dir / "local.sock", {"do": do, **arguments})

    def mode(self) -> str:
        """The supervisor's mode, or '' while a part is away."""
        status = self.local("status")
        if "error" in status:
            return ""
        parts = ("executive", "imaging", "generator")
        return str(status["mode"]) if all(status[part]["up"] for part in parts) else ""

    def held(self) -> str:
        """The mode and the faults that are held, in words."""
        status = self.local("status")
        held = ", ".join(f"{one['id']}: {one['detail']}" for one in status.get("faults", []))
        return f"mode {status.get('mode', 'unknown')}; {held or 'no fault'}"

    def pid(self, name: str) -> int:
        """Process id of a part; raises StageError when it does not run."""
        try:
            return read_pids(self.run_dir)[name]
        except KeyError:
            raise StageError(f"{name} does not run") from None

    def wait(self, what: str, is_so: Callable[[], bool], most_s: float = BEAM_MAX_S) -> float:
        """Poll until it is so; the time it took in ms.  StageError names what did not come."""
        begun_s = time.monotonic()
        while not is_so():
            if time.monotonic() - begun_s > most_s:
                raise StageError(f"{what} did not come within {most_s:g} s ({self.held()})")
            time.sleep(PAUSE_S)
        return (time.monotonic() - begun_s) * 1000

    def make_ready(self) -> dict[str, Any]:
        """Reset and ready until a press will be answered; the last answer."""
        answer: dict[str, Any] = {}

        def is_ready() -> bool:
            nonlocal answer
            mode = self.mode()
            if mode in WAYS_TO_READY:
                answer = self.local(WAYS_TO_READY[mode])
            return mode in ARMED

        self.wait("READY", is_ready, READY_MAX_S)
        return answer

    def pulses(self) -> int:
        """Pulses that have shone so far, from the room's truth."""
        self.rig.flush()
        with (self.run_dir / "truth.jsonl").open("rb") as truth:
            truth.seek(self._counted_to)
            new = truth.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._counted_to += len(whole)
        self._pulses += whole.count(b'"photons_on"')
        return self._pulses

    def is_dark(self) -> bool:
        """No pulse within a tenth of a second."""
        before = self.pulses()
        time.sleep(0.1)
        return self.pulses() == before

    def press(self, pulses: int = 2) -> int:
        """Press the fluoroscopy pedal and wait for some pulses; when that was, in ns of the room.

        As a person does it: a press that was spent because this computer stalled while it was made
        is told by the supervisor (invariant 2), and the foot lifts and presses once more.
        """
        wanted = self.pulses() + pulses
        for _ in range(PRESSES_MAX):
            pressed_ns = self._press_once(wanted)
            if self.pulses() >= wanted:
                return pressed_ns
            self.rig.do("release fluoro")
            time.sleep(LIFTED_S)
        raise StageError(f"{PRESSES_MAX} presses in a row were spent by stalls of this computer")

    def _press_once(self, wanted: int) -> int:
        told_to = len(self.told())
        pressed_ns = self.rig.do("press fluoro")
        self.wait("the beam", lambda: self.pulses() >= wanted or self.spent(told_to))
        return pressed_ns

    def told(self) -> bytes:
        """Everything that the supervisor has said so far."""
        log = self.run_dir / "log" / "supervisor.log"
        return log.read_bytes() if log.is_file() else b""

    def spent(self, told_to: int) -> bool:
        """The supervisor said, from this byte of its log on, that a press was spent by a stall."""
        return SPENT in self.told()[told_to:]

    def strike(self, process: str, signal: str, phase: float) -> None:
        """Send a signal to a process at a phase of the next pulse.

        Preset and back-up timer are disconnected: of the pulse itself only the monostable is left,
        and early in the pulse it drops before the window closes.
        """
        self.rig.wiring(preset=False, backup=False)
        self.rig.do(f"signal {process} {self.pid(process)} {signal}", phase=phase, phase_of="pulse")
