"""The generator's two technique banks as the bus writes and reads them.

Lives here: the five values, their ranges, the check that makes them a technique.  May not live
here: CANopen (`generator_node`), or what the technique does (`hil.room.generator`).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from typing import Final

from hil.room.records import Technique
from realtime.wire.config import Config

FILTERS: Final = ("none", "3Al+0.1Cu")
TOO_HIGH, TOO_LOW, WRONG_VALUE, DEVICE_STATE = 0x06090031, 0x06090032, 0x06090030, 0x08000022
_VALUES: Final = struct.Struct("<IHIIB")
FIELDS: Final = ("technique_id", "kv_01", "ma_001", "set_us", "filter_code")


class Refusal(Exception):
    """A write that the generator refuses; `abort` is the SDO abort code."""

    def __init__(self, abort: int, why: str) -> None:
        super().__init__(why)
        self.abort = abort


@dataclass(frozen=True, slots=True)
class BankValues:
    """What was written so far: id, 0.1 kV, 0.01 mA, µs, filter code."""

    technique_id: int = 0
    kv_01: int = 0
    ma_001: int = 0
    set_us: int = 0
    filter_code: int = 0

    def check(self) -> int:
        """CRC-32 that must be written to make these values a technique."""
        return zlib.crc32(
            _VALUES.pack(self.technique_id, self.kv_01, self.ma_001, self.set_us, self.filter_code)
        )

    def technique(self) -> Technique:
        """The same in the room's units."""
        return Technique(
            self.technique_id, self.kv_01 / 10, self.ma_001 / 100, self.set_us,
            FILTERS[self.filter_code],
        )  # fmt: skip


def limits(config: Config) -> dict[str, tuple[int, int]]:
    """Lowest and highest raw value of each field."""
    kv, ma, ms = (config[f"generator.{name}"] for name in ("kv", "ma", "ms"))
    return {
        "technique_id": (1, 0xFFFFFFFF),
        "kv_01": (round(kv[0] * 10), round(kv[1] * 10)),
        "ma_001": (round(ma[0] * 100), round(ma[1] * 100)),
        "set_us": (round(ms[0] * 1000), round(ms[1] * 1000)),
        "filter_code": (0, len(FILTERS) - 1),
    }


class Bank:
    """One bank.  `valid` only after the right check was written last."""

    def __init__(self, ranges: dict[str, tuple[int, int]]) -> None:
        self._ranges = ranges
        self.values = BankValues()
        self.written = 0
        self.valid = False

    def write(self, sub: int, value: int) -> None:
        """Write sub 1 … 5; raises Refusal when out of range.  The bank becomes invalid."""
        name = FIELDS[sub - 1]
        low, high = self._ranges[name]
        if value > high:
            raise Refusal(TOO_HIGH, f"{name} {value} above {high}")
        if value < low:
            raise Refusal(TOO_LOW, f"{name} {value} below {low}")
        self.values = replace(self.values, **{name: value})
        self.written |= 1 << sub
        self.valid = False

    def confirm(self, check: int) -> None:
        """Write sub 6; raises Refusal when a value is missing or the check is not theirs."""
        self.valid = False
        if self.written != 0b111110 or check != self.values.check():
            raise Refusal(WRONG_VALUE, f"check {check:#010x} is not that of the five values")
        self.valid = True

    def read(self, sub: int) -> int:
        """The stored value; sub 6 is the check of what is stored, 0 while the bank is invalid."""
        if sub == 6:
            return self.values.check() if self.valid else 0
        value = getattr(self.values, FIELDS[sub - 1])
        assert isinstance(value, int)
        return value
