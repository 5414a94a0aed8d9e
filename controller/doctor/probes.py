"""Measurements of effects on this machine, one function each, all of them short.

Lives here: measuring.  May not live here: limits.  A probe answers with a number or a word; what it
cannot measure it says in words, which are never within a limit.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from controller.doctor.table import Measured
from realtime.preflight import worst_wake_up_us

SYNC_BYTES: Final = 65_536
SYNCS: Final = 3
WORK_ROUNDS: Final = 30_000
REST_S: Final = 0.03
KERNEL_ROUNDS: Final = 3
KERNEL_WAKES: Final = 100
# RT throttling lets a FIFO process have 950 of every 1000 ms; a little more than one period shows.
HOLD_S: Final = 1.1
BEAM_SOCKETS: Final = ("orders.sock", "verdicts.sock", "local.sock")
NOBODY: Final = 65_534
_STA_UNSYNC: Final = 0x0040
PROC: Final = Path("/proc")


def sync_ms(folder: Path) -> Measured:
    """The slowest of a few synced writes, ms."""
    worst_ns = 0
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for _ in range(SYNCS):
                begun_ns = time.monotonic_ns()
                file.write(bytes(SYNC_BYTES))
                file.flush()
                os.fsync(file.fileno())
                worst_ns = max(worst_ns, time.monotonic_ns() - begun_ns)
    except OSError as error:
        return f"cannot write: {error.strerror}"
    return worst_ns / 1e6


def free_mb(folder: Path, wanted_mb: float) -> Measured:
    """How much can really be reserved in a file there, up to `wanted_mb`, MB.

    What `df` says is the file system's; a quota or a limit of ours may allow less.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, round(wanted_mb * 1e6))
            return wanted_mb
    except OSError:
        status = os.statvfs(folder)
        return min(status.f_bavail * status.f_frsize / 1e6, wanted_mb - 1)


def as_user(uid: int, gid: int, question: Callable[[], str]) -> str:
    """What `question` answers when asked as another user (as ourselves without root)."""
    if os.geteuid() != 0:
        return question()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            os.write(write, question().encode()[:200])
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        told = answer.read().decode()
    os.waitpid(pid, 0)
    return told


def own_folders(uid: int, gid: int, folders: Iterable[Path]) -> Measured:
    """`writable` when the user can make a file in each, else the first that is not."""

    def question() -> str:
        for folder in folders:
            try:
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                return f"{folder}: {error.strerror}"
        return "writable"

    return as_user(uid, gid, question)


def strangers(run_dir: Path) -> Measured:
    """`kept out` when a stranger can connect to no socket of the beam path."""
    if os.geteuid() != 0:
        return "not measured: needs root"

    def question() -> str:
        for name in BEAM_SOCKETS:
            with socket.socket(socket.AF_UNIX, _kind(name)) as knock:
                try:
                    knock.connect(str(run_dir / name))
                except OSError:
                    continue
                return f"{name} is open to everybody"
        return "kept out"

    return as_user(NOBODY, NOBODY, question)


def _kind(name: str) -> socket.SocketKind:
    return socket.SOCK_STREAM if name == "local.sock" else socket.SOCK_SEQPACKET


def swapped_kb(pids: Iterable[int], proc: Path = PROC) -> Measured:
    """Sum of what the processes have in swap, kB."""
    total = 0
    for pid in pids:
        try:
            lines = (proc / str(pid) / "status").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith("VmSwap")), 0)
    return float(total)


def slow_after_idle() -> Measured:
    """How many times longer a piece of work takes right after a rest than at its best."""
    warm = min(_work_ns() for _ in range(20))
    cold = []
    for _ in range(5):
        time.sleep(REST_S)
        cold.append(_work_ns())
    return sorted(cold)[len(cold) // 2] / warm


def _work_ns() -> int:
    begun_ns = time.monotonic_ns()
    total = 0
    for number in range(WORK_ROUNDS):
        total += number
    return time.monotonic_ns() - begun_ns


def longest_hold_ms() -> Measured:
    """Longest gap in a loop that never waits, at FIFO for a little more than a second, ms."""
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError as error:
        return f"FIFO is not granted: {error.strerror}"
    try:
        begun_ns = last_ns = time.monotonic_ns()
        worst_ns = 0
        while last_ns - begun_ns < HOLD_S * 1e9:
            now_ns = time.monotonic_ns()
            worst_ns = max(worst_ns, now_ns - last_ns)
            last_ns = now_ns
    finally:
        os.sched_setscheduler(0, policy, parameter)
    return worst_ns / 1e6


def neighbours(core: int, ours: Iterable[int], proc: Path = PROC) -> Measured:
    """How many running processes of others the kernel has on `core` over a few looks."""
    found: set[int] = set()
    known = {*ours, os.getpid()}
    for _ in range(10):
        for stat in proc.glob("[0-9]*/stat"):
            pid = int(stat.parent.name)
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            # state, …, processor (field 39), rt_priority (field 40); kernel threads have no vsize
            if fields[0] == "R" and int(fields[36]) == core and fields[20] != "0":
                found.add(pid)
        time.sleep(0.01)
    return float(len(found - known))


class _Timex(ctypes.Structure):
    _fields_ = [
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long), ("esterror", ctypes.c_long), ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    ]  # fmt: skip


def kernel_clock() -> tuple[int, int]:
    """(status bits, largest error in µs) as the kernel keeps them for the wall clock."""
    timex = _Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return timex.status, timex.maxerror


def clock_error_ms() -> Measured:
    """How wrong the wall clock may be by the kernel's own account, ms."""
    try:
        status, error_us = kernel_clock()
    except OSError as error:
        return f"not measured: {error.strerror}"
    return "nobody synchronises it" if status & _STA_UNSYNC else error_us / 1000


# An ordinary process that hardly ever leaves the kernel: pages cleared and given back, again and
# again.  It ends by itself, also where we are killed meanwhile.
_IN_KERNEL: Final = """
import mmap, os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.write(1, b".")
end, into = time.monotonic() + 5, bytearray(1 << 24)
with open("/dev/zero", "rb", 0) as zero:
    while time.monotonic() < end:
        zero.readinto(into)
        mmap.mmap(-1, 1 << 24, flags=mmap.MAP_PRIVATE | mmap.MAP_POPULATE).close()
"""


def kernel_holds_us() -> Measured:
    """The latest wake-up at FIFO while a neighbour on our core is inside the kernel, µs.

    A kernel that preempts itself lets us go at once, whatever its name; one that does not, when the
    neighbour's system call is over.  The best of some rounds: what is lasting shows in every one.
    """
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    cores = os.sched_getaffinity(0)
    core = min(cores)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError as error:
        return f"FIFO is not granted: {error.strerror}"
    try:
        os.sched_setaffinity(0, {core})
        with _neighbour_in_kernel(core):
            return min(worst_wake_up_us(KERNEL_WAKES) for _ in range(KERNEL_ROUNDS))
    except OSError as error:
        return f"not measured: {error.strerror}"
    finally:
        os.sched_setaffinity(0, cores)
        os.sched_setscheduler(0, policy, parameter)


@contextlib.contextmanager
def _neighbour_in_kernel(core: int) -> Iterator[None]:
    """Ours is FIFO; a child that inherited that would never let us ask for its end."""
    read, write = os.pipe()
    with os.fdopen(read, "rb", 0) as said:
        try:
            pid = os.posix_spawn(
                sys.executable, [sys.executable, "-I", "-S", "-c", _IN_KERNEL, str(core)], {},
                file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)],
                scheduler=(os.SCHED_OTHER, os.sched_param(0)),
            )  # fmt: skip
        finally:
            os.close(write)
        try:
            said.read(1)
            yield
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
