"""A cheap USB CAN adapter at the end of a pty: the ASCII protocol python-can calls `slcan`.

Lives here: the adapter's commands and replies, as a python-can bus on whose other side the
generator's node sits.  May not live here: CANopen (`hil.rig.generator_node`).

The client opens the pty's other end (a symlink in the run directory).  As on a USB adapter nothing
is delivered while the channel is closed, a full buffer loses whole frames (counted), and `C` or `O`
empties it.  A client that has not read for a second is gone: the channel closes by itself.
(Its unread rest in the kernel is discarded by the next client's own opening of the port; flushing
it from this side could take bytes away between that client's select and its read.)
"""

from __future__ import annotations

import logging
import os
import pty
import select
import threading
import time
import tty
from pathlib import Path
from typing import Any, Final

import can

OUT_BYTES_MAX: Final = 8 << 10
STALLED_S: Final = 1.0
COMMAND_BYTES_MAX: Final = 32
OK: Final = b"\r"
ERROR: Final = b"\a"
SETTINGS: Final = (b"S", b"s", b"Y")  # bit rate, only while closed
HARMLESS: Final = (b"", b"Z0", b"X0", b"X1")
log = logging.getLogger("rig.can")


def frame_text(message: can.Message) -> bytes:
    """The line of a received frame, e.g. b't1812ABCD\\r'."""
    letter = (
        ("R" if message.is_extended_id else "r")
        if message.is_remote_frame
        else ("T" if message.is_extended_id else "t")
    )
    digits = 8 if message.is_extended_id else 3
    body = "" if message.is_remote_frame else bytes(message.data).hex().upper()
    return f"{letter}{message.arbitration_id:0{digits}X}{message.dlc}{body}\r".encode("ascii")


def frame_of(command: bytes) -> can.Message | None:
    """The frame that a t, T, r or R command transmits, or None when it is malformed."""
    try:
        text = command.decode("ascii")
        digits = 8 if text[0] in "TR" else 3
        number, dlc = int(text[1 : 1 + digits], 16), int(text[1 + digits])
        payload = bytes.fromhex(text[2 + digits :])
    except (ValueError, IndexError):
        return None
    remote = text[0] in "rR"
    limit = 1 << 29 if digits == 8 else 1 << 11
    if number >= limit or dlc > 8 or len(payload) != (0 if remote else dlc):
        return None
    return can.Message(
        arbitration_id=number, is_extended_id=digits == 8, is_remote_frame=remote, dlc=dlc,
        data=None if remote else payload,
    )  # fmt: skip


class SlcanAdapter(can.BusABC):
    """The adapter; `link` becomes a symlink to the pty that a client opens."""

    def __init__(self, link: Path) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._link = link
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._slave))
        self._lock = threading.Lock()
        self._typed = bytearray()
        self._waiting: list[can.Message] = []
        self._out = bytearray()
        self.is_open = False
        self.is_off_bus = False
        self._stalled_s = 0.0
        self.frames_lost = 0
        self.commands_bad = 0
        super().__init__(str(link))

    # ── towards the client ───────────────────────────────────────────────────────────────────

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Deliver a frame of the bus to the client; never blocks, loses whole frames if full."""
        with self._lock:
            if not self.is_open or self.is_off_bus:
                return
            line = frame_text(msg)
            if len(self._out) + len(line) <= OUT_BYTES_MAX:
                self._out += line
            else:
                self.frames_lost += 1
            self._flush()

    def _reply(self, text: bytes) -> None:
        with self._lock:
            self._out += text
            self._flush()

    def _flush(self) -> None:
        try:
            while self._out:
                del self._out[: os.write(self._master, self._out)]
                self._stalled_s = 0.0
        except BlockingIOError:
            now_s = time.monotonic()
            self._stalled_s = self._stalled_s or now_s
            if now_s - self._stalled_s > STALLED_S:
                log.info("slcan: the client does not read; channel closed")
                self._shut()

    def _shut(self) -> None:
        self.is_open = False
        self._out.clear()
        self._stalled_s = 0.0

    # ── from the client ──────────────────────────────────────────────────────────────────────

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        due = None if timeout is None else time.monotonic() + timeout
        while not self._waiting:
            left = None if due is None else max(due - time.monotonic(), 0.0)
            readable, writable, _ = select.select(
                [self._master], [self._master] if self._out else [], [], left
            )
            if writable:
                with self._lock:
                    self._flush()
            if readable:
                self._typed += os.read(self._master, 4096)
                self._obey_lines()
            if not readable and not writable:
                return None, False
        return self._waiting.pop(0), False

    def _obey_lines(self) -> None:
        while (end := self._typed.find(b"\r")) >= 0:
            command = bytes(self._typed[:end])
            del self._typed[: end + 1]
            self._obey(command)
        if len(self._typed) > COMMAND_BYTES_MAX:
            self._typed.clear()
            self._refuse()

    def _refuse(self) -> None:
        self.commands_bad += 1
        if self.commands_bad == 1:
            log.info("slcan: a command was refused; further ones are only counted")
        self._reply(ERROR)

    def _obey(self, command: bytes) -> None:
        letter = command[:1]
        if letter in (b"t", b"T", b"r", b"R"):
            self._transmit(command)
        elif letter == b"C":
            self._switch(False)
        elif letter in (b"O", b"L") and not self.is_open:
            self._switch(True)
        elif (letter in SETTINGS and not self.is_open) or command in HARMLESS:
            self._reply(OK)
        elif letter == b"F" and self.is_open:
            self._reply(b"F00\r")
        elif letter in (b"V", b"v", b"N"):
            self._reply({b"V": b"V1013\r", b"v": b"v0100\r", b"N": b"NRIG1\r"}[letter])
        else:
            self._refuse()

    def _switch(self, is_open: bool) -> None:
        with self._lock:
            self._shut()
            self.is_open = is_open
        self._reply(OK)

    def _transmit(self, command: bytes) -> None:
        message = frame_of(command)
        if message is None or not self.is_open:
            self._refuse()
            return
        self._reply(OK)
        if not self.is_off_bus:
            message.timestamp = time.monotonic()
            self._waiting.append(message)

    def shutdown(self) -> None:
        """Close the pty and remove the symlink."""
        if self._is_shutdown:
            return
        super().shutdown()
        self._link.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)

    def fileno(self) -> int:
        """The master side, for select."""
        return self._master

    def _apply_filters(self, filters: Any) -> None:
        """Every frame of the bus is delivered, as such adapters do."""
