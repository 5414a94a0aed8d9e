"""Preflight: make this process fit for real time, then test the effect, not the setting.

Lives here: scheduling, memory lock, and the measurement of what they brought; the list of what is
degraded.  May not live here: the choice to go on; that is the profile's (bench tolerates, board
inhibits).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

FIFO_PRIORITY: Final = 50
PROBE_TURNS: Final = 40
PROBE_SLEEP_S: Final = 0.001
WAKE_NS_MAX: Final = 2_000_000
LOAD_ROUNDS: Final = 3
# The rounds take some 0.2 s; whoever is left over burns no longer than this.
NEIGHBOUR_S_MAX: Final = 3
PROBE_PAGES: Final = 256
# Mapping itself may fault once or twice; 256 pages that were not there fault 256 times.
NEW_FAULTS_MAX: Final = 8
TURN_FAULTS_MAX: Final = 8
_TURN_BYTES: Final = 4096
CLOCK_ROUNDS: Final = 5
CLOCK_READS: Final = 200
# Through the vDSO it takes some 50 ns, and as much again for Python; through a device 1 µs or more.
CLOCK_NS_MAX: Final = 600
_MCL_CURRENT_AND_FUTURE: Final = 3
_PR_SET_TIMERSLACK: Final = 29


class Check(NamedTuple):
    """One measured effect."""

    id: str
    measured: float | str
    limit: str
    ok: bool
    remedy: str


def claim() -> None:
    """Ask for FIFO, locked memory and exact timers; what is refused shows in `checks`."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    libc.mlockall(_MCL_CURRENT_AND_FUTURE)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))


def freeze() -> None:
    """No collector pauses: everything allocated so far is permanent, nothing is collected."""
    gc.collect()
    gc.freeze()
    gc.disable()


def checks(run_dir: Path) -> list[Check]:
    """Measure; takes about 3 x PROBE_TURNS ms."""
    return [
        _fifo(), _preempts(), _locked(), _locked_later(), _faults_in_turns(), _wake_up(),
        _clock(), _tmpfs(run_dir),
    ]  # fmt: skip


def _fifo() -> Check:
    policy = os.sched_getscheduler(0)
    name = {os.SCHED_FIFO: "fifo", os.SCHED_OTHER: "other"}.get(policy, str(policy))
    return Check("fifo", name, "fifo", policy == os.SCHED_FIFO,
                 "run as root or with CAP_SYS_NICE (LimitRTPRIO=)")  # fmt: skip


def _locked() -> Check:
    lines = Path("/proc/self/status").read_text().splitlines()
    locked = next((int(line.split()[1]) for line in lines if line.startswith("VmLck")), 0)
    return Check("memory_locked_kb", locked, "above 0", locked > 0,
                 "run as root or with CAP_IPC_LOCK (LimitMEMLOCK=infinity)")  # fmt: skip


def _locked_later() -> Check:
    """Memory that is mapped from now on is there before it is touched."""
    with mmap.mmap(-1, PROBE_PAGES * mmap.PAGESIZE) as fresh:
        before = faults()
        for page in range(PROBE_PAGES):
            fresh[page * mmap.PAGESIZE] = 1
        found = faults() - before
    return Check("faults_in_new_memory", found, f"at most {NEW_FAULTS_MAX}",
                 found <= NEW_FAULTS_MAX,
                 "lock what is mapped later, too: LimitMEMLOCK=infinity")  # fmt: skip


def _faults_in_turns() -> Check:
    """What a turn does, again and again: small objects come and go, no page is touched anew."""
    _churn(PROBE_TURNS)
    before = faults()
    _churn(PROBE_TURNS)
    found = faults() - before
    return Check("faults_in_turns", found, f"at most {TURN_FAULTS_MAX}", found <= TURN_FAULTS_MAX,
                 "give the machine more memory, or lock it (LimitMEMLOCK=infinity)")  # fmt: skip


def _churn(turns: int) -> None:
    for turn in range(turns):
        bytes(_TURN_BYTES)
        [(turn, number) for number in range(100)]


def faults() -> int:
    """Page faults of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt + usage.ru_majflt


def _wake_up() -> Check:
    worst_us = _best_of(LOAD_ROUNDS)
    return Check("wake_up_late_us", worst_us, f"at most {WAKE_NS_MAX / 1000:g}",
                 worst_us * 1000 <= WAKE_NS_MAX, "free the machine of other load")  # fmt: skip


def worst_wake_up_us(turns: int = PROBE_TURNS) -> float:
    """The latest of `turns` wake-ups after 1 ms each, at the scheduling of the caller."""
    worst_ns = 0
    for _ in range(turns):
        before_ns = time.monotonic_ns()
        time.sleep(PROBE_SLEEP_S)
        worst_ns = max(worst_ns, time.monotonic_ns() - before_ns - int(PROBE_SLEEP_S * 1e9))
    return worst_ns / 1000


def _best_of(rounds: int) -> float:
    """What is lasting shows in every round; somebody else's moment does not."""
    worst_us = worst_wake_up_us()
    for _ in range(rounds - 1):
        if worst_us * 1000 <= WAKE_NS_MAX:
            break
        worst_us = worst_wake_up_us()
    return worst_us


def _preempts() -> Check:
    """A busy ordinary process on our own core does not keep us from waking in time."""
    cores = os.sched_getaffinity(0)
    core = min(cores)
    try:
        os.sched_setaffinity(0, {core})
        with _busy_neighbour(core):
            worst_us: float | str = _best_of(LOAD_ROUNDS)
    except OSError as error:
        worst_us = f"not measured: {error.strerror}"
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)
    ok = isinstance(worst_us, float) and worst_us * 1000 <= WAKE_NS_MAX
    return Check("wake_up_under_load_us", worst_us, f"at most {WAKE_NS_MAX / 1000:g}", ok,
                 "nothing may run above this process: look for other FIFO processes, "
                 "and for RT throttling")  # fmt: skip


@contextlib.contextmanager
def _busy_neighbour(core: int) -> Iterator[None]:
    """A process of ordinary priority that burns one core.  Spawned, not forked: a fork would make
    every locked page fault once more.  It ends by itself, also where we are killed meanwhile.
    """
    program = (
        f"import os, time; os.sched_setaffinity(0, {{{core}}}); os.write(1, b'.')\n"
        f"end = time.monotonic() + {NEIGHBOUR_S_MAX}\n"
        "while time.monotonic() < end: pass"
    )
    read, write = os.pipe()
    pid = os.posix_spawn(
        sys.executable, [sys.executable, "-I", "-S", "-c", program], {},
        file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)],
        scheduler=(os.SCHED_OTHER, os.sched_param(0)),
    )  # fmt: skip
    try:
        os.close(write)
        os.read(read, 1)
        yield
    finally:
        os.close(read)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _clock() -> Check:
    """The clock is read many times a turn; one that goes through a device costs microseconds."""
    spent_ns = []
    for _ in range(CLOCK_ROUNDS):
        begun_ns = time.monotonic_ns()
        for _ in range(CLOCK_READS):
            time.monotonic_ns()
        spent_ns.append((time.monotonic_ns() - begun_ns) / CLOCK_READS)
    cost_ns = min(spent_ns)
    return Check("clock_read_ns", round(cost_ns), f"at most {CLOCK_NS_MAX}",
                 cost_ns <= CLOCK_NS_MAX, "choose a clock source without a device: clocksource=tsc "
                 "or arch_sys_counter on the kernel's command line")  # fmt: skip


def _tmpfs(run_dir: Path) -> Check:
    """The black box must not wait for a disk: its file system is the longest mount above it."""
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _device, mount, filesystem, *_rest = line.split()
        inside = run_dir.resolve().is_relative_to(mount)
        if inside and len(mount) >= len(best):
            best, kind = mount, filesystem
    return Check("run_dir_file_system", kind, "tmpfs", kind in ("tmpfs", "ramfs"),
                 "choose a --run-dir under /run or /dev/shm")  # fmt: skip
