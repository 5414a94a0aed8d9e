"""`carm referee` as a function: files in, one object and an exit code out.

Lives here: opening the files, progress on stderr for long logs, refusals in the form of
`docs/schemas/refusal`.  May not live here: judging, or printing the result.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from hil.referee import crosscheck, elsewhere
from hil.referee.mqttlog import load_recording
from hil.referee.network import Network
from hil.referee.referee import Referee, violated
from hil.referee.truth import Truth, TruthError, ordered

PROGRESS_LINES: Final = 250_000
GOOD: Final = 0
JUDGED_BAD: Final = 1
REFUSED: Final = 2


def refusal(path: Path, code: str, detail: str, line: int | None = None) -> dict[str, Any]:
    """The object that refuses an input file."""
    error: dict[str, Any] = {
        "code": code,
        "blame": "input",
        "file": str(path),
        "value": detail,
        "allowed": "a file as described in docs/truth.md, docs/black-box.md, docs/frame-stream.md, "
        "docs/mqtt.md",
        "remedy": "record the file again, or cut it before this line",
    }
    if line is not None:
        error["line"] = line
    return {"error": error}


def _reported(lines: Iterable[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if number % PROGRESS_LINES == 0:
            sys.stderr.write(f"{path.name}: {number // 1000} thousand lines\n")
        yield line


def records_of(path: Path) -> Iterator[Truth]:
    """Records of a log with progress on stderr; raises TruthError, OSError."""
    try:
        with path.open(encoding="utf-8") as lines:
            yield from ordered(_reported(lines, path))
    except UnicodeDecodeError as error:
        raise TruthError(1, "utf-8", str(error)[:80]) from None


def _judge(truth: Path, checks: list[crosscheck.Check]) -> dict[str, Any]:
    referee = Referee()
    for record in records_of(truth):
        referee.take(record)
        for check in checks:
            check.take(record)
    if referee.records == 0:
        raise TruthError(1, "empty", "no record at all")
    referee.finish()
    verdict = referee.verdict()
    verdict["crosschecks"] = [row for check in checks for row in check.rows()]
    verdict["elsewhere"] = elsewhere.rows()
    return verdict


def run_referee(
    truth: Path, blackbox: Path | None = None, frames: Path | None = None,
    mqtt: Path | None = None,
) -> tuple[dict[str, Any], int]:  # fmt: skip
    """Judge `truth`, beside black box, recorded frame headers and MQTT traffic when given.

    Returns the object of schema `carm.referee/1` and 0 or 1, or a refusal and 2.
    """
    try:
        checks = crosscheck.checks_for(blackbox, frames)
        checks += [Network(load_recording(mqtt))] if mqtt is not None else []
    except crosscheck.Unreadable as error:
        return refusal(error.path, error.code, error.detail, error.line), REFUSED
    try:
        verdict = _judge(truth, checks)
    except TruthError as error:
        return refusal(truth, error.code, error.detail, error.line), REFUSED
    except OSError as error:
        return refusal(truth, "unreadable", str(error)), REFUSED
    crossed = any(row["status"] == "violated" for row in verdict["crosschecks"])
    return verdict, JUDGED_BAD if violated(verdict) or crossed else GOOD


def table(verdict: dict[str, Any]) -> list[str]:
    """The verdict as lines of text for people."""
    lines = [f"{verdict['records']} records, {verdict['pulses']} pulses, {verdict['span_s']} s"]
    for row in [*verdict["invariants"], *verdict["crosschecks"]]:
        lines.append(
            f"{row['n'] if 'n' in row else row['id']!s:>20}  {row['status']:<14}"
            f"exercised {row['exercised']:>7}  violations {row['violations']}"
        )
        lines += [f"{'':>20}  {example}" for example in row["examples"]]
    late = verdict["rig_late"]
    if late["intervals"]:
        lines.append(
            f"set apart: the rig itself was late {late['intervals']} times, {late['worst_ms']} ms"
        )
    return lines
