"""Structured lines to stderr: `level what key=value …`, rate-limited per kind.

Lives here: the form, the limit, and the set-up of a process's log.  May not live here: what is
worth a line.  journald and the console add the time; a kind that floods is counted and told later.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

# Enough to follow a run pulse by pulse at 30/s for a third of a second, never a flood.
LINES_PER_KIND_AND_SECOND: Final = 10
KINDS_MAX: Final = 256
_LEVELS: Final = {
    "debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING,
    "error": logging.ERROR,
}  # fmt: skip


class RateLimit(logging.Filter):
    """Lets LINES_PER_KIND_AND_SECOND lines of a kind pass; the next line says what was left out."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """False when this kind has had its lines in this second."""
        kind = str(getattr(record, "kind", record.msg))[:80]
        second = time.monotonic_ns() // 1_000_000_000
        at, count = self._seen.get(kind, (second, 0))
        if at != second:
            record.left_out = max(0, count - LINES_PER_KIND_AND_SECOND)
            at, count = second, 0
        if len(self._seen) >= KINDS_MAX and kind not in self._seen:
            self._seen.clear()
        self._seen[kind] = (at, count + 1)
        return count < LINES_PER_KIND_AND_SECOND


class KeyValue(logging.Formatter):
    """`info reset cleared=executive_lost`; values with blanks are JSON strings."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the values hold."""
        fields: dict[str, Any] = dict(getattr(record, "fields", {}))
        left_out = getattr(record, "left_out", 0)
        if left_out:
            fields["left_out"] = left_out
        words = [record.levelname.lower(), record.name, record.getMessage()]
        words += [f"{key}={_plain(value)}" for key, value in fields.items()]
        if record.exc_info:
            words.append(f"traceback={json.dumps(self.formatException(record.exc_info))}")
        return " ".join(words)


def _plain(value: Any) -> str:
    text = str(value)
    return text if text and not set(text) & set(' "=\n') else json.dumps(text, ensure_ascii=False)


def to_stderr() -> None:
    """Set the process's log up; called once, by a main."""
    stream = logging.StreamHandler(sys.stderr)
    stream.addFilter(RateLimit())
    stream.setFormatter(KeyValue())
    logging.basicConfig(level=logging.INFO, handlers=[stream], force=True)
    logging.getLogger("canopen").setLevel(logging.ERROR)
    logging.getLogger("can").setLevel(logging.ERROR)


def line(log: logging.Logger, level: str, what: str, fields: Mapping[str, Any]) -> None:
    """Write one structured line of kind `what`."""
    log.log(_LEVELS[level], what, extra={"kind": what, "fields": fields})
