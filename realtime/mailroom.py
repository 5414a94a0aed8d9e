"""The two message sockets: supervisor and imaging, one connection each.

Theory of operation.  A newcomer must say Hello with its role before anything else.  The supervisor
with the highest epoch holds the place: a newer one fences the older, an older or equal one is
refused while the place is held.  Only the user of this process and root may connect.  Sends never
block; a peer that does not read is closed, and its lease ends by itself.

Lives here: sockets, framing, who may hold a place.  May not live here: what a message does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
from pathlib import Path
from typing import Final

from realtime.inputs import Letter, Peer
from realtime.wire.codec import BadMessage, pack, unpack
from realtime.wire.messages import MESSAGE_BYTES_MAX, Hello, Message, Refused, State

LETTERS_PER_TURN_MAX: Final = 32
NEWCOMERS_MAX: Final = 4
_CREDENTIALS: Final = struct.Struct("3i")
_log = logging.getLogger("realtime.mail")


class PlaceTaken(OSError):
    """Another process serves this socket already."""


def listen(path: Path) -> socket.socket:
    """Serve a seqpacket socket at `path`; a dead one is replaced, a live one is PlaceTaken."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        probe.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        path.unlink(missing_ok=True)
    else:
        raise PlaceTaken(f"{path} is served by another process; end it or use another --run-dir")
    finally:
        probe.close()
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    server.bind(str(path))
    path.chmod(0o660)
    server.listen(NEWCOMERS_MAX)
    return server


class Desk:
    """One listening socket, the newcomers at it, and the peer that holds the place."""

    def __init__(self, peer: Peer, path: Path, hello: Hello) -> None:
        self.peer = peer
        self.path = path
        self.server = listen(path)
        self.holder: socket.socket | None = None
        self.epoch = -1
        self.malformed: dict[str, int] = {}
        self.unsent = 0
        self.hello = hello
        self._newcomers: list[socket.socket] = []

    def sockets(self) -> list[socket.socket]:
        """Everything the loop has to wait for."""
        held = [] if self.holder is None else [self.holder]
        return [self.server, *held, *self._newcomers]

    def collect(self) -> list[Letter]:
        """Take what has arrived: letters of the holder, and a change of the holder."""
        letters: list[Letter] = []
        self._admit()
        for newcomer in list(self._newcomers):
            self._greet(newcomer, letters)
        if self.holder is not None:
            self._read(letters)
        return letters

    def post(self, message: Message) -> None:
        """Send to the holder; one that does not read loses its place, or only a `State`.

        The kernel queues some ten datagrams; the next `State` says all that a lost one said.
        """
        if self.holder is None:
            return
        try:
            self.holder.send(pack(message), socket.MSG_DONTWAIT)
        except OSError as error:
            self.unsent += 1
            if isinstance(error, BlockingIOError) and isinstance(message, State):
                return
            _log.warning("%s does not read: %s", self.peer.value, error.strerror)
            # Shut down, not closed: the next `collect` reads the end and reports the link down.
            with contextlib.suppress(OSError):
                self.holder.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close everything and remove the socket file."""
        for each in self.sockets():
            each.close()
        self.path.unlink(missing_ok=True)

    def _admit(self) -> None:
        for _ in range(NEWCOMERS_MAX):
            try:
                newcomer, _ = self.server.accept()
            except OSError:
                return
            raw = newcomer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            if _CREDENTIALS.unpack(raw)[1] not in (0, os.geteuid()):
                newcomer.close()
                continue
            newcomer.setblocking(False)
            self._newcomers.append(newcomer)
            if len(self._newcomers) > NEWCOMERS_MAX:  # who has said nothing makes room
                self._newcomers.pop(0).close()

    def _greet(self, newcomer: socket.socket, letters: list[Letter]) -> None:
        message, raw = self._receive(newcomer)
        if message is None and raw is None:
            return
        self._newcomers.remove(newcomer)
        if not isinstance(message, Hello) or message.role != self.peer.value:
            newcomer.close()
            return
        if self.holder is not None and message.epoch <= self.epoch:
            refusal = Refused("hello", "place_taken", f"held by epoch {self.epoch}", 1)
            with contextlib.suppress(OSError):  # gone already, or not reading: its own loss
                newcomer.send(pack(refusal), socket.MSG_DONTWAIT)
            newcomer.close()
            return
        if self.holder is not None:
            self._drop_holder(letters)
        self.holder, self.epoch = newcomer, message.epoch
        self.post(self.hello)
        letters += [Letter(self.peer, None, link_up=True), Letter(self.peer, message, raw or b"")]

    def _read(self, letters: list[Letter]) -> None:
        for _ in range(LETTERS_PER_TURN_MAX):
            assert self.holder is not None
            message, raw = self._receive(self.holder)
            if message is not None:
                letters.append(Letter(self.peer, message, raw or b""))
            elif raw is None:
                return
            elif not raw:
                self._drop_holder(letters)
                return

    def _receive(self, source: socket.socket) -> tuple[Message | None, bytes | None]:
        """(message, raw); (None, None): nothing; (None, b''): closed; (None, raw): malformed."""
        try:
            raw = source.recv(MESSAGE_BYTES_MAX + 1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None, None
        except OSError:
            return None, b""
        if not raw:
            return None, b""
        try:
            return unpack(raw), raw
        except BadMessage as error:
            seen = self.malformed.get(error.code, 0)
            self.malformed[error.code] = seen + 1
            if not seen:
                _log.warning("%s sent a malformed message: %s", self.peer.value, error)
            return None, raw

    def _drop_holder(self, letters: list[Letter]) -> None:
        assert self.holder is not None
        self.holder.close()
        self.holder = None
        letters.append(Letter(self.peer, None, link_up=False))
