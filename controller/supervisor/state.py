"""The state directory: what must survive the process, and the lock that keeps a second one out.

Lives here: lock, epoch, latches, account, each written whole or not at all and synced.  May not
live here: the durable copy of the pulses (`controller.supervisor.durable`), or decisions.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.core.faults import BY_ID, HELD_MAX, Held
from controller.core.reconcile import Account
from controller.core.refusal import Blame, Refusal

LATCHES = "latches.json"
ACCOUNT = "account.json"
EPOCH = "epoch"
LOCK = "lock"


def write_whole(path: Path, text: str) -> None:
    """Replace a file so that power loss leaves the old or the new content, never a mixture."""
    fresh = path.with_suffix(path.suffix + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        os.write(fd, text.encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@dataclass(slots=True)
class StateDir:
    """An owned state directory; `epoch` is greater than that of every earlier supervisor."""

    path: Path
    epoch: int
    _lock_fd: int

    @classmethod
    def claim(cls, path: Path) -> StateDir:
        """Take the lock and the next epoch; raises Refusal when another supervisor lives (F45)."""
        path.mkdir(parents=True, exist_ok=True)
        fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise _second(path / LOCK) from None
        epoch = _read_epoch(path / EPOCH) + 1
        write_whole(path / EPOCH, f"{epoch}\n")
        return cls(path, epoch, fd)

    def release(self) -> None:
        """Let the lock go."""
        os.close(self._lock_fd)

    def read_latches(self, now_ns: int) -> tuple[Held, ...]:
        """Faults to come up with: those held at the end, and `unclean_restart` if it was none."""
        try:
            stored = json.loads((self.path / LATCHES).read_text(encoding="utf-8"))
            held = tuple(_held(entry) for entry in stored["held"][:HELD_MAX])
            clean = stored["clean"]
            if type(clean) is not bool:
                raise ValueError("clean is not a boolean")
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError) as error:
            return (Held("latches_unreadable", f"{type(error).__name__}: {error}"[:200], now_ns),)
        if clean or any(one.id == "unclean_restart" for one in held):
            return held
        return (*held, Held("unclean_restart", "", now_ns))

    def write_latches(self, held: tuple[Held, ...], clean: bool) -> None:
        """Store the faults held; `clean` says that the process ends in good order."""
        body = {"clean": clean, "held": [[one.id, one.detail, one.t_ns] for one in held]}
        write_whole(self.path / LATCHES, json.dumps(body) + "\n")

    def read_account(self) -> Account | None:
        """The last moment at which generator and records agreed, None when there was none."""
        try:
            stored = json.loads((self.path / ACCOUNT).read_text(encoding="utf-8"))
            return Account(int(stored["counter"]), int(stored["records"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_account(self, account: Account) -> None:
        """Store it."""
        body = {"counter": account.counter, "records": account.records}
        write_whole(self.path / ACCOUNT, json.dumps(body) + "\n")


def _second(lock: Path) -> Refusal:
    return Refusal(
        "second_supervisor", Blame.MACHINE, "state/lock", str(lock),
        "one supervisor per run directory",
        "end the other one with carm down, or use another --run-dir",
    )  # fmt: skip


def _held(entry: Any) -> Held:
    id_, detail, t_ns = entry
    if id_ not in BY_ID or type(detail) is not str or type(t_ns) is not int:
        raise ValueError(f"unknown entry {entry!r:.60}")
    return Held(id_, detail, t_ns)


def _read_epoch(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        remedy = f"write the last known epoch into it ({error})"
        raise Refusal(
            "epoch_unreadable", Blame.MACHINE, "state/epoch", str(path), "a whole number", remedy
        ) from None
