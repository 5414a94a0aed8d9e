"""The imaging process between real sockets: what subscribers, the executive and a restart see."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller.stream.subscriber import Subscriber
from realtime.wire import ring
from realtime.wire.doorbell import unpack_doorbell
from realtime.wire.messages import (
    DarkFrame,
    DarkFrameResult,
    Delivered,
    Hello,
    ImagingState,
    Verdict,
)
from tests.controller.imaging.peers import MS, Room, make_room, run_end, run_start, wait_for

pytestmark = pytest.mark.process

LISTENER = """
import json, sys
from controller.stream.subscriber import Subscriber
subscriber = Subscriber(sys.argv[1])
print("ready", flush=True)
print(json.dumps(subscriber.collect(int(sys.argv[2]), float(sys.argv[3]), 3.0)), flush=True)
"""


class Listener:
    """A subscriber in a process of its own."""

    def __init__(self, endpoint: str, count: int, timeout_s: float = 20.0) -> None:
        command = [sys.executable, "-c", LISTENER, endpoint, str(count), str(timeout_s)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def report(self) -> dict[str, Any]:
        out, _ = self.process.communicate(timeout=40)
        told: dict[str, Any] = json.loads(out)
        return told

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


def verdicts(room: Room) -> list[tuple[int, bool, str]]:
    return [(v.pulse_n, v.valid, v.reason) for v in room.executive.of(Verdict)]


def judged(room: Room, count: int) -> bool:
    return len(verdicts(room)) == count


def hear(subscriber: Subscriber, topic: str, timeout_s: float = 5.0) -> dict[str, Any]:
    """The next header of a topic; fails when it does not come in time."""
    until_s = time.monotonic() + timeout_s
    while (left_s := until_s - time.monotonic()) > 0:
        heard = subscriber.receive(left_s)
        if heard is not None and heard[0] == topic:
            return heard[1]
    raise AssertionError(f"no {topic}")


def joined(room: Room) -> Subscriber:
    """A subscriber that a run has reached, so that nothing that follows can escape it."""
    subscriber = Subscriber(room.endpoint)
    room.executive.send(run_start(1, 30, time.monotonic_ns()))
    hear(subscriber, "series")
    room.executive.send(run_end(1, 0))
    hear(subscriber, "tail")
    return subscriber


def paced(room: Room, run_id: int, first_n: int, count: int, per_s: float) -> None:
    """`count` pulses with their frames at absolute due times."""
    start_s = time.monotonic()
    for k in range(count):
        late_s = time.monotonic() - start_s - k / per_s
        if late_s < 0:
            threading.Event().wait(-late_s)
        room.supervisor.send(Delivered(run_id, first_n + k, 7, 70.0, 40.0, 8.0, 0.32))
        room.shoot(run_id, first_n + k)
        room.supervisor.listen()
        room.executive.listen()


def test_it_introduces_itself_and_reports_twenty_times_a_second(room: Room) -> None:
    process = room.start()
    wait_for(lambda: len(room.supervisor.of(ImagingState)) > 5)
    for server in (room.executive, room.supervisor):
        (hello,) = server.of(Hello)
        assert (hello.role, hello.pid) == ("imaging", process.pid)
    states = room.supervisor.of(ImagingState)
    assert states[-1].panel_link
    assert states[-1].executive_link
    assert states[-1].detail == ""
    gap_ns = (states[-1].t_ns - states[0].t_ns) / (len(states) - 1)
    assert 45 * MS < gap_ns < 150 * MS


def test_a_run_end_to_end_leaves_a_proof_and_no_litter(room: Room) -> None:
    before = set(room.run_dir.iterdir())
    room.start()
    subscriber = joined(room)
    room.begin(5)
    paced(room, 5, 0, 10, 30)
    room.executive.send(run_end(5, 10))
    report = subscriber.collect(10, 5, tail_s=2)
    assert (report["received"], report["lost"], report["crc_bad"]) == (10, 0, 0)
    assert report["missing_by_reason"] == {}
    assert report["series"] == "series-5"
    assert report["tail_complete"]
    assert verdicts(room) == [(n, True, "ok") for n in range(10)]
    assert subscriber.last is not None
    header, payload = subscriber.last
    assert header["kind"] == "hold"
    assert zlib.crc32(payload) == header["crc32"]
    first = hear(subscriber, "tail")
    second = hear(subscriber, "tail")
    assert first == second
    assert first["final"]
    subscriber.close()
    room.kill(signal.SIGTERM)
    assert set(room.run_dir.iterdir()) == before


def test_torn_missing_and_foreign_frames_are_told_and_explained(room: Room) -> None:
    room.start()
    subscriber = joined(room)
    room.begin(5)
    room.shoot(5, 0)
    wait_for(lambda: len(verdicts(room)) == 1)
    seq = room.panel.write(room.panel.frame(2000), room.pulse(5, 1))
    ring.begin(room.panel.view, room.panel.layout, seq + room.panel.layout.slots)
    room.panel.ring(seq)
    wait_for(lambda: len(verdicts(room)) == 2)
    room.pulse(5, 2)
    wait_for(lambda: len(verdicts(room)) == 3)
    room.panel.expose(room.pulse(5, 3) - 500 * MS)
    wait_for(lambda: len(verdicts(room)) == 4)
    room.shoot(5, 4)
    wait_for(lambda: len(verdicts(room)) == 5)
    room.executive.send(run_end(5, 5))
    report = subscriber.collect(2, 5, tail_s=2)
    assert verdicts(room) == [
        (0, True, "ok"), (1, False, "torn"), (2, False, "missing"), (3, False, "missing"),
        (4, True, "ok"),
    ]  # fmt: skip
    assert report["missing_by_reason"] == {"torn": 1, "missing": 2}
    assert (report["received"], report["lost"]) == (2, 0)
    assert report["tail_complete"]
    subscriber.close()


def test_a_late_joiner_gets_start_and_last_image_within_100_ms(room: Room) -> None:
    room.start()
    early = joined(room)
    room.begin(5)
    paced(room, 5, 0, 3, 30)
    hear(early, "live")
    late = Subscriber(room.endpoint)
    connected_s = time.monotonic()
    series = hear(late, "series")
    live = hear(late, "live")
    # The connection itself costs a few ms; a busy machine some more.
    assert time.monotonic() - connected_s < 0.25
    assert (series["resend"], live["resend"]) == (True, True)
    assert (live["seq"], live["pulse_n"], live["series"]) == (3, 2, "series-5")
    room.executive.send(run_end(5, 3))
    assert late.collect(1, 1, tail_s=2)["before_join"] == 2
    very_late = Subscriber(room.endpoint)
    assert hear(very_late, "hold")["seq"] == 3
    report = very_late.collect(0, 0, tail_s=2)
    assert report["tail_complete"]
    assert report["lost"] == 0
    for subscriber in (early, late, very_late):
        subscriber.close()


def test_a_stopped_subscriber_harms_nobody_and_knows_what_it_lost(room: Room) -> None:
    room.start()
    count = 90
    healthy = Listener(room.endpoint, count)
    stopped = Listener(room.endpoint, count, 4.5)
    room.begin(5)
    paced(room, 5, 0, 5, 30)
    stopped.signal(signal.SIGSTOP)
    paced(room, 5, 5, count - 10, 30)
    stopped.signal(signal.SIGCONT)
    paced(room, 5, count - 5, 5, 30)
    room.executive.send(run_end(5, count))
    told = healthy.report()
    assert (told["received"], told["lost"], told["tail_complete"]) == (count, 0, True)
    assert [valid for _, valid, _ in verdicts(room)] == [True] * count
    told = stopped.report()
    # Frames of 128 kB fill its queue of 16 and the kernel's buffers well before 2.7 s are over.
    assert told["lost"] > 0
    assert told["received"] + told["lost"] == count
    assert told["tail_complete"]


def test_killed_and_restarted_imaging_is_a_new_epoch(room: Room) -> None:
    room.start()
    subscriber = joined(room)
    room.begin(5)
    paced(room, 5, 0, 3, 30)
    hear(subscriber, "live")
    first_epoch = subscriber.account.epoch
    room.kill(signal.SIGKILL)
    room.executive.heard.clear()
    room.start()
    room.begin(6)
    # ZeroMQ reconnects by itself, within its 100 ms steps; the run goes on until it has.
    for n in range(100):
        room.shoot(6, n)
        wait_for(partial(judged, room, n + 1))
        if subscriber.receive(0.05) and subscriber.account.epoch != first_epoch:
            break
    room.executive.send(run_end(6, n + 1))
    report = subscriber.collect(10**6, 0, tail_s=3)
    assert report["epochs"] == 2
    assert report["epoch"] > (first_epoch or 0)
    assert report["tail_complete"]
    subscriber.close()


def test_peers_that_go_and_come_back_are_met_again(room: Room) -> None:
    room.start()
    room.panel.drop()
    room.executive.drop()
    room.supervisor.drop()
    for peer in (room.panel, room.executive, room.supervisor):
        wait_for(peer.accepted)
    room.begin(5)
    room.executive.send_bytes(b"\xc1garbage")
    room.supervisor.send_bytes(b"")
    wait_for(room.supervisor.accepted)
    room.shoot(5, 0)
    wait_for(partial(judged, room, 1))
    assert verdicts(room) == [(0, True, "ok")]


def test_the_panel_going_in_mid_run_is_a_loss(room: Room) -> None:
    room.start()
    room.begin(5, pulses_per_s=1)
    room.pulse(5, 0)
    room.executive.send(run_start(6, 30))
    wait_for(lambda: verdicts(room) == [(0, False, "run_over")])
    room.pulse(6, 0)
    wait_for(lambda: len(verdicts(room)) == 2)
    room.begin(7, pulses_per_s=1)
    room.pulse(7, 0)
    # Its report is known once a later message has been answered on the same socket.
    room.executive.send(run_end(7, 1))
    room.panel.drop()
    wait_for(lambda: len(verdicts(room)) == 3)
    assert verdicts(room)[2][2] in ("panel_lost", "missing")


def test_the_dark_frame_self_test(room: Room) -> None:
    room.start()
    room.supervisor.send(DarkFrame(3))
    threading.Event().wait(0.05)
    room.panel.expose(time.monotonic_ns() - 14 * MS, 0.0)
    (result,) = wait_for(lambda: room.supervisor.of(DarkFrameResult))
    assert result.ok
    assert abs(result.mean_du) < 2
    assert result.sigma_du == pytest.approx(8, rel=0.1)


def test_the_frame_ring_holds_the_same_frames(room: Room, tmp_path: Path) -> None:
    import msgpack
    import numpy as np

    from controller.devices.ring_panel import open_panel

    room.start()
    reader = open_panel(room.run_dir / "frame-ring.sock")
    wait_for(reader.open)
    wait_for(lambda: reader.arrivals() == [] and reader.layout)
    subscriber = joined(room)
    room.begin(5)
    room.shoot(5, 0)
    header = hear(subscriber, "live")
    (seq,) = wait_for(reader.arrivals)
    pixels = np.zeros((256, 256), dtype=np.uint16)
    slot = reader.read(seq, pixels)
    assert slot is not None
    assert zlib.crc32(pixels.data) == header["crc32"] == slot.crc32
    assert reader._view is not None
    assert reader.layout is not None
    meta = ring.read_meta(reader._view, reader.layout, slot)
    assert msgpack.unpackb(meta)["pulse_id"] == 1000
    reader.close()
    subscriber.close()
    assert unpack_doorbell(b"CDB1" + bytes(4) + (7).to_bytes(8, "little")) == 7


def test_without_calibration_nothing_is_valid_until_it_comes(tmp_path: Path) -> None:
    room = make_room(tmp_path)
    (tmp_path / "calibration.npz").unlink()
    try:
        room.start()
        room.begin(5)
        room.shoot(5, 0)
        wait_for(lambda: verdicts(room) == [(0, False, "no_calibration")])
        states = room.supervisor.of(ImagingState)
        assert "calibrate the panel" in states[-1].detail
        room.panel.write_calibration(tmp_path / "calibration.npz")
        wait_for(lambda: room.supervisor.of(ImagingState)[-1].detail == "")
        room.shoot(5, 1)
        wait_for(lambda: verdicts(room)[1:] == [(1, True, "ok")])
    finally:
        room.close()


def refusal(*arguments: str) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "controller.imaging", *arguments],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return ran.returncode, ran.stderr


def test_a_second_imaging_is_refused_with_one_sentence(room: Room) -> None:
    room.start()
    code, words = refusal("--config", str(room.run_dir / "config.toml"),
                          "--run-dir", str(room.run_dir))  # fmt: skip
    assert code == 3
    assert words.count("\n") == 1
    assert "in use" in words
    assert os.path.exists(room.run_dir / "frames.ipc")


def test_a_bad_configuration_is_refused_with_the_key(room: Room) -> None:
    path = room.run_dir / "config.toml"
    good = path.read_text()
    path.write_text(good.replace("pitch_um = 296", "pitch_um = 5"))
    code, words = refusal("--config", str(path), "--run-dir", str(room.run_dir))
    assert code == 2
    assert "panel.pitch_um" in words
    path.write_text(good.replace("'ring'", "'nope'"))
    code, words = refusal("--config", str(path), "--run-dir", str(room.run_dir))
    assert code == 3
    assert "nope" in words


def test_the_page_s_ten_line_subscriber_works(room: Room) -> None:
    page = Path(__file__).parents[3] / "docs" / "frame-stream.md"
    source = page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    assert len([line for line in source.splitlines() if line.strip()]) <= 10
    room.start()
    command = [sys.executable, "-u", "-c", source, room.endpoint]
    stranger = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        room.begin(5)
        paced(room, 5, 0, 40, 30)
        assert stranger.stdout is not None
        words = stranger.stdout.readline().split()
        assert words[2] == "70.0"
        assert int(words[1]) == 1000 + int(words[0]) - 1
        assert float(words[3]) == pytest.approx(2000 * 1.25, rel=0.05)
    finally:
        stranger.kill()
        stranger.communicate()
