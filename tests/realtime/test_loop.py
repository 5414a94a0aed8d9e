"""The loop: one wait, one turn; and the whole process over its real wires."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from realtime.inputs import Inputs, Outputs, Peer
from realtime.limits import MS, READ_AGAIN_NS, S
from realtime.loop import Loop
from realtime.trips import TripCode, from_bits
from realtime.wire.lines import In, Out, mask
from realtime.wire.messages import Hello, Message, Press, ResetTimer, RunEnd, State
from realtime.wire.record import PAGE, unpack_head
from tests.house.tree import ROOT
from tests.realtime.miniroom import Room
from tests.realtime.peers import Correspondent, LinePeer, eventually
from tests.realtime.roomparts import RESTING

BENCH = ROOT / "controller/profiles/bench.toml"
FLUORO = RESTING & ~mask(In.FLUORO_NC) | mask(In.FLUORO_NO)
pytestmark = pytest.mark.process


class Process:
    """`python -m realtime` with a line peer, a supervisor and imaging of ours."""

    def __init__(self, run_dir: Path, config: Path = BENCH) -> None:
        self.run_dir = run_dir
        self.config = config
        self.lines = LinePeer(run_dir / "lines.sock")
        self.links: list[Correspondent] = []
        self.mail: dict[str, list[Message]] = {"supervisor": [], "imaging": []}
        self.outputs: list[int] = []
        self.child: subprocess.Popen[str] | None = None

    def start(self, *more: str, program: str = "") -> "Process":
        what = ["-c", program] if program else ["-m", "realtime"]
        command = [sys.executable, *what, "--config", str(self.config),
                   "--run-dir", str(self.run_dir), *more]  # fmt: skip
        self.child = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return self

    def connect(self, epoch: int = 1) -> "Process":
        """Lines first, then both correspondents with Hello."""

        def linked() -> bool:
            with contextlib.suppress(BlockingIOError):
                self.lines.accept()
            return self.lines.link is not None

        eventually(linked, "it opens the line bus")
        self.lines.seq = 0
        for role, name in (("supervisor", "orders.sock"), ("imaging", "verdicts.sock")):
            path = self.run_dir / name
            eventually(path.exists, f"it serves {name}")
            self.links.append(Correspondent(path).hello(role, epoch))
        eventually(lambda: self.turn() and bool(self.heard(Hello)), "it answers Hello")
        return self

    def turn(self) -> bool:
        """One snapshot out, everything else in; every few milliseconds."""
        self.lines.tell()
        self.outputs += [snapshot.levels for snapshot in self.lines.heard()]
        for link, role in zip(self.links, self.mail, strict=True):
            self.mail[role] += link.heard()
        return True

    def hold(self, levels: int, ms: float) -> None:
        """Keep the lines like this for a while."""
        until_ns = time.monotonic_ns() + round(ms * MS)
        self.lines.levels = levels
        while time.monotonic_ns() < until_ns:
            self.turn()
            time.sleep(0.003)

    def heard(self, kind: type[Message], role: str = "supervisor") -> list[Message]:
        return [message for message in self.mail[role] if isinstance(message, kind)]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Signal it, wait, and give its exit code and what it said."""
        assert self.child is not None
        self.child.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        assert self.child is not None
        _out, words = self.child.communicate(timeout=20)
        code = self.child.returncode
        self.child = None
        return code, words

    def close(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.communicate()
        for link in self.links:
            link.close()
        self.lines.close()


@pytest.fixture
def process(run_dir: Path) -> Iterator[Process]:
    made = Process(run_dir)
    yield made
    made.close()


def state(process: Process) -> State:
    found = process.heard(State)
    assert found
    last = found[-1]
    assert isinstance(last, State)
    return last


class Notes:
    """Lines, black box and desks that write down in which order they were used."""

    packet, received_ns = b"", 0

    def __init__(self) -> None:
        self.order: list[str] = []
        self.sent: list[int] = []

    def send(self, now_ns: int, levels: int) -> bool:
        self.order.append("lines")
        self.sent.append(levels)
        return True

    def __getattr__(self, name: str) -> Any:
        return lambda *words: self.order.append(name)


def noted(outputs: Outputs) -> Notes:
    notes = Notes()
    seam: Any = notes
    loop = Loop(Room().executive, Room().gate, seam, dict.fromkeys(Peer, seam), seam)
    loop._apply(0, outputs)
    os.close(loop._wake_read)
    os.close(loop._wake_write)
    return notes


def test_the_intent_is_written_before_pulse_rises_and_all_else_after() -> None:
    record: Any = object()
    post = (Peer.SUPERVISOR, ResetTimer(1))
    rising = Outputs(mask(Out.PULSE), 1, False, [post], record, None, None)
    assert noted(rising).order == ["intent", "lines", "latch", "post"]
    falling = Outputs(1, 1, False, [post, post], None, record, record)
    assert noted(falling).order == ["lines", "close_pulse", "stray", "latch", "post", "post"]
    assert noted(Outputs(0, 1, False, [], None, None, None)).order == ["latch"]


@pytest.mark.parametrize(
    ("before", "lines", "told"),
    [(0, Out.PULSE, True), (0, Out.TONE, False), (mask(Out.PULSE), Out.TONE, False)],
)
def test_the_executive_is_told_when_pulse_has_left(before: int, lines: Out, told: bool) -> None:
    seam: Any = Notes()
    loop = Loop(Room().executive, Room().gate, seam, dict.fromkeys(Peer, seam), seam)
    executive: Any = loop.executive
    executive.firing = seam
    loop._sent = before
    loop._apply(0, Outputs(mask(lines), 1, False, [], None, None, None))
    os.close(loop._wake_read)
    os.close(loop._wake_write)
    assert ("left" in seam.order) is told


class Slow(Notes):
    """Lines whose every reading takes a while, and a clock that knows."""

    def __init__(self, takes_ns: int) -> None:
        super().__init__()
        self.takes_ns = takes_ns
        self.now_ns = 10 * S
        self.received_ns = self.now_ns
        self.read: list[int] = []

    def fileno(self) -> int:
        return -1

    def drain(self, now_ns: int) -> Inputs:
        self.read.append(now_ns)
        self.now_ns += self.takes_ns
        return Inputs(True, 1, RESTING | len(self.read) << In.XRAY_ON, 1, xray_rises=1)


@pytest.mark.parametrize(("takes_ns", "readings"), [(READ_AGAIN_NS, 1), (READ_AGAIN_NS + 1, 2)])
def test_lines_that_were_read_too_long_ago_are_read_again(
    monkeypatch: pytest.MonkeyPatch, takes_ns: int, readings: int
) -> None:
    lines: Any = Slow(takes_ns)
    loop = Loop(Room().executive, Room().gate, lines, {}, lines)
    monkeypatch.setattr("realtime.loop.monotonic_ns", lambda: lines.now_ns)
    seen: list[tuple[int, Inputs]] = []

    def step(_beam: Any, _gate: Any, now_ns: int, inputs: Inputs, *_more: Any) -> Outputs:
        seen.append((now_ns, inputs))
        return Outputs(0, now_ns + MS, False, [], None, None, None)

    monkeypatch.setattr("realtime.loop.turn", step)
    loop.turn(lines.now_ns, False)
    os.close(loop._wake_read)
    os.close(loop._wake_write)
    ((now_ns, inputs),) = seen
    assert lines.read == [10 * S, 10 * S + takes_ns][:readings]
    assert now_ns == 10 * S + takes_ns
    assert (inputs.levels, inputs.xray_rises) == (RESTING | readings << In.XRAY_ON, readings)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_says_hello_and_ends_cleanly(process: Process, number: int) -> None:
    process.start().connect()
    hello = process.heard(Hello)[0]
    assert isinstance(hello, Hello)
    assert process.child is not None
    assert (hello.role, hello.pid, hello.pulse_id_floor) == ("realtime", process.child.pid, 1)
    eventually(
        lambda: process.turn() and bool(process.heard(State)) and state(process).link,
        "it reports fresh lines",
    )
    assert state(process).trips == []
    code, words = process.end(number)
    assert code == 0, words
    left = {path.name for path in process.run_dir.iterdir()}
    assert left == {"lines.sock", "blackbox.ring", "realtime.json"}
    head = unpack_head((process.run_dir / "blackbox.ring").read_bytes()[:PAGE])
    assert (head.running, head.latched) == (0, 0)
    checks = json.loads((process.run_dir / "realtime.json").read_text())
    assert {check["id"] for check in checks} >= {"fifo", "wake_up_late_us"}


def test_a_press_is_called_and_an_end_in_a_run_is_dark_first(process: Process) -> None:
    process.start().connect()
    process.hold(RESTING, 150)
    process.hold(FLUORO, 150)
    assert len(process.heard(Press)) == 1
    assert state(process).beam == "called"
    process.end()
    process.mail["supervisor"] += process.links[0].heard()
    ends = process.heard(RunEnd)
    assert [(end.reason, end.code) for end in ends if isinstance(end, RunEnd)] == [
        ("dark", "stopping")
    ]
    assert not any(levels & mask(Out.PULSE, Out.PERMIT) for levels in process.outputs)


def test_a_release_is_answered_within_the_turn(process: Process) -> None:
    process.start().connect()
    process.hold(RESTING, 150)
    process.hold(FLUORO, 150)
    process.hold(RESTING, 100)
    ends = [end for end in process.heard(RunEnd) if isinstance(end, RunEnd)]
    assert [end.reason for end in ends] == ["release"]
    process.end()


def test_a_place_that_is_taken_is_one_sentence_and_code_3(process: Process, run_dir: Path) -> None:
    process.start().connect()
    before = (run_dir / "blackbox.ring").read_bytes()
    second = Process.__new__(Process)
    second.run_dir, second.config, second.child = run_dir, BENCH, None
    code, words = second.start().wait()
    assert code == 3
    said = [line for line in words.splitlines() if line.startswith("realtime:")]
    assert len(said) == 1
    assert "--run-dir" in said[0]
    assert "Traceback" not in words
    process.hold(RESTING, 60)
    assert process.child is not None
    assert process.child.poll() is None, "the first one goes on"
    after = (run_dir / "blackbox.ring").read_bytes()
    assert after == before, "the second one has not touched the black box"
    process.end()


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("window_us = 13000", "window_us = 5", "panel.window_us"),
        ("window_us = 13000", "window = 13000", "panel.window"),
        ("run_max_s = 600.0", "run_max_s = nan", "beam.run_max_s"),
        ('driver = "wire"', 'driver = "gpio"', "lines.driver"),
        ('profile = "bench"', "profile = ", "file"),
    ],
)
def test_a_bad_configuration_is_code_2_and_names_the_key(
    process: Process, tmp_path: Path, old: str, new: str, key: str
) -> None:
    text = BENCH.read_text()
    assert old in text
    process.config = tmp_path / "bad.toml"
    process.config.write_text(text.replace(old, new))
    code, words = process.start().wait()
    assert code == 2
    assert words.startswith(f"realtime: {key} = ")
    assert len(words.splitlines()) == 1
    assert {path.name for path in process.run_dir.iterdir()} == {"lines.sock"}, "nothing started"


def test_a_run_directory_that_is_missing_is_one_sentence(process: Process) -> None:
    process.run_dir = process.run_dir / "missing"
    code, words = process.start().wait()
    assert code == 3
    assert "Traceback" not in words


def test_after_a_kill_the_next_start_is_latched(process: Process, run_dir: Path) -> None:
    process.start().connect()
    process.end(signal.SIGKILL)
    for link in process.links:
        link.close()
    process.links.clear()
    process.mail["supervisor"].clear()
    process.lines.hang_up()
    process.start().connect(epoch=2)
    eventually(lambda: process.turn() and bool(process.heard(State)), "it reports its state")
    assert state(process).trips == ["unclean_restart"]
    assert state(process).beam == "tripped"
    code, words = process.end()
    assert code == 0, words


FAULTY = """
import sys
from realtime import __main__, correspondence
def fails(self, now_ns, message, raw):
    assert False, "our bug"
correspondence.Correspondence._reset_timer = fails
sys.argv[0] = "realtime"
sys.exit(__main__.main())
"""


def test_an_exception_is_dark_and_latched_over_the_restart(process: Process) -> None:
    process.start(program=FAULTY).connect()
    process.hold(RESTING, 150)
    process.hold(FLUORO, 150)
    assert state(process).beam == "called"
    process.links[0].say(ResetTimer(1))
    code, words = process.wait()
    assert code == 1
    assert "our bug" in words
    process.outputs += [snapshot.levels for snapshot in process.lines.heard()]
    assert not process.outputs[-1] & mask(Out.PULSE)
    head = unpack_head((process.run_dir / "blackbox.ring").read_bytes()[:PAGE])
    assert from_bits(head.latched) == [TripCode.CRASH]
    assert {path.name for path in process.run_dir.glob("*.sock")} == {"lines.sock"}


def test_first_light_is_inhibited(process: Process) -> None:
    process.start("--inhibited").connect()
    process.hold(RESTING, 100)
    assert "run_inhibited" in state(process).inhibits
    process.end()


def test_lines_that_fall_silent_are_not_fresh(process: Process) -> None:
    process.start().connect()
    process.hold(RESTING, 100)
    assert state(process).link

    def reported() -> bool:
        process.mail["supervisor"] += process.links[0].heard()
        return "lines_not_fresh" in state(process).inhibits

    eventually(reported, "silence is noticed")
    process.end()


def test_a_stop_and_continue_keeps_it_alive_and_reports_how_late_it_was(
    process: Process,
) -> None:
    process.start().connect()
    process.hold(RESTING, 100)
    assert process.child is not None
    os.kill(process.child.pid, signal.SIGSTOP)
    time.sleep(0.1)
    os.kill(process.child.pid, signal.SIGCONT)
    process.hold(RESTING, 100)
    late = [s for s in process.heard(State) if isinstance(s, State) and s.late_max_ns > 50 * MS]
    assert late
    assert late[0].late_cause
    code, words = process.end()
    assert code == 0, words
