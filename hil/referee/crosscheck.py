"""Truth against what left by public files: the black box and the recorded headers of the stream.

Lives here: pairing emitted pulses with records and headers by time.  May not live here: any code of
the executive but the black box's byte layout.  Both files hold their own stamps of the same host
clock; a pulse belongs to the record whose PULSE was high when it began.
"""

from __future__ import annotations

import bisect
import json
from pathlib import Path
from typing import Any, Final

from hil.referee.truth import Truth
from realtime.wire.record import BlackBoxError, Record, RecordKind
from realtime.wire.recordfile import walk

# The executive stamps its send, the rig the kernel's arrival.
STAMP_SLACK_NS: Final = 1_000_000
OPEN_END_NS: Final = 60_000_000
EXAMPLES_MAX: Final = 5
FRAMES_MAX: Final = 5_000_000


class Unreadable(ValueError):
    """A file beside the log that cannot be used."""

    def __init__(self, path: Path, code: str, detail: str, line: int | None = None) -> None:
        super().__init__(f"{path}: {code}: {detail}")
        self.path = path
        self.code = code
        self.detail = detail
        self.line = line


class Row:
    """Count of one comparison."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.exercised = 0
        self.violations = 0
        self.set_apart = 0
        self.first_t_ns: int | None = None
        self.examples: list[str] = []

    def saw(self, t_ns: int, wrong: str | None = None) -> None:
        """One comparison; `wrong` None means both sides agree."""
        self.exercised += 1
        if wrong is None:
            return
        self.violations += 1
        self.first_t_ns = t_ns if self.first_t_ns is None else min(t_ns, self.first_t_ns)
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(wrong)

    @property
    def status(self) -> str:
        """`violated`, `holds` or `not_exercised`."""
        if self.violations:
            return "violated"
        return "holds" if self.exercised else "not_exercised"

    def row(self) -> dict[str, Any]:
        """As an invariant's row, with `id` in place of `n`."""
        return {
            "id": self.name,
            "exercised": self.exercised,
            "violations": self.violations,
            "first_t_ns": self.first_t_ns,
            "status": self.status,
            "set_apart": self.set_apart,
            "examples": self.examples,
        }


class Check:
    """A comparison that sees every truth record and ends with rows."""

    def take(self, record: Truth) -> None:
        """One truth record, in order of stamps."""

    def rows(self) -> list[dict[str, Any]]:
        """The rows, once the log has ended."""
        return []


def load_blackbox(path: Path) -> list[Record]:
    """Readable records by start; raises Unreadable."""
    try:
        image = path.read_bytes()
        entries = list(walk(image))
    except OSError as error:
        raise Unreadable(path, "unreadable", str(error)) from None
    except BlackBoxError as error:
        raise Unreadable(path, error.code, str(error)) from None
    return sorted((e.record for e in entries if e.record is not None), key=begin_ns)


def begin_ns(record: Record) -> int:
    """When the record's pulse began: its PULSE, or the X-rays nobody asked for."""
    return record.start_ns or record.xray_on_ns or record.due_ns


class BlackBox(Check):
    """Emitted pulses against the records of the black box.

    X-rays that the rig told late (`edge_late`) came, for the executive, after their pulse: what it
    then records beside the pulse's own record is neither right nor wrong, and set apart.
    """

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.starts = [begin_ns(record) for record in records]
        self.taken: set[int] = set()
        self.told_late: list[tuple[int, int]] = []
        self.first_ns = 0
        self.last_ns = 0
        self.recorded = Row("recorded_is_emitted")
        self.technique = Row("blackbox_technique")

    def take(self, record: Truth) -> None:
        """Look up the record of each pulse that begins."""
        self.first_ns = self.first_ns or record.t_ns
        self.last_ns = record.t_ns
        if record.kind == "process" and record.name == "edge_late":
            self.told_late.append((record.t_ns - record.value, record.t_ns + STAMP_SLACK_NS))
        if record.kind != "photons_on":
            return
        place = self._place(record.t_ns)
        found = self.records[place] if place >= 0 else None
        if found is None or place in self.taken:
            self.recorded.saw(record.t_ns, f"pulse {record.pulse_id} has no record of its own")
            return
        self.taken.add(place)
        self.recorded.saw(record.t_ns)
        if found.kind is RecordKind.PULSE:
            used = record.value["technique_id"]
            wrong = f"pulse {record.pulse_id} used {used}, recorded is {found.technique_id}"
            self.technique.saw(record.t_ns, None if used == found.technique_id else wrong)

    def _place(self, t_ns: int) -> int:
        """The record of an emission, -1 for none: a pulse's own before a stray beside it."""
        last = bisect.bisect_right(self.starts, t_ns + STAMP_SLACK_NS) - 1
        around = [place for place in (last, last - 1)
                  if place >= 0 and t_ns <= self._end_ns(self.records[place])]  # fmt: skip
        own = [place for place in around if self.records[place].kind is RecordKind.PULSE]
        free = [place for place in [*own, *around] if place not in self.taken]
        return [*free, *around, -1][0]

    @staticmethod
    def _end_ns(record: Record) -> int:
        return (record.end_ns or begin_ns(record) + OPEN_END_NS) + STAMP_SLACK_NS

    def rows(self) -> list[dict[str, Any]]:
        """Also: records that claim X-rays inside the log's span and belong to no pulse."""
        for place, record in enumerate(self.records):
            inside = self.first_ns <= self.starts[place] and self._end_ns(record) <= self.last_ns
            if not (inside and record.xray_on_ns and place not in self.taken):
                continue
            if record.kind is RecordKind.STRAY and self._was_told_late(record.xray_on_ns):
                self.recorded.set_apart += 1
            else:
                self.recorded.saw(self.starts[place], f"record {record.pulse_id}: never emitted")
        return [self.recorded.row(), self.technique.row()]

    def _was_told_late(self, t_ns: int) -> bool:
        return any(from_ns <= t_ns <= to_ns for from_ns, to_ns in self.told_late)


class OneModePerRun(Check):
    """Black box alone: a run has one mode, and its pulses count up by one."""

    def __init__(self, records: list[Record]) -> None:
        self.records = [r for r in records if r.kind is RecordKind.PULSE]

    def rows(self) -> list[dict[str, Any]]:
        """Judge run by run."""
        row = Row("one_mode_per_run")
        seen: dict[int, tuple[int, int]] = {}
        for record in self.records:
            mode, last_n = seen.get(record.run_id, (record.mode, record.pulse_n - 1))
            wrong = None
            if mode != record.mode:
                wrong = f"run {record.run_id} changes its mode at pulse {record.pulse_n}"
            elif record.pulse_n != last_n + 1:
                wrong = f"run {record.run_id}: pulse {record.pulse_n} after {last_n}"
            row.saw(begin_ns(record), wrong)
            seen[record.run_id] = (record.mode, record.pulse_n)
        return [row.row()]


def load_headers(path: Path) -> list[dict[str, Any]]:
    """Frame and loss headers of a recording, one JSON object per line; raises Unreadable."""
    headers = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                header = json.loads(line)
                if not isinstance(header, dict) or "schema" not in header:
                    raise Unreadable(path, "header", "no schema", number)
                if header["schema"] in ("carm.frame/1", "carm.loss/1") and not header.get("resend"):
                    headers.append(header)
                if len(headers) > FRAMES_MAX:
                    raise Unreadable(path, "length", f"more than {FRAMES_MAX} headers", number)
    except OSError as error:
        raise Unreadable(path, "unreadable", str(error)) from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(path, "json", str(error)[:80]) from None
    return headers


class Frames(Check):
    """Emitted pulses against published frames and loss records."""

    def __init__(self, headers: list[dict[str, Any]]) -> None:
        self.frames = [h for h in headers if h["schema"] == "carm.frame/1" and _exposed(h)]
        self.frames.sort(key=lambda header: int(header["exposure_start_ns"]))
        self.starts = [int(header["exposure_start_ns"]) for header in self.frames]
        self.lost = sum(1 for header in headers if header["schema"] == "carm.loss/1")
        self.taken: set[int] = set()
        self.unpaired: list[tuple[int, int | None]] = []
        self.account = Row("frames_account")
        self.technique = Row("frame_technique")

    def take(self, record: Truth) -> None:
        """Look up the frame of each pulse that begins."""
        if record.kind != "photons_on":
            return
        place = bisect.bisect_right(self.starts, record.t_ns + STAMP_SLACK_NS) - 1
        header = self.frames[place] if place >= 0 else None
        if header is None or record.t_ns > int(header["exposure_end_ns"]) + STAMP_SLACK_NS:
            self.unpaired.append((record.t_ns, record.pulse_id))
            return
        if place in self.taken:
            self.account.saw(record.t_ns, f"frame {header.get('seq')} stands for two pulses")
            return
        self.taken.add(place)
        self.account.saw(record.t_ns)
        used, told = record.value["technique_id"], header.get("technique_id")
        wrong = f"pulse {record.pulse_id} used {used}, its frame says {told}"
        self.technique.saw(record.t_ns, None if used == told else wrong)

    def rows(self) -> list[dict[str, Any]]:
        """What has no frame must be covered by as many loss records."""
        for number, (t_ns, pulse_id) in enumerate(self.unpaired):
            covered = number < self.lost
            wrong = f"pulse {pulse_id} has neither frame nor loss record"
            self.account.saw(t_ns, None if covered else wrong)
        return [self.account.row(), self.technique.row()]


def _exposed(header: dict[str, Any]) -> bool:
    return isinstance(header.get("exposure_start_ns"), int) and isinstance(
        header.get("exposure_end_ns"), int
    )


def checks_for(blackbox: Path | None, frames: Path | None) -> list[Check]:
    """The comparisons that the given files allow; raises Unreadable."""
    checks: list[Check] = []
    if blackbox is not None:
        records = load_blackbox(blackbox)
        checks += [BlackBox(records), OneModePerRun(records)]
    if frames is not None:
        checks.append(Frames(load_headers(frames)))
    return checks
