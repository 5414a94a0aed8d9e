"""The process rig-world: panel pixels, the patient, the generator's bus node, the truth log.

`python -m hil.rig.world --config FILE --run-dir DIR`.  Lives here: the composition and the main
loop that moves messages between the room (`room.sock`) and the parts.  May not live here: physics,
or what is due when: rig-line says so, with stamps, and this process computes from the stamps.

Threads: this loop; pixels (`pixels`); the bus (python-can's, answering SDO); the desk (`desk`).
None of them is real time: everything that must be on time in the room is rig-line's.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import selectors
import signal
import socket
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from hil.physics.panel import Panel
from hil.physics.patient import Patient
from hil.physics.spectra import KV_MAX, KV_MIN
from hil.rig.busfaults import BusFaults
from hil.rig.desk import Desk
from hil.rig.generator_node import GeneratorNode
from hil.rig.pixels import PixelThread
from hil.rig.results import ResultStore
from hil.rig.ringwriter import RingWriter
from hil.rig.roombus import FrameDue, Hello, LineState, RoomMessage, Truth
from hil.rig.roomlink import RoomLink
from hil.rig.sockets import AddressTaken
from hil.rig.truthfile import TruthFile
from hil.room.commands import BankClear
from hil.room.records import GateCount, PulseResult, ReadoutExposure
from realtime.wire.config import Config, ConfigError, load

TURN_S: Final = 0.02
NICE: Final = -10
FLUSH_NS: Final = 100_000_000
# Python's default lets a thread keep the interpreter for 5 ms: too long for a result PDO.
SWITCH_S: Final = 0.0005
log = logging.getLogger("rig.world")


def check_beam(config: Config) -> None:
    """Refuse tube voltages for which the room has no spectrum; raises ConfigError."""
    low, high = config["generator.kv"]
    if low < KV_MIN or high > KV_MAX:
        raise ConfigError(
            "generator.kv", [low, high], f"within {KV_MIN:g} … {KV_MAX:g} (the rig's spectra)"
        )


def take_precedence() -> None:
    """Be served before ordinary processes: a panel does not slow down when its host is busy."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except PermissionError:
        log.warning("degraded: nice %d is not allowed, frames may be late on a busy machine", NICE)


def write_calibration(path: Path, panel: Panel) -> None:
    """Deliver what the panel's maker delivers; whole or not at all."""
    makers = panel.makers()
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, offset=makers.offset_du, gain=makers.gain, defects=makers.defects)
    part.replace(path)


class World:
    """Everything of the process between start and end."""

    def __init__(self, config: Config, run_dir: Path) -> None:
        with ExitStack() as parts:
            self._furnish(parts, config, run_dir)
            # all is there: from here on `close` ends the parts, the last made first
            self.close = parts.pop_all().close

    def _furnish(self, parts: ExitStack, config: Config, run_dir: Path) -> None:
        height, width, pitch_um = (config[f"panel.{k}"] for k in ("height", "width", "pitch_um"))
        # the address first: a live rig in this directory refuses before anything is touched
        self._ring = RingWriter(config.path("panel.path", run_dir), width, height, pitch_um)
        parts.callback(self._ring.close)
        panel, patient = Panel(height, width, pitch_um), Patient(height, width, pitch_um)
        write_calibration(config.path("panel.calibration", run_dir), panel)
        self._wake, self._woken = (parts.enter_context(s) for s in socket.socketpair())
        self._woken.setblocking(False)
        self._selector = parts.enter_context(selectors.DefaultSelector())
        self._store = ResultStore(run_dir / "rig" / "generator.nv")
        parts.callback(self._store.close)
        self._truth = TruthFile(run_dir / "truth.jsonl")
        parts.callback(self._truth.close)
        self._faults = BusFaults(
            lambda kind, name, value: self._truth.own(time.monotonic_ns(), kind, name, value)
        )
        parts.callback(self._faults.clear, "")
        self._link = RoomLink(run_dir / "room.sock")
        parts.callback(self._link.close)
        self._pixels = PixelThread(
            panel, patient, self._ring,
            lambda t_ns, late_ns: self._truth.own(t_ns, "process", "lateness", late_ns),
        )  # fmt: skip
        parts.callback(self._pixels.close)
        self._node = GeneratorNode(
            config, config.path("generator.channel", run_dir), self._store, self._faults,
            self._link.ask,
        )  # fmt: skip
        parts.callback(self._node.close)
        self._desk = Desk(
            run_dir / "rig.sock", self._link.ask, self._faults, self._status, self._truth.flush
        )
        parts.callback(self._desk.close)
        self._state: LineState | None = None
        self._flush_ns = 0

    def run(self) -> None:
        """Serve until `stop`."""
        self._selector.register(self._woken, selectors.EVENT_READ, "stop")
        self._selector.register(self._ring.listener, selectors.EVENT_READ, "reader")
        self._pixels.start()
        self._node.start()
        self._desk.start()
        while self._turn():
            pass

    def stop(self) -> None:
        """End `run`; may be called from a signal."""
        self._wake.send(b"x")

    def _turn(self) -> bool:
        self._reach_room()
        for key, _ in self._selector.select(TURN_S):
            if key.data == "stop":
                return False
            if key.data == "room":
                self._hear_room()
            elif key.data == "reader":
                self._meet_reader()
            else:
                self._selector.unregister(key.fileobj)
                self._ring.gone(key.data)
        now_ns = time.monotonic_ns()
        self._node.turn(now_ns)
        if now_ns - self._flush_ns >= FLUSH_NS:
            self._truth.flush()
            self._flush_ns = now_ns
            self._forget_readers()
        return True

    # ── readers of the ring ──────────────────────────────────────────────────────────────────

    def _meet_reader(self) -> None:
        reader = self._ring.accept()
        if reader is not None:
            self._selector.register(reader, selectors.EVENT_READ, reader)

    def _forget_readers(self) -> None:
        """Unregister readers that the pixel thread dropped: their descriptors are closed."""
        present = self._ring.readers()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, socket.socket) and key.data not in present:
                self._selector.unregister(key.fileobj)

    # ── the room ─────────────────────────────────────────────────────────────────────────────

    def _reach_room(self) -> None:
        if not self._link.connect(time.monotonic_ns()):
            return
        assert self._link.sock is not None
        self._selector.register(self._link.sock, selectors.EVENT_READ, "room")
        self._link.send(Hello(self._store.count))
        # either half may have been restarted: the banks start empty on both sides
        self._node.room_lost()
        for bank in (0, 1):
            self._link.tell(lambda request, bank=bank: BankClear(request, bank))  # type: ignore[misc]
        log.info("room reached, pulse counter %d", self._store.count)

    def _hear_room(self) -> None:
        assert self._link.sock is not None
        try:
            messages = self._link.receive()
        except OSError as error:
            log.warning("rig-line is gone: %s", error)
            self._selector.unregister(self._link.sock)
            self._link.close()
            self._state = None
            self._node.room_lost()
            return
        for message in messages:
            self._take(message)

    def _take(self, message: RoomMessage) -> None:
        match message:
            case PulseResult():
                self._node.result(message, time.monotonic_ns())
            case FrameDue() | ReadoutExposure():
                self._pixels.put(message)
            case Truth():
                self._truth.room(message.records)
            case LineState():
                self._state = message
                self._node.state(message, time.monotonic_ns())
            case GateCount():
                self._node.gate(message.count)
            case _:
                log.warning("rig-line sent %s, which is not for us", type(message).__name__)

    # ── status ─────────────────────────────────────────────────────────────────────────────

    def _status(self) -> dict[str, Any]:
        pixels, state = self._pixels, self._state
        return {
            "pid": os.getpid(),
            "room": state is not None,
            "line": None if state is None else asdict(state),
            "pulse_count": self._store.count,
            "banks_valid": [bank.valid for bank in self._node.banks],
            "bus_faults": self._faults.names(),
            "bus_open": self._node.adapter.is_open,
            "bus_frames_lost": self._node.adapter.frames_lost,
            "frames": pixels.frames,
            "frames_overrun": pixels.overruns,
            "frames_stale": pixels.stale,
            "frame_late_us_max": pixels.late_ns_max // 1000,
            "frame_render_us_max": pixels.render_ns_max // 1000,
            "readers": len(self._ring.readers()),
            "readers_dropped": self._ring.readers_dropped,
            "truth_lines": self._truth.lines,
        }


def run(config_path: Path, run_dir: Path) -> int:
    """Serve until SIGTERM or SIGINT; exit code 0, or 2 or 3 with one sentence on stderr."""
    try:
        config = load(config_path)
        check_beam(config)
    except ConfigError as error:
        log.error("%s. Remedy: %s", error, error.remedy)
        return 2
    sys.setswitchinterval(SWITCH_S)
    take_precedence()
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        world = World(config, run_dir)
    except AddressTaken as error:
        log.error("%s", error)
        return 3
    except OSError as error:
        log.error("%s: choose a run directory that can be written", error)
        return 3
    gc.freeze()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: world.stop())
    try:
        world.run()
    finally:
        world.close()
    return 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="hil.rig.world")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="%(name)s %(levelname)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("canopen").setLevel(logging.ERROR)
    return run(arguments.config, arguments.run_dir)


if __name__ == "__main__":
    sys.exit(main())
