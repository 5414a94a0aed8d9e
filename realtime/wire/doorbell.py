"""What travels on the socket that hands over a slot ring: one hello, then one doorbell per frame.

Lives here: the two 16-byte datagrams and their checks (`docs/raw-ring.md` is their page).  May not
live here: sockets, or the ring itself (`realtime.wire.ring`).

Little-endian: magic, u32, u64.  Hello: `CDH1`, layout version, bytes of the ring; the descriptor of
the ring comes with it by SCM_RIGHTS.  Doorbell: `CDB1`, 0, `seq` of the frame that is now whole.
"""

from __future__ import annotations

import struct
from typing import Final

HELLO_MAGIC: Final = b"CDH1"
DOORBELL_MAGIC: Final = b"CDB1"
LAYOUT_VERSION: Final = 1
_DATAGRAM: Final = struct.Struct("<4sIQ")
DATAGRAM_BYTES: Final = _DATAGRAM.size
assert DATAGRAM_BYTES == 16


class DoorbellError(ValueError):
    """The peer sent something that is not one of ours; `code` is the kind counted and logged."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


def pack_hello(total_bytes: int) -> bytes:
    """The hello datagram of a ring of `total_bytes`; send it with the ring's descriptor."""
    return _DATAGRAM.pack(HELLO_MAGIC, LAYOUT_VERSION, total_bytes)


def pack_doorbell(seq: int) -> bytes:
    """The doorbell of frame `seq` (from 1)."""
    return _DATAGRAM.pack(DOORBELL_MAGIC, 0, seq)


def _unpack(datagram: bytes, magic: bytes) -> tuple[int, int]:
    if len(datagram) != DATAGRAM_BYTES:
        raise DoorbellError("length", f"{len(datagram)} bytes, not {DATAGRAM_BYTES}")
    got, word, number = _DATAGRAM.unpack(datagram)
    if got != magic:
        raise DoorbellError("magic", f"{got!r}, not {magic!r}")
    return word, number


def unpack_hello(datagram: bytes) -> int:
    """Bytes of the ring; raises DoorbellError (length, magic, version)."""
    version, total_bytes = _unpack(datagram, HELLO_MAGIC)
    if version != LAYOUT_VERSION:
        raise DoorbellError("version", f"{version}, not {LAYOUT_VERSION}")
    return total_bytes


def unpack_doorbell(datagram: bytes) -> int:
    """Number of the frame that is whole; raises DoorbellError (length, magic, value)."""
    reserved, seq = _unpack(datagram, DOORBELL_MAGIC)
    if reserved != 0 or seq == 0:
        raise DoorbellError("value", f"reserved {reserved}, seq {seq}")
    return seq
