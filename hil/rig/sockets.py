"""Unix sockets of the rig: taking an address, and refusing when it is taken.

Lives here: one way to listen, used by every server of rig-world.  May not live here: protocols.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

BACKLOG: Final = 8


class AddressTaken(OSError):
    """A live process answers at the address; it must end first."""


def _answers(path: Path, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_UNIX, kind) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _listen(path: Path, kind: socket.SocketKind) -> socket.socket:
    if path.exists():
        if _answers(path, kind):
            raise AddressTaken(f"{path} is in use by a running process; end it or use another run")
        path.unlink()
    server = socket.socket(socket.AF_UNIX, kind)
    try:
        server.bind(str(path))
        server.listen(BACKLOG)
    except OSError:
        server.close()
        raise
    server.setblocking(False)
    return server


def listen_seqpacket(path: Path) -> socket.socket:
    """Listen at `path`, replacing a stale file; raises AddressTaken when somebody answers."""
    return _listen(path, socket.SOCK_SEQPACKET)


def listen_stream(path: Path) -> socket.socket:
    """The same for a byte stream."""
    return _listen(path, socket.SOCK_STREAM)
