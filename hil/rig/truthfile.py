"""Writer of `truth.jsonl`: one JSON object a line, in the order in which the room made them.

Lives here: the file and its buffer.  May not live here: what is true (`hil.room`) or the words
(`docs/truth.md`).  Lines are whole or absent: a half line left by a killed rig is cut off on open.
Nothing of this process stands before the room's own first line.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from hil.room.records import TruthRecord

BUFFER_LINES_MAX: Final = 2048
HELD_MAX: Final = 256
_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def line_of(record: TruthRecord) -> str:
    """The line of a record; `pulse_id` only where there is one."""
    row: dict[str, Any] = {
        "t_ns": record.t_ns,
        "kind": record.kind,
        "name": record.name,
        "value": record.value,
    }
    if record.pulse_id:
        row["pulse_id"] = record.pulse_id
    return _encode(row) + "\n"


def _whole_lines_end(fd: int) -> int:
    """Offset behind the last newline of the file."""
    end = os.fstat(fd).st_size
    while end:
        start = max(end - 65_536, 0)
        at = os.pread(fd, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


class TruthFile:
    """The file; may be written from several threads, flushed by one of them."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self._fd, _whole_lines_end(self._fd))
        os.lseek(self._fd, 0, os.SEEK_END)
        self._lock = threading.Lock()
        self._buffer: list[str] = []
        self._held: list[str] = []
        self._begun = False
        self.lines = 0

    def room(self, records: Iterable[TruthRecord]) -> None:
        """Append what rig-line reports."""
        lines = [line_of(record) for record in records]
        with self._lock:
            if not self._begun:
                self._begun = True
                lines += self._held
                self._held = []
            self._append(lines)

    def own(self, t_ns: int, kind: str, name: str, value: Any) -> None:
        """Append a record of this process, after the room's first line."""
        line = line_of(TruthRecord(t_ns, kind, name, value, 0))
        with self._lock:
            if self._begun:
                self._append([line])
            elif len(self._held) < HELD_MAX:
                self._held.append(line)

    def _append(self, lines: list[str]) -> None:
        self._buffer += lines
        if len(self._buffer) > BUFFER_LINES_MAX:
            self._write()

    def _write(self) -> None:
        chunk = "".join(self._buffer).encode("utf-8")
        self.lines += len(self._buffer)
        self._buffer = []
        while chunk:
            chunk = chunk[os.write(self._fd, chunk) :]

    def flush(self) -> int:
        """Write what is buffered; returns the number of lines written so far."""
        with self._lock:
            self._write()
            return self.lines

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        os.close(self._fd)
