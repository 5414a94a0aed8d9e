"""Unix seqpacket connections of rig-line: arrivals with the kernel's time stamp.

Lives here: accepting, and the conversion of the kernel's stamp to CLOCK_MONOTONIC.  May not live
here: taking an address (`sockets`), or what a datagram means.

The kernel stamps by CLOCK_REALTIME; the offset between the clocks is read at each receipt, between
two readings of CLOCK_MONOTONIC that must lie close together (a machine that stalls in between would
shift the stamp).  A stamp that then lies in the future or implausibly far back (the wall clock was
set in between) is replaced by the time of receipt; so is that of a datagram that came before
`accept`, which the kernel does not stamp.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from pathlib import Path
from typing import Final

SO_TIMESTAMPNS: Final = getattr(socket, "SO_TIMESTAMPNS", 35)
STAMP_AGE_NS_MAX: Final = 1_000_000_000
BRACKET_NS_MAX: Final = 20_000
BRACKETS_MAX: Final = 4
_TIMESPEC: Final = struct.Struct("@qq")
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_TIMESPEC.size)


def accept(server: socket.socket, stamped: bool) -> socket.socket | None:
    """The next waiting client, non-blocking, or None."""
    try:
        client, _ = server.accept()
    except OSError:
        return None
    client.setblocking(False)
    if stamped:
        client.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return client


def _clocks() -> tuple[int, int]:
    """CLOCK_MONOTONIC now, and what CLOCK_REALTIME is ahead of it, both in ns."""
    for left in range(BRACKETS_MAX, -1, -1):
        before_ns = time.monotonic_ns()
        wall_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
        after_ns = time.monotonic_ns()
        if after_ns - before_ns <= BRACKET_NS_MAX or not left:
            return after_ns, wall_ns - (before_ns + after_ns) // 2
    raise AssertionError("the last reading always counts")


def receive(client: socket.socket, bytes_max: int) -> tuple[bytes, int]:
    """One datagram and its kernel stamp in CLOCK_MONOTONIC ns.

    Raises BlockingIOError when there is none; an empty datagram means the peer is gone.
    """
    datagram, ancillary, _, _ = client.recvmsg(bytes_max + 1, _ANCILLARY_BYTES)
    now_ns, offset_ns = _clocks()
    for level, kind, body in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(body) >= _TIMESPEC.size:
            seconds, ns = _TIMESPEC.unpack_from(body)
            stamp_ns = seconds * 1_000_000_000 + ns - offset_ns
            if now_ns - STAMP_AGE_NS_MAX <= stamp_ns <= now_ns:
                return datagram, stamp_ns
    return datagram, now_ns


def close(sock: socket.socket | None, path: Path | None = None) -> None:
    """Close, and remove the file of a listening socket."""
    if sock is not None:
        sock.close()
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink()
