"""Line driver `wire`: the bank over a Unix seqpacket socket, as numbered snapshots.

Theory of operation.  The peer sends a snapshot at least every 5 ms and one on every edge.  A gap in
the numbers, an age over 15 ms, a malformed packet or a closed connection makes every input read its
safe level; each such event and each connection starts a new epoch, which counts as boot for the
fresh-edge rule.  Edges to the unsafe side are collected over all snapshots of a turn, so one that
is already back is not lost.  Sends never block: what cannot be sent closes the connection.

Lives here: this transport.  May not live here: what a line means.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Final

from realtime.clock import SO_TIMESTAMPNS, STAMP_SPACE, arrival_ns, wall_offset_ns
from realtime.inputs import Inputs
from realtime.limits import MS
from realtime.wire.linebus import (
    KIND_INPUTS,
    KIND_OUTPUTS,
    PACKET_BYTES,
    SEQ_MODULUS,
    LineBusError,
    decode,
    encode,
    follows,
    repeats,
)
from realtime.wire.lines import (
    IN_SAFE,
    MAX_AGE_MS,
    PEDALS,
    UNSAFE_WHEN_HIGH,
    UNSAFE_WHEN_LOW,
    In,
    mask,
)

RETRY_NS: Final = 100 * MS
# A healthy peer sends a few packets per turn; more is a flood, read on in the next turn.
PACKETS_PER_TURN_MAX: Final = 64
_AGE_NS: Final = MAX_AGE_MS * MS
_WINDOW: Final = mask(In.WINDOW)
_XRAY: Final = mask(In.XRAY_ON)
_log = logging.getLogger("realtime.lines")


class WireLines:
    """The bank over `path`.  See `realtime.drivers.port.LineDriver`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.packet = b""
        self.received_ns = 0
        self.malformed: dict[str, int] = {}
        self.gaps = 0
        self._socket: socket.socket | None = None
        self.packets = 0
        self._retry_ns = 0
        self._epoch = 0
        self._seq_in: int  # of a connection, as the next; -1: none has come
        self._seq_out: int
        self._levels = IN_SAFE
        self._sent = 0
        self._edges: int  # of a turn, as the count of rises below
        self._turn_ns = 0
        self._window_rise_ns = 0
        self._window_fall_ns = 0
        self._pedal_edge_ns = 0
        self._xray_rise_ns = 0
        self._xray_fall_ns = 0
        self._xray_rises: int
        self._quiet: Inputs | None = None

    def fileno(self) -> int:
        """The socket, or -1 while it is not connected."""
        return -1 if self._socket is None else self._socket.fileno()

    def drain(self, now_ns: int) -> Inputs:
        """Read what has arrived and give the bank of this turn."""
        if self._socket is None and now_ns >= self._retry_ns:
            self._connect(now_ns)
        self._edges = 0
        self._xray_rises = 0
        whole = self._socket is not None and self._receive()
        self._turn_ns = now_ns
        link = whole and self._seq_in >= 0 and now_ns - self.received_ns <= _AGE_NS
        if link and self._quiet is not None:
            return self._quiet
        inputs = Inputs(
            link=link,
            epoch=self._epoch,
            levels=self._levels if link else IN_SAFE,
            unsafe_edges=self._edges,
            window_rise_ns=self._window_rise_ns,
            window_fall_ns=self._window_fall_ns,
            xray_rise_ns=self._xray_rise_ns,
            xray_fall_ns=self._xray_fall_ns,
            xray_rises=self._xray_rises,
            pedal_edge_ns=self._pedal_edge_ns,
        )
        # As long as packets only repeat the bank, the next turn is given the same values.
        self._quiet = inputs if link and not self._edges | self._xray_rises else None
        return inputs

    def send(self, now_ns: int, levels: int) -> bool:
        """Send the bank; a connection that does not take it at once is closed."""
        self._sent = levels
        if self._socket is None:
            return False
        packet = encode(KIND_OUTPUTS, self._seq_out, now_ns, levels)
        self._seq_out = (self._seq_out + 1) % SEQ_MODULUS
        try:
            self._socket.send(packet, socket.MSG_DONTWAIT)
        except OSError as error:
            self._drop(f"send: {error.strerror}")
            return False
        return True

    def close(self) -> None:
        """Close the socket; the peer keeps the last levels, as pins would."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self, now_ns: int) -> None:
        self._retry_ns = now_ns + RETRY_NS
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            link.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, True)
            link.connect(str(self.path))
        except OSError:
            link.close()
            return
        self._socket = link
        self._epoch += 1
        self._seq_in = -1
        self._seq_out = 0
        self.send(now_ns, self._sent)

    def _receive(self) -> bool:
        """Read all waiting packets; False when the bank cannot be trusted on this turn."""
        assert self._socket is not None
        stamps: list[tuple[int, int, bytes]] | None = None
        whole = True
        for _ in range(PACKETS_PER_TURN_MAX):
            try:
                packet, ancillary, _flags, _peer = self._socket.recvmsg(
                    PACKET_BYTES + 1, STAMP_SPACE, socket.MSG_DONTWAIT
                )
            except BlockingIOError:
                break
            except OSError as error:
                self._drop(f"receive: {error.strerror}")
                return False
            next_seq = (self._seq_in + 1) % SEQ_MODULUS
            if self._seq_in >= 0 and repeats(packet, next_seq, self._levels):
                self.packets += 1
                self._seq_in, self.packet, stamps = next_seq, packet, ancillary
                continue
            if not self._take(packet, ancillary):
                if self._socket is None:
                    return False
                whole = False
            stamps = None
        if stamps is not None:
            self._arrived(stamps)
        return whole

    def _take(self, packet: bytes, ancillary: list[tuple[int, int, bytes]]) -> bool:
        """One packet that is not the bank once more; False when the bank cannot be trusted."""
        self._quiet = None
        if not packet:
            self._drop("closed by the peer")
            return False
        try:
            snapshot = decode(packet, KIND_INPUTS)
        except LineBusError as error:
            self._count(error)
            self._drop(error.code)
            return False
        gap = self._seq_in >= 0 and not follows(self._seq_in, snapshot.seq)
        if gap:
            self.gaps += 1
            self._epoch += 1
        self.packets += 1
        self._seq_in = snapshot.seq
        self.packet = packet
        self._arrived(ancillary)
        self._note_edges(snapshot.levels)
        return not gap

    def _arrived(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        self.received_ns = arrival_ns(ancillary, wall_offset_ns(), self._turn_ns)

    def _note_edges(self, levels: int) -> None:
        changed = levels ^ self._levels
        if not changed:
            return
        rose, fell = changed & levels, changed & ~levels
        self._edges |= (fell & UNSAFE_WHEN_LOW) | (rose & UNSAFE_WHEN_HIGH)
        if changed & PEDALS:
            self._pedal_edge_ns = self.received_ns
        if changed & _WINDOW:
            if rose & _WINDOW:
                self._window_rise_ns = self.received_ns
            else:
                self._window_fall_ns = self.received_ns
        if rose & _XRAY:
            self._xray_rise_ns = self.received_ns
            self._xray_rises += 1
        elif fell & _XRAY:
            self._xray_fall_ns = self.received_ns
        self._levels = levels

    def _count(self, error: LineBusError) -> None:
        seen = self.malformed.get(error.code, 0)
        self.malformed[error.code] = seen + 1
        if not seen:
            _log.warning("line bus peer sent a malformed packet: %s", error)

    def _drop(self, why: str) -> None:
        if self._socket is not None:
            _log.warning("line bus lost: %s", why)
            self._socket.close()
        self._socket = None
        self._epoch += 1
        self._levels = IN_SAFE
