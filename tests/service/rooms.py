"""Real processes for the tests of service: half a supervisor, the service process, brokers.

Lives here: starting, awaiting, ending.  May not live here: assertions about service.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.cli.answer import ask
from controller.service.certs import make_bench
from tests.plugins.verdict import left_out
from tests.service.bench_folder import write_keys

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "controller" / "profiles" / "bench.toml"
LISTED = ROOT / "systemd" / "mosquitto"
PEOPLE = ("engineer-bench", "observer-bench")
WAIT_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mosquitto() -> str:
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if found is None:
        left_out("mosquitto is not installed")
    return found


def until(what: str, met: Any) -> None:
    """Poll `met()` until it is true; fail the test after WAIT_S."""
    give_up = time.monotonic() + WAIT_S
    while not met():
        assert time.monotonic() < give_up, f"waited {WAIT_S} s for {what}"
        time.sleep(0.02)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 0.2):
            return True
    except OSError:
        return False


@dataclass
class Broker:
    """A real mosquitto that can be killed, frozen and started again on the same port."""

    folder: Path
    port: int
    conf: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([mosquitto(), "-c", str(self.conf)], stdout=log,
                                            stderr=log)  # fmt: skip
        until("mosquitto", lambda: answers(self.port))

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def plain_broker(folder: Path) -> Broker:
    port = free_port()
    conf = folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
                    "max_packet_size 131072\n")  # fmt: skip
    return Broker(folder, port, conf)


def listed_broker(folder: Path, now: Any) -> Broker:
    """The broker of `systemd/mosquitto`, its paths and port replaced."""
    port = free_port()
    make_bench(folder / "carm", "bench-1", PEOPLE, ["localhost", "127.0.0.1"], now)
    shutil.copy(LISTED / "carm.acl", folder / "carm.acl")
    text = (LISTED / "mosquitto.conf").read_text()
    text = text.replace("/etc/mosquitto", str(folder))
    text = text.replace("listener 8883", f"listener {port} 127.0.0.1")
    conf = folder / "listed.conf"
    conf.write_text(text)
    if os.geteuid() == 0:
        # Started as root it becomes another user before it reads the rules.
        conf.write_text(text + "user root\n")
    return Broker(folder, port, conf)


@dataclass
class Room:
    """A run directory with what runs in it."""

    run_dir: Path
    config: Path
    keys: dict[str, Path]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str, stdin: Any = subprocess.DEVNULL) -> int:
        with (self.run_dir / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, stdin=stdin, stdout=log, stderr=log
            )
        return self.processes[name].pid

    def supervisor(self, executive_pid: int = 0) -> None:
        self.start("supervisor", "-m", "tests.service.half_supervisor", str(self.config),
                   str(self.run_dir), str(executive_pid), stdin=subprocess.PIPE)  # fmt: skip
        until("supervisor", lambda: "error" not in ask(self.run_dir / "local.sock",
                                                       {"do": "status"}, 1.0))  # fmt: skip

    def service(self) -> int:
        return self.start("service", "-m", "controller.service", "--config", str(self.config),
                          "--run-dir", str(self.run_dir))  # fmt: skip

    def say(self, word: str) -> None:
        stdin = self.processes["supervisor"].stdin
        assert stdin is not None
        stdin.write(f"{word}\n".encode())
        stdin.flush()

    def local(self, do: str, **arguments: Any) -> dict[str, Any]:
        return ask(self.run_dir / "local.sock", {"do": do, **arguments}, 5.0)

    def log(self, name: str) -> str:
        return (self.run_dir / f"{name}.log").read_text()

    def acts(self) -> Counter[str]:
        """What the supervisor did for the network, by its own log: not the service's word."""
        lines = [one.partition(" ") for one in self.log("supervisor").splitlines()]
        return Counter(json.loads(rest)["what"] for what, _, rest in lines if what == "remote_act")

    def descriptors(self, name: str) -> int:
        return len(list(Path(f"/proc/{self.processes[name].pid}/fd").iterdir()))

    def audit(self, kind: str) -> list[dict[str, Any]]:
        path = self.run_dir / "state" / "service" / "audit.jsonl"
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        return [one["fields"] for one in entries if one["kind"] == kind]

    def end(self, name: str) -> int:
        process = self.processes.pop(name)
        if process.stdin is not None:
            process.stdin.close()
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            return process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


@contextmanager
def room(folder: Path, port: int, *, protocol: str = "5", tls: bool = False,
         broker: str = "external", host: str = "127.0.0.1") -> Iterator[Room]:  # fmt: skip
    """A room whose service speaks to a broker at `port`; everything is ended afterwards."""
    run_dir = folder / "run"
    run_dir.mkdir()
    text = BENCH.read_text()
    for old, new in (
        ('broker = "off"', f'broker = "{broker}"'), ("port = 0", f"port = {port}"),
        ('protocol = "3.1.1"', f'protocol = "{protocol}"'),
        ('host = "127.0.0.1"', f'host = "{host}"'),
        ('security = "loopback"', f'security = "{"tls" if tls else "loopback"}"'),
        ('certificates = "mqtt-certificates"', f'certificates = "{folder / "carm"}"'),
    ):  # fmt: skip
        assert text.count(old) == 1
        text = text.replace(old, new)
    config = folder / "carm.toml"
    config.write_text(text)
    made = Room(run_dir, config, write_keys(run_dir))
    try:
        yield made
    finally:
        for name in reversed(list(made.processes)):
            made.end(name)
