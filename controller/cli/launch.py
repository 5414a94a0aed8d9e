"""The launcher: starts the processes, restarts those that die, ends them dark first.

Lives here: real processes and their life, as systemd does it on a board.  May not live here: a
decision about the beam; it never looks at one.  `python -m controller.cli.launch` is the process;
`carm up` starts it and waits until everybody answers.

Every child gets a signal when the launcher dies, its output goes to a bounded file in `log/`, and
`pids` in the run directory names all of them as long as they live.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from controller.service.configs import chosen
from realtime.wire.config import load

# In order of the start; the end goes from what may radiate to what only watches, then the room.
PARTS: Final = {
    "rig-line": "hil.rig.line",
    "rig-world": "hil.rig.world",
    "realtime": "realtime",
    "supervisor": "controller.supervisor",
    "imaging": "controller.imaging",
}
STOP_ORDER: Final = ("supervisor", "realtime", "imaging", "rig-world", "rig-line")
assert set(STOP_ORDER) == set(PARTS)
# Started beside the supervisor where the configuration names a broker, and ended after all others.
SERVICE_PARTS: Final = {"service": "controller.service", "broker": "controller.service.broker"}
RESTART_AFTER_NS: Final = 100_000_000
# As systemd's StartLimit: a part that dies more often than this has a fault of its own.
RESTARTS_MAX: Final = 10
RESTARTS_WITHIN_NS: Final = 10_000_000_000
STOP_WAIT_NS: Final = 4_000_000_000
LOG_BYTES_MAX: Final = 4 << 20
LOG_CHECK_NS: Final = 1_000_000_000
PIDS: Final = "pids"
# Exit codes that a restart would only repeat: refused input, machine lacks something.
HOPELESS: Final = (2, 3)
_PR_SET_PDEATHSIG: Final = 1


@dataclass(slots=True)
class Part:
    """One process of the machine; `pidfd` becomes readable when it ends."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    pidfd: int = -1
    restart_ns: int = 0
    starts: deque[int] = field(default_factory=lambda: deque(maxlen=RESTARTS_MAX))


def _service_names(config: Path, names: list[str]) -> tuple[str, ...]:
    broker = load(config)["mqtt.broker"]
    if broker == "off" or "supervisor" not in names:
        return ()
    return ("broker", "service") if broker == "embedded" else ("service",)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Launcher:
    """Owns the processes of one run directory; `run` returns when all of them have ended."""

    def __init__(self, run_dir: Path, config: Path, names: list[str], inhibited: bool) -> None:
        self._run_dir = run_dir
        self._ending = False
        self._selector = selectors.DefaultSelector()
        folder = run_dir / "log"
        folder.mkdir(parents=True, exist_ok=True)
        config = chosen(run_dir, config)
        names = [*names, *_service_names(config, names)]
        shared = ["--config", str(config), "--run-dir", str(run_dir)]
        self._parts = [
            Part(name, [sys.executable, "-m", module, *shared,
                        *(["--inhibited"] if inhibited and name == "realtime" else [])],
                 folder / f"{name}.log")
            for name, module in (PARTS | SERVICE_PARTS).items() if name in names
        ]  # fmt: skip

    def run(self) -> int:
        """Start all, watch until told to end, end all."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(wake_read, selectors.EVENT_READ)
        signal.set_wakeup_fd(wake_write)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._told_to_end)
        try:
            for part in self._parts:
                self._start(part)
            self._watch(wake_read)
        finally:
            self._end_all()
            self._sweep()
        return 0

    def _told_to_end(self, number: int, frame: object) -> None:
        self._ending = True

    def _start(self, part: Part) -> None:
        part.starts.append(time.monotonic_ns())
        part.restart_ns = 0
        with part.log.open("ab") as log:
            part.process = subprocess.Popen(
                part.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=_die_with_parent,  # noqa: PLW1509 - one thread
            )  # fmt: skip
        part.pidfd = os.pidfd_open(part.process.pid)
        self._selector.register(part.pidfd, selectors.EVENT_READ, part)
        self._write_pids()

    def _write_pids(self) -> None:
        pids = {part.name: part.process.pid for part in self._parts if part.process is not None}
        fresh = self._run_dir / f"{PIDS}.new"
        fresh.write_text(json.dumps({"launcher": os.getpid(), **pids}) + "\n")
        fresh.replace(self._run_dir / PIDS)

    def _watch(self, wake_read: int) -> None:
        check_ns = 0
        while not self._ending:
            now_ns = time.monotonic_ns()
            if now_ns >= check_ns:
                self._bound_logs()
                check_ns = now_ns + LOG_CHECK_NS
            due = [part.restart_ns for part in self._parts if part.restart_ns]
            wait_s = max(0, min([check_ns, *due]) - now_ns) / 1e9
            for key, _ in self._selector.select(wait_s):
                if key.data is None:
                    os.read(wake_read, 64)
                else:
                    self._ended(key.data)
            self._restart_due()

    def _ended(self, part: Part) -> None:
        code = self._reap(part)
        now_ns = time.monotonic_ns()
        self._say(f"{part.name} ended with {code}")
        burst = len(part.starts) == RESTARTS_MAX
        if code in HOPELESS or (burst and now_ns - part.starts[0] < RESTARTS_WITHIN_NS):
            self._say(f"{part.name} is not restarted; see {part.log}")
        else:
            part.restart_ns = now_ns + RESTART_AFTER_NS
        self._write_pids()

    def _reap(self, part: Part) -> int:
        assert part.process is not None
        self._selector.unregister(part.pidfd)
        os.close(part.pidfd)
        code = part.process.wait()
        part.process, part.pidfd = None, -1
        return code

    def _restart_due(self) -> None:
        now_ns = time.monotonic_ns()
        for part in self._parts:
            if part.restart_ns and now_ns >= part.restart_ns and not self._ending:
                self._start(part)

    def _bound_logs(self) -> None:
        for part in self._parts:
            with contextlib.suppress(FileNotFoundError):
                if part.log.stat().st_size > LOG_BYTES_MAX:
                    # Children append, so the file starts anew at 0; the last part is kept beside.
                    part.log.with_suffix(".log.1").write_bytes(part.log.read_bytes())
                    os.truncate(part.log, 0)

    def _end_all(self) -> None:
        by_name = {part.name: part for part in self._parts}
        for name in (*STOP_ORDER, *SERVICE_PARTS):
            part = by_name.get(name)
            if part is not None and part.process is not None:
                self._end(part)

    def _end(self, part: Part) -> None:
        assert part.process is not None
        with contextlib.suppress(ProcessLookupError):
            part.process.terminate()
        try:
            part.process.wait(STOP_WAIT_NS / 1e9)
        except subprocess.TimeoutExpired:
            self._say(f"{part.name} did not end; killed")
            part.process.kill()
        self._reap(part)

    def _sweep(self) -> None:
        """Sockets and devices of parts that were killed before they could remove them."""
        for entry in self._run_dir.iterdir():
            # A pty's number may be somebody else's by now, so its name may seem alive.
            device = entry.is_symlink() and entry.readlink().is_relative_to("/dev")
            if device or entry.is_socket() or entry.name in (PIDS, f"{PIDS}.new"):
                entry.unlink(missing_ok=True)

    def _say(self, words: str) -> None:
        sys.stderr.write(f"launcher: {words}\n")
        sys.stderr.flush()


def read_pids(run_dir: Path) -> dict[str, int]:
    """Process ids of a run directory by name; empty when nothing runs there."""
    try:
        pids: dict[str, int] = json.loads((run_dir / PIDS).read_text())
    except (OSError, ValueError):
        return {}
    return pids if is_alive(pids.get("launcher", 0)) else {}


def is_alive(pid: int) -> bool:
    """The process exists and has not ended."""
    if pid <= 0:
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def main() -> int:
    """Run the launcher of a run directory."""
    parser = argparse.ArgumentParser(prog="launch", description="Starts and watches the processes.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--inhibited", action="store_true", help="PERMIT is held low")
    parser.add_argument("--parts", default=",".join(PARTS), help="which processes")
    asked = parser.parse_args()
    names = asked.parts.split(",")
    return Launcher(asked.run_dir, asked.config, names, asked.inhibited).run()


if __name__ == "__main__":
    sys.exit(main())
