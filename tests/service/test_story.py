"""The whole machine, and somebody who has only the page, mosquitto's tools, openssl and a key."""

import asyncio
import gzip
import json
import re
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.cli.launch import read_pids
from controller.cli.stage import Stage
from controller.core.selftest import DRY
from controller.service.core.commands import COMMANDS
from controller.service.link import until
from hil.referee.commands import run_referee, table
from hil.referee.network import KNOWN_NS
from tests.service import rooms
from tests.service.engineer import engineer
from tests.service.prompt import carm

pytestmark = pytest.mark.process
PAGE = (rooms.ROOT / "docs" / "mqtt.md").read_text()
TOPIC = "carm/bench-1"


class Shell:
    """Commands as the page shows them, in one folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.broker = folder, f"-h 127.0.0.1 -p {port}"

    def __call__(self, line: str) -> str:
        done = subprocess.run(["bash", "-c", line], cwd=self.folder, capture_output=True,
                              text=True, timeout=30, check=False)  # fmt: skip
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout

    def state(self, name: str) -> Any:
        return json.loads(self(f"mosquitto_sub {self.broker} -t {TOPIC}/state/{name} -C 1 -W 5"))

    def command(self, name: str, **arguments: Any) -> list[Any]:
        """All replies to one signed command; the payload is made by the page's own line."""
        body = {"id": f"story-{name}-{time.monotonic_ns()}", "device": "bench-1",
                "epoch": self.state("service")["epoch"], "command": name, "by": "alice",
                "expires_ms": int(time.time() * 1000) + 30_000, "arguments": arguments}  # fmt: skip
        (self.folder / "body").write_text(json.dumps(body))
        (signing,) = re.findall(r"^    (printf '\{\"body\".*)$", PAGE, re.MULTILINE)
        self(f"{signing} > payload")
        reply = f"{TOPIC}/reply/{body['id']}"
        text = self(f"mosquitto_sub {self.broker} -q 1 -t {shlex.quote(reply)} -W 10 > replies & "
                    f"sleep 0.2; mosquitto_pub {self.broker} -q 1 -t {TOPIC}/cmd/{name} "
                    "-f payload; while kill -0 $! && ! grep -qE "
                    "'\"result\": ?\"(done|refused)' replies; do sleep 0.05; done; "
                    "kill $!; cat replies")  # fmt: skip
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def story(tmp_path: Path) -> Iterator[tuple[Stage, Shell]]:
    rooms.mosquitto()
    broker = rooms.plain_broker(tmp_path)
    broker.start()
    shell = Shell(tmp_path, broker.port)
    try:
        config = tmp_path / "carm.toml"
        text = rooms.BENCH.read_text().replace('broker = "off"', 'broker = "external"')
        text = text.replace("port = 0", f"port = {broker.port}")
        config.write_text(text.replace('protocol = "3.1.1"', 'protocol = "5"'))
        stage = Stage(config)
        (stage.run_dir / "service-keys" / "engineer").mkdir(parents=True)
        for line in re.findall(r"^    (openssl (?:genpkey|pkey) .*)$", PAGE, re.MULTILINE):
            shell(line.replace("service-keys", str(stage.run_dir / "service-keys")))
        with stage:
            yield stage, shell
    finally:
        broker.kill()


@pytest.mark.invariant(14)
def test_a_failed_interlock_is_found_from_afar_and_a_stolen_key_makes_no_photon(
    story: tuple[Stage, Shell],
) -> None:
    stage, shell = story
    stage.wait("service", lambda: shell.state("service")["epoch"] is not None)
    with recording(shell) as traffic:
        _repair(stage, shell)
        _attack(stage, shell)
    _looked_back(stage, shell)
    truth, box = stage.run_dir / "truth.jsonl", stage.run_dir / "blackbox.ring"
    stage.rig.flush()
    verdict, code = run_referee(truth, box, mqtt=traffic)
    rows = {row["id"]: row["status"] for row in verdict["crosschecks"]}
    assert code == 0, "\n".join(table(verdict))
    assert {status for name, status in rows.items() if name.startswith("network")} == {"holds"}


@contextmanager
def recording(shell: Shell) -> Iterator[Path]:
    """Everything that passes the broker, as the command line writes it down."""
    out = shell.folder / "traffic.jsonl"
    command = [sys.executable, "-m", "controller.cli.main", "service", "record", str(out)]
    with (shell.folder / "record.log").open("w") as log:
        recorder = subprocess.Popen([*command, "--port", shell.broker.rpartition(" ")[2]],
                                    cwd=rooms.ROOT, stderr=log)  # fmt: skip
    try:
        rooms.until("recording", lambda: "recording" in (shell.folder / "record.log").read_text())
        yield out
    finally:
        recorder.send_signal(signal.SIGINT)
        assert recorder.wait(10) == 0


def _repair(stage: Stage, shell: Shell) -> None:
    """A failed interlock, diagnosed and acknowledged; the log; a dry run."""
    stage.make_ready()
    stage.rig.do("estop")
    stage.wait("fault", lambda: stage.mode() == "FAULT")
    stage.wait("said", lambda: shell.state("interlocks")["lines"]["estop"] == "open")
    held = {one["id"]: one for one in shell.state("faults")["faults"]}
    assert "estop" in held["executive_trip"]["detail"]
    assert held["executive_trip"]["remedy"]
    codes = [one["code"] for one in shell.state("why")["reasons"]]
    assert "interlock_estop" in codes

    refused = shell.command("fault_acknowledge", fault="executive_trip")[-1]
    assert (refused["result"], refused["reason"]) == ("refused", "no_session")
    stage.local("service_open", minutes=5)
    stage.wait("session", lambda: shell.state("session")["open"])
    assert shell.command("fault_acknowledge", fault="executive_trip")[-1]["result"] == "done"
    # What is published follows the reply by up to a tenth of a second.
    stage.wait("seen by alice", lambda: (
        shell.state("faults")["faults"][0]["acknowledged_by"] == "alice"))  # fmt: skip
    replies = shell.command("log_download")
    chunks = "\n".join(one["chunk"]["base64"] for one in replies if one["chunk"])
    (shell.folder / "chunks").write_text(chunks + "\n")
    events = shell("base64 -d < chunks | gunzip").splitlines()
    assert replies[-1]["answer"]["sha256"] == shell("base64 -d < chunks | sha256sum").split()[0]
    assert any(json.loads(line).get("fault") == "executive_trip" for line in events)
    stage.rig.do("reset estop")
    stage.wait("STANDBY", lambda: "error" not in stage.local("reset"))
    dry = shell.command("dry_run")
    assert dry[-1]["result"] == "done", dry
    steps = {one["id"] for one in dry[-1]["answer"]["self_test"] if one["ok"]}
    assert steps >= {step.value for step in DRY}
    assert dry[-1]["answer"]["mode"] == stage.mode() == "STANDBY"
    before = stage.pid("imaging")
    assert shell.command("process_restart", process="imaging")[-1]["answer"]["pid"] == before
    stage.wait("another imaging", lambda: (
        read_pids(stage.run_dir).get("imaging", before) != before and stage.mode() == "STANDBY"
    ))  # fmt: skip


def _looked_back(stage: Stage, shell: Shell) -> None:
    """The audit log holds together, and one file tells all of it; our own client, too."""
    where, out = ("--run-dir", str(stage.run_dir)), str(shell.folder / "incident.zip")
    afar = ("--port", shell.broker.rpartition(" ")[2])
    key = ("--key", str(shell.folder / "alice.key"))
    assert carm("audit", "verify", *where).returncode == 0
    assert carm("incident", "--last", *where, "--out", out).returncode == 0
    fetched = carm("service", "download", "blackbox", str(shell.folder / "box.gz"), *afar, *key)
    assert fetched.returncode == 0, fetched.stderr
    box = gzip.decompress((shell.folder / "box.gz").read_bytes()).splitlines()
    assert [json.loads(line)["pulse_id"] for line in box if json.loads(line)["kind"] == "pulse"]
    seen = carm("service", "watch", "--seconds", "0.3", *afar)
    assert stage.mode() in seen.stdout, seen
    with zipfile.ZipFile(shell.folder / "incident.zip") as archive:
        assert json.loads(archive.read("missing.json")) == {}
        rows = [json.loads(line) for line in archive.read("blackbox.jsonl").splitlines()]
        headers = archive.read("headers.jsonl").splitlines()
        picture = archive.read("timing.svg").decode()
        page = archive.read("index.html").decode()
    assert len([row for row in rows if row["kind"] == "pulse"]) == stage.pulses()
    assert headers
    assert f"pulse {rows[-1]['pulse_id']}" in picture
    assert picture.strip() in page


def _attack(stage: Stage, shell: Shell) -> None:
    """Everything a thief of the key can send: in FAULT with a session, and then in READY.

    Somebody without it sends the same, signed with a key of his own and not signed at all.
    """
    full = {"fault": "executive_trip", "name": "beam", "hz": 1, "reason": "x",
            "toml": rooms.BENCH.read_text(), "proposal": "0" * 16,
            "process": "imaging", "kv": 70, "ma": 40, "ms": 8, "pulses": 3}  # fmt: skip

    async def everything(key: str | None) -> None:
        port = int(shell.broker.rpartition(" ")[2])
        keys = {"alice": shell.folder / "alice.key", "thief": shell.folder / "thief.key"}
        async with engineer(port, keys) as who:
            for name, row in COMMANDS.items():
                # Up to 50 refusals a second are answered, beyond that they are only counted.
                due_s = asyncio.get_running_loop().time() + 0.022
                if name not in ("process_restart", "lock_out") or key != "alice":
                    asked = {one: full[one] for one in row.arguments.model_fields if one in full}
                    id_, text = who.text(name, "alice", arguments=asked)
                    await who.send(name, who.payload(text, key))
                    told = await who.last(id_)
                    assert key == "alice" or told["reason"] == "signature", told
                    await until(due_s)

    # The engineer's own last message, stored at the broker for whoever comes; and cleared again.
    shell(f"mosquitto_pub {shell.broker} -q 1 -r -t {TOPIC}/cmd/dry_run -f payload")
    shell(f"mosquitto_pub {shell.broker} -q 1 -r -t {TOPIC}/cmd/dry_run -n")
    before = stage.pulses()
    stage.rig.do("estop")
    stage.wait("fault", lambda: stage.mode() == "FAULT")
    shell("openssl genpkey -algorithm ed25519 -out thief.key")
    for key in (None, "thief", "alice"):
        asyncio.run(everything(key))
    assert stage.mode() == "FAULT"
    # Whoever looks back cannot tell an act at the board from the work of a command this young.
    time.sleep(1.5 * KNOWN_NS / 1e9)
    stage.rig.do("reset estop")
    stage.local("service_close")
    stage.make_ready()
    for key in ("thief", "alice"):
        asyncio.run(everything(key))
    assert stage.mode() == "READY", "without a session nothing was taken away either"
    assert stage.pulses() == before
    # The same machine radiates for a foot, so the silence above means something.
    stage.press(3)
    beam = shell.command("log_download")[-1]
    assert (beam["result"], beam["reason"]) == ("refused", "beam_on")
    stage.rig.do("release fluoro")
