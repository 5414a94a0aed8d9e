"""rig-line as a process, driven over its real sockets by a stranger's controller."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.rig import roombus
from hil.room.parameters import MS, SECOND
from hil.room.records import FrameDue, PulseResult, Technique
from realtime.wire import linebus
from realtime.wire.lines import In
from tests.hil.rig.stranger import LIMIT_S, PROFILE, ROOT, Rig, connect, in_pace, start

pytestmark = pytest.mark.process


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    running = Rig(tmp_path)
    yield running
    running.close()


SHORT = Technique(7, 70.0, 40.0, 5000, "none")
LONG = Technique(8, 70.0, 40.0, 45_000, "none")


def test_snapshots_come_numbered_and_often(rig: Rig) -> None:
    rig.until(lambda: len(rig.snapshots) > 40)
    first = rig.snapshots[0].seq
    assert [s.seq for s in rig.snapshots] == list(range(first, first + len(rig.snapshots)))
    gaps = [b.stamp_ns - a.stamp_ns for a, b in zip(rig.snapshots, rig.snapshots[1:], strict=False)]
    assert sorted(gaps)[len(gaps) // 2] <= 5 * MS


def one_pulse(rig: Rig) -> None:
    rig.prepare(SHORT)
    rig.toggle_for(4 * MS)
    rig.drive(panel_trigger=1)
    rig.until(lambda: rig.high(In.WINDOW))
    rig.drive(pulse=1, panel_trigger=0)
    rig.toggle_for(6 * MS)
    rig.drive(pulse=0)


def test_one_pulse_from_the_pedal_to_the_frame(tmp_path: Path) -> None:
    with in_pace(tmp_path, one_pulse) as rig:
        rig.until(lambda: bool(rig.of("frame", "panel")))
    on, off = rig.of("photons_on", "tube")[0], rig.of("photons_off", "tube")[0]
    rise = next(r for r in rig.of("line", "pulse") if r.value and r.t_ns > 0)
    assert on.t_ns == rise.t_ns
    assert rig.of("window_open", "panel")[0].t_ns < on.t_ns
    assert off.t_ns < rig.of("window_close", "panel")[0].t_ns
    result = next(r for r in rig.reports if isinstance(r, PulseResult))
    frame = next(r for r in rig.reports if isinstance(r, FrameDue))
    assert [e.pulse_count for e in frame.exposures] == [result.count] == [1]
    assert result.width_us == pytest.approx(5000, abs=100)
    assert rig.of("frame", "panel")[0].value["pulse_ids"] == [1]


def test_a_kernel_stamp_is_the_time_of_the_send(rig: Rig) -> None:
    rig.until(lambda: bool(rig.snapshots))
    sent = []
    for k in range(1, 20):
        before_ns = rig.drive(lamp=k % 2)
        sent.append((before_ns, time.monotonic_ns()))
    rig.until(lambda: len(rig.of("line", "lamp")) >= 20)
    stamps = [r.t_ns for r in rig.of("line", "lamp")[1:]]
    # The two clocks are read one after the other: allow that gap.
    for stamp_ns, (before_ns, after_ns) in zip(stamps, sent, strict=True):
        assert before_ns - MS <= stamp_ns <= after_ns + MS


def pulse_and_go(rig: Rig) -> None:
    rig.ask(roombus.Wiring, False, True, False)
    rig.prepare(LONG)
    rig.toggle_for(4 * MS)
    rig.drive(pulse=1)
    rig.lines.close()


def test_when_the_controller_goes_the_levels_stay_and_the_monostable_ends_the_beam(
    tmp_path: Path,
) -> None:
    with in_pace(tmp_path, pulse_and_go) as rig:
        rig.until(lambda: bool(rig.of("photons_off", "tube")))
    off = next(r for r in rig.of("hv", "generator") if r.value == 0)
    toggled = [r.t_ns for r in rig.of("line", "permit")][-1]
    assert off.t_ns == toggled + 12 * MS
    assert toggled >= rig.toggled_ns - MS
    assert [r.value for r in rig.of("line", "pulse")] == [0, 1]
    assert rig.of("process", "lines")[-1].value == "disconnected"
    assert rig.of("photons_off", "tube")[0].value["flags"] & 4


def test_a_short_flicker_is_two_snapshots(rig: Rig) -> None:
    rig.until(lambda: rig.high(In.DOOR))
    assert rig.ask(roombus.Inject, "F09", "door", 0.0, 0, 0, -1.0, "").ok
    rig.until(lambda: any(not s.levels >> In.DOOR & 1 for s in rig.snapshots))
    rig.until(lambda: rig.high(In.DOOR))
    down = next(s for s in rig.snapshots if not s.levels >> In.DOOR & 1)
    up = next(s for s in rig.snapshots if s.seq > down.seq and s.levels >> In.DOOR & 1)
    assert up.stamp_ns - down.stamp_ns == MS
    rig.until(lambda: bool(rig.of("fault_off", "F09")))
    assert rig.of("fault_off", "F09")[0].t_ns - rig.of("fault_on", "F09")[0].t_ns == MS


def test_a_silent_bus_sends_nothing_and_then_everything_again(rig: Rig) -> None:
    rig.until(lambda: bool(rig.snapshots))
    assert rig.ask(roombus.Inject, "F10", "", 0.0, 0, 100 * MS, -1.0, "").ok
    rig.until(lambda: bool(rig.of("fault_off", "F10")))
    count = len(rig.snapshots)
    rig.until(lambda: len(rig.snapshots) > count + 3)
    gaps = [b.stamp_ns - a.stamp_ns for a, b in zip(rig.snapshots, rig.snapshots[1:], strict=False)]
    assert 90 * MS < max(gaps) < 150 * MS


@pytest.mark.parametrize(
    "packet", [b"", b"short", b"x" * 28, b"y" * 300], ids=["empty", "short", "wrong", "long"]
)
def test_malformed_packets_are_counted_and_change_nothing(rig: Rig, packet: bytes) -> None:
    rig.until(lambda: rig.high(In.DOOR))
    if not packet:
        packet = linebus.encode(linebus.KIND_INPUTS, 0, 0, 0)
    for _ in range(3):
        rig.lines.send(packet)
    rig.until(lambda: bool(rig.states()) and rig.states()[-1].malformed == 3)
    assert rig.states()[-1].lines_out == 0
    rig.drive(lamp=1)
    rig.until(lambda: rig.high(In.LAMP_READBACK))


def test_a_second_controller_is_turned_away(rig: Rig) -> None:
    rig.until(lambda: bool(rig.snapshots))
    with connect(rig.run_dir / "lines.sock") as second:
        second.setblocking(True)
        second.settimeout(LIMIT_S)
        assert second.recv(64) == b""
    rig.drive(lamp=1)
    rig.until(lambda: rig.high(In.LAMP_READBACK))


def test_a_controller_that_does_not_read_is_closed(rig: Rig) -> None:
    end = time.monotonic() + LIMIT_S
    while not any(r.value == "disconnected" for r in rig.of("process", "lines")):
        assert time.monotonic() < end
        select.select([rig.world], [], [], 0.1)
        while True:
            try:
                rig._take(rig.world, rig.world.recv(1 << 17))
            except BlockingIOError:
                break


def test_it_runs_without_a_world_and_keeps_its_truth_for_the_next(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    try:
        rig.until(lambda: bool(rig.of("process", "rig")))
        rig.world.close()
        rig.drive(lamp=1)
        rig.until(lambda: rig.high(In.LAMP_READBACK))
        rig.world = connect(tmp_path / "room.sock")
        rig.until(lambda: any(r.value for r in rig.of("line", "lamp")))
        assert rig.process.poll() is None
    finally:
        rig.close()


def test_a_signal_strikes_the_process_it_names(rig: Rig) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as victim:
        assert rig.act(f"signal imaging {victim.pid} KILL").ok
        assert victim.wait(LIMIT_S) == -signal.SIGKILL
    rig.until(lambda: bool(rig.of("process", "imaging")))
    assert rig.of("process", "imaging")[0].value == "kill9"


def test_the_counter_goes_on_where_the_world_s_file_has_it(rig: Rig) -> None:
    rig.world.send(roombus.pack(roombus.Hello(4710)))
    rig.until(lambda: bool(rig.states()) and rig.states()[-1].pulse_count == 4710)
    assert rig.states()[-1].client


def test_its_own_lateness_is_in_the_log(rig: Rig) -> None:
    rig.until(lambda: bool(rig.snapshots))
    rig.process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    while time.monotonic() < stopped + 0.05:
        select.select([], [], [], 0.01)
    rig.process.send_signal(signal.SIGCONT)
    rig.until(lambda: any(r.value > 30 * MS for r in rig.of("process", "lateness")))
    stretch = max(r.value for r in rig.of("process", "lateness"))
    assert stretch < LIMIT_S * SECOND


def test_an_edge_that_left_late_is_told(rig: Rig) -> None:
    rig.until(lambda: bool(rig.snapshots))
    rig.process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    rig.drive(tone=1)
    while time.monotonic() < stopped + 0.05:
        select.select([], [], [], 0.01)
    rig.process.send_signal(signal.SIGCONT)
    rig.until(lambda: any(r.value > 10 * MS for r in rig.of("process", "edge_late")))
    assert all(r.value > MS // 2 for r in rig.of("process", "edge_late"))


def test_it_ends_cleanly_and_leaves_no_socket(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.until(lambda: bool(rig.snapshots))
    rig.process.send_signal(signal.SIGTERM)
    assert rig.process.wait(LIMIT_S) == 0
    rig.close()
    assert list(tmp_path.iterdir()) == []


def test_a_run_directory_in_use_is_refused_in_one_sentence(rig: Rig) -> None:
    rig.until(lambda: bool(rig.snapshots))
    second = start(rig.run_dir)
    _, said = second.communicate(timeout=LIMIT_S)
    assert second.returncode == 3
    assert b"in use" in said
    assert len(said.splitlines()) == 1


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    first = Rig(tmp_path)
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait(LIMIT_S)
    first.close()
    assert (tmp_path / "lines.sock").exists()
    second = Rig(tmp_path)
    try:
        second.until(lambda: bool(second.snapshots))
    finally:
        second.close()


def test_a_bad_configuration_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(PROFILE.read_text().replace("window_us = 13000", "window_us = -1"))
    command = [sys.executable, "-m", "hil.rig.line", "--config", str(bad)]
    ended = subprocess.run(
        [*command, "--run-dir", str(tmp_path)], cwd=ROOT, capture_output=True, check=False
    )
    assert ended.returncode == 2
    assert b"panel.window_us" in ended.stderr
