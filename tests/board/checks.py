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

from bench import rest
from controller.supervisor.durable import PulseLog
from hil.referee.commands import run_referee
from hil.rig.results import ResultStore
from tests.board import broker, hangs
from tests.board.container import WORK, CannotBoot, Container
from tests.board.machine import MS, Late, Machine, wait

Row = dict[str, Any]
OURS: Final = ("realtime", "supervisor", "imaging")
# How often each kind of hang is struck, and how long that may take for one kind.
HANGS: Final = int(os.environ.get("HANGS", "1"))
HANGS_MAX_S: Final = float(os.environ.get("HANGS_MAX_S", "3600"))
# A bare process beside ours wakes up so often, every 14 ms: for half a minute.
IDLE_WAKES: Final = 2_150
EXPOSURE_MAX: Final = {"realtime": 20}


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
    yield _tried("idle_cpu", "all processes, idle", lambda: _idle_cpu(box, "idle_cpu", OURS))
    yield _tried("exposure", "a press of 2 s", lambda: _exposure(board))
    yield _tried("service_up", "service over TLS", lambda: _service_up(box, board))
    yield _tried(
        "idle_service",
        "the service, idle",
        lambda: _idle_cpu(box, "idle_service", (*OURS, "service")),
    )
    for kind in hangs.KINDS:
        yield hangs.repeated(
            kind, HANGS, partial(hangs.strike, box, board, kind), HANGS_MAX_S
        ).row()
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


def _idle_cpu(box: Container, check: str, parts: tuple[str, ...]) -> Row:
    """The bare wake-ups beside it tell a slow moment of the computer from a costly program."""
    found = rest.idle({part: box.main_pid(f"carm-{part}.service") for part in parts}, IDLE_WAKES)
    total = sum(found.used.values())
    each = " ".join(f"{part}={percent:.1f}" for part, percent in found.used.items())
    return row(check, "processes idle, " + " ".join(parts), round(total, 1), "% of a core", 3.0,
               total <= 3.0, f"{each}; as many bare wake-ups: {found.bare:.1f}")  # fmt: skip


def _service_up(box: Container, board: Machine) -> Row:
    try:
        broker.set_up(box)
    except CannotBoot as why:
        raise OSError(str(why)) from None
    box.ask("systemctl", "restart", "carm.target")
    wait("the service", lambda: board.active("carm-service.service"), 20)
    took_s = wait("its place at the broker", lambda: broker.has_seen(box), 20)
    wait("an answer", lambda: board.mode() not in ("", "BOOT"), 15)
    board.make_ready()
    return row("service_up", "service at the broker over TLS", round(took_s, 1), "s", 20, True)


def _exposure(board: Machine) -> Row:
    pressed_ns = board.shine()
    time.sleep(2)
    released_ns = board.do("release fluoro")
    time.sleep(0.2)
    pulses = board.hv(1, pressed_ns)
    after = [on for on in pulses if on > released_ns + 10 * MS]
    return row("exposure", "pulses of a press of 2 s at 15/s", len(pulses), "pulses", ">= 25",
               len(pulses) >= 25 and not after, f"{len(after)} after the release")  # fmt: skip


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
