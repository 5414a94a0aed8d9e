"""Real-time clothes for a process: FIFO scheduling, locked memory, no garbage collection.

Lives here: asking the kernel for them and saying what was not granted.  May not live here: what
the process does with its time.
"""

from __future__ import annotations

import ctypes
import gc
import os
from typing import Final

MCL_CURRENT_FUTURE: Final = 3


def become(priority: int) -> list[str]:
    """Ask for all of it; returns what was refused, in words (the process runs on, degraded)."""
    degraded = []
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as error:
        degraded.append(f"no SCHED_FIFO: {error.strerror}")
    if ctypes.CDLL(None, use_errno=True).mlockall(MCL_CURRENT_FUTURE) != 0:
        degraded.append(f"memory not locked: {os.strerror(ctypes.get_errno())}")
    gc.collect()
    gc.freeze()
    gc.disable()
    return degraded
