"""Preflight: make this process fit for real time, then test the effect, not the setting.

Lives here: scheduling, memory lock, and the measurement of what they brought; the list of what is
degraded.  May not live here: the choice to go on; that is the profile's (bench tolerates, board
inhibits).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import time
from pathlib import Path
from typing import Final, NamedTuple

FIFO_PRIORITY: Final = 50
PROBE_TURNS: Final = 40
PROBE_SLEEP_S: Final = 0.001
WAKE_NS_MAX: Final = 2_000_000
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
    """Measure; takes about PROBE_TURNS ms."""
    return [_fifo(), _locked(), _wake_up(), _tmpfs(run_dir)]


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


def _wake_up() -> Check:
    worst_ns = 0
    for _ in range(PROBE_TURNS):
        before_ns = time.monotonic_ns()
        time.sleep(PROBE_SLEEP_S)
        worst_ns = max(worst_ns, time.monotonic_ns() - before_ns - int(PROBE_SLEEP_S * 1e9))
    return Check("wake_up_late_us", worst_ns / 1000, f"at most {WAKE_NS_MAX / 1000:g}",
                 worst_ns <= WAKE_NS_MAX, "free the machine of other load")  # fmt: skip


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
