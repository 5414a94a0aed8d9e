"""Generator driver for CANopen: python-canopen on python-can, slcan or SocketCAN.

Lives here: SDO transfers, the three PDOs, EMCY and the heartbeat, as `realtime/wire/generator.eds`
numbers them.  May not live here: the comparison of a read-back (`controller.devices.generator`), or
what a missing heartbeat means.  python-can's receiver thread calls the listener; everything else
runs in the caller's thread.  A frame of wrong length is rejected and counted, never guessed at.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import can
import canopen
from canopen.objectdictionary import ObjectDictionary
from canopen.sdo.exceptions import SdoError

from controller.core.events import GeneratorStatus
from controller.core.results import PulseResult
from controller.devices.generator import RECENT_MAX, BankImage, GeneratorError, Listener
from controller.devices.slcan import SlcanBus
from realtime.wire.config import Config

STATUS, PREPARE, FAULT_RESET, BANKS, COUNTER, RING, RESULT = (
    0x2000, 0x2001, 0x2002, 0x2100, 0x2200, 0x2201, 0x2202,
)  # fmt: skip
HEARTBEAT_TIME: Final = 0x1017
# In the order of sub-indices 1 … 6 of a bank.
BANK_FORMATS: Final = ("<I", "<H", "<I", "<I", "<B", "<I")
_STATUS_FORMATS: Final = ("<B", "<B", "<B", "<H", "<H")
_TPDO1: Final = struct.Struct("<II")
_TPDO2: Final = struct.Struct("<HHHH")
_TPDO3: Final = struct.Struct("<BBBBHH")
_EMCY: Final = struct.Struct("<HB5s")
_RING: Final = struct.Struct("<IIIHHHBB")
# An expedited transfer takes ~2 ms on this bus; a tenth of a second is a lost answer.
SDO_WAIT_S: Final = 0.1
SDO_TRIES: Final = 3
SERIAL_WAIT_S: Final = 0.1
# Choosing a result and reading four values costs five transfers; beyond this the whole ring, one
# segmented transfer of 5 kB, is shorter.
ONE_BY_ONE_MAX: Final = 64
_US_PER_WIDTH_STEP: Final = 10


def _dictionary() -> Any:
    """Empty on purpose: lengths are checked here, not taken from a file that may be wrong."""
    make: Any = ObjectDictionary
    return make()


class CanopenGenerator:
    """One node on one bus; `rejected` counts what was not a proper frame, by kind."""

    def __init__(self, config: Config, run_dir: Path, listener: Listener) -> None:
        self._node_id: int = config["generator.node_id"]
        self._interface: str = config["generator.interface"]
        self._heartbeat_ms: int = config["generator.heartbeat_ms"]
        channel = config["generator.channel"]
        serial_line = self._interface == "slcan"
        self._channel = str(run_dir / channel) if serial_line else channel
        self._listener = listener
        self._network: canopen.Network | None = None
        self._sdo: Any = None
        self._heartbeat_ns = 0
        self._half: tuple[int, int] | None = None
        self.rejected: Counter[str] = Counter()

    def open(self) -> None:
        """Connect, start the node, ask for its heartbeat."""
        self._heartbeat_ns, self._half = 0, None
        network = canopen.Network()
        try:
            self._connect(network)
            node = network.add_node(self._node_id, _dictionary())
            node.sdo.RESPONSE_TIMEOUT = SDO_WAIT_S
            node.sdo.MAX_RETRIES = SDO_TRIES - 1
            self._network, self._sdo = network, node.sdo
            self._write(HEARTBEAT_TIME, 0, "<H", self._heartbeat_ms)
            node.nmt.send_command(1)
        except (can.CanError, OSError, ValueError) as error:
            self._network = network
            self.close()
            raise GeneratorError("bus", f"{self._channel}: {error}") from None
        except GeneratorError:
            self.close()
            raise

    def _connect(self, network: Any) -> None:
        network.subscribe(0x180 + self._node_id, self._on_pdo1)
        network.subscribe(0x280 + self._node_id, self._on_pdo2)
        network.subscribe(0x380 + self._node_id, self._on_pdo3)
        network.subscribe(0x080 + self._node_id, self._on_emcy)
        network.subscribe(0x700 + self._node_id, self._on_heartbeat)
        if self._interface == "slcan":
            # The adapter is ready at once; the receiver wakes when a byte comes, and else seldom.
            network.bus = SlcanBus(
                self._channel, bitrate=1_000_000, sleep_after_open=0, timeout=SERIAL_WAIT_S
            )
        network.connect(interface=self._interface, channel=self._channel)

    def close(self) -> None:
        """Disconnect; a bus that is already gone is no error."""
        network, self._network, self._sdo = self._network, None, None
        if network is None:
            return
        # After a lost bus the receiver's stored error comes up here a second time.
        with contextlib.suppress(Exception):
            network.disconnect()

    def heartbeat_ns(self) -> int:
        """CLOCK_MONOTONIC of the last heartbeat."""
        return self._heartbeat_ns

    def prepare(self, on: bool) -> None:
        """Object 2001."""
        self._write(PREPARE, 0, "<B", int(on))

    def write_bank(self, bank: int, image: BankImage) -> None:
        """Objects 2100, 2101: the check goes last and makes the bank valid."""
        for sub, (form, value) in enumerate(zip(BANK_FORMATS, image, strict=True), start=1):
            self._write(BANKS + bank, sub, form, value)

    def read_bank(self, bank: int) -> BankImage:
        """All six values as they are stored."""
        return BankImage(*(
            self._read(BANKS + bank, sub, form) for sub, form in enumerate(BANK_FORMATS, start=1)
        ))  # fmt: skip

    def read_status(self) -> GeneratorStatus:
        """Object 2000, subs 1 … 5."""
        state, rotor, filament, faults, heat = (
            self._read(STATUS, sub, form) for sub, form in enumerate(_STATUS_FORMATS, start=1)
        )
        return GeneratorStatus(state, bool(rotor), bool(filament), faults, heat)

    def clear_faults(self) -> None:
        """Object 2002."""
        self._write(FAULT_RESET, 0, "<B", 1)

    def counter(self) -> int:
        """Object 2200."""
        return self._read(COUNTER, 0, "<I")

    def gate_count(self) -> int:
        """Object 2000 sub 6."""
        return self._read(STATUS, 6, "<I")

    def recent(self, count: int) -> tuple[PulseResult, ...]:
        """The last `count` results, oldest first."""
        assert 0 <= count <= RECENT_MAX
        if count > ONE_BY_ONE_MAX:
            return self._ring()[-count:]
        last = self.counter()
        numbers = [(last - back) % (1 << 32) for back in range(count - 1, -1, -1)]
        return tuple(self._one_result(number) for number in numbers)

    def _one_result(self, number: int) -> PulseResult:
        self._write(RESULT, 1, "<I", number)
        values = [self._read(RESULT, sub, form) for sub, form in
                  ((2, "<I"), (3, "<I"), (4, "<H"), (5, "<H"))]  # fmt: skip
        technique_id, width_us, kv, mas = values
        return PulseResult(number, technique_id, kv / 10, width_us, mas / 1000)

    def _ring(self) -> tuple[PulseResult, ...]:
        raw = self._upload(RING, 0)
        if len(raw) % _RING.size:
            raise GeneratorError("length", f"result ring of {len(raw)} bytes")
        return tuple(
            PulseResult(counter, technique_id, kv / 10, width_us, mas / 1000)
            for counter, technique_id, width_us, kv, mas, *_ in _RING.iter_unpack(raw)
        )

    def _upload(self, index: int, sub: int) -> bytes:
        if self._sdo is None:
            raise GeneratorError("closed", "the bus is not open")
        try:
            return bytes(self._sdo.upload(index, sub))
        except (SdoError, can.CanError, OSError) as error:
            raise GeneratorError("sdo", f"read {index:04X}.{sub}: {error}") from None

    def _read(self, index: int, sub: int, form: str) -> int:
        raw = self._upload(index, sub)
        if len(raw) != struct.calcsize(form):
            raise GeneratorError("length", f"read {index:04X}.{sub}: {len(raw)} bytes")
        return int(struct.unpack(form, raw)[0])

    def _write(self, index: int, sub: int, form: str, value: int) -> None:
        if self._sdo is None:
            raise GeneratorError("closed", "the bus is not open")
        try:
            self._sdo.download(index, sub, struct.pack(form, value))
        except (SdoError, can.CanError, OSError) as error:
            raise GeneratorError("sdo", f"write {index:04X}.{sub}: {error}") from None

    def _wrong(self, kind: str, size: int, frame: bytearray) -> bool:
        if len(frame) == size:
            return False
        self.rejected[kind] += 1
        return True

    def _on_pdo1(self, can_id: int, frame: bytearray, timestamp: float) -> None:
        if not self._wrong("pdo1", _TPDO1.size, frame):
            self._half = _TPDO1.unpack(frame)

    def _on_pdo2(self, can_id: int, frame: bytearray, timestamp: float) -> None:
        if self._wrong("pdo2", _TPDO2.size, frame):
            return
        low, width, kv, mas = _TPDO2.unpack(frame)
        half, self._half = self._half, None
        if half is None or half[0] & 0xFFFF != low:
            self.rejected["pdo2_alone"] += 1
            return
        width_us = width * _US_PER_WIDTH_STEP
        self._listener.result(PulseResult(half[0], half[1], kv / 10, width_us, mas / 1000))

    def _on_pdo3(self, can_id: int, frame: bytearray, timestamp: float) -> None:
        if self._wrong("pdo3", _TPDO3.size, frame):
            return
        state, rotor, filament, _, faults, heat = _TPDO3.unpack(frame)
        self._listener.status(GeneratorStatus(state, bool(rotor), bool(filament), faults, heat))

    def _on_emcy(self, can_id: int, frame: bytearray, timestamp: float) -> None:
        if not self._wrong("emcy", _EMCY.size, frame):
            code, register, detail = _EMCY.unpack(frame)
            self._listener.emergency(code, f"register {register:#04x} {detail.hex()}")

    def _on_heartbeat(self, can_id: int, frame: bytearray, timestamp: float) -> None:
        if not self._wrong("heartbeat", 1, frame):
            self._heartbeat_ns = time.monotonic_ns()
