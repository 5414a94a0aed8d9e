"""What service writes down: audit log, replay window, event log.

Lives here: the three files, each bounded, each readable after a crash.  May not live here: what is
worth an entry.  An accepted command is on disk before it runs, so none runs twice or unseen.
"""

from __future__ import annotations

import errno
import json
import os
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

from controller.service.core.chain import (
    EMPTY,
    Damage,
    Head,
    entry,
    first_head,
    verify,
)
from controller.service.core.limits import AUDIT_BYTES_MAX, EVENTS_KEPT_MAX
from controller.service.core.replay import Taken, Window
from controller.supervisor.state import write_whole

AUDIT: Final = "audit.jsonl"
AUDIT_BEFORE: Final = "audit.1.jsonl"
AUDIT_HEAD: Final = "audit.head"
REPLAY: Final = "replay.log"
EVENTS: Final = "events.jsonl"
_HEAD_BYTES: Final = 96


class AuditDamaged(Exception):
    """The audit log does not hold together."""


def _append(path: Path) -> IO[bytes]:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    return os.fdopen(fd, "ab", buffering=0)


def _write_line(file: IO[bytes], text: str) -> None:
    """A whole line or none: half of one would spoil the next.  Raises OSError."""
    content = text.encode() + b"\n"
    before = os.fstat(file.fileno()).st_size
    if file.write(content) != len(content):
        os.ftruncate(file.fileno(), before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_head(folder: Path) -> Head | None:
    """The head kept beside the audit log, None when there is none."""
    try:
        stored = json.loads((folder / AUDIT_HEAD).read_text(encoding="ascii"))
        return Head(int(stored["seq"]), str(stored["hash"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="ascii", errors="replace") as source:
        for text in source:
            yield text.rstrip("\n")


def verify_audit(folder: Path) -> tuple[int, str, Damage | None]:
    """(entries, file of the damage, damage or None) of the whole kept audit log."""
    files = [folder / name for name in (AUDIT_BEFORE, AUDIT) if (folder / name).exists()]
    kept = read_head(folder)
    files = [path for path in files if path.stat().st_size]
    if not files:
        return 0, AUDIT, None if kept is None else Damage(0, "the log is missing")
    start: Head | None = None
    count = 0
    for number, path in enumerate(files, start=1):
        first = next(_lines(path), "")
        try:
            begin = first_head(first) if start is None else start
        except (ValueError, KeyError, TypeError) as error:
            return count, path.name, Damage(1, f"not an entry: {error}")
        end, damage = verify(_lines(path), begin, kept if number == len(files) else None)
        count += end.seq - begin.seq
        if damage is not None:
            return count, path.name, damage
        start = end
    return count, files[-1].name, None


class AuditLog:
    """Appends entries to the chain.

    A torn last line of a crash is cut off and told.  A log that was changed is not continued:
    raises AuditDamaged, so that the evidence stays as it is.
    """

    def __init__(self, folder: Path, t_ms: int) -> None:
        self._folder = folder
        torn = self._cut_torn_line()
        self.head = self._checked()
        self._settled = read_head(folder)
        self._file = _append(folder / AUDIT)
        self._head_file = os.open(folder / AUDIT_HEAD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if torn:
            self.write(t_ms, "recovered", {"torn_bytes": torn}, durable=True)

    def write(
        self, t_ms: int, kind: str, fields: Mapping[str, Any], *, durable: bool = False
    ) -> None:
        """Add an entry; with `durable` it is on disk on return.  Raises OSError."""
        if self._file.tell() > AUDIT_BYTES_MAX:
            self._turn_over()
        text, after = entry(self.head, t_ms, kind, fields)
        _write_line(self._file, text)
        self.head = after
        if durable:
            self.settle()

    def settle(self) -> None:
        """Entries to disk, then their head: the kept head is never ahead of the log."""
        if self._settled == self.head:
            return
        os.fsync(self._file.fileno())
        kept = json.dumps({"seq": self.head.seq, "hash": self.head.hash})
        os.pwrite(self._head_file, kept.ljust(_HEAD_BYTES).encode() + b"\n", 0)
        self._settled = self.head

    def close(self) -> None:
        """Close the files."""
        self.settle()
        self._file.close()
        os.close(self._head_file)

    def _turn_over(self) -> None:
        self._file.close()
        (self._folder / AUDIT).replace(self._folder / AUDIT_BEFORE)
        self._file = _append(self._folder / AUDIT)

    def _cut_torn_line(self) -> int:
        """Cut off what a crash left behind the last line end; returns its bytes."""
        path = self._folder / AUDIT
        if not path.exists():
            return 0
        whole = path.read_bytes()
        good = whole.rfind(b"\n") + 1
        if good < len(whole):
            os.truncate(path, good)
        return len(whole) - good

    def _checked(self) -> Head:
        _, file, damage = verify_audit(self._folder)
        if damage is not None:
            raise AuditDamaged(f"{file} line {damage.line}: {damage.what}")
        for name in (AUDIT, AUDIT_BEFORE):
            path = self._folder / name
            last = next(iter(deque(_lines(path), maxlen=1)), "") if path.exists() else ""
            if last:
                return Head(first_head(last).seq + 1, last[-66:-2])
        return EMPTY


class ReplayFile:
    """The replay window on disk."""

    def __init__(self, folder: Path, capacity: int) -> None:
        self._path = folder / REPLAY
        self.window = Window(capacity)
        self._load()
        self._rewrite()

    def keep(self, key: str, taken: Taken) -> None:
        """Write down an id that the window has taken; on disk on return.  Raises OSError."""
        _write_line(self._file, f"{taken.expires_ms} {taken.taken_ms} {taken.digest} {key}")
        os.fsync(self._file.fileno())
        self._rows += 1
        if self._rows > 2 * self.window.capacity:
            self._file.close()
            self._rewrite()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _load(self) -> None:
        try:
            rows = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return
        for row in rows:
            words = row.split(" ")
            if len(words) == 2 and words[0] == "floor" and words[1].isdigit():
                self.window.floor_ms = max(self.window.floor_ms, int(words[1]))
            elif len(words) == 4 and words[0].isdigit() and words[1].isdigit():
                self.window.ids[words[3]] = Taken(int(words[0]), int(words[1]), words[2])

    def _rewrite(self) -> None:
        rows = [f"floor {self.window.floor_ms}"]
        rows += [f"{t.expires_ms} {t.taken_ms} {t.digest} {k}" for k, t in self.window.ids.items()]
        write_whole(self._path, "\n".join(rows) + "\n")
        self._rows = len(rows)
        self._file = _append(self._path)


class EventLog:
    """The newest EVENTS_KEPT_MAX events, in memory and in a file of at most twice as many."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS
        self.kept: deque[str] = deque(maxlen=EVENTS_KEPT_MAX)
        if self._path.exists():
            self.kept.extend(_lines(self._path))
        self._start()

    def add(self, topic: str, payload: str) -> None:
        """Keep an event, `payload` being its JSON object.  Raises OSError."""
        text = f'{{"event":"{topic}",{payload[1:]}'
        self.kept.append(text)
        _write_line(self._file, text)
        self._rows += 1
        if self._rows > 2 * EVENTS_KEPT_MAX:
            self._file.close()
            self._start()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _start(self) -> None:
        write_whole(self._path, "".join(f"{text}\n" for text in self.kept))
        self._rows = len(self.kept)
        self._file = _append(self._path)
