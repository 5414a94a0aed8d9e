"""Partners of the supervisor: realtime and imaging on real sockets, and a generator as an object.

The generator keeps the same contract as every driver (`test_generator.py` holds it to it).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from controller.core.events import GeneratorStatus
from controller.core.results import PulseResult
from controller.core.technique import bank_check
from controller.devices.generator import BankImage, GeneratorError, Listener
from realtime.wire.codec import pack, unpack
from realtime.wire.messages import (
    DarkFrame,
    DarkFrameResult,
    Exercise,
    Exercised,
    ExerciseResult,
    Hello,
    Message,
    Press,
    Reset,
    RunEnd,
    State,
)
from tests.controller.core.scene import BENCH, imaging_state, state

DEADLINE_S = 10.0


def until(what: str, seen: Callable[[], bool], within_s: float = DEADLINE_S) -> None:
    """Poll until `seen`; fail with `what` when it does not come."""
    deadline = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.002)


class ObjectGenerator:
    """A generator without a bus: everything it is told, it does at once."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.banks = [BankImage(0, 0, 0, 0, 0, 0)] * 2
        self.prepared = False
        self.faults = 0
        self.pulses: list[PulseResult] = []
        self.gates = 0
        self.alive = True
        self.opened = 0
        self.stores_one_step_else = False

    def open(self) -> None:
        if not self.alive:
            raise GeneratorError("bus", "off")
        self.opened += 1

    def close(self) -> None:
        pass

    def heartbeat_ns(self) -> int:
        return time.monotonic_ns() if self.alive else 1

    def prepare(self, on: bool) -> None:
        self.prepared = on
        self.listener.status(self.read_status())

    def write_bank(self, bank: int, image: BankImage) -> None:
        if image.check != bank_check(*image[:5]):
            raise GeneratorError("sdo", "wrong check")
        if image.kv_tenths > BENCH["generator.kv"][1] * 10:
            raise GeneratorError("sdo", "too high")
        wrong = int(self.stores_one_step_else)
        self.banks[bank] = image._replace(kv_tenths=image.kv_tenths + wrong)

    def read_bank(self, bank: int) -> BankImage:
        return self.banks[bank]

    def read_status(self) -> GeneratorStatus:
        return GeneratorStatus(3, self.prepared, self.prepared, self.faults, 0)

    def clear_faults(self) -> None:
        self.faults = 0

    def counter(self) -> int:
        return len(self.pulses)

    def gate_count(self) -> int:
        return self.gates

    def recent(self, count: int) -> tuple[PulseResult, ...]:
        return tuple(self.pulses[-count:]) if count else ()

    def fire(self, bank: int) -> None:
        """A pulse of the bank's technique, reported."""
        image = self.banks[bank]
        mas = image.ma_hundredths / 100 * image.set_us / 1e6
        result = PulseResult(len(self.pulses) + 1, image.technique_id, image.kv_tenths / 10,
                             image.set_us, mas)  # fmt: skip
        self.pulses.append(result)
        self.listener.result(result)


@dataclass
class Peer:
    """One partner's end of a seqpacket socket: keeps what comes, with its time of arrival."""

    heard: list[tuple[int, Message]] = field(default_factory=list)
    connection: socket.socket | None = None
    quiet: bool = False
    spoil: dict[str, Any] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def messages(self, kind: type) -> list[Any]:
        return [message for _, message in list(self.heard) if isinstance(message, kind)]

    def send(self, message: Message) -> None:
        assert self.connection is not None
        self.connection.send(pack(message))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self.connection is not None:
            self.connection.close()

    def _start(self, *targets: Callable[[], None]) -> None:
        self._threads = [threading.Thread(target=target) for target in targets]
        for thread in self._threads:
            thread.start()

    def _read(self, react: Callable[[Message], None]) -> None:
        assert self.connection is not None
        self.connection.settimeout(0.05)
        while not self._stop.is_set():
            try:
                raw = self.connection.recv(8192)
            except TimeoutError:
                continue
            except OSError:
                return
            if not raw:
                return
            message = unpack(raw)
            self.heard.append((time.monotonic_ns(), message))
            react(message)

    def _beat(self, make: Callable[[], Message]) -> None:
        while not self._stop.wait(0.03):
            if not self.quiet:
                try:
                    self.send(make())
                except OSError:
                    return


class Realtime(Peer):
    """Serves `orders.sock`; passes every exercise, also at the generator."""

    def __init__(self) -> None:
        super().__init__()
        self.run_id = 0
        self._wire = threading.Lock()

    def send(self, message: Message) -> None:
        """In order, and a state names the run that has begun and not ended."""
        with self._wire:
            if isinstance(message, Press):
                self.run_id = message.run_id
            elif isinstance(message, RunEnd):
                self.run_id = 0
            elif isinstance(message, State):
                message = replace(message, run_id=self.run_id)
            super().send(message)

    def serve(self, run_dir: Path, generator: ObjectGenerator, epoch: int = 9) -> None:
        self.generator = generator
        path = run_dir / "orders.sock"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
            server.bind(str(path))
            server.listen(1)
            server.settimeout(DEADLINE_S)
            self.connection, _ = server.accept()
        self.send(Hello("realtime", epoch, 1, 1, ""))
        self._start(
            lambda: self._read(self._react),
            lambda: self._beat(lambda: state(time.monotonic_ns(), **self.spoil)),
        )

    def _react(self, message: Message) -> None:
        if isinstance(message, Exercised):
            self.generator.gates += message.what is Exercise.WINDOW_GATE
            done = ExerciseResult(message.exercise_id, message.what, True, 1.0, "ms", "")
            self.send(done)
        if isinstance(message, Reset):
            self.spoil.pop("trips", None)


class ImagingPeer(Peer):
    """The client of `imaging.sock`; every dark frame is dark."""

    def connect(self, run_dir: Path) -> None:
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connection.connect(str(run_dir / "imaging.sock"))
        self.send(Hello("imaging", 4, 2, 0, ""))
        self._start(
            lambda: self._read(self._react),
            lambda: self._beat(lambda: imaging_state(time.monotonic_ns(), **self.spoil)),
        )

    def _react(self, message: Message) -> None:
        if isinstance(message, DarkFrame):
            self.send(DarkFrameResult(message.request_id, True, 0.2, 7.0, ""))
