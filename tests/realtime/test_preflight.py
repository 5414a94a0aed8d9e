"""Preflight: effects are measured, and each can fail with a remedy."""

import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import controller
from realtime import preflight
from realtime.__main__ import compose
from realtime.preflight import Check, checks
from realtime.trips import Inhibit
from realtime.wire.config import load
from tests.plugins.verdict import left_out

PROFILES = Path(controller.__file__).parent / "profiles"


def by_id(results: list[Check]) -> dict[str, Check]:
    return {check.id: check for check in results}


def test_every_check_measures_and_names_a_remedy(tmp_path: Path) -> None:
    results = checks(tmp_path)
    assert set(by_id(results)) == {
        "fifo", "wake_up_under_load_us", "memory_locked_kb", "faults_in_new_memory",
        "faults_in_turns", "wake_up_late_us", "clock_read_ns", "run_dir_file_system",
    }  # fmt: skip
    assert all(check.remedy and check.limit for check in results)
    wake = by_id(results)["wake_up_late_us"]
    assert isinstance(wake.measured, float)
    assert wake.measured > 0


def test_this_test_run_is_not_real_time(tmp_path: Path) -> None:
    fifo = by_id(checks(tmp_path))["fifo"]
    assert (fifo.measured, fifo.ok) == ("other", False)


@pytest.mark.parametrize(("policy", "ok"), [(os.SCHED_FIFO, True), (os.SCHED_RR, False)])
def test_only_fifo_is_fifo(monkeypatch: pytest.MonkeyPatch, policy: int, ok: bool) -> None:
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: policy)
    assert preflight._fifo().ok is ok


@pytest.mark.parametrize(("late_ns", "ok"), [(2_000_000, True), (2_000_001, False)])
def test_a_late_wake_up_is_seen(monkeypatch: pytest.MonkeyPatch, late_ns: int, ok: bool) -> None:
    now = [0]

    def sleep(seconds: float) -> None:
        now[0] += round(seconds * 1e9) + late_ns

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    check = preflight._wake_up()
    assert check.ok is ok
    assert check.measured == late_ns / 1000


@pytest.mark.parametrize(("bad_rounds", "ok"), [(1, True), (preflight.LOAD_ROUNDS, False)])
def test_one_bad_moment_at_the_start_does_not_keep_a_board_dark(
    monkeypatch: pytest.MonkeyPatch, bad_rounds: int, ok: bool
) -> None:
    rounds = iter([9_000.0] * bad_rounds + [80.0] * preflight.LOAD_ROUNDS)
    monkeypatch.setattr(preflight, "worst_wake_up_us", lambda: next(rounds))
    assert preflight._wake_up().ok is ok


def test_the_file_system_is_the_longest_mount_above() -> None:
    assert preflight._tmpfs(Path("/dev/shm")).measured in ("tmpfs", "ramfs", "overlay")
    assert preflight._tmpfs(Path("/proc")).measured == "proc"
    assert not preflight._tmpfs(Path("/proc")).ok


def test_locked_memory_is_read_from_the_kernel() -> None:
    check = preflight._locked()
    assert isinstance(check.measured, int)
    assert check.ok is (check.measured > 0)


def test_freezing_stops_the_collector() -> None:
    try:
        preflight.freeze()
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.enable()


PROBE = """
import ctypes, json, os, sys
sys.path[:0] = {path!r}
import controller
from realtime import preflight
from realtime.__main__ import compose
{spoil}
found = preflight.checks(__import__("pathlib").Path("/dev/shm"))
print(json.dumps([check._asdict() for check in found]))
"""
# Each spoils an effect while the setting that people look at stays right.
ONLY_WHAT_IS_THERE = """
ctypes.CDLL(None).mlockall(1)
"""
FIFO_BELOW_ANOTHER = """
preflight.claim()
import contextlib, subprocess
hog = subprocess.Popen([sys.executable, "-I", "-S", "-c", (
    "import os, time; os.sched_setaffinity(0, {0}); "
    "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(60)); os.write(1, b'.')\\n"
    "for _ in range(30):\\n"
    "    until = time.monotonic() + 0.008\\n"
    "    while time.monotonic() < until: pass\\n"
    "    time.sleep(0.012)\\n")], stdout=subprocess.PIPE)
whole = preflight._busy_neighbour
@contextlib.contextmanager
def behind(core):
    with whole(core):
        hog.stdout.read(1)
        yield
preflight._busy_neighbour = behind
os.sched_getaffinity = lambda pid: {0}
"""
MANY_PAGES_A_TURN = """
preflight.claim()
import mmap
ctypes.CDLL(None).munlockall()
ctypes.CDLL(None).mlockall(1)
def churn(turns):
    for _ in range(turns):
        with mmap.mmap(-1, 16 * mmap.PAGESIZE) as pages:
            for page in range(16): pages[page * mmap.PAGESIZE] = 1
preflight._churn = churn
"""
SLOW_CLOCK = """
preflight.claim()
import time
read = time.monotonic_ns
time.monotonic_ns = lambda: [read() for _ in range(40)][-1]
"""


def measured(spoil: str) -> dict[str, Check]:
    program = PROBE.replace("{path!r}", repr(sys.path)).replace("{spoil}", spoil)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=False, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return by_id([Check(**row) for row in json.loads(done.stdout)])


@pytest.fixture
def privileged() -> None:
    fit = measured("preflight.claim()")
    if not fit["fifo"].ok or not fit["memory_locked_kb"].ok:
        left_out("FIFO or locked memory is not granted here")


@pytest.mark.process
@pytest.mark.usefixtures("privileged")
@pytest.mark.parametrize(
    ("spoil", "looks_right", "broken"),
    [
        (ONLY_WHAT_IS_THERE, "memory_locked_kb", "faults_in_new_memory"),
        (FIFO_BELOW_ANOTHER, "fifo", "wake_up_under_load_us"),
        (MANY_PAGES_A_TURN, "memory_locked_kb", "faults_in_turns"),
        (SLOW_CLOCK, "fifo", "clock_read_ns"),
    ],
    ids=["only what is there", "below another", "pages a turn", "slow clock"],
)
def test_a_spoiled_effect_is_seen_though_the_setting_is_right(
    spoil: str, looks_right: str, broken: str
) -> None:
    found = measured(spoil)
    assert found[looks_right].ok
    assert not found[broken].ok, found[broken]
    assert found[broken].remedy


@pytest.mark.process
@pytest.mark.usefixtures("privileged")
def test_what_is_claimed_is_granted() -> None:
    found = measured("preflight.claim()")
    exact = ("fifo", "memory_locked_kb", "faults_in_new_memory", "faults_in_turns")
    assert [name for name in exact if not found[name].ok] == []


@pytest.mark.parametrize("profile", ["board", "bench"])
@pytest.mark.parametrize("ok", [True, False])
def test_a_board_that_is_not_fit_does_not_radiate(tmp_path: Path, profile: str, ok: bool) -> None:
    config = load(PROFILES / f"{profile}.toml")
    loop = compose(config, tmp_path, False, [Check("fifo", "x", "fifo", ok, "remedy")])
    try:
        refused = profile == "board" and not ok
        assert loop.executive.standing == ([Inhibit.PREFLIGHT] if refused else [])
    finally:
        loop.close()


def test_a_busy_neighbour_ends_by_itself_when_we_are_killed() -> None:
    """The process that loads our core for the probe is nobody's litter."""
    program = (
        "import os, signal\n"
        "from realtime import preflight\n"
        "with preflight._busy_neighbour(min(os.sched_getaffinity(0))):\n"
        "    children = open(f'/proc/self/task/{os.getpid()}/children').read()\n"
        "    print(children, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    neighbour = int(done.stdout.split()[0])
    deadline = time.monotonic() + 10 * preflight.NEIGHBOUR_S_MAX
    while Path(f"/proc/{neighbour}/stat").exists():
        state = Path(f"/proc/{neighbour}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            break
        assert time.monotonic() < deadline, "it burns on"
        time.sleep(0.05)
    assert done.returncode == -9
