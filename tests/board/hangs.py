"""Hangs of one process or one task, and what must follow: dark, abort, dump, restart, latched.

Lives here: each kind of hang, its limits, and the sum over many.  May not live here: the other
expectations (`checks`).  A hang that found nothing shining when it struck says nothing of the time
to dark: it is counted apart (`dark_apart`) and never as 0.  Where a beam must go on and the room's
own truth or the kernel's counters say that this computer took it away, nobody judges the beam, and
that is counted apart, too (`beam_apart`).
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from controller.cli.clocks.runner import OF_THE_HOST
from tests.board import onethread
from tests.board.container import Container
from tests.board.machine import MS, Late, Machine, wait

WATCHDOG_S: Final = {"service": 10.0}
WATCHDOG_DEFAULT_S: Final = 3.0
# Between the abort and the new process: systemd's own RestartSec.
RESTART_S: Final = {"service": 1.0}
RESTART_DEFAULT_S: Final = 0.1
# A task that may wait for a disk is given 12 s more before the feeding stops (F40: 10 s).
PATIENCE_S: Final = {"durable": 12.0}
# Longer than any unit's own limit for its start.
START_MAX_S: Final = 30.0
# Design §3, by what hangs; imaging: two pulses at 15/s; the generator's thread: F17.
DARK_MAX_MS: Final = {
    "realtime": 20.0, "supervisor": 150.0, "imaging": 200.0, "main_step": 150.0,
    "generator": 300.0,
}  # fmt: skip
# Threads of the supervisor in the order of their start.
SUPERVISOR_TASKS: Final = ("main_step", "generator", "durable")
DUMP: Final = "Fatal Python error: Aborted"
# A beam that does not come so often is no matter of chance any more.
UNSTRUCK_MAX: Final = 3
KINDS: Final = ("realtime", "supervisor", "imaging", "main_step", "generator", "durable", "service")


def process_of(kind: str) -> str:
    """The process in which this hangs."""
    return "supervisor" if kind in SUPERVISOR_TASKS else kind


def restart_max_s(kind: str) -> float:
    """From the hang to the new process: patience, watchdog + 10 %, restart delay."""
    process = process_of(kind)
    watchdog_s = WATCHDOG_S.get(process, WATCHDOG_DEFAULT_S)
    return PATIENCE_S.get(kind, 0) + 1.1 * watchdog_s + RESTART_S.get(process, RESTART_DEFAULT_S)


@dataclass
class Tally:
    """What so many hangs of one kind have shown."""

    kind: str
    n: int = 0
    restarts_s: list[float] = field(default_factory=list)
    darks_ms: list[float] = field(default_factory=list)
    apart: int = 0
    beam_apart: int = 0
    failed: list[str] = field(default_factory=list)
    unstruck: list[str] = field(default_factory=list)

    def not_struck(self, why: str) -> None:
        """The beam did not come: told apart, because nothing was hung."""
        self.unstruck.append(why)

    def note(self, found: dict[str, Any]) -> None:
        """One hang, as `strike` found it."""
        self.n += 1
        self.restarts_s.append(found["restart_s"])
        if found["dark_ms"] is None:
            self.apart += 1
        else:
            self.darks_ms.append(found["dark_ms"])
        self.beam_apart += bool(found["beam_apart"])
        if found["wrong"]:
            self.failed.append(f"#{self.n}: {', '.join(found['wrong'])}")

    def lost(self, why: str) -> None:
        """One hang that could not be followed to its end."""
        self.n += 1
        self.failed.append(f"#{self.n}: {why}")

    def row(self) -> dict[str, Any]:
        """The sum as a check of the report."""
        slowest_s, darkest_ms = max(self.restarts_s, default=0), max(self.darks_ms, default=0)
        words = [f"restart_s max {slowest_s:.2f} of {restart_max_s(self.kind):.2f}"]
        if self.darks_ms:
            limit_ms, n = DARK_MAX_MS[self.kind], len(self.darks_ms)
            words.append(f"dark_ms max {darkest_ms:.1f} of {limit_ms:g}, n {n}")
        if self.apart:
            words.append(f"dark_apart {self.apart}")
        if self.beam_apart:
            words.append(f"beam_apart {self.beam_apart}")
        if self.unstruck:
            words.append(f"not_struck {len(self.unstruck)}: {self.unstruck[-1]}")
        good = self.n - len(self.failed)
        return {
            "id": f"hang_{self.kind}", "what": f"hangs of {self.kind} answered in full",
            "value": good, "unit": "hangs", "limit": self.n, "ok": self.n > 0 and good == self.n,
            "detail": "; ".join([*words, *self.failed[:3]]),
        }  # fmt: skip


class NotStruck(Exception):
    """The beam did not come, so nothing was hung: no hang, and no answer to one."""


def strike(box: Container, board: Machine, kind: str) -> dict[str, Any]:
    """One hang in exposure.  Raises NotStruck before it; Late, OSError, TimeoutError after it."""
    unit = f"carm-{process_of(kind)}.service"
    try:
        # One that is still starting has no watchdog yet, only a time limit of its own.
        wait("an active unit", lambda: board.active(unit), START_MAX_S)
        board.shine()
    except (Late, OSError, TimeoutError) as why:
        raise NotStruck(str(why)) from None
    box.ask("systemctl", "reset-failed", unit)
    old, pid, since_s = box.show(unit, "NRestarts"), box.main_pid(unit), time.time()
    hung_ns = _hang(pid, kind)
    limit_s = restart_max_s(kind)
    wait("an abort", lambda: _has_ended(pid), 2 * limit_s)
    _let_go(pid, kind)
    wait("a restart", lambda: box.show(unit, "NRestarts") != old, limit_s)
    # By systemd's own stamp of the new process; ours would count the asking, too.  The count of
    # restarts rises before there is a new process, so its stamp is waited for.
    stamp = "ExecMainStartTimestampMonotonic"
    wait("a new process", lambda: int(box.show(unit, stamp)) * 1000 > hung_ns, limit_s)
    restart_s = int(box.show(unit, stamp)) / 1e6 - hung_ns / 1e9
    wrong = [] if 0 < restart_s <= limit_s else [f"restarted after {restart_s:.2f} s"]
    follow = _goes_on if kind == "service" else _ends
    followed = follow(board, kind, hung_ns)
    wait("a dump", lambda: DUMP in box.journal(unit, since_s), limit_s)
    return {"beam_apart": "", "restart_s": restart_s, **followed,
            "wrong": wrong + followed["wrong"]}  # fmt: skip


def _has_ended(pid: int) -> bool:
    """The process has died; one with a traced thread stays a zombie until that is let go."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def _hang(pid: int, kind: str) -> int:
    hung_ns = time.monotonic_ns()
    if kind in SUPERVISOR_TASKS:
        thread = onethread.threads(pid)[SUPERVISOR_TASKS.index(kind)]
        hung_ns = time.monotonic_ns()
        onethread.stop(pid, thread)
    else:
        os.kill(pid, signal.SIGSTOP)
    return hung_ns


def _let_go(pid: int, kind: str) -> None:
    if kind in SUPERVISOR_TASKS:
        onethread.reap_of(pid)


def _ends(board: Machine, kind: str, hung_ns: int) -> dict[str, Any]:
    """Dark in time, up again latched, READY by a local act alone, nothing resumed."""
    wrong, dark_ms = [], None
    if kind in DARK_MAX_MS:
        ends = board.hv(0, hung_ns)
        # Without an end after the hang nothing shone from then on: that is no time to dark.
        dark_ms = (max(ends) - hung_ns) / MS if ends else None
        if dark_ms is not None and dark_ms > DARK_MAX_MS[kind]:
            wrong.append(f"dark after {dark_ms:.1f} ms")
    wait("an answer", lambda: board.mode() not in ("", "BOOT", "SELF_TEST"), 15)
    latched, before_ns = board.mode(), time.monotonic_ns()
    if latched != "FAULT":
        wrong.append(f"came up {latched}")
    # Foot still down: nothing may shine, whatever is asked at the board.
    if "error" not in board.say("reset"):
        wrong.append("reset with the pedal down")
    time.sleep(0.3)
    board.do("release fluoro")
    time.sleep(0.15)
    board.make_ready()
    if board.hv(1, before_ns):
        wrong.append("exposure resumed")
    return {"dark_ms": dark_ms, "wrong": wrong}


def _goes_on(board: Machine, kind: str, hung_ns: int) -> dict[str, Any]:
    """No effect on the beam: pulses all the time, and no fault of it."""
    rises = [hung_ns, *board.hv(1, hung_ns)]
    gap_ms = max((after - before) / MS for before, after in pairwise([*rises, time.monotonic_ns()]))
    board.do("release fluoro")
    time.sleep(0.15)
    wrong = [] if gap_ms <= 200 else [f"the beam paused for {gap_ms:.0f} ms"]
    wrong += [] if board.mode() in ("HOLD", "READY") else [_held(board)]
    stalled = _stalled(board, hung_ns) if wrong else ""
    if stalled:
        board.make_ready()
        return {"dark_ms": None, "wrong": [], "beam_apart": f"{stalled}: {', '.join(wrong)}"}
    return {"dark_ms": None, "wrong": wrong}


def _stalled(board: Machine, since_ns: int) -> str:
    """How we know that this computer took the beam away; '' when nothing says so."""
    late = [row["value"] for row in board.truth(since_ns)
            if row["kind"] == "process" and row["name"] in ("lateness", "edge_late")]  # fmt: skip
    if late:
        return f"the room was {max(late) / MS:.1f} ms late"
    held = _held(board)
    stalls = [cause for cause in sorted(OF_THE_HOST) if f"ms: {cause} " in held]
    return f"the loop was away: {stalls[0]}" if stalls else ""


def _held(board: Machine) -> str:
    status = board.say("status")
    held = "; ".join(f"{one['id']} ({one['detail']})" for one in status.get("faults", []))
    return f"{status.get('mode', '')}: {held}"


def repeated(
    kind: str, times: int, strike_once: Callable[[], dict[str, Any]], seconds_max: float
) -> Tally:
    """So many hangs of one kind, no longer than `seconds_max`; what is left out is not counted."""
    tally, begun_s = Tally(kind), time.monotonic()
    while tally.n < times and (tally.n == 0 or time.monotonic() - begun_s < seconds_max):
        if len(tally.unstruck) > UNSTRUCK_MAX:
            break
        try:
            tally.note(strike_once())
        except NotStruck as why:
            tally.not_struck(str(why))
        except (Late, OSError, TimeoutError, AssertionError, ValueError) as error:
            tally.lost(f"{type(error).__name__}: {error}")
    return tally
