"""Who listens outside the machine while a case runs: to its frames, and to the network.

Lives here: one class per kind of listener, started before the timeline with and without faults, so
that the control hears as well.  May not live here: what strikes them (`outsiders`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, Final, Protocol

from controller.cli.clocks.listener import CONNECTED as LISTENS
from controller.cli.stage import Stage, StageError
from controller.service.department import FOLDER
from controller.service.journal import EVENTS
from hil.sim.words import CONNECTED, TOLD

Told = deque[tuple[int, str]]
LISTENS_MAX_S: Final = 15.0
LOOK_S: Final = 0.01


class Ear(Protocol):
    """Starts, hears, stops; what it hears goes to the record of the case."""

    def start(self) -> None:
        """Listen from now on; raises StageError."""

    def stop(self) -> None:
        """Listen no more, and leave nothing behind."""


class Frames:
    """A subscriber of the frame stream, a process of its own."""

    def __init__(self, stage: Stage, told: Told) -> None:
        self._stage, self._told = stage, told
        self._process: subprocess.Popen[str] | None = None
        self._said: deque[tuple[int, str]] = deque(maxlen=64)

    @property
    def pid(self) -> int:
        """Of the subscriber that is there now, or was last."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start one, and wait until it listens."""
        self.subscribe()
        self.wait_for(LISTENS)

    def subscribe(self) -> None:
        """Start one; nobody waits for it."""
        endpoint = self._stage.endpoints["frames"]
        self._said.clear()
        command = [sys.executable, "-m", "controller.cli.clocks.listener", endpoint]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), name="frames").start()

    def say(self, words: str) -> None:
        """Tell it something."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()

    def said(self, word: str) -> int:
        """When it last said this; 0: it has not."""
        return next((t_ns for t_ns, one in reversed(self._said) if one == word), 0)

    def wait_for(self, word: str) -> None:
        """Until it has said this; raises StageError."""
        self._stage.wait(f"a subscriber that {word}", lambda: bool(self.said(word)), LISTENS_MAX_S)

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _read(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                heard = json.loads(line)
                self._said.append((heard["t_ns"], heard["word"]))
                if heard["word"] in TOLD:
                    self._told.append((heard["t_ns"], heard["word"]))


class Events:
    """What service tells the network, from its event log: a broker that is away tells nothing."""

    def __init__(self, stage: Stage, told: Told) -> None:
        self._path: Path = stage.run_dir / FOLDER / EVENTS
        self._told = told
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="events")

    def start(self) -> None:
        """From the end of what is there."""
        if not self._path.exists():
            raise StageError("service keeps no events: mqtt.broker is off in [config]")
        self._at = self._path.stat().st_size
        self._thread.start()

    def stop(self) -> None:
        """Hear no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _go_on(self) -> None:
        while not self._over.wait(LOOK_S):
            with self._path.open("rb") as file:
                file.seek(self._at)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._at += len(whole)
            now_ns = time.monotonic_ns()
            for line in whole.splitlines():
                word = event_word(line)
                if word:
                    self._told.append((now_ns, word))


def event_word(line: bytes) -> str:
    """The word of a line of the event log, '' for what no scenario asks for."""
    event = json.loads(line)
    if event["event"] == "security":
        return str(event["reason"])
    connected = event["event"] == "broker" and event["change"] == "connected"
    return CONNECTED if connected else ""
