"""The other ends of imaging's sockets, played by the test over the real wires.

Lives here: a panel that fills a real raw ring, the executive's and the supervisor's seqpacket
servers, and a real imaging process.  May not live here: assertions, or any part of imaging.

The panel's noise comes from one field with a random roll per frame: no two frames are equal.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import time
import tomllib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime.wire import ring
from realtime.wire.codec import pack, unpack
from realtime.wire.doorbell import pack_doorbell, pack_hello
from realtime.wire.messages import (
    Committed,
    EndReason,
    Hello,
    Message,
    Mode,
    PulseReport,
    RunEnd,
    RunStart,
    Series,
    Topology,
)

MS = 1_000_000
PROFILE = Path(__file__).parents[3] / "controller" / "profiles" / "bench.toml"
OFFSET_DU = 100.0
SIGNAL_DU = 2000.0


def pulse_report(run_id: int, pulse_n: int, start_ns: int, **changes: Any) -> PulseReport:
    """A pulse of 8 ms + 1 ms in a window of 13 ms."""
    fields: dict[str, Any] = {
        "run_id": run_id, "pulse_n": pulse_n, "pulse_id": 1000 + pulse_n, "slot_k": pulse_n,
        "technique_id": 7, "bank": 0, "mode": Mode.FLUORO, "order_seq": 1, "due_ns": start_ns,
        "start_ns": start_ns, "end_ns": start_ns + 9 * MS, "set_us": 8000,
        "window_open_ns": start_ns - MS, "window_close_ns": start_ns + 12 * MS,
        "end_reason": EndReason.SET, "truncated": False,
    }  # fmt: skip
    return PulseReport(**{**fields, **changes})


def run_start(run_id: int, pulses_per_s: int, t_ns: int = 0) -> RunStart:
    """A run at `pulses_per_s`."""
    return RunStart(
        run_id, Mode.FLUORO, Topology.CONTROLLER_MASTER, 1_000_000_000, pulses_per_s, t_ns
    )


def run_end(run_id: int, pulses: int) -> RunEnd:
    """A run that ended by release."""
    return RunEnd(run_id, time.monotonic_ns(), EndReason.RELEASE, "release", pulses, 0)


def wait_for(condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """Poll until `condition` gives something true; fails the test at the deadline."""
    until_s = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < until_s, "timed out"
        select.select([], [], [], 0.002)
    return found


class Server:
    """A seqpacket server of messages for one client at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen(4)
        self._listener.setblocking(False)
        self._peer: socket.socket | None = None
        self.heard: list[Message] = []

    def accepted(self) -> bool:
        """Take a client if one knocks; the newest replaces the older."""
        try:
            peer, _ = self._listener.accept()
        except BlockingIOError:
            return False
        if self._peer is not None:
            self._peer.close()
        self._peer = peer
        peer.setblocking(False)
        return True

    def send(self, message: Message) -> None:
        self.send_bytes(pack(message))

    def send_bytes(self, datagram: bytes) -> None:
        assert self._peer is not None
        self._peer.send(datagram)

    def listen(self) -> list[Message]:
        """Everything heard so far."""
        while self._peer is not None:
            try:
                datagram = self._peer.recv(8192)
            except (BlockingIOError, ConnectionResetError):
                break
            if not datagram:
                break
            self.heard.append(unpack(datagram))
        return self.heard

    def of(self, kind: type[Any]) -> list[Any]:
        """Everything of one kind heard so far."""
        return [message for message in self.listen() if type(message) is kind]

    def drop(self) -> None:
        """Close the client's connection."""
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def close(self) -> None:
        self.drop()
        self._listener.close()
        self._path.unlink(missing_ok=True)


class Panel:
    """A raw ring with a socket; `expose` writes one frame and rings the bell."""

    def __init__(self, path: Path, width: int, height: int, slots: int = 8) -> None:
        self.layout = ring.Layout(slots, width, height, 296)
        self._path = path
        self._fd = os.memfd_create("test-panel", os.MFD_CLOEXEC)
        os.ftruncate(self._fd, self.layout.total_bytes)
        self._memory = mmap.mmap(self._fd, self.layout.total_bytes)
        self.view = memoryview(self._memory)
        ring.write_head(self.view, self.layout)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen(4)
        self._listener.setblocking(False)
        self._readers: list[socket.socket] = []
        self.seq = 0
        self._random = np.random.default_rng(1)
        noise = self._random.normal(0, 8, (height, width))
        self._noise = noise.astype(np.float32)
        self._offset = np.float32(OFFSET_DU)
        rows = np.linspace(0.5, 1.5, height, dtype=np.float32)[:, None]
        self._scene: npt.NDArray[np.float32] = np.broadcast_to(rows, (height, width)).copy()

    def write_calibration(self, path: Path) -> None:
        """What a maker delivers; offset and gain are flat, three pixels are bad."""
        shape = (self.layout.height, self.layout.width)
        defects = np.zeros(shape, dtype=bool)
        defects[5, 5] = defects[6, 6] = defects[0, 0] = True
        np.savez(
            path,
            offset=np.full(shape, OFFSET_DU, dtype=np.float32),
            gain=np.full(shape, 1.25, dtype=np.float32),
            defects=defects,
        )

    def accepted(self) -> bool:
        """Hand the ring over to a reader if one knocks."""
        try:
            reader, _ = self._listener.accept()
        except BlockingIOError:
            return False
        socket.send_fds(reader, [pack_hello(self.layout.total_bytes)], [self._fd])
        self._readers.append(reader)
        return True

    def frame(self, signal_du: float) -> npt.NDArray[np.uint16]:
        """Offset, scene times signal, and noise that no other frame has."""
        rolled = np.roll(self._noise, int(self._random.integers(1, self._noise.size)))
        light = self._scene * np.float32(signal_du) + self._offset + rolled
        return np.asarray(np.clip(light, 0, 65535), dtype=np.uint16)

    def write(self, pixels: npt.NDArray[np.uint16], open_ns: int, **changes: int) -> int:
        """Write a frame without ringing; returns its number.  `changes` spoil the header."""
        self.seq += 1
        payload = ring.begin(self.view, self.layout, self.seq)
        payload[:] = pixels.tobytes()
        fields = {
            "seq": self.seq, "frame_no": self.seq, "integration_open_ns": open_ns,
            "integration_close_ns": open_ns + 13 * MS, "readout_end_ns": time.monotonic_ns(),
            "width": self.layout.width, "height": self.layout.height, "flags": 0,
            "payload_bytes": pixels.nbytes, "crc32": zlib.crc32(pixels.data), "meta_bytes": 0,
        }  # fmt: skip
        ring.commit(self.view, self.layout, ring.Slot(**{**fields, **changes}))
        return self.seq

    def ring(self, seq: int) -> None:
        """Ring every reader's bell."""
        for reader in self._readers:
            reader.send(pack_doorbell(seq))

    def expose(self, open_ns: int, signal_du: float = SIGNAL_DU, **changes: int) -> None:
        """One whole frame of `signal_du` over offset."""
        self.ring(self.write(self.frame(signal_du), open_ns, **changes))

    def drop(self) -> None:
        """Close every reader's connection."""
        for reader in self._readers:
            reader.close()
        self._readers.clear()

    def close(self) -> None:
        self.drop()
        self._listener.close()
        self.view.release()
        self._memory.close()
        os.close(self._fd)
        self._path.unlink(missing_ok=True)


def write_config(path: Path, width: int, height: int) -> None:
    """The bench profile with another panel size."""
    table = tomllib.loads(PROFILE.read_text(encoding="utf-8"))
    table["panel"].update(width=width, height=height)
    lines = []
    for name, value in table.items():
        if not isinstance(value, dict):
            lines.append(f"{name} = {value!r}")
    for name, value in table.items():
        if isinstance(value, dict):
            lines.append(f"[{name}]")
            lines += [f"{key} = {entry!r}" for key, entry in value.items()]
    path.write_text("\n".join(lines), encoding="utf-8")


@dataclass
class Room:
    """A run directory with all peers, and the imaging process between them."""

    run_dir: Path
    panel: Panel
    executive: Server
    supervisor: Server
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"ipc://{self.run_dir / 'frames.ipc'}"

    def start(self) -> subprocess.Popen[bytes]:
        """Start imaging and wait until it has met everybody."""
        command = [
            sys.executable, "-m", "controller.imaging",
            "--config", str(self.run_dir / "config.toml"), "--run-dir", str(self.run_dir),
        ]  # fmt: skip
        self.process = subprocess.Popen(command)
        wait_for(self.executive.accepted)
        wait_for(self.supervisor.accepted)
        wait_for(self.panel.accepted)
        return self.process

    def begin(self, run_id: int, pulses_per_s: int = 30) -> None:
        """What precedes the first pulse of a run."""
        self.supervisor.send(Series(run_id, f"series-{run_id}", "chest", "HFS", 30.0))
        self.supervisor.send(Committed(7, 70.0, 40.0, 8.0, "3Al+0.1Cu", 300.0, 300))
        # The two sockets have no common order: the series is there before the run starts.
        heard = len(self.supervisor.of(Hello)) and len(self.supervisor.listen())
        wait_for(lambda: len(self.supervisor.listen()) > heard + 1)
        self.executive.send(run_start(run_id, pulses_per_s, time.monotonic_ns()))

    def pulse(self, run_id: int, pulse_n: int, **changes: Any) -> int:
        """Report a pulse that was just fired; returns the opening of its window."""
        start_ns = time.monotonic_ns() - 14 * MS
        self.executive.send(pulse_report(run_id, pulse_n, start_ns, **changes))
        return start_ns - MS

    def shoot(self, run_id: int, pulse_n: int, signal_du: float = SIGNAL_DU) -> None:
        """A pulse and its frame."""
        self.panel.expose(self.pulse(run_id, pulse_n), signal_du)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End imaging by a signal and reap it."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(10)
        self.process = None
        self.panel.drop()

    def close(self) -> None:
        if self.process is not None:
            self.kill()
        for peer in (self.panel, self.executive, self.supervisor):
            peer.close()


def make_room(run_dir: Path, width: int = 256, height: int = 256) -> Room:
    """Peers for a panel of this size, calibration and configuration included."""
    write_config(run_dir / "config.toml", width, height)
    panel = Panel(run_dir / "panel.sock", width, height)
    panel.write_calibration(run_dir / "calibration.npz")
    return Room(run_dir, panel, Server(run_dir / "verdicts.sock"), Server(run_dir / "imaging.sock"))
