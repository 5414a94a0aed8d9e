"""Partners that always say yes: a controller that pulses for ever, a supervisor that always orders.

Lives here: the two, over the real sockets, and a room without our supervisor to put them into.  May
not live here: what must stop them.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from controller.cli.machine import ROOM
from controller.core.events import GeneratorStatus
from controller.core.order import Lease, order
from controller.core.results import PulseResult
from controller.core.technique import Technique, from_config
from controller.devices.generator import Generator, commit, find
from realtime.wire import linebus
from realtime.wire.codec import BadMessage, pack, unpack
from realtime.wire.config import Config, load
from realtime.wire.lines import Out, mask
from realtime.wire.messages import (
    MESSAGE_BYTES_MAX,
    EndReason,
    Hello,
    Mode,
    Press,
    Refused,
    Reset,
    RunEnd,
    State,
    Topology,
    Trip,
)
from tests.system.machine import Machine

TURN_S: Final = 0.003
PULSE_TURNS: Final = (0, 1, 2)
CYCLE_TURNS: Final = 14
ORDER_EVERY_S: Final = 0.02
CREDIT: Final = 1_000_000
PREPARED_MAX_S: Final = 7.0
TECHNIQUE_ID: Final = 77
# As the supervisor calls runs that end so.
FAULT_OF: Final = {EndReason.ORDER: "order_lapsed", EndReason.NO_IMAGE: "no_image"}


class Unheard:
    """A listener of the generator that keeps nothing."""

    def result(self, result: PulseResult) -> None: ...
    def status(self, status: GeneratorStatus) -> None: ...
    def emergency(self, code: int, detail: str) -> None: ...


class Room(Machine):
    """The rig alone: whoever controls it here has no supervisor that could be asked.

    `heard` is what realtime told whoever stands in for one: presses refused, runs ended, trips.
    """

    def __init__(self, config: Path) -> None:
        super().__init__(config, ROOM)
        self.heard: list[str] = []
        self._rested = 0

    def make_ready(self) -> dict[str, Any]:
        """Nobody has to be asked."""
        return {}

    def rest(self) -> None:
        """What was told before is over."""
        super().rest()
        self._rested = len(self.heard)

    def held(self) -> str:
        """Nobody holds a fault: what has been told since everybody's foot was off."""
        return "; ".join(self.heard[self._rested :])

    def told(self) -> bytes:
        """In place of a supervisor's log."""
        return "\n".join(self.heard).encode()


@contextlib.contextmanager
def prepared(config: Config, run_dir: Path) -> Iterator[Technique]:
    """The generator warm, one technique in both of its banks."""
    generator: Generator = find(config, run_dir, Unheard())
    technique = from_config(config).numbered(TECHNIQUE_ID)
    generator.open()
    try:
        generator.prepare(True)
        until_s = time.monotonic() + PREPARED_MAX_S
        while not generator.read_status().prepared:
            assert time.monotonic() < until_s, "rotor and filament"
            time.sleep(0.05)
        for bank in (0, 1):
            assert commit(generator, bank, technique) == (True, "")
        yield technique
    finally:
        generator.close()


class Eager(threading.Thread):
    """Something that goes on until `stop`; what it raises is raised there."""

    def __init__(self) -> None:
        super().__init__(name=type(self).__name__)
        self._over = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        """`work` until the end or an error."""
        try:
            self.work()
        except OSError as error:
            self._error = error

    def work(self) -> None:
        """What it does."""

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self.join()
        assert self._error is None, self._error


class EagerLines(Eager):
    """A controller that toggles PERMIT and pulses for ever, whatever the room says."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._bus = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._bus.connect(str(path))
        self._bus.recv(linebus.PACKET_BYTES)

    def work(self) -> None:
        """One packet per turn, each with another PERMIT."""
        turn = 0
        while not self._over.is_set():
            levels = mask(Out.PERMIT) * (turn & 1)
            levels |= mask(Out.PULSE) * (turn % CYCLE_TURNS in PULSE_TURNS)
            stamp_ns = time.monotonic_ns()
            self._bus.send(linebus.encode(linebus.KIND_OUTPUTS, turn, stamp_ns, levels))
            due_s = time.monotonic() + TURN_S
            while select.select([self._bus], [], [], max(0, due_s - time.monotonic()))[0]:
                self._bus.recv(linebus.PACKET_BYTES)
            turn += 1

    def stop(self) -> None:
        """End it and hang up."""
        super().stop()
        self._bus.close()


class EagerSupervisor(Eager):
    """A supervisor that orders for every run it hears of, without end, and resets every trip."""

    def __init__(self, path: Path, technique: Technique, heard: list[str]) -> None:
        super().__init__()
        self._heard = heard
        self._technique = technique
        self._epoch = 1
        self._seq = 0
        self._runs: set[int] = set()
        self.states: list[State] = []
        self._link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.connect(str(path))
        self._link.send(pack(Hello("supervisor", self._epoch, os.getpid(), 0, "eager")))

    def work(self) -> None:
        """Orders and resets every few milliseconds; listens for runs."""
        while not self._over.is_set():
            for run_id in self._runs or {1}:
                self._order(run_id)
            if self.states and self.states[-1].trips:
                self._link.send(pack(Reset(self._epoch)))
            due_s = time.monotonic() + ORDER_EVERY_S
            while select.select([self._link], [], [], max(0, due_s - time.monotonic()))[0]:
                self._hear()

    def _hear(self) -> None:
        with contextlib.suppress(BadMessage):
            message = unpack(self._link.recv(MESSAGE_BYTES_MAX))
            if isinstance(message, Press):
                self._runs = {message.run_id}
                self._order(message.run_id)
            elif isinstance(message, State):
                self.states = [message]
            elif isinstance(message, Trip | Refused):
                self._heard.append(f"{message.code}: {message.detail}")
            elif isinstance(message, RunEnd):
                self._heard.append(FAULT_OF.get(message.reason, f"run ended: {message.reason}"))

    def _order(self, run_id: int) -> None:
        self._seq += 1
        lease = Lease(self._epoch, run_id, Mode.FLUORO, self._technique, 0,
                      Topology.CONTROLLER_MASTER)  # fmt: skip
        self._link.send(pack(order(lease, self._seq, CREDIT, time.monotonic_ns())))

    def stop(self) -> None:
        """End it and hang up."""
        super().stop()
        self._link.close()


@contextlib.contextmanager
def process(module: str, config: Path, run_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One process of ours, alone."""
    command = [sys.executable, "-m", module, "--config", str(config), "--run-dir", str(run_dir)]
    with (run_dir / "log" / f"{module}.log").open("ab") as log:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield running
    finally:
        running.terminate()
        running.wait(10)


@contextlib.contextmanager
def always_ordered(config: Path) -> Iterator[Room]:
    """A room, realtime and imaging, and a supervisor that always orders."""
    with Room(config) as room, contextlib.ExitStack() as parts:
        technique = parts.enter_context(prepared(load(config), room.run_dir))
        parts.enter_context(process("realtime", config, room.run_dir))
        parts.enter_context(process("controller.imaging", config, room.run_dir))
        orders = room.run_dir / "orders.sock"
        room.wait("orders.sock", orders.exists)
        supervisor = EagerSupervisor(orders, technique, room.heard)
        supervisor.start()
        parts.callback(supervisor.stop)
        room.wait("imaging", lambda: bool(supervisor.states)
                  and "no_imaging" not in supervisor.states[-1].inhibits, 15.0)  # fmt: skip
        yield room


@contextlib.contextmanager
def always_pulsed(config: Path) -> Iterator[Room]:
    """A room whose controller pulses for ever and whose generator heeds nothing but its supply."""
    with Room(config) as room, contextlib.ExitStack() as parts:
        parts.enter_context(prepared(load(config), room.run_dir))
        lines = EagerLines(room.run_dir / "lines.sock")
        lines.start()
        parts.callback(lines.stop)
        yield room
