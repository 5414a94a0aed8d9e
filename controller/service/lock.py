"""One service process per run directory.

Lives here: the lock.  May not live here: anything else; two processes that answer the same commands
would each keep its own memory of what was already done.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.core.refusal import Blame, Refusal


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; raises Refusal when another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Refusal("second_service", Blame.MACHINE, "lock", str(folder), "one per run directory",
                      "end the other one first") from None  # fmt: skip
    finally:
        os.close(fd)
