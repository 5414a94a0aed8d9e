"""The rig alone, for somebody else's controller: `python -m hil.rig --config F --run-dir D`.

Lives here: starting rig-line and rig-world, and ending both when one ends or a signal asks for it.
May not live here: the rig itself.  Prints one JSON line with the endpoints when both serve.
"""

from __future__ import annotations

import argparse
import json
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from hil.rig.client import RigClient
from realtime.wire.config import Config, ConfigError, load

PROCESSES: Final = ("hil.rig.line", "hil.rig.world")
START_S: Final = 20.0
END_S: Final = 5.0


def endpoints(config: Config, run_dir: Path) -> dict[str, str]:
    """Where a controller finds the rig's wires."""
    return {
        "lines": str(config.path("lines.path", run_dir)),
        "panel": str(config.path("panel.path", run_dir)),
        "can": str(config.path("generator.channel", run_dir)),
        "calibration": str(config.path("panel.calibration", run_dir)),
        "rig": str(run_dir / "rig.sock"),
        "truth": str(run_dir / "truth.jsonl"),
    }


def _serves(run_dir: Path) -> bool:
    try:
        with RigClient(run_dir / "rig.sock", timeout_s=1.0) as rig:
            return bool(rig.status()["room"])
    except OSError:
        return False


def _started(children: list[subprocess.Popen[bytes]], run_dir: Path, asked: socket.socket) -> bool:
    until = time.monotonic() + START_S
    while time.monotonic() < until and not any(child.poll() is not None for child in children):
        if _serves(run_dir):
            return True
        if select.select([asked], [], [], 0.05)[0]:
            return False
    return False


def _watch(children: list[subprocess.Popen[bytes]], asked: socket.socket) -> None:
    """Until a signal asks to end, or one of the two has ended."""
    while all(child.poll() is None for child in children):
        if select.select([asked], [], [], 0.5)[0]:
            return


def _end(children: list[subprocess.Popen[bytes]]) -> int:
    worst = 0
    for child in reversed(children):
        if child.poll() is None:
            child.terminate()
    for child in children:
        try:
            code = child.wait(END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        worst = max(worst, 4 if code < 0 else code)
    return worst


def run(config_path: Path, run_dir: Path) -> int:
    """Run both processes until SIGTERM or SIGINT; exit codes of the children, 130 interrupted."""
    try:
        config = load(config_path)
    except ConfigError as error:
        sys.stderr.write(f"rig: {error}. Remedy: {error.remedy}\n")
        return 2
    run_dir.mkdir(parents=True, exist_ok=True)
    asking, asked = socket.socketpair()
    interrupted = False

    def ask(number: int, _frame: Any) -> None:
        nonlocal interrupted
        interrupted = interrupted or number == signal.SIGINT
        asking.send(b"x")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    options = ["--config", str(config_path), "--run-dir", str(run_dir)]
    children = [
        # own session: Ctrl-C reaches this process only, which then ends both in order
        subprocess.Popen([sys.executable, "-m", name, *options], start_new_session=True)
        for name in PROCESSES
    ]
    try:
        if _started(children, run_dir, asked):
            pids = dict(zip(("rig-line", "rig-world"), (c.pid for c in children), strict=True))
            print(json.dumps({"endpoints": endpoints(config, run_dir), "pids": pids}), flush=True)
            _watch(children, asked)
    finally:
        code = _end(children)
        asking.close()
        asked.close()
    return 130 if interrupted and code == 0 else code


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="hil.rig")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    arguments = parser.parse_args()
    return run(arguments.config, arguments.run_dir)


if __name__ == "__main__":
    sys.exit(main())
