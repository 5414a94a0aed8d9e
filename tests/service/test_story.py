"""The whole machine, and somebody who has only the page, mosquitto's tools, openssl and a key."""

import asyncio
import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.cli.stage import Stage
from controller.service.core.commands import COMMANDS
from tests.service import rooms
from tests.service.engineer import engineer

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
        text = self(f"mosquitto_sub {self.broker} -q 1 -t {shlex.quote(reply)} -W 4 > replies & "
                    f"sleep 0.3; mosquitto_pub {self.broker} -q 1 -t {TOPIC}/cmd/{name} "
                    "-f payload; wait; cat replies")  # fmt: skip
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
    assert shell.command("fault_acknowledge", fault="executive_trip")[-1]["result"] == "done"
    assert shell.state("faults")["faults"][0]["acknowledged_by"] == "alice"
    replies = shell.command("log_download")
    chunks = "\n".join(one["chunk"]["base64"] for one in replies if one["chunk"])
    (shell.folder / "chunks").write_text(chunks + "\n")
    events = shell("base64 -d < chunks | gunzip").splitlines()
    assert replies[-1]["answer"]["sha256"] == shell("base64 -d < chunks | sha256sum").split()[0]
    assert any(json.loads(line).get("fault") == "executive_trip" for line in events)
    stage.rig.do("reset estop")
    _attack(stage, shell)


def _attack(stage: Stage, shell: Shell) -> None:
    """Everything a thief of the key can send: in FAULT with a session, and then in READY."""

    async def everything() -> None:
        port = int(shell.broker.rpartition(" ")[2])
        async with engineer(port, {"alice": shell.folder / "alice.key"}) as who:
            for name, row in COMMANDS.items():
                if name not in ("process_restart", "lock_out"):
                    full = {"fault": "executive_trip", "name": "beam", "hz": 1, "reason": "x",
                            "toml": rooms.BENCH.read_text(), "proposal": "0" * 16}  # fmt: skip
                    asked = {key: full[key] for key in row.arguments.model_fields if key in full}
                    await who.do(name, "alice", **asked)

    before = stage.pulses()
    asyncio.run(everything())
    assert stage.mode() == "FAULT"
    stage.local("service_close")
    stage.make_ready()
    asyncio.run(everything())
    assert stage.mode() == "READY", "without a session nothing was taken away either"
    assert stage.pulses() == before
    # The same machine radiates for a foot, so the silence above means something.
    stage.rig.do("press fluoro")
    stage.wait("the beam", lambda: stage.pulses() > before + 2)
    beam = shell.command("log_download")[-1]
    assert (beam["result"], beam["reason"]) == ("refused", "beam_on")
    stage.rig.do("release fluoro")
