"""What is expected of the booted board, one function per question, in the order of a first day.

Lives here: the expectations and their limits.  May not live here: how a board is booted or asked.
Each check is a row {id, what, value, unit, limit, ok, detail}; what raises is a row that failed.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from controller.supervisor.durable import PulseLog
from hil.referee.commands import run_referee
from hil.rig.results import ResultStore
from tests.board import onethread
from tests.board.container import WORK, Container
from tests.board.machine import MS, Late, Machine, wait

Row = dict[str, Any]
OURS: Final = ("realtime", "supervisor", "imaging")
EXPOSURE_MAX: Final = {"realtime": 20}
WATCHDOG_S: Final = 3.0
# From the hang to the new process: the watchdog, its tolerance, and systemd's own RestartSec.
RESTARTED_MAX_S: Final = 1.1 * WATCHDOG_S + 0.1
# Design §3: what the death of a process means for the beam; imaging: two pulses at 15/s.
DARK_MAX_MS: Final = {"realtime": 20.0, "supervisor": 150.0, "imaging": 200.0}
# F17: three heartbeats, for a generator's thread that stands still.
GENERATOR_DARK_MAX_MS: Final = 300.0
# Threads of the supervisor in the order of their start.
SUPERVISOR_TASKS: Final = ("main_step", "generator", "durable")
DUMP: Final = "Fatal Python error: Aborted"


def row(id_: str, what: str, value: Any, unit: str, limit: Any, ok: bool, detail: str = "") -> Row:
    """One answer."""
    return {"id": id_, "what": what, "value": value, "unit": unit, "limit": limit, "ok": ok,
            "detail": detail}  # fmt: skip


def _tried(id_: str, what: str, check: Callable[[], Row]) -> Row:
    try:
        return check()
    except (Late, OSError, TimeoutError, AssertionError, ValueError) as error:
        return row(id_, what, None, "", "", False, f"{type(error).__name__}: {error}")


def all_of(box: Container, board: Machine, package: Path, degraded: list[str]) -> Iterator[Row]:
    """Every check; raises CannotBoot when there is no board to ask."""
    took_s = box.install(package)
    yield row("install_offline", "apt install without network", round(took_s, 1), "s", 300, True)
    degraded += box.add_room()
    took_s = box.boot()
    yield row("boot", "the system is up", round(took_s, 1), "s", 30, True)
    yield _tried("verify", "systemd-analyze verify", lambda: _verify(box))
    for part in (*OURS, "service"):
        yield _tried(f"confined_{part}", "exposure level", partial(_confined, box, part))
    yield _tried("says_why", "a board without a room says why", lambda: _says_why(board))
    board.start_room()
    yield _tried("cold_start", "start to READY", lambda: _cold_start(box, board))
    yield _tried("active", "every unit is up", lambda: _active(board))
    yield _tried("idle_memory", "all processes, idle", lambda: _idle_memory(box))
    yield _tried("idle_cpu", "all processes, idle", lambda: _idle_cpu(box))
    yield _tried("exposure", "a press of 2 s", lambda: _exposure(board))
    for n in range(int(os.environ.get("HANGS", "1"))):
        for part in OURS:
            yield _tried(f"stop_{part}_{n}", "SIGSTOP in exposure",
                         partial(_stopped, box, board, part))  # fmt: skip
        for task in SUPERVISOR_TASKS[:2]:
            yield _tried(f"hang_{task}_{n}", "one thread stands still",
                         partial(_hang, box, board, task))  # fmt: skip
    yield _tried("referee", "truth of the first boot", lambda: _referee(board))
    yield _tried("mains_off", "killed in exposure, black box lost", lambda: _mains(box, board))


def _verify(box: Container) -> Row:
    units = [f"/usr/lib/systemd/system/carm-{part}.service" for part in (*OURS, "service")]
    done = box.ask("systemd-analyze", "verify", *units, "/usr/lib/systemd/system/carm.target")
    said = done.stderr.strip()
    return row("verify", "systemd-analyze verify", done.returncode, "exit", 0,
               done.returncode == 0 and not said, said[:200])  # fmt: skip


def _confined(box: Container, part: str) -> Row:
    limit = EXPOSURE_MAX.get(part, 15)
    path = f"/usr/lib/systemd/system/carm-{part}.service"
    done = box.ask("systemd-analyze", "security", "--offline=yes", "--no-pager",
                   f"--threshold={limit}", path)  # fmt: skip
    value = done.stdout.rpartition(": ")[2].split()[0]
    return row(f"confined_{part}", "exposure level", float(value), "", limit / 10,
               done.returncode == 0)  # fmt: skip


def _says_why(board: Machine) -> Row:
    wait("an answer", lambda: "reasons" in board.say("why"), 15)
    codes = [reason["code"] for reason in board.say("why")["reasons"]]
    return row("says_why", "reasons without a room", len(codes), "reasons", ">= 1", bool(codes),
               ", ".join(codes)[:200])  # fmt: skip


def _cold_start(box: Container, board: Machine) -> Row:
    box.ask("systemctl", "stop", "carm.target")
    begun_s = time.monotonic()
    box.ask("systemctl", "start", "--no-block", "carm.target")
    wait("an answer", lambda: board.mode() not in ("", "BOOT"), 15)
    board.make_ready()
    took_s = time.monotonic() - begun_s
    return row("cold_start", "start to READY, self-test included", round(took_s, 2), "s", 3.0,
               took_s <= 3.0)  # fmt: skip


def _active(board: Machine) -> Row:
    units = ["carm.target", *(f"carm-{part}.service" for part in OURS)]
    down = [unit for unit in units if not board.active(unit)]
    return row("active", "units up", len(units) - len(down), "units", len(units), not down,
               ", ".join(down))  # fmt: skip


def _idle_memory(box: Container) -> Row:
    total = 0
    for part in OURS:
        status = Path(f"/proc/{box.main_pid(f'carm-{part}.service')}/smaps_rollup").read_text()
        total += sum(int(r.split()[1]) for r in status.splitlines() if r.startswith("Pss:"))
    return row("idle_memory", "all processes, idle", round(total / 1024), "MB", 300,
               total <= 300 * 1024)  # fmt: skip


def _idle_cpu(box: Container) -> Row:
    pids = [box.main_pid(f"carm-{part}.service") for part in OURS]

    def spent() -> int:
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
        return sum(int(each[11]) + int(each[12]) for each in fields)

    before, begun_s = spent(), time.monotonic()
    time.sleep(10)
    used_s = (spent() - before) / os.sysconf("SC_CLK_TCK")
    percent = 100 * used_s / (time.monotonic() - begun_s)
    return row("idle_cpu", "all processes, idle", round(percent, 1), "% of a core", 3.0,
               percent <= 3.0)  # fmt: skip


def _exposure(board: Machine) -> Row:
    pressed_ns = board.shine()
    time.sleep(2)
    released_ns = board.do("release fluoro")
    time.sleep(0.2)
    pulses = board.hv(1, pressed_ns)
    after = [on for on in pulses if on > released_ns + 10 * MS]
    return row("exposure", "pulses of a press of 2 s at 15/s", len(pulses), "pulses", ">= 25",
               len(pulses) >= 25 and not after, f"{len(after)} after the release")  # fmt: skip


def _aftermath(
    box: Container, board: Machine, part: str, hung_ns: int, old: str, dark_max_ms: float
) -> Row:
    """Dark, abort with a dump, restart, latched, READY by a local act, no resumed exposure."""
    unit = f"carm-{part}.service"
    wait("a restart", lambda: box.show(unit, "NRestarts") != old, 3 * WATCHDOG_S)
    # By systemd's own stamp of the new process; ours would count the asking, too.
    started_us = int(box.show(unit, "ExecMainStartTimestampMonotonic"))
    restarted_s = started_us / 1e6 - hung_ns / 1e9
    ends = board.hv(0, hung_ns)
    dark_ms = (max(ends) - hung_ns) / MS if ends else 0.0
    wait("an answer", lambda: board.mode() not in ("", "BOOT", "SELF_TEST"), 15)
    latched, before_ns = board.mode(), time.monotonic_ns()
    # Foot still down: nothing may shine, whatever is asked at the board.
    refused = "error" in board.say("reset")
    time.sleep(0.5)
    board.do("release fluoro")
    time.sleep(0.15)
    board.make_ready()
    resumed = board.hv(1, before_ns)
    dumped = DUMP in box.journal(unit)
    ok = (dark_ms <= dark_max_ms and dumped and latched == "FAULT" and refused
          and not resumed and restarted_s <= RESTARTED_MAX_S)  # fmt: skip
    told = {"dark_ms": round(dark_ms, 1), "dark_ms_max": dark_max_ms, "dump": dumped,
            "came_up": latched, "reset_refused": refused, "resumed": len(resumed)}  # fmt: skip
    return row("", "", round(restarted_s, 2), "s to restart", round(RESTARTED_MAX_S, 2), ok,
               " ".join(f"{key}={value}" for key, value in told.items()))  # fmt: skip


def _stopped(box: Container, board: Machine, part: str) -> Row:
    unit = f"carm-{part}.service"
    board.shine()
    box.ask("systemctl", "reset-failed", unit)
    old, pid = box.show(unit, "NRestarts"), box.main_pid(unit)
    hung_ns = time.monotonic_ns()
    os.kill(pid, signal.SIGSTOP)
    found = _aftermath(box, board, part, hung_ns, old, DARK_MAX_MS[part])
    return {**found, "id": f"stop_{part}", "what": "SIGSTOP in exposure"}


def _hang(box: Container, board: Machine, task: str) -> Row:
    unit = "carm-supervisor.service"
    board.shine()
    box.ask("systemctl", "reset-failed", unit)
    old, pid = box.show(unit, "NRestarts"), box.main_pid(unit)
    thread = onethread.threads(pid)[SUPERVISOR_TASKS.index(task)]
    hung_ns = time.monotonic_ns()
    onethread.stop(pid, thread)
    try:
        wait("an abort", lambda: DUMP in box.journal(unit), 3 * WATCHDOG_S)
    finally:
        onethread.reap(thread)
    limit_ms = GENERATOR_DARK_MAX_MS if task == "generator" else DARK_MAX_MS["supervisor"]
    found = _aftermath(box, board, "supervisor", hung_ns, old, limit_ms)
    return {**found, "id": f"hang_{task}", "what": f"only {task} stands still, in exposure"}


def _recorded(box: Container) -> int:
    log = PulseLog(box.root / "var/lib/carm/state/pulses.log")
    log.open()
    try:
        return log.lit
    finally:
        log.close()


def _emitted(board: Machine) -> int:
    store = ResultStore(board.run_dir / "rig" / "generator.nv")
    try:
        return store.count
    finally:
        store.close()


def _mains(box: Container, board: Machine) -> Row:
    board.shine(8)
    # The board loses its mains; the room, which in truth has its own, counts its last pulse.
    for part in OURS:
        os.kill(box.main_pid(f"carm-{part}.service"), signal.SIGKILL)
    time.sleep(0.2)
    box.kill()
    emitted = _emitted(board)
    for path in board.run_dir.iterdir():
        if path.name == "blackbox.ring" or path.is_socket():
            path.unlink()
    box.boot()
    board.start_room()
    box.ask("systemctl", "restart", "carm.target")
    wait("an answer", lambda: board.mode() not in ("", "BOOT", "SELF_TEST"), 20)
    came_up = board.mode()
    board.make_ready()
    recorded = _recorded(box)
    return row("mains_off", "pulses recorded against emitted", recorded, "pulses", emitted,
               recorded == emitted and came_up == "FAULT", f"came up {came_up}")  # fmt: skip


def _referee(board: Machine) -> Row:
    truth = board.keep("truth.jsonl", WORK)
    verdict, _code = run_referee(truth)
    broken = [each["n"] for each in verdict["invariants"] if each["violations"]]
    return row("referee", "invariants violated", len(broken), "invariants", 0, not broken,
               str(broken))  # fmt: skip
