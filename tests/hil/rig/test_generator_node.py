"""The generator on its bus, as a python-canopen client sees it through the pty."""

import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import canopen
import pytest
from canopen.sdo.exceptions import SdoAbortedError

from hil.rig import eds
from hil.rig.busfaults import BusFaults
from hil.rig.generator_node import GeneratorNode
from hil.rig.results import ResultStore
from hil.rig.roombus import LineState
from hil.room.commands import BankClear, BankSet, Command, GeneratorFault, Prepare, Reply
from hil.room.records import PulseResult
from realtime.wire.config import load
from realtime.wire.lines import In

CONFIG = load(Path(__file__).parents[3] / "controller/profiles/bench.toml")
NODE = 16
LIMIT_S = 10.0
VALUES = (7, 700, 4000, 8000, 1)
STATE = LineState(
    1, "rest", "standby", True, 0, 0, 0, 0, 0, 0, True, 0, 0, 0, 0, 0, [], [], 0.0
)  # fmt: skip


def pulse(number: int, technique_id: int = 7) -> PulseResult:
    return PulseResult(number, technique_id, 1, 70.0, 40.0, 8003, 0.3204, 1, 2, 0)


class Bench:
    """A node whose room is this object, and a client on its bus."""

    def __init__(self, run_dir: Path) -> None:
        self.rows: list[tuple[str, str, Any]] = []
        self.asked: list[Command] = []
        self.refusal = ""
        self.frames: list[tuple[int, bytes, int]] = []
        self.store = ResultStore(run_dir / "rig" / "nv")
        self.faults = BusFaults(lambda *row: self.rows.append(row))
        self.node = GeneratorNode(CONFIG, run_dir / "can", self.store, self.faults, self._ask)
        self.network = canopen.Network()
        self.network.connect(
            interface="slcan", channel=str(run_dir / "can"), bitrate=1_000_000, sleep_after_open=0
        )
        for base in (0x000, 0x080, 0x180, 0x280, 0x380, 0x700):
            self.network.subscribe(base + NODE if base else 0x00F, self._hear)
        self.node.start()
        self.remote = self.network.add_node(NODE, str(eds.FILES[1]))
        self.sdo = self.remote.sdo

    def _ask(self, command: Callable[[int], Command]) -> Reply | None:
        self.asked.append(command(len(self.asked) + 1))
        return Reply(len(self.asked), not self.refusal, 0, self.refusal, self.refusal)

    def _hear(self, cob_id: int, payload: bytearray, _stamp: float) -> None:
        self.frames.append((cob_id, bytes(payload), time.monotonic_ns()))

    def heard(self, *cob_ids: int) -> list[tuple[int, bytes]]:
        return [(cob, payload) for cob, payload, _ in self.frames if cob in cob_ids]

    def until(self, seen: Callable[[], object]) -> None:
        end = time.monotonic() + LIMIT_S
        while not seen():
            self.node.turn(time.monotonic_ns())
            assert time.monotonic() < end, "nothing came"
            time.sleep(0.002)

    def write(self, bank: int, values: tuple[int, ...] = VALUES) -> None:
        record = self.sdo[eds.BANK_0 + bank]
        for sub, value in enumerate(values, 1):
            record[sub].raw = value
        record[6].raw = zlib.crc32(struct.pack("<IHIIB", *values))

    def give(self, number: int) -> None:
        self.node.result(pulse(number), time.monotonic_ns())

    def inject(self, fault: str, target: str, amount: float = 0.0, for_ns: int = 0) -> None:
        assert self.faults.inject(fault, target, amount, time.monotonic_ns(), 0, for_ns) == ""

    def close(self) -> None:
        self.network.disconnect()
        self.node.close()
        self.store.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    # The adapter's channel is open for both sides once a heartbeat has come through it.
    bench.until(lambda: bench.heard(0x700 + NODE))
    yield bench
    bench.close()


def test_a_bank_is_written_checked_and_read_back(bench: Bench) -> None:
    bench.write(0)
    assert isinstance(bench.asked[-1], BankSet)
    assert bench.asked[-1].technique.kv == 70.0
    record = bench.sdo[eds.BANK_0]
    assert [record[sub].raw for sub in range(1, 6)] == list(VALUES)
    assert record[6].raw == zlib.crc32(struct.pack("<IHIIB", *VALUES))
    assert bench.sdo[eds.BANK_1][6].raw == 0


def test_changing_a_valid_bank_clears_it_in_the_room_first(bench: Bench) -> None:
    bench.write(1)
    bench.sdo[eds.BANK_1][2].raw = 800
    assert bench.asked[-1] == BankClear(len(bench.asked), 1)
    assert bench.sdo[eds.BANK_1][6].raw == 0


@pytest.mark.parametrize(
    ("sub", "value", "abort"), [(2, 1201, 0x06090031), (2, 10, 0x06090032), (6, 1, 0x06090030)]
)
def test_what_is_out_of_range_is_aborted(bench: Bench, sub: int, value: int, abort: int) -> None:
    with pytest.raises(SdoAbortedError) as refused:
        bench.sdo[eds.BANK_0][sub].raw = value
    assert refused.value.code == abort
    assert bench.asked == []


def test_the_room_may_refuse_a_bank_that_is_firing(bench: Bench) -> None:
    bench.write(0)
    bench.refusal = "firing"
    with pytest.raises(SdoAbortedError) as refused:
        bench.sdo[eds.BANK_0][2].raw = 800
    assert refused.value.code == 0x08000022
    assert [bench.sdo[eds.BANK_0][sub].raw for sub in range(1, 6)] == list(VALUES)
    with pytest.raises(SdoAbortedError):
        bench.write(1)
    assert bench.sdo[eds.BANK_1][6].raw == 0


def test_prepare_and_fault_reset_reach_the_room(bench: Bench) -> None:
    bench.sdo[eds.PREPARE].raw = 1
    bench.sdo[eds.FAULT_RESET].raw = 1
    assert bench.asked == [Prepare(1, True), GeneratorFault(2, 0)]
    assert bench.sdo[eds.PREPARE].raw == 1
    with pytest.raises(SdoAbortedError):
        bench.sdo.download(eds.PREPARE, 0, b"\2")


def test_status_follows_the_room(bench: Bench) -> None:
    assert bench.sdo[eds.STATUS][1].raw == 0
    steps: list[tuple[dict[str, Any], int]] = [
        ({}, 1), ({"rotor": "run_up"}, 2), ({"rotor": "ready"}, 1),
        ({"rotor": "ready", "filament": "ready"}, 3), ({"generator_faults": 4}, 5),
    ]  # fmt: skip
    for change, expected in steps:
        values = {name: getattr(STATE, name) for name in STATE.__dataclass_fields__}
        state = LineState(**{**values, "gate_count": 9, "lines_in": 1 << In.WINDOW, **change})
        bench.node.state(state, time.monotonic_ns())
        assert bench.sdo[eds.STATUS][1].raw == expected
    assert bench.sdo[eds.STATUS][6].raw == 9
    assert bench.sdo[eds.STATUS][7].raw == 1
    bench.until(lambda: any(p[0] == 5 and p[3] == 1 for _, p in bench.heard(0x380 + NODE)))
    bench.node.room_lost()
    assert bench.sdo[eds.STATUS][1].raw == 0


def test_a_result_leaves_as_two_pdos_in_order(bench: Bench) -> None:
    given_ns = time.monotonic_ns()
    bench.give(70_000)
    bench.until(lambda: len(bench.heard(0x180 + NODE, 0x280 + NODE)) == 2)
    first, second = bench.heard(0x180 + NODE, 0x280 + NODE)
    assert first == (0x180 + NODE, struct.pack("<II", 70_000, 7))
    assert second == (0x280 + NODE, struct.pack("<HHHH", 70_000 & 0xFFFF, 800, 700, 320))
    assert max(t for c, _, t in bench.frames if c == 0x280 + NODE) - given_ns < 100_000_000
    assert bench.sdo[eds.PULSE_COUNT].raw == 70_000
    assert [bench.sdo[eds.LAST_RESULT][sub].raw for sub in (1, 2, 4)] == [70_000, 7, 800]


def test_old_results_can_be_looked_up(bench: Bench) -> None:
    for number in range(1, 300):
        bench.give(number)
    bench.sdo[eds.RESULT_OF][1].raw = 50
    assert bench.sdo[eds.RESULT_OF][3].raw == 8003
    with pytest.raises(SdoAbortedError):
        bench.sdo[eds.RESULT_OF][1].raw = 43
    ring = bytes(bench.sdo[eds.RESULT_RING].raw)
    assert len(ring) == 256 * 20
    assert struct.unpack_from("<I", ring)[0] == 44
    assert struct.unpack_from("<I", ring, 255 * 20)[0] == 299


def test_heat_grows_with_pulses_and_is_given_per_mille(bench: Bench) -> None:
    hot = PulseResult(1, 7, 0, 100.0, 100.0, 8000, 1000.0, 1, 2, 0)
    bench.node.result(hot, time.monotonic_ns())
    # 100 kV · 1000 mAs · 1.35 = 135 kHU of 300
    assert bench.sdo[eds.STATUS][5].raw == pytest.approx(450, abs=2)


def test_the_heartbeat_comes_and_stops_when_told(bench: Bench) -> None:
    bench.until(lambda: len(bench.heard(0x700 + NODE)) >= 3)
    assert bench.heard(0x700 + NODE)[-1][1] == b"\5"
    bench.inject("F17", "heartbeat")
    bench.until(lambda: bench.rows)
    bench.sdo[0x1017].raw = 50  # a client that asks again must not end the fault
    bench.until(lambda: bench.node._silent)
    count = len(bench.heard(0x700 + NODE))
    time.sleep(0.25)
    assert len(bench.heard(0x700 + NODE)) <= count + 1
    bench.faults.clear("F17")
    bench.until(lambda: len(bench.heard(0x700 + NODE)) > count + 2)


def test_a_bank_that_stores_one_step_else_reads_back_what_it_stored(bench: Bench) -> None:
    bench.inject("F16", "stores_lsb")
    bench.write(0)
    assert bench.sdo[eds.BANK_0][2].raw == 701
    assert isinstance(bench.asked[-1], BankSet)
    assert bench.asked[-1].technique.kv == pytest.approx(70.1)
    assert [row[:2] for row in bench.rows] == [("fault_on", "F16")]


@pytest.mark.parametrize(
    ("fault", "target", "expected"),
    [
        ("F16", "missing", []),
        ("F16", "kv", [8, 8]),
        ("F16", "width", [8, 8]),
        ("F18", "duplicate", [8, 8, 8, 8]),
        ("F18", "reorder", [8, 8]),
        ("F18", "length", [7, 5]),
    ],
)
def test_spoilt_results(bench: Bench, fault: str, target: str, expected: list[int]) -> None:
    bench.inject(fault, target, 10.0)
    bench.give(1)
    bench.faults.clear("")
    bench.give(2)
    pdos = (0x180 + NODE, 0x280 + NODE)
    bench.until(lambda: len(bench.heard(*pdos)) == len(expected) + 2)
    heard = bench.heard(*pdos)[: len(expected)]
    assert [len(payload) for _, payload in heard] == expected
    if target == "reorder":
        assert [cob for cob, _ in heard] == [0x280 + NODE, 0x180 + NODE]
    if fault == "F16" and expected:
        assert struct.unpack("<HHHH", heard[1][1])[1:3] == (
            (880, 700) if target == "width" else (800, 770)
        )
    assert bench.store.count == 2
    assert [row[0] for row in bench.rows] == ["fault_on", "fault_off"]


def test_an_emergency_is_sent_and_taken_back(bench: Bench) -> None:
    bench.inject("F17", "emcy", for_ns=100_000_000)
    bench.until(lambda: len(bench.heard(0x080 + NODE)) == 2)
    codes = [struct.unpack_from("<HB", payload) for _, payload in bench.heard(0x080 + NODE)]
    assert codes == [(0xFF01, 1), (0, 0)]


def test_bus_off_silences_everything(bench: Bench) -> None:
    bench.inject("F17", "bus_off")
    bench.until(lambda: bench.rows)
    bench.frames.clear()
    bench.give(1)
    time.sleep(0.25)
    assert bench.frames == []
    bench.faults.clear("")
    bench.until(lambda: bench.heard(0x700 + NODE))


def test_babble_fills_the_bus_and_ends(bench: Bench) -> None:
    bench.inject("F18", "babble", for_ns=200_000_000)
    bench.until(lambda: len(bench.heard(0x00F)) > 100)
    assert bench.sdo[eds.PULSE_COUNT].raw == 0
    bench.until(lambda: ("fault_off", "F18") in [row[:2] for row in bench.rows])
