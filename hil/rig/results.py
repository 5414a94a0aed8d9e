"""The generator's memory that survives its power: pulse counter and the last 256 results.

Lives here: a small file of fixed slots, each with its own checksum, written in place.  May not live
here: the bus.  The counter is the highest valid slot; a torn slot loses that result only.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from hil.room.records import PulseResult

KEPT: Final = 256
COUNT_MODULUS: Final = 1 << 32
_SLOT: Final = struct.Struct("<QIIHHHBB")
_CRC: Final = struct.Struct("<I")
SLOT_BYTES: Final = 32
_WIRE: Final = struct.Struct("<IIIHHHBB")
assert _SLOT.size + _CRC.size <= SLOT_BYTES


class Result(NamedTuple):
    """One result in the units of the bus: 0.1 kV, 0.001 mAs, 0.01 mA, µs."""

    number: int
    technique_id: int
    width_us: int
    kv_01: int
    mas_0001: int
    ma_001: int
    bank: int
    flags: int

    def wire(self) -> bytes:
        """The 20 bytes of object 0x2201."""
        return _WIRE.pack(self.number % COUNT_MODULUS, *self[1:])


def result_of(pulse: PulseResult) -> Result:
    """Round a pulse to the units of the bus; what does not fit is given as the largest value."""
    return Result(
        pulse.count, pulse.technique_id, min(pulse.width_us, 0xFFFFFFFF),
        min(round(pulse.kv * 10), 0xFFFF), min(round(pulse.mas * 1000), 0xFFFF),
        min(round(pulse.ma * 100), 0xFFFF), pulse.bank, pulse.flags & 0xFF,
    )  # fmt: skip


class ResultStore:
    """The file; results come in order of their counter."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._kept: dict[int, Result] = {}
        for slot in range(KEPT):
            self._read(os.pread(self._fd, SLOT_BYTES, slot * SLOT_BYTES))
        self.count = max(self._kept, default=0)
        for stale in [c for c in self._kept if c <= self.count - KEPT]:
            del self._kept[stale]

    def _read(self, raw: bytes) -> None:
        if len(raw) != SLOT_BYTES:
            return
        body = raw[: _SLOT.size]
        if any(body) and _CRC.unpack_from(raw, _SLOT.size)[0] == zlib.crc32(body):
            result = Result(*_SLOT.unpack(body))
            self._kept[result.number] = result

    def add(self, result: Result) -> None:
        """Keep a result and make its counter the present one."""
        body = _SLOT.pack(*result)
        raw = (body + _CRC.pack(zlib.crc32(body))).ljust(SLOT_BYTES, b"\0")
        os.pwrite(self._fd, raw, result.number % KEPT * SLOT_BYTES)
        self._kept[result.number] = result
        self._kept.pop(result.number - KEPT, None)
        self.count = max(self.count, result.number)

    def get(self, count_low: int) -> Result | None:
        """The result whose counter, modulo 2³², is `count_low`; None when it is not kept."""
        for result in self._kept.values():
            if result.number % COUNT_MODULUS == count_low:
                return result
        return None

    def all(self) -> list[Result]:
        """All kept results, oldest first."""
        return [self._kept[count] for count in sorted(self._kept)]

    def close(self) -> None:
        """Write through and close."""
        os.fsync(self._fd)
        os.close(self._fd)
