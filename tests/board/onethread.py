"""Stops one thread of a running process and no other, as a hang of that task alone.

Lives here: the tracer's calls.  May not live here: which thread is which.  A traced thread that
is interrupted stands still while its neighbours run; the abort of the process ends it all the same.
"""

import ctypes
import os
import time
from pathlib import Path
from typing import Final

PTRACE_SEIZE: Final = 0x4206
PTRACE_INTERRUPT: Final = 0x4207
STOP_MAX_S: Final = 2.0
REAP_MAX_S: Final = 20.0
WAIT_ALL: Final = 0x40000000
_traced: dict[int, list[int]] = {}


def threads(pid: int) -> list[int]:
    """Threads in the order of their start; the first is the main one."""
    return sorted(int(path.name) for path in Path(f"/proc/{pid}/task").iterdir())


def _state(pid: int, thread: int) -> str:
    return Path(f"/proc/{pid}/task/{thread}/stat").read_text().rpartition(")")[2].split()[0]


def stop(pid: int, thread: int) -> None:
    """Stop it; raises OSError when the kernel refuses, TimeoutError when it does not stop."""
    _traced.setdefault(pid, []).append(thread)
    libc = ctypes.CDLL(None, use_errno=True)
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        if libc.ptrace(request, thread, 0, 0) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), f"thread {thread}")
    until_s = time.monotonic() + STOP_MAX_S
    while _state(pid, thread) not in "tT":
        if time.monotonic() > until_s:
            raise TimeoutError(f"thread {thread} does not stop")
        time.sleep(0.005)


def reap_of(pid: int) -> None:
    """Let every thread of an ended process go that we have traced."""
    for thread in _traced.pop(pid, []):
        reap(thread)


def reap(thread: int) -> None:
    """Let the ended thread go; until then its process cannot end either."""
    until_s = time.monotonic() + REAP_MAX_S
    while time.monotonic() < until_s:
        try:
            number, status = os.waitpid(thread, os.WNOHANG | WAIT_ALL)
        except ChildProcessError:
            return
        if number and (os.WIFEXITED(status) or os.WIFSIGNALED(status)):
            return
        time.sleep(0.005)
    raise TimeoutError(f"thread {thread} does not end")
