"""The booted board and its room, asked and acted on from outside.

Lives here: acts, truth, waiting by asking.  May not live here: what is expected.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from controller.cli.answer import ask
from hil.rig.client import RigClient
from tests.board.container import Container

MS: Final = 1_000_000
PAUSE_S: Final = 0.01
READY_MAX_S: Final = 20.0
WAYS_TO_READY: Final = {"FAULT": "reset", "STANDBY": "ready"}


class Late(Exception):
    """Something did not come in time; the words say what."""


def wait(what: str, holds: Callable[[], bool], seconds: float) -> float:
    """Ask until it holds; how long it took, in s.  Raises Late."""
    begun_s = time.monotonic()
    while not holds():
        if time.monotonic() - begun_s > seconds:
            raise Late(f"{what} did not come within {seconds:g} s")
        time.sleep(PAUSE_S)
    return time.monotonic() - begun_s


class Machine:
    """What a person at the board and in the room can do and see."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.run_dir = container.run_dir
        self._truth: list[dict[str, Any]] = []
        self._read = (0, 0)

    def start_room(self) -> None:
        """The rig's units up and serving."""
        self.container.ask("systemctl", "start", "carm-rig-line", "carm-rig-world")
        wait("the room", lambda: (self.run_dir / "calibration.npz").exists() and self._room(), 30)

    def _room(self) -> bool:
        try:
            with self.rig() as rig:
                return bool(rig.status()["room"])
        except OSError:
            return False

    def rig(self) -> RigClient:
        """A connection to the room."""
        return RigClient(self.run_dir / "rig.sock")

    def do(self, act: str) -> int:
        """An act in the room; when it was, in ns."""
        with self.rig() as rig:
            return rig.do(act)

    def say(self, do: str) -> dict[str, Any]:
        """Local operation."""
        return ask(self.run_dir / "local.sock", {"do": do}, 25.0)

    def mode(self) -> str:
        """The supervisor's mode; empty while it does not answer."""
        return str(self.say("status").get("mode", ""))

    def make_ready(self) -> float:
        """By local acts alone; how long it took, in s."""

        def holds() -> bool:
            mode = self.mode()
            if mode in WAYS_TO_READY:
                self.say(WAYS_TO_READY[mode])
            return mode in ("READY", "HOLD")

        try:
            return wait("READY", holds, READY_MAX_S)
        except Late as late:
            codes = [reason["code"] for reason in self.say("why").get("reasons", [])]
            raise Late(f"{late}: {self.mode()}, {', '.join(codes)}") from None

    def truth(self, since_ns: int = 0) -> list[dict[str, Any]]:
        """The room's truth from `since_ns` on."""
        with self.rig() as rig:
            rig.flush()
        path = self.run_dir / "truth.jsonl"
        with path.open("rb") as source:
            inode, size = os.fstat(source.fileno()).st_ino, os.fstat(source.fileno()).st_size
            if inode != self._read[0] or size < self._read[1]:
                self._truth, self._read = [], (inode, 0)
            source.seek(self._read[1])
            fresh = source.read()
        whole = fresh.rpartition(b"\n")[0]
        self._truth += [json.loads(row) for row in whole.splitlines()]
        self._read = (inode, self._read[1] + len(whole) + bool(whole))
        found = (row for row in self._truth if row["t_ns"] >= since_ns)
        return sorted(found, key=lambda row: int(row["t_ns"]))

    def hv(self, value: int, since_ns: int = 0) -> list[int]:
        """When high voltage went on (1) or off (0)."""
        return [int(row["t_ns"]) for row in self.truth(since_ns)
                if row["kind"] == "hv" and row["value"] == value]  # fmt: skip

    def shine(self, pulses: int = 4) -> int:
        """READY, a fresh press, and some pulses; when the press was."""
        self.do("release fluoro")
        time.sleep(0.15)
        self.make_ready()
        pressed_ns = self.do("press fluoro")
        wait("the beam", lambda: len(self.hv(1, pressed_ns)) >= pulses, 6)
        return pressed_ns

    def active(self, unit: str) -> bool:
        """The unit is up."""
        return self.container.show(unit, "ActiveState") == "active"

    def keep(self, name: str, folder: Path) -> Path:
        """A copy of a file of the run directory, for judging later."""
        target = folder / name
        target.write_bytes((self.run_dir / name).read_bytes())
        return target
