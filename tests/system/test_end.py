"""The end at any instant: Ctrl-C, kills in any number; dark first, a clean end, no litter."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import controller
from controller.cli.launch import PARTS, is_alive, read_pids
from controller.cli.machine import end
from tests.system.machine import MS, Machine
from tests.system.test_bad_input import carm

SHARED_MEMORY: Final = Path("/dev/shm")
END_MAX_S: Final = 40.0
INTERRUPTS: Final = 4
START_S: Final = 4.0
# The launcher gives a part up that dies ten times within 10 s: at the last kill of a life.
KILLS_EACH: Final = 10
LIVES: Final = 2
KILLS_MAX_S: Final = 30.0
LIFE_MAX_S: Final = 0.4
DARK_MS: Final = 150.0
# How a traceback names a line of this project.
OURS: Final = str(Path(controller.__file__).parent)
# What a run directory holds when nothing runs in it: records, no sockets and no pids.
KEPT: Final = {
    "log", "rig", "state", "blackbox.ring", "calibration.npz", "truth.jsonl", "realtime.json",
}  # fmt: skip


def named_memory(run_dir: Path) -> set[Path]:
    """Files in shared memory that processes of a run directory hold open or mapped."""
    held = set()
    for pid in ours(run_dir):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/maps").read_text().split()
            words += [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
            held |= {Path(word) for word in words if word.startswith(f"{SHARED_MEMORY}/")}
    return held


def stages_of(pid: int) -> list[str]:
    """Run directories that a process made for a stage."""
    return [name for name in os.listdir(SHARED_MEMORY) if name.startswith(f"carm-{pid}-")]


def ours(run_dir: Path) -> list[int]:
    """Processes whose command line names the run directory, whoever started them."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(run_dir) in (place / "cmdline").read_bytes().decode(errors="replace"):
                found.append(int(place.name))
    return [pid for pid in found if is_alive(pid)]


def assert_clean(run_dir: Path) -> None:
    """No process, no socket, no pid file."""
    assert ours(run_dir) == []
    if run_dir.exists():
        assert {path.name for path in run_dir.iterdir()} <= KEPT


@contextlib.contextmanager
def carm_in_foreground(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A command as in a terminal: a session of its own, interrupted as a whole."""
    process = subprocess.Popen(
        [sys.executable, "-m", "controller.cli.main", *words], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def interrupted(process: subprocess.Popen[str], after_s: float) -> tuple[int, str]:
    """Ctrl-C after a while: what a terminal sends to every process in the foreground."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after_s)
    assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=END_MAX_S)
    return process.returncode, said


@pytest.mark.process
@pytest.mark.parametrize("n", range(INTERRUPTS))
def test_ctrl_c_ends_up_cleanly(small: Path, tmp_path: Path, chance: random.Random, n: int) -> None:
    run_dir = tmp_path / "run"
    # The first instants are the start-up's, the last ones the running machine's.
    after_s = chance.uniform(0.0, START_S) * (n + 1) / INTERRUPTS
    words = ("up", "--run-dir", str(run_dir), "--config", str(small), "--foreground")
    with carm_in_foreground(*words) as process:
        await_begun(run_dir)
        code, said = interrupted(process, after_s)
    assert (code, "Traceback" in said) == (130, False), f"after {after_s:.2f} s: {said}"
    assert_clean(run_dir)


def await_begun(run_dir: Path) -> None:
    """Until here Python itself is being loaded, and Ctrl-C is answered by Python."""
    until_s = time.monotonic() + END_MAX_S
    while not run_dir.exists():
        assert time.monotonic() < until_s
        time.sleep(0.005)


@pytest.mark.process
def test_ctrl_c_before_anything_began_starts_nothing(
    small: Path, tmp_path: Path, chance: random.Random
) -> None:
    run_dir = tmp_path / "run"
    words = ("up", "--run-dir", str(run_dir), "--config", str(small), "--foreground")
    with carm_in_foreground(*words) as process:
        code, said = interrupted(process, chance.uniform(0.0, 0.15))
    # Before our first line Python dies of the signal (a shell shows that as 130 as well), or gives
    # up with 1 where it was loading modules of its own: no line of ours is in what it says then.
    died_loading = code == 1 and "KeyboardInterrupt" in said and OURS not in said
    assert code in (130, -signal.SIGINT) or died_loading, said
    assert_clean(run_dir)


@pytest.mark.process
@pytest.mark.parametrize("n", range(2))
def test_ctrl_c_ends_the_demo_cleanly(
    small: Path, tmp_path: Path, chance: random.Random, n: int
) -> None:
    after_s = chance.uniform(0.5, 3.0) if n == 0 else chance.uniform(4.0, 7.0)
    out = tmp_path / "out"
    with carm_in_foreground("demo", "--out", str(out), "--config", str(small)) as process:
        code, said = interrupted(process, after_s)
        assert stages_of(process.pid) == []
    assert (code, "Traceback" in said) == (130, False), f"after {after_s:.2f} s: {said}"


@pytest.mark.process
@pytest.mark.invariant(12)
def test_told_to_end_in_mid_beam_it_is_dark_first(small: Path) -> None:
    with Machine(small) as machine:
        struck: list[int] = []

        def occasion() -> None:
            machine.shine()
            launcher = read_pids(machine.run_dir)["launcher"]
            struck.append(machine.act(f"signal launcher {launcher} TERM", 0.3, "pulse",
                                      "process", "launcher", "sigterm"))  # fmt: skip

        machine.play(occasion)
        machine.wait("the end", lambda: not ours(machine.run_dir), END_MAX_S)
        hv = [r for r in machine.written() if r.kind == "hv"]
        assert hv[-1].value == 0
        assert hv[-1].t_ns - struck[-1] < DARK_MS * MS
        lines = {r.name: r.value for r in machine.written() if r.kind == "line"}
        assert (lines["permit_ok"], lines["pulse"]) == (0, 0)


def kill_each(run_dir: Path, times: int, chance: random.Random) -> int:
    """Kill every part so many times, each at a random instant of its new life; how many died."""
    left = dict.fromkeys(PARTS, times)
    due_s = dict.fromkeys(PARTS, 0.0)
    until_s = time.monotonic() + KILLS_MAX_S
    while any(left.values()) and time.monotonic() < until_s:
        pids = read_pids(run_dir)
        for name in PARTS:
            if left[name] and is_alive(pids.get(name, 0)) and time.monotonic() > due_s[name]:
                os.kill(pids[name], signal.SIGKILL)
                left[name] -= 1
                due_s[name] = time.monotonic() + chance.uniform(0.1, LIFE_MAX_S)
        time.sleep(0.005)
    return times * len(PARTS) - sum(left.values())


@pytest.mark.process
@pytest.mark.invariant(12)
def test_a_hundred_kills_leave_no_litter(
    small: Path, tmp_path: Path, chance: random.Random
) -> None:
    run_dir = tmp_path / "run"
    words = ("--run-dir", str(run_dir), "--config", str(small), "--json")
    kills, memory = 0, set()
    for _ in range(LIVES):
        started = carm("up", *words)
        assert started.returncode == 0, started.stdout
        memory |= named_memory(run_dir)
        try:
            kills += kill_each(run_dir, KILLS_EACH, chance)
        finally:
            assert end(run_dir)
        assert_clean(run_dir)
    assert kills == LIVES * KILLS_EACH * len(PARTS) >= 100
    assert carm("up", *words).returncode == 0
    assert carm("down", "--run-dir", str(run_dir)).returncode == 0
    assert_clean(run_dir)
    assert [path for path in memory if path.exists()] == []
