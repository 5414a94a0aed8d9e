"""The generator on its CAN bus: a CANopen node whose deeds are done by the room.

Lives here: object dictionary access, result and status PDOs, heartbeat and emergency, and the bus
faults at the place where they happen.  May not live here: kV and photons (`hil.room`), or the bytes
on the pty (`slcan_pty`).  `docs/generator.eds` is the page.

Two threads meet here: the bus thread answers SDO, the process's main loop brings results and
states of the room.  An SDO write that concerns the room waits for the room's reply.
"""

from __future__ import annotations

import logging
import math
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import canopen
from canopen.sdo.exceptions import SdoAbortedError

from hil.rig import eds
from hil.rig.banks import DEVICE_STATE, Bank, Refusal, limits
from hil.rig.busfaults import BusFaults
from hil.rig.results import COUNT_MODULUS, Result, ResultStore, result_of
from hil.rig.roombus import LineState
from hil.rig.slcan_pty import SlcanAdapter
from hil.room.commands import BankClear, BankSet, Command, GeneratorFault, Prepare, Reply
from hil.room.records import PulseResult
from realtime.wire.config import Config
from realtime.wire.lines import In

EDS_FILE: Final = eds.FILES[0]
OFF, STANDBY, PREPARING, READY, FAULT = 0, 1, 2, 3, 5
STATUS_PERIOD_NS: Final = 200_000_000
ANODE_HU: Final = 300_000.0
ANODE_COOLING_S: Final = 300.0  # 60 kHU/min when full (domain facts §4)
HU_PER_WATT_SECOND: Final = 1.35
EMCY_GENERATOR: Final = 0xFF01
NO_SUCH_VALUE: Final = 0x06090030
HEARTBEAT_TIME: Final = 0x1017
_PDO_1: Final = struct.Struct("<II")
_PDO_2: Final = struct.Struct("<HHHH")
_PDO_3: Final = struct.Struct("<BBBBHH")
Ask = Callable[[Callable[[int], Command]], Reply | None]
log = logging.getLogger("rig.generator")


class GeneratorNode:
    """One node on one adapter.  `ask` sends a command to the room and waits for its reply."""

    def __init__(
        self, config: Config, link: Path, store: ResultStore, faults: BusFaults, ask: Ask
    ) -> None:
        self.adapter = SlcanAdapter(link)
        self._id: int = config["generator.node_id"]
        self._heartbeat_ms: int = config["generator.heartbeat_ms"]
        self._store, self.faults, self._ask = store, faults, ask
        ranges = limits(config)
        self.banks = (Bank(ranges), Bank(ranges))
        self._state: LineState | None = None
        self._prepared = 0
        self._chosen = 0
        self._heat_hu, self._heat_ns = 0.0, 0
        self._gate_count = 0
        self._last: Result | None = None
        self._status_sent, self._status_due_ns = b"", 0
        self._lock = threading.Lock()
        self._silent = self._emergency = False
        self._babble: threading.Thread | None = None
        self._ending = threading.Event()
        self._network = canopen.Network(self.adapter)
        self._network.NOTIFIER_CYCLE = 0.2
        self._node = canopen.LocalNode(self._id, str(EDS_FILE))
        self._node.add_read_callback(self._read)  # type: ignore[no-untyped-call]
        self._node.add_write_callback(self._write)  # type: ignore[no-untyped-call]

    def start(self) -> None:
        """Boot the node; it starts itself into OPERATIONAL."""
        self._network.connect()
        self._network.add_node(self._node)
        self._node.nmt.state = "INITIALISING"
        self._node.nmt.state = "OPERATIONAL"
        # written like any client would: the library starts the heartbeat on it
        self._node.set_data(HEARTBEAT_TIME, 0, struct.pack("<H", self._heartbeat_ms))

    def close(self) -> None:
        """Leave the bus and remove the pty."""
        self._ending.set()
        if self._babble is not None:
            self._babble.join()
        self._node.nmt.start_heartbeat(0)
        self._network.disconnect()
        self.adapter.shutdown()

    # ── what the room tells ──────────────────────────────────────────────────────────────────

    def room_lost(self) -> None:
        """The other half of the generator is gone: no state, and the banks are empty."""
        self._state = None
        for bank in self.banks:
            bank.valid, bank.written = False, 0

    def state(self, state: LineState, now_ns: int) -> None:
        """A new state of rotor, filament and lines."""
        self._state = state
        self._gate_count = max(self._gate_count, state.gate_count)
        self.turn(now_ns)

    def gate(self, gate_count: int) -> None:
        """The generator's input saw another rise of PULSE and WINDOW."""
        self._gate_count = gate_count

    def result(self, pulse: PulseResult, now_ns: int) -> None:
        """Keep a pulse's result and send it."""
        result = self._spoilt(result_of(pulse), now_ns)
        with self._lock:
            self._store.add(result)
            self._last = result
        watts_s = pulse.kv * pulse.mas
        self._heat_hu = self._heat(now_ns) + HU_PER_WATT_SECOND * watts_s
        if self.faults.wants("F16", "missing", now_ns) is not None:
            self.faults.seen("F16")
            return
        self._send_result(result, now_ns)

    def _spoilt(self, result: Result, now_ns: int) -> Result:
        for target in ("kv", "width"):
            percent = self.faults.wants("F16", target, now_ns)
            if percent is None:
                continue
            self.faults.seen("F16")
            factor = 1.0 + percent / 100.0
            if target == "kv":
                return result._replace(kv_01=round(result.kv_01 * factor))
            return result._replace(width_us=round(result.width_us * factor))
        return result

    def _send_result(self, result: Result, now_ns: int) -> None:
        number = result.number % COUNT_MODULUS
        first = (0x180, _PDO_1.pack(number, result.technique_id))
        second = (0x280, _PDO_2.pack(
            number & 0xFFFF, min(round(result.width_us / 10), 0xFFFF), result.kv_01,
            result.mas_0001,
        ))  # fmt: skip
        frames = [first, second]
        if self.faults.wants("F18", "reorder", now_ns) is not None:
            frames = [second, first]
        elif self.faults.wants("F18", "duplicate", now_ns) is not None:
            frames = [first, first, second, second]
        elif self.faults.wants("F18", "length", now_ns) is not None:
            frames = [(0x180, first[1][:7]), (0x280, second[1][:5])]
        if frames != [first, second]:
            self.faults.seen("F18")
        for base, payload in frames:
            self._send(base + self._id, payload)

    def _send(self, cob_id: int, payload: bytes) -> None:
        if self._node.nmt.state == "OPERATIONAL":
            self._network.send_message(cob_id, payload)

    # ── time ─────────────────────────────────────────────────────────────────────────────────

    def turn(self, now_ns: int) -> None:
        """Send what is due: status on change and periodically; begin and end bus faults."""
        self.faults.expire(now_ns)
        self._bus_faults(now_ns)
        status = self._status(now_ns)
        if status != self._status_sent or now_ns >= self._status_due_ns:
            self._status_sent, self._status_due_ns = status, now_ns + STATUS_PERIOD_NS
            self._send(0x380 + self._id, status)

    def _bus_faults(self, now_ns: int) -> None:
        silent = self.faults.wants("F17", "heartbeat", now_ns) is not None
        if silent != self._silent:
            self._silent = silent
            self._node.nmt.start_heartbeat(0 if silent else self._heartbeat_ms)
            self.faults.seen("F17")
        off = self.faults.wants("F17", "bus_off", now_ns) is not None
        if off != self.adapter.is_off_bus:
            self.adapter.is_off_bus = off
            self.faults.seen("F17")
        emergency = self.faults.wants("F17", "emcy", now_ns) is not None
        if emergency != self._emergency:
            self._emergency = emergency
            # Stamped before it leaves: whoever reacts to it must not seem to have been first.
            self.faults.seen("F17")
            self.emergency(EMCY_GENERATOR if emergency else 0)
        if self.faults.wants("F18", "babble", now_ns) is not None and self._babble is None:
            self._babble = threading.Thread(target=self._babbling, name="babble")
            self._babble.start()

    def emergency(self, code: int) -> None:
        """Send an EMCY with error register 1 (generic); code 0 says that the error is gone."""
        self._node.emcy.send(code, int(code != 0))

    def _babbling(self) -> None:
        """About 8 frames per ms: a 1 Mbit/s bus with nothing else on it."""
        for number in count():
            if self.faults.wants("F18", "babble", time.monotonic_ns()) is None:
                break
            for _ in range(8):
                self._network.send_message(0x00F, number.to_bytes(8, "little"))
            self.faults.seen("F18")
            if self._ending.wait(0.001):
                break
        self._babble = None

    def _heat(self, now_ns: int) -> float:
        passed_s = (now_ns - self._heat_ns) / 1e9 if self._heat_ns else 0.0
        self._heat_ns = now_ns
        self._heat_hu *= math.exp(-passed_s / ANODE_COOLING_S)
        return self._heat_hu

    def _status(self, now_ns: int) -> bytes:
        return _PDO_3.pack(*(self._status_value(sub, now_ns) for sub in (1, 2, 3, 7, 4, 5)))

    def _status_value(self, sub: int, now_ns: int) -> int:
        state = self._state
        if sub == 5:
            return min(round(1000 * self._heat(now_ns) / ANODE_HU), 1000)
        if sub == 6:
            return self._gate_count % COUNT_MODULUS
        if state is None:
            return OFF
        return {
            1: self._mode(state),
            2: int(state.rotor == "ready"),
            3: int(state.filament == "ready"),
            4: state.generator_faults & 0xFFFF,
            7: state.lines_in >> In.WINDOW & 1,
        }[sub]

    def _mode(self, state: LineState) -> int:
        if state.generator_faults:
            return FAULT
        if state.rotor == "ready" and state.filament == "ready":
            return READY
        return PREPARING if state.rotor == "run_up" or state.filament == "boost" else STANDBY

    # ── SDO ──────────────────────────────────────────────────────────────────────────────────

    def _read(self, index: int, subindex: int, od: Any) -> Any:
        """Value of an object, or None for what the dictionary itself holds."""
        if index in (eds.BANK_0, eds.BANK_1) and subindex:
            return self.banks[index - eds.BANK_0].read(subindex)
        if index == eds.STATUS and subindex:
            return self._status_value(subindex, time.monotonic_ns())
        if index == eds.PREPARE:
            return self._prepared
        with self._lock:
            if index == eds.PULSE_COUNT:
                return self._store.count % COUNT_MODULUS
            if index == eds.RESULT_RING:
                return b"".join(result.wire() for result in self._store.all())
            if index == eds.RESULT_OF and subindex:
                return self._looked_up(subindex)
            if index == eds.LAST_RESULT and subindex:
                return self._last_value(subindex)
        return None

    def _looked_up(self, sub: int) -> int:
        if sub == 1:
            return self._chosen
        result = self._store.get(self._chosen)
        if result is None:
            raise SdoAbortedError(NO_SUCH_VALUE)
        value = result[sub - 1]
        assert isinstance(value, int)
        return value

    def _last_value(self, sub: int) -> int:
        last = self._last
        if last is None:
            return 0
        number = last.number % COUNT_MODULUS
        width = min(round(last.width_us / 10), 0xFFFF)
        return (number, last.technique_id, number & 0xFFFF, width, last.kv_01, last.mas_0001)[
            sub - 1
        ]

    def _write(self, index: int, subindex: int, od: Any, data: bytes) -> None:
        value = int.from_bytes(data, "little")
        try:
            if index in (eds.BANK_0, eds.BANK_1):
                self._write_bank(index - eds.BANK_0, subindex, value)
            elif index == eds.PREPARE:
                self._prepare(value)
            elif index == eds.FAULT_RESET:
                self._must(lambda request: GeneratorFault(request, 0))
            elif index == eds.RESULT_OF:
                self._choose(value)
            elif index == HEARTBEAT_TIME:
                # the library restarts the heartbeat on this write; a silenced one is silenced again
                self._heartbeat_ms, self._silent = value, False
        except Refusal as refusal:
            log.info("SDO write 0x%04X:%02X refused: %s", index, subindex, refusal)
            raise SdoAbortedError(refusal.abort) from None

    def _must(self, command: Callable[[int], Command]) -> None:
        reply = self._ask(command)
        if reply is None or not reply.ok:
            raise Refusal(DEVICE_STATE, "no room" if reply is None else reply.detail or reply.code)

    def _write_bank(self, number: int, sub: int, value: int) -> None:
        bank = self.banks[number]
        if bank.valid:
            # the room refuses while this bank is firing; only then may a value change
            self._must(lambda request: BankClear(request, number))
        if sub != 6:
            bank.write(sub, value)
            return
        bank.confirm(value)
        if self.faults.wants("F16", "stores_lsb", time.monotonic_ns()) is not None:
            bank.values = replace(bank.values, kv_01=bank.values.kv_01 + 1)
            self.faults.seen("F16")
        bank.valid = False
        self._must(lambda request: BankSet(request, number, bank.values.technique()))
        bank.valid = True

    def _prepare(self, value: int) -> None:
        if value > 1:
            raise Refusal(NO_SUCH_VALUE, f"prepare {value} is neither 0 nor 1")
        self._must(lambda request: Prepare(request, bool(value)))
        self._prepared = value

    def _choose(self, value: int) -> None:
        with self._lock:
            if self._store.get(value) is None:
                raise Refusal(NO_SUCH_VALUE, f"result {value} is not kept")
            self._chosen = value
