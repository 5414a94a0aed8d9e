"""Both rig processes, driven over the public wires only, by a controller written here.

Lives here: what only the running processes can show: charge becomes picture and result, restarts
lose nothing, ends leave nothing.  May not live here: timing of the line bus (`test_line`).
"""

import contextlib
import itertools
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import canopen
import numpy as np
import pytest

from hil.rig import eds
from hil.rig.client import RigClient, RigError
from realtime.wire import linebus, ring
from realtime.wire.doorbell import unpack_doorbell, unpack_hello
from realtime.wire.lines import In, Out, mask

pytestmark = pytest.mark.process
ROOT = Path(__file__).parents[3]
PROFILE = ROOT / "controller" / "profiles" / "bench.toml"
LIMIT_S = 20.0
MS = 1_000_000
SIZE = 256
VALUES = (7, 700, 4000, 8000, 1)


def profile(run_dir: Path, generator_kv: str = "[40.0, 120.0]") -> Path:
    """The bench with a small panel that still sees the whole chest."""
    text = PROFILE.read_text(encoding="utf-8")
    changes = {
        "width = 1024": "width = 256", "height = 1024": "height = 256",
        "pitch_um = 296": "pitch_um = 1000", "kv = [40.0, 120.0]": f"kv = {generator_kv}",
    }  # fmt: skip
    for old, new in changes.items():
        assert text.count(f"\n{old}\n") == 1
        text = text.replace(f"\n{old}\n", f"\n{new}\n")
    path = run_dir / "rig.toml"
    path.write_text(text, encoding="utf-8")
    return path


def launch(module: str, config: Path, run_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module, "--config", str(config), "--run-dir", str(run_dir)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def until(what: str, seen: Callable[[], Any]) -> Any:
    end = time.monotonic() + LIMIT_S
    while True:
        with contextlib.suppress(OSError, RigError):
            value = seen()
            if value:
                return value
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.01)


def reached(run_dir: Path) -> RigClient | None:
    rig = RigClient(run_dir / "rig.sock")
    if rig.status()["room"]:
        return rig
    rig.close()
    return None


class Panel:
    """A reader of the raw ring."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(path)
        hello, fds, _, _ = socket.recv_fds(self.sock, 64, 1)
        self._map = mmap.mmap(fds[0], unpack_hello(hello), prot=mmap.PROT_READ)
        os.close(fds[0])
        self._view = memoryview(self._map)
        self._layout = ring.read_head(self._view)

    def frame(self) -> tuple[ring.Slot, Any, int]:
        seq = unpack_doorbell(self.sock.recv(64))
        at_ns = time.monotonic_ns()
        slot = ring.read_slot(self._view, self._layout, seq)
        assert slot is not None
        payload = bytes(ring.payload_at(self._view, self._layout, seq))
        assert zlib.crc32(payload) == slot.crc32
        return slot, np.frombuffer(payload, "<u2").reshape(SIZE, SIZE), at_ns

    def close(self) -> None:
        self._view.release()
        self._map.close()
        self.sock.close()


class Lines:
    """The controller's end of the line bus."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(path)
        self.sock.setblocking(False)
        self._seq = 0
        self._out = 0

    def put(self, out: int) -> None:
        packet = linebus.encode(linebus.KIND_OUTPUTS, self._seq, time.monotonic_ns(), out)
        self._seq, self._out = self._seq + 1, out
        self.sock.send(packet)
        with contextlib.suppress(BlockingIOError):
            while self.sock.recv(64):
                pass

    def until(self, due_ns: int) -> None:
        """Keep PERMIT alive until `due_ns`."""
        while time.monotonic_ns() < due_ns:
            self.put(self._out ^ mask(Out.PERMIT))
            left_ns = due_ns - time.monotonic_ns()
            select.select([], [], [], max(min(left_ns, 3 * MS), 0) / 1e9)

    def cycle(self, width_ms: int) -> None:
        """One panel cycle with a pulse that PULSE itself ends when shorter than set."""
        self.until(time.monotonic_ns() + 9 * MS)
        self.put(self._out | mask(Out.PANEL_TRIGGER))
        self.until(time.monotonic_ns() + 1 * MS)
        if width_ms:
            self.put(self._out | mask(Out.PULSE))
        self.until(time.monotonic_ns() + width_ms * MS)
        self.put(self._out & ~mask(Out.PULSE) & ~mask(Out.PANEL_TRIGGER))
        self.until(time.monotonic_ns() + 40 * MS)

    def close(self) -> None:
        self.sock.close()


def commit(network: canopen.Network) -> Any:
    sdo = network.add_node(16, str(eds.FILES[1])).sdo
    for sub, value in enumerate(VALUES, 1):
        sdo[eds.BANK_0][sub].raw = value
    sdo[eds.BANK_0][6].raw = zlib.crc32(struct.pack("<IHIIB", *VALUES))
    sdo[eds.PREPARE].raw = 1
    until("generator ready", lambda: sdo[eds.STATUS][1].raw == 3)
    return sdo


def press(rig: RigClient) -> None:
    """Press, and wait until the hard-wired chain has closed."""
    rig.do("press fluoro")
    until("chain", lambda: rig.status()["line"]["lines_in"] >> In.CHAIN_OK & 1)


@contextlib.contextmanager
def bus(path: str) -> Iterator[canopen.Network]:
    """The generator's bus; left even when the test fails, before the rig takes it away."""
    network = canopen.Network()
    network.connect(interface="slcan", channel=path, bitrate=1_000_000, sleep_after_open=0)
    try:
        yield network
    finally:
        network.disconnect()


def truth(run_dir: Path, rig: RigClient) -> list[dict[str, Any]]:
    rig.flush()
    lines = (run_dir / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """`python -m hil.rig`, ended by SIGTERM, and nothing left of it."""
    process = launch("hil.rig", profile(tmp_path), tmp_path)
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], LIMIT_S)[0], "the rig did not start"
    yield json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, complaints
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"rig.toml", "rig", "truth.jsonl", "calibration.npz"}


def test_what_the_pulses_gave_is_in_frames_results_and_truth(
    alone: dict[str, Any], tmp_path: Path
) -> None:
    places = alone["endpoints"]
    results: dict[int, tuple[int, ...]] = {}
    widths = (0, 9, 4, 9, 4, 9, 0)
    frames = []
    with (
        RigClient(Path(places["rig"])) as rig, closing(Panel(places["panel"])) as panel,
        bus(places["can"]) as network,
    ):  # fmt: skip
        network.subscribe(
            0x290, lambda _id, payload, _t: results.update({
                int.from_bytes(payload[:2], "little"): struct.unpack("<HHHH", payload)
            }),
        )  # fmt: skip
        sdo = commit(network)
        press(rig)
        with closing(Lines(places["lines"])) as lines:
            for width_ms in widths:
                lines.cycle(width_ms)
                frames.append(panel.frame())
        until("results", lambda: len(results) == 5)
        assert sdo[eds.PULSE_COUNT].raw == 5
        log = truth(tmp_path, rig)
        status = rig.status()
    calibration = np.load(places["calibration"])
    brightest = np.max([pixels for _, pixels, _ in frames[1:]], axis=0)
    good = ~calibration["defects"] & (brightest < 60_000)

    assert log[0]["kind"] == "process" and log[0]["name"] == "rig"
    off = [row for row in log if row["kind"] == "photons_off"]
    assert [row["pulse_id"] for row in off] == [1, 2, 3, 4, 5]
    for row in off:
        assert results[row["pulse_id"]][3] == pytest.approx(row["value"]["mas"] * 1000, abs=1)
        assert results[row["pulse_id"]][1] == pytest.approx(row["value"]["width_us"] / 10, abs=2)
    for slot, _, at_ns in frames:
        assert at_ns >= slot.readout_end_ns
    assert frames[0][0].flags == ring.FLAG_AFTER_IDLE
    assert frames[0][1].min() == 65535
    signals = [((pixels - calibration["offset"]) * calibration["gain"])[good].mean()
               for _, pixels, _ in frames[1:]]  # fmt: skip
    per_mas = [level / row["value"]["mas"] for level, row in zip(signals, off, strict=False)]
    for a, b in itertools.pairwise(per_mas):
        assert b / a == pytest.approx(1.0, abs=0.05)
    assert off[1]["value"]["mas"] < 0.7 * off[0]["value"]["mas"]
    assert abs(signals[5]) < 0.02 * signals[4]
    assert status["frames"] == len(widths)
    assert status["frames_overrun"] == 0


def test_a_killed_world_comes_back_with_counter_and_whole_truth(tmp_path: Path) -> None:
    config = profile(tmp_path)
    line = launch("hil.rig.line", config, tmp_path)
    world = launch("hil.rig.world", config, tmp_path)
    try:
        with until("room", lambda: reached(tmp_path)) as rig:
            with bus(str(tmp_path / "can")) as network:
                commit(network)
            press(rig)
            with closing(Lines(str(tmp_path / "lines.sock"))) as lines:
                for _ in range(3):
                    lines.cycle(9)
                until("results", lambda: rig.status()["pulse_count"] == 3)
                world.kill()
                world.communicate()
                lines.cycle(9)  # the other half goes on
        world = launch("hil.rig.world", config, tmp_path)
        with until("room again", lambda: reached(tmp_path)) as rig:
            until("the missed result", lambda: rig.status()["pulse_count"] == 4)
            until("clear banks", lambda: rig.status()["banks_valid"] == [False, False])
            with bus(str(tmp_path / "can")) as network:
                sdo = network.add_node(16, str(eds.FILES[1])).sdo
                assert sdo[eds.PULSE_COUNT].raw == 4
            off = [row["pulse_id"] for row in truth(tmp_path, rig) if row["kind"] == "photons_off"]
        assert off[-1] == 4
        assert len(set(off)) == len(off)
    finally:
        for process in (world, line):
            process.terminate()
            process.communicate(timeout=LIMIT_S)
    assert world.returncode == line.returncode == 0


def test_without_a_room_it_serves_and_says_so(tmp_path: Path) -> None:
    config = profile(tmp_path)
    world = launch("hil.rig.world", config, tmp_path)
    rig = until("desk", lambda: RigClient(tmp_path / "rig.sock"))
    with rig:
        assert rig.status()["room"] is False
        with pytest.raises(RigError) as refused:
            rig.do("press fluoro")
        assert refused.value.error["blame"] == "machine"
    second = launch("hil.rig.world", config, tmp_path)
    _, complaint = second.communicate(timeout=LIMIT_S)
    assert second.returncode == 3
    assert "in use" in complaint
    assert (tmp_path / "panel.sock").exists()
    world.send_signal(signal.SIGINT)
    world.communicate(timeout=LIMIT_S)
    assert world.returncode == 0
    assert not list(tmp_path.glob("*.sock"))


def test_a_beam_without_spectrum_is_refused(tmp_path: Path) -> None:
    world = launch("hil.rig.world", profile(tmp_path, "[30.0, 120.0]"), tmp_path)
    _, complaint = world.communicate(timeout=LIMIT_S)
    assert world.returncode == 2
    assert "generator.kv" in complaint
    assert {path.name for path in tmp_path.iterdir()} == {"rig.toml"}
