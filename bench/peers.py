"""Bare programs that a figure is measured beside: an echo, a sleeper, a waker, a copy.

Lives here: the least code that uses the same system calls as the product and does nothing else.
May not live here: code of the product.  Each runs as its own process with FIFO scheduling where it
is granted: `python -m bench.peers echo|sleep|wake|copy …` prints one JSON object.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import random
import select
import socket
import sys
import time
from collections.abc import Callable
from typing import Final

import numpy as np

CLOCK_MONOTONIC: Final = 1
TIMER_ABSTIME: Final = 1
MCL_CURRENT_FUTURE: Final = 3
PACKET: Final = bytes(28)
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Timespec(ctypes.Structure):
    """struct timespec of a 64-bit machine."""

    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


def realtime(priority: int) -> bool:
    """FIFO, locked memory, no garbage collection; False when FIFO is not granted."""
    _LIBC.mlockall(MCL_CURRENT_FUTURE)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError:
        return False
    return True


def sleep_until(due_ns: int) -> None:
    """Absolute sleep in the kernel; returns late by what the kernel is late."""
    due = Timespec(due_ns // 1_000_000_000, due_ns % 1_000_000_000)
    _LIBC.clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, ctypes.byref(due), None)


def echo_back(sock: socket.socket) -> None:
    """Return every packet at once until the other end closes."""
    while True:
        select.select([sock], [], [])
        packet = sock.recv(64)
        if not packet:
            return
        sock.send(packet)


def echo(count: int, priority: int = 60) -> list[float]:
    """Round trips of one 28-byte packet over a Unix seqpacket to a FIFO peer and back, µs."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        realtime(priority - 10)
        echo_back(theirs)
        os._exit(0)
    theirs.close()
    realtime(priority)
    chance = random.Random(1)
    trips_us = []
    try:
        for _ in range(count):
            # Between two trips both sleep, as contact and executive do.
            sleep_until(time.monotonic_ns() + chance.randrange(2_000_000, 6_000_000))
            sent_ns = time.monotonic_ns()
            ours.send(PACKET)
            select.select([ours], [], [])
            ours.recv(64)
            trips_us.append((time.monotonic_ns() - sent_ns) / 1000)
    finally:
        ours.close()
        os.waitpid(pid, 0)
    return trips_us


def sleep(count: int, period_ns: int = 5_000_000, priority: int = 50) -> list[float]:
    """Lateness of a periodic absolute sleep, µs."""
    realtime(priority)
    due_ns = time.monotonic_ns() + period_ns
    late_us = []
    for _ in range(count):
        sleep_until(due_ns)
        now_ns = time.monotonic_ns()
        late_us.append((now_ns - due_ns) / 1000)
        # A stall longer than a period is one late sample, not a burst of them.
        due_ns = max(due_ns + period_ns, now_ns + period_ns // 2)
    return late_us


def wake(count: int, period_s: float = 0.014, priority: int = 50) -> list[float]:
    """Processor time of waking up from `select`, doing nothing and waiting again, µs."""
    realtime(priority)
    silent, nobody = os.pipe()
    spent_us = []
    before_ns = time.thread_time_ns()
    for _ in range(count):
        select.select([silent], [], [], period_s)
        now_ns = time.thread_time_ns()
        spent_us.append((now_ns - before_ns) / 1000)
        before_ns = now_ns
    os.close(silent)
    os.close(nobody)
    return spent_us


def copy(count: int, side: int = 1024) -> list[float]:
    """Copies of one 16-bit frame between two touched buffers, ms."""
    source = np.ones((side, side), np.uint16)
    target = np.zeros_like(source)
    times_ms = []
    for _ in range(count):
        began_ns = time.monotonic_ns()
        np.copyto(target, source)
        times_ms.append((time.monotonic_ns() - began_ns) / 1e6)
    return times_ms


def main() -> int:
    """`echo N`, `sleep N`, `wake N` or `copy N`."""
    what, count = sys.argv[1], int(sys.argv[2])
    programs: dict[str, Callable[[int], list[float]]] = {
        "echo": echo, "sleep": sleep, "wake": wake, "copy": copy,
    }  # fmt: skip
    samples = programs[what](count)
    sys.stdout.write(json.dumps({"samples": samples}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
