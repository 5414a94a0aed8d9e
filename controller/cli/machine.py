"""`carm up`, `down`, `run`, `rig`: the machine's processes, started, awaited, ended.

Lives here: starting a launcher, waiting until everybody answers by asking them, the endpoints.  May
not live here: the launcher itself (`controller.cli.launch`) or what is asked of a running machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from controller.cli.answer import ask, refusal, refuse, show
from controller.cli.launch import PARTS, is_alive, read_pids
from realtime.wire.config import Config, ConfigError, load

BENCH: Final = Path(__file__).resolve().parents[1] / "profiles" / "bench.toml"
READY_MAX_S: Final = 60.0
DOWN_MAX_S: Final = 25.0
# Asking is the test; the pause only keeps it from burning a core.
PAUSE_S: Final = 0.05
EVERYTHING: Final = tuple(PARTS)
ROOM: Final = ("rig-line", "rig-world")
PRODUCT: Final = tuple(name for name in PARTS if name not in ROOM)


def checked(path: Path, as_json: bool) -> Config:
    """The configuration; a refusal ends the command."""
    try:
        return load(path)
    except ConfigError as error:
        value = error.value if isinstance(error.value, int | str | bool) else repr(error.value)
        refuse(refusal("configuration", "input", error.key, value, error.allowed, error.remedy),
               as_json)  # fmt: skip


def endpoints(config: Config, run_dir: Path) -> dict[str, str | None]:
    """Where everything answers; `mqtt` is null where the configuration names no broker."""
    bind = str(config["stream.bind"])
    return {
        "frames": bind if "://" in bind else f"ipc://{run_dir / bind}",
        "orders": str(run_dir / "orders.sock"),
        "lines": str(config.path("lines.path", run_dir)),
        "can": str(run_dir / config["generator.channel"]),
        "mqtt": _broker(config, run_dir),
        "rig": str(run_dir / "rig.sock"),
        "local": str(run_dir / "local.sock"),
    }


def _broker(config: Config, run_dir: Path) -> str | None:
    """None: there is none, or the embedded one does not answer yet."""
    if config["mqtt.broker"] == "external":
        scheme = "mqtts" if config["mqtt.security"] == "tls" else "mqtt"
        return f"{scheme}://{config['mqtt.host']}:{config['mqtt.port']}"
    try:
        told = json.loads((run_dir / "mqtt.json").read_text())
    except (OSError, ValueError):
        return None
    return f"mqtt://{told['host']}:{told['port']}"


def _launch(
    run_dir: Path, config: Path, parts: tuple[str, ...], inhibited: bool, detached: bool
) -> subprocess.Popen[bytes]:
    (run_dir / "log").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "controller.cli.launch", "--config", str(config.resolve()),
               "--run-dir", str(run_dir), "--parts", ",".join(parts)]  # fmt: skip
    if inhibited:
        command.append("--inhibited")
    with (run_dir / "log" / "launcher.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                start_new_session=detached)  # fmt: skip


def _machine_answers(run_dir: Path) -> bool:
    status = ask(run_dir / "local.sock", {"do": "status"}, 1.0)
    if "error" in status or status["mode"] in ("BOOT", "SELF_TEST"):
        return False
    return all(status[part]["up"] for part in ("executive", "imaging", "generator"))


def _product_answers(run_dir: Path) -> bool:
    return "error" not in ask(run_dir / "local.sock", {"do": "status"}, 1.0)


def _room_answers(run_dir: Path) -> bool:
    return "error" not in ask(run_dir / "rig.sock", {"status": True}, 1.0)


_ANSWERS: Final[dict[tuple[str, ...], Callable[[Path], bool]]] = {
    EVERYTHING: lambda run_dir: _room_answers(run_dir) and _machine_answers(run_dir),
    PRODUCT: _product_answers,
    ROOM: _room_answers,
}


def start(
    run_dir: Path, config_path: Path, parts: tuple[str, ...] = EVERYTHING, *,
    inhibited: bool = False, detached: bool = True, as_json: bool = False,
) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:  # fmt: skip
    """Start `parts` and wait until they answer; the launcher and the `carm.up/1` object.

    A refusal or a machine that does not come up ends the command, with everything ended again.
    """
    config = checked(config_path, as_json)
    run_dir = run_dir.resolve()
    if read_pids(run_dir):
        refuse(refusal("already_up", "machine", "run_dir", str(run_dir), "a free run directory",
                       "carm down, or another --run-dir"), as_json)  # fmt: skip
    launcher = _launch(run_dir, config_path, parts, inhibited, detached)
    deadline = time.monotonic() + READY_MAX_S
    try:
        embedded = config["mqtt.broker"] == "embedded" and parts != ROOM
        while not _ANSWERS[parts](run_dir) or (embedded and _broker(config, run_dir) is None):
            if launcher.poll() is not None or time.monotonic() > deadline:
                _end(launcher)
                refuse(refusal("not_up", "machine", "run_dir", str(run_dir),
                               f"every process answers within {READY_MAX_S:g} s",
                               f"see {run_dir / 'log'}"), as_json)  # fmt: skip
            time.sleep(PAUSE_S)
    except KeyboardInterrupt:
        _end(launcher)
        raise
    body = {"schema": "carm.up/1", "run_dir": str(run_dir),
            "endpoints": endpoints(config, run_dir), "pids": read_pids(run_dir)}  # fmt: skip
    return launcher, body


def _end(launcher: subprocess.Popen[bytes]) -> None:
    if launcher.poll() is None:
        launcher.terminate()
    launcher.wait(DOWN_MAX_S)


def up(run_dir: Path, config: Path, foreground: bool, inhibited: bool, as_json: bool) -> int:
    """Start everything with the rig; stay with `foreground`, else leave it running."""
    return stay(run_dir, config, EVERYTHING, inhibited, foreground, as_json)


def stay(
    run_dir: Path, config: Path, parts: tuple[str, ...], inhibited: bool, foreground: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Start `parts`, tell where they are, and stay until Ctrl-C where asked to."""
    launcher, body = start(run_dir, config, parts, inhibited=inhibited,
                           detached=not foreground, as_json=as_json)  # fmt: skip
    lines = [f"{name:>10}  {where}" for name, where in body["endpoints"].items() if where]
    show(body, as_json, "\n".join(["up:", *lines]))
    sys.stdout.flush()
    if not foreground:
        return 0
    try:
        return launcher.wait()
    except KeyboardInterrupt:
        _end(launcher)
        return 130


def end(run_dir: Path) -> bool:
    """End everything in a run directory, dark first; True when something was up.

    Raises TimeoutError when it does not end within DOWN_MAX_S.
    """
    launcher = read_pids(run_dir).get("launcher", 0)
    deadline = time.monotonic() + DOWN_MAX_S
    if launcher:
        os.kill(launcher, signal.SIGTERM)
    while is_alive(launcher):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{run_dir} did not end within {DOWN_MAX_S:g} s")
        time.sleep(PAUSE_S)
    return bool(launcher)


def down(run_dir: Path, as_json: bool) -> int:
    """End everything, dark first; nothing running is no error."""
    try:
        was_up = end(run_dir)
    except TimeoutError:
        refuse(refusal("not_down", "machine", "run_dir", str(run_dir), f"≤ {DOWN_MAX_S:g} s",
                       f"see {run_dir / 'log'}"), as_json)  # fmt: skip
    show({"schema": "carm.down/1", "was_up": was_up}, as_json,
         "down" if was_up else "nothing was up")  # fmt: skip
    return 0
