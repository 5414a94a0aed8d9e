"""rig-line, the room behind the line bus: `python -m hil.rig.line --config F --run-dir D`.

Lives here: one thread, one wait per turn, between `lines.sock`, `room.sock` and the models of
`hil.room`.  May not live here: any physics or any decision about the beam.

A turn: wait, read the clock, drain both sockets, apply arrivals at their kernel stamps, advance
the room to the clock, send every edge as its own snapshot, refresh after 4 ms of silence, pass
reports and truth on.
Truth is computed from stamps, not from when this process woke; its own lateness above 2 ms is
written to the truth log, so that such a stretch can be judged apart.  When the controller goes away
its output levels stay, like the pins of a board whose program was killed.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final

from hil.rig import fifo, seqpacket
from hil.rig.linkout import LineClient, WorldOut
from hil.rig.roombus import (
    DATAGRAM_BYTES_MAX,
    TRUTH_BATCH_MAX,
    Hello,
    LineState,
    Report,
    RoomBusError,
    Truth,
    pack,
    unpack,
)
from hil.rig.sockets import listen_seqpacket
from hil.room.parameters import MS, of_config
from hil.room.records import PulseResult
from hil.room.room import NEVER, Levels, Room
from realtime.wire import linebus
from realtime.wire.config import ConfigError, load
from realtime.wire.lines import SNAPSHOT_PERIOD_MS

PRIORITY: Final = 60
REFRESH_NS: Final = 4 * MS
STATE_NS: Final = 50 * MS
TRUTH_NS: Final = 20 * MS
LATE_NS: Final = 2 * MS
# XRAY_ON may be 1 ms late before the executive calls it stray: half of that is worth telling.
EDGE_LATE_NS: Final = MS // 2
EARLY_NS: Final = 300_000
REHEARSAL_NS: Final = 50_000
DRAIN_MAX: Final = 256
WAIT_S_MAX: Final = 1.0
ROOM_SOCKET: Final = "room.sock"
assert REFRESH_NS < SNAPSHOT_PERIOD_MS * MS


class RigLine:
    """The process as an object: two servers, two clients, one room."""

    def __init__(
        self, room: Room, lines: socket.socket, world: socket.socket, wake: socket.socket
    ) -> None:
        self._room = room
        self._lines = lines
        self._world = world
        self._wake = wake
        self._client: LineClient | None = None
        self._out = WorldOut()
        self._refresh_ns = self._state_ns = self._truth_ns = 0
        self._malformed: dict[str, int] = {}
        self._late_max_ns = 0
        self._announced = -1
        self._shown: tuple[object, ...] = ()
        self._truth_dropped_said = 0
        self.degraded: list[str] = []
        self.stopping = False

    def turn(self) -> None:
        """Wait for the next thing, then do all that is due."""
        due_ns = self._due_ns()
        act_ns = self._room.next_act_ns()
        ready = self._wait(min(due_ns, self._report_ns(), act_ns - EARLY_NS))
        self._approach(act_ns)
        now_ns = time.monotonic_ns()
        if due_ns < NEVER:
            self._note_lateness(now_ns, now_ns - due_ns)
        if self._lines in ready or self._world in ready:
            self._accept(now_ns)
        self._drain_lines(now_ns)
        if self._out.sock in ready:
            self._drain_world(now_ns)
        self._room.advance(now_ns)
        self._ship(now_ns)

    def close(self) -> None:
        """Dark first, then hand over the last truth."""
        now_ns = time.monotonic_ns()
        self._room.apply(now_ns, Levels(0))
        self._ship(now_ns)
        self._truth_ns = 0
        self._send_truth(now_ns)
        self._out.flush()
        seqpacket.close(self._client.sock if self._client else None)
        seqpacket.close(self._out.sock)

    # ── waiting ──────────────────────────────────────────────────────────────────────────────

    def _due_ns(self) -> int:
        """When the room or the line bus needs us next; being late for this is being late."""
        due_ns = self._room.next_event_ns()
        return due_ns if self._client is None else min(due_ns, self._refresh_ns)

    def _report_ns(self) -> int:
        return NEVER if self._out.sock is None else min(self._state_ns, self._truth_ns)

    def _wait(self, due_ns: int) -> list[socket.socket]:
        readers: list[socket.socket] = [self._lines, self._world, self._wake]
        writers: list[socket.socket] = []
        if self._client is not None:
            readers.append(self._client.sock)
            if self._client.waits:
                writers.append(self._client.sock)
        if self._out.sock is not None:
            readers.append(self._out.sock)
            if self._out.waits:
                writers.append(self._out.sock)
        left_s = (due_ns - time.monotonic_ns()) * 1e-9
        ready, _, _ = select.select(readers, writers, [], max(0.0, min(left_s, WAIT_S_MAX)))
        return ready

    def _approach(self, act_ns: int) -> None:
        """Spin the last stretch before a contact moves or a fault strikes, and only then.

        Reactions are measured from that instant, so our own waking must not be part of them; the
        rehearsal keeps caches from making the real passage several times slower.
        """
        now_ns = time.monotonic_ns()
        if act_ns - now_ns > EARLY_NS:
            return
        foreseen = None
        while now_ns < act_ns:
            self._drain_lines(now_ns)
            if act_ns - now_ns > REHEARSAL_NS:
                self._room.rehearse()
                linebus.encode(linebus.KIND_INPUTS, 0, now_ns, self._room.inputs)
            foreseen = self._room.foreseen(act_ns)
            now_ns = time.monotonic_ns()
        if foreseen is not None:
            # A contact opens on its wire at once; working out what follows comes after.
            self._send(now_ns, act_ns, foreseen, True)
            self._announced = foreseen

    def _note_lateness(self, now_ns: int, late_ns: int) -> None:
        self._late_max_ns = max(self._late_max_ns, late_ns)
        if late_ns > LATE_NS:
            self._room.out.record(now_ns, "process", "lateness", late_ns)

    # ── arrivals ─────────────────────────────────────────────────────────────────────────────

    def _accept(self, now_ns: int) -> None:
        newcomer = seqpacket.accept(self._lines, stamped=True)
        if newcomer is not None and self._client is not None:
            newcomer.close()
            self._complain("second_client", "lines.sock has one controller; the second was closed")
        elif newcomer is not None:
            self._client = LineClient(newcomer)
            self._room.out.record(now_ns, "process", "lines", "connected")
            self._snapshot(now_ns)
        world = seqpacket.accept(self._world, stamped=False)
        if world is not None:
            seqpacket.close(self._out.sock)
            self._out.sock = world
            self._shown = ()

    def _drain_lines(self, now_ns: int) -> None:
        for _ in range(DRAIN_MAX):
            if self._client is None:
                return
            try:
                packet, stamp_ns = seqpacket.receive(self._client.sock, linebus.PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError:
                packet, stamp_ns = b"", now_ns
            if not packet:
                self._hang_up(now_ns)
                return
            self._note_lateness(now_ns, now_ns - stamp_ns)
            try:
                snapshot = linebus.decode(packet, linebus.KIND_OUTPUTS)
            except linebus.LineBusError as error:
                self._complain(error.code, f"lines.sock: {error}")
                continue
            self._room.apply(stamp_ns, Levels(snapshot.levels))

    def _drain_world(self, now_ns: int) -> None:
        for _ in range(DRAIN_MAX):
            if self._out.sock is None:
                return
            try:
                datagram = self._out.sock.recv(DATAGRAM_BYTES_MAX + 1)
            except BlockingIOError:
                return
            except OSError:
                datagram = b""
            if not datagram:
                seqpacket.close(self._out.sock)
                self._out.sock = None
                return
            self._obey(datagram)

    def _obey(self, datagram: bytes) -> None:
        try:
            message = unpack(datagram)
        except RoomBusError as error:
            self._complain(f"room_{error.code}", f"room.sock: {error}")
            return
        if isinstance(message, Hello):
            generator = self._room.generator
            generator.pulse_count = max(generator.pulse_count, message.pulse_count)
        elif isinstance(message, Report):
            self._complain("room_direction", f"room.sock: {type(message).__name__} is ours to send")
        else:
            # The act happens now, not when this turn began: reading it is not the room's time.
            reply = self._room.apply(time.monotonic_ns(), message)
            if reply is not None:
                self._out.put(pack(reply))

    def _note_edge(self, t_ns: int) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - t_ns > EDGE_LATE_NS:
            self._room.out.record(now_ns, "process", "edge_late", now_ns - t_ns)

    # ── sending ──────────────────────────────────────────────────────────────────────────────

    def _ship(self, now_ns: int) -> None:
        out = self._room.out
        for order in out.signals:
            self._signal(order.name, order.pid, order.signal)
        for edge in out.edges:
            if edge.levels != self._announced:
                self._send(now_ns, edge.t_ns, edge.levels, True)
                self._note_edge(edge.t_ns)
            self._announced = -1
        if now_ns >= self._refresh_ns:
            self._snapshot(now_ns)
        elif self._client is not None and not self._client.flush(now_ns):
            self._hang_up(now_ns)
        for report in out.reports:
            # a generator's results are kept for a world that is away; its frames are over by then
            if self._out.sock is not None or isinstance(report, PulseResult):
                self._out.put(pack(report))
        if self._out.sock is not None:
            self._send_state(now_ns)
        out.signals.clear()
        out.edges.clear()
        out.reports.clear()
        self._send_truth(now_ns)
        if not self._out.flush():
            seqpacket.close(self._out.sock)
            self._out.sock = None

    def _snapshot(self, now_ns: int) -> None:
        self._send(now_ns, now_ns, self._room.inputs, False)

    def _send(self, now_ns: int, stamp_ns: int, levels: int, edge: bool) -> None:
        self._refresh_ns = now_ns + REFRESH_NS
        if self._client is None:
            return
        wire = self._room.wire
        if not wire.may_send(edge):
            if not wire.silent:
                self._client.skip()
            self._room.injector.watch(now_ns)
            return
        if not self._client.send(now_ns, stamp_ns, levels):
            self._hang_up(now_ns)

    def _hang_up(self, now_ns: int) -> None:
        assert self._client is not None
        self._client.sock.close()
        self._client = None
        self._room.out.record(now_ns, "process", "lines", "disconnected")

    def _send_truth(self, now_ns: int) -> None:
        truth = self._room.out.truth
        if len(truth) < TRUTH_BATCH_MAX and now_ns < self._truth_ns:
            return
        self._truth_ns = now_ns + TRUTH_NS
        for start in range(0, len(truth), TRUTH_BATCH_MAX):
            self._out.put(pack(Truth(truth[start : start + TRUTH_BATCH_MAX])))
        truth.clear()
        if self._out.dropped > self._truth_dropped_said:
            self._truth_dropped_said = self._out.dropped
            self._complain("dropped", "rig-world does not read: truth and frames are being lost")

    def _send_state(self, now_ns: int) -> None:
        generator = self._room.generator
        preparation = generator.preparation
        shown = (preparation.rotor, preparation.filament, generator.fault_bits,
                 self._client is None, generator.refused)  # fmt: skip
        if shown == self._shown and now_ns < self._state_ns:
            return
        self._shown, self._state_ns = shown, now_ns + STATE_NS
        self._out.put(pack(self._state(now_ns)))
        self._late_max_ns = 0

    def _state(self, now_ns: int) -> LineState:
        room, generator = self._room, self._room.generator
        return LineState(
            now_ns, generator.preparation.rotor, generator.preparation.filament,
            not generator.fault_bits, generator.fault_bits, generator.pulse_count,
            generator.gate_count, generator.refused, room.inputs, room.outputs,
            self._client is not None, room.panel.frame_no, room.panel.triggers_ignored,
            sum(self._malformed.values()), self._out.dropped, self._late_max_ns, self.degraded,
            room.injector.active, generator.dosimeter.reading,
        )  # fmt: skip

    def _signal(self, name: str, pid: int, word: str) -> None:
        try:
            os.kill(pid, getattr(signal, f"SIG{word}"))
        except OSError as error:
            self._complain("signal", f"{name} ({pid}): {error.strerror}")

    def _complain(self, code: str, sentence: str) -> None:
        """Count a kind of trouble and say it once."""
        self._malformed[code] = self._malformed.get(code, 0) + 1
        if self._malformed[code] == 1:
            sys.stderr.write(f"rig-line: {sentence}\n")


def run(config_path: Path, run_dir: Path, seed: int) -> int:
    """Serve until SIGTERM or SIGINT.  Exit codes: 0, 2 bad configuration, 3 socket in use."""
    try:
        config = load(config_path)
    except ConfigError as error:
        sys.stderr.write(f"rig-line: {error}; {error.remedy}\n")
        return 2
    lines_path, world_path = config.path("lines.path", run_dir), run_dir / ROOM_SOCKET
    try:
        lines = listen_seqpacket(lines_path)
    except OSError as error:
        sys.stderr.write(f"rig-line: {error}\n")
        return 3
    try:
        world = listen_seqpacket(world_path)
    except OSError as error:
        sys.stderr.write(f"rig-line: {error}\n")
        seqpacket.close(lines, lines_path)
        return 3
    wake, waker = socket.socketpair()
    rig = RigLine(Room(of_config(config, seed), time.monotonic_ns()), lines, world, wake)
    try:
        _serve(rig, waker)
    finally:
        wake.close()
        waker.close()
        seqpacket.close(lines, lines_path)
        seqpacket.close(world, world_path)
    return 0


def _serve(rig: RigLine, waker: socket.socket) -> None:
    def stop(_number: int, _frame: object) -> None:
        rig.stopping = True

    # A wait that a signal interrupts is resumed; a byte on this socket ends it.
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    rig.degraded = fifo.become(PRIORITY)
    for sentence in rig.degraded:
        sys.stderr.write(f"rig-line: degraded: {sentence}\n")
    while not rig.stopping:
        rig.turn()
    signal.set_wakeup_fd(-1)
    rig.close()


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="hil.rig.line")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1, help="bounce and travel of the contacts")
    chosen = parser.parse_args()
    return run(chosen.config, chosen.run_dir, chosen.seed)


if __name__ == "__main__":
    sys.exit(main())
