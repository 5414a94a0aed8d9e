"""The truth of one case, cut out of the log of a rig that goes on.

Lives here: reading what is new in `truth.jsonl`, and the levels a cut begins with.  May not live
here: a judgement.  A cut is a truth log of its own: the rig's parameters and each level first, as
`docs/truth.md` has it, then every record since.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from hil.referee.truth import parse
from hil.rig.truthfile import line_of
from hil.room.records import TruthRecord

STANDING: Final = frozenset({"contact", "interlock", "line"})
PARAMETERS: Final = ("rig", "bank0", "bank1")
# One case is a minute at most, at some hundred records a second; a file that runs away is a bug.
RECORDS_MAX: Final = 2_000_000


class TruthLog:
    """`begin` starts a cut, `read` goes on with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_to = 0
        self._lines = 0
        self._records: list[TruthRecord] = []
        self._levels: dict[tuple[str, str], TruthRecord] = {}
        self._begun_ns = 0

    def read(self) -> list[TruthRecord]:
        """Every record of the cut so far, by stamp; raises TruthError, OSError."""
        with self._path.open("rb") as file:
            file.seek(self._read_to)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for text in whole.decode("utf-8").splitlines():
            self._lines += 1
            one = parse(text, self._lines)
            self._records.append(
                TruthRecord(one.t_ns, one.kind, one.name, one.value, one.pulse_id or 0)
            )
        assert len(self._records) <= RECORDS_MAX, "a case without end"
        self._records.sort(key=lambda record: record.t_ns)
        return self._records

    def begin(self, now_ns: int) -> None:
        """Forget what was, save the levels in which it ended."""
        self._begun_ns = now_ns
        for record in self.read():
            standing = record.kind in STANDING
            if standing or (record.kind == "process" and record.name in PARAMETERS):
                self._levels[record.kind, record.name] = record
        self._records = []

    def cut(self) -> list[TruthRecord]:
        """The cut as a log: parameters, levels, records."""
        records = self.read()
        t_ns = min([self._begun_ns, *(record.t_ns for record in records[:1])])
        head = [
            TruthRecord(t_ns, one.kind, one.name, one.value, one.pulse_id)
            for one in sorted(self._levels.values(), key=lambda one: one.kind != "process")
        ]
        return head + records


def digest(records: list[TruthRecord]) -> str:
    """SHA-256 over the lines of a cut."""
    total = hashlib.sha256()
    for record in records:
        total.update(line_of(record).encode("utf-8"))
    return total.hexdigest()
