"""A stranger's controller and world: both ends of rig-line's sockets, driven by hand.

Lives here: the sockets, the counting, and the patience with a computer that holds a test itself up.
May not live here: what is expected of the rig.
"""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from hil.rig import roombus
from hil.room.parameters import MS, SECOND
from hil.room.records import Technique, TruthRecord
from realtime.wire import linebus
from realtime.wire.lines import In, Out
from tests.plugins.occasions import REPEATED

ROOT = Path(__file__).parents[3]
PROFILE = ROOT / "controller" / "profiles" / "bench.toml"
LIMIT_S = 10.0
# The monostable waits for 12 ms: who sends later than this has lost the beam by his own pace.
PACE_NS = 10 * MS
TRIES = 5


def start(run_dir: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hil.rig.line", "--config", str(PROFILE)]
    return subprocess.Popen([*command, "--run-dir", str(run_dir)], cwd=ROOT, stderr=subprocess.PIPE)


def connect(path: Path) -> socket.socket:
    """Connect as soon as the server listens."""
    end = time.monotonic() + LIMIT_S
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.connect(str(path))
        except OSError:
            sock.close()
            assert time.monotonic() < end, f"nobody listens at {path.name}"
            select.select([], [], [], 0.01)
        else:
            sock.setblocking(False)
            return sock


class Rig:
    """A running rig-line with a controller's and a world's end of its sockets."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.process = start(run_dir)
        self.world = connect(run_dir / "room.sock")
        self.lines = connect(run_dir / "lines.sock")
        self.truth: list[TruthRecord] = []
        self.reports: list[Any] = []
        self.snapshots: list[linebus.Snapshot] = []
        self.outputs = 0
        self.slowest_ns = 0
        self.toggled_ns = 0
        self._sent_ns = 0
        self._seq = 0
        self._requests = 0

    def close(self) -> None:
        self.lines.close()
        self.world.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        self.process.wait(LIMIT_S)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def drive(self, **levels: int) -> int:
        """Send one packet; returns the clock before the send."""
        for name, level in levels.items():
            bit = 1 << Out[name.upper()]
            self.outputs = self.outputs | bit if level else self.outputs & ~bit
        sent_ns = time.monotonic_ns()
        self.lines.send(linebus.encode(linebus.KIND_OUTPUTS, self._seq, sent_ns, self.outputs))
        if self._sent_ns:
            self.slowest_ns = max(self.slowest_ns, time.monotonic_ns() - self._sent_ns)
        self._sent_ns = sent_ns
        self._seq += 1
        return sent_ns

    def ask(self, kind: Callable[..., Any], *fields: Any) -> roombus.Reply:
        """Send a command and wait for its reply."""
        self._requests += 1
        mine = self._requests
        self.world.send(roombus.pack(kind(mine, *fields)))
        self.until(lambda: any(self._is_reply(r, mine) for r in self.reports))
        reply: roombus.Reply = next(r for r in self.reports if self._is_reply(r, mine))
        return reply

    def act(self, text: str) -> roombus.Reply:
        return self.ask(roombus.Action, text, -1.0, "")

    @staticmethod
    def _is_reply(report: Any, request_id: int) -> bool:
        return isinstance(report, roombus.Reply) and report.request_id == request_id

    def read(self, wait_s: float) -> None:
        """Take what there is, waiting at most `wait_s` for it."""
        open_ends = [s for s in (self.lines, self.world) if s.fileno() >= 0]
        ready, _, _ = select.select(open_ends, [], [], wait_s)
        for sock in ready:
            try:
                while datagram := sock.recv(1 << 17):
                    self._take(sock, datagram)
            except BlockingIOError:
                continue
            sock.close()

    def _take(self, sock: socket.socket, datagram: bytes) -> None:
        if sock is self.lines:
            self.snapshots.append(linebus.decode(datagram, linebus.KIND_INPUTS))
            return
        message = roombus.unpack(datagram)
        if isinstance(message, roombus.Truth):
            self.truth += message.records
        else:
            self.reports.append(message)

    def until(self, done: Callable[[], bool]) -> None:
        """Read until something is so; fails after the limit."""
        end = time.monotonic() + LIMIT_S
        while not done():
            assert time.monotonic() < end, "it did not happen"
            self.read(0.05)

    def high(self, line: In) -> bool:
        return bool(self.snapshots) and bool(self.snapshots[-1].levels >> line & 1)

    def of(self, kind: str, name: str) -> list[TruthRecord]:
        return [r for r in self.truth if (r.kind, r.name) == (kind, name)]

    def states(self) -> list[roombus.LineState]:
        return [r for r in self.reports if isinstance(r, roombus.LineState)]

    def prepare(self, technique: Technique) -> None:
        """Bank 0 stored, rotor at speed, pedal down, chain closed."""
        assert self.ask(roombus.BankSet, 0, technique).ok
        assert self.ask(roombus.Prepare, True).ok
        self.until(lambda: bool(self.states()) and self.states()[-1].rotor == "ready")
        assert self.act("press fluoro").ok
        self.until(lambda: self.high(In.CHAIN_OK))

    def toggle_for(self, ns: int) -> None:
        """Toggle PERMIT every 3 ms for a while; `toggled_ns` is the clock at the last toggle."""
        end_ns = time.monotonic_ns() + ns
        last_ns = self.drive(permit=1 - (self.outputs >> Out.PERMIT & 1))
        while last_ns < end_ns:
            due_ns = last_ns + 3 * MS
            while (left := due_ns - time.monotonic_ns()) > 0:
                self.read(left / SECOND)
            last_ns = self.drive(permit=1 - (self.outputs >> Out.PERMIT & 1))
        self.toggled_ns = last_ns


@contextmanager
def in_pace(run_dir: Path, act: Callable[[Rig], None]) -> Iterator[Rig]:
    """A rig before which `act` was done; anew where this computer held the test up in doing it."""
    for n in range(TRIES):
        (run_dir / str(n)).mkdir()
        with closing(Rig(run_dir / str(n))) as rig:
            act(rig)
            if rig.slowest_ns <= PACE_NS or n == TRIES - 1:
                yield rig
                return
            REPEATED.append(f"the test sent {rig.slowest_ns / MS:.0f} ms late")
