"""The listed mosquitto with certificates, the embedded broker, and what the process lacks."""

import asyncio
import json
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt
import pytest

from tests.service import rooms
from tests.service.engineer import client, engineer, opened, session_seen

pytestmark = pytest.mark.process


async def test_without_keys_commands_are_not_even_heard(
    tmp_path: Path, broker: rooms.Broker
) -> None:
    with rooms.room(tmp_path, broker.port) as room:
        for file in (room.run_dir / "service-keys").glob("*/*.pem"):
            file.unlink()
        room.supervisor()
        room.service()
        async with engineer(broker.port, room.keys) as who:
            assert who.newest("state/service")["commands"] == "none"
            id_, text = who.text("why", None)
            await who.send("why", who.payload(text, None))
            await who.until("beats", lambda said: len(said.get("telemetry/beat", [])) >= 2)
            assert f"reply/{id_}" not in who.said


async def test_the_listed_broker_keeps_strangers_and_roles_apart(tmp_path: Path) -> None:
    broker = rooms.listed_broker(tmp_path, datetime.now(UTC))
    broker.start()
    folder = tmp_path / "carm"

    def context(name: str | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        if name is not None:
            made.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
        return made

    try:
        with rooms.room(tmp_path, broker.port, tls=True, host="localhost") as room:
            room.supervisor()
            room.service()
            tls = context("engineer-bench")
            async with engineer(broker.port, room.keys, tls=tls, host="localhost") as who:
                opened(room)
                await session_seen(who)
                assert (await who.do("why", None))["result"] == "done"
                # The observer's certificate may not even send a change, whatever is signed.
                id_, text = who.text("lock_out", arguments={"reason": "x"})
                async with client("localhost", broker.port, tls_context=context(
                        "observer-bench")) as other:  # fmt: skip
                    await other.publish("carm/bench-1/cmd/lock_out", who.payload(text), 1)
                    await other.publish("carm/bench-1/state/mode", b'{"mode": "READY"}', 1, True)
                await who.do("state", None)
                assert f"reply/{id_}" not in who.said
                assert who.newest("state/mode")["mode"] == "STANDBY"
            with pytest.raises(aiomqtt.MqttError):
                async with client("localhost", broker.port, timeout=1,
                                          tls_context=context(None)):  # fmt: skip
                    await asyncio.sleep(0)
    finally:
        broker.kill()


async def test_the_embedded_broker_serves_plain_3_1_1(tmp_path: Path) -> None:
    with rooms.room(tmp_path, 0, protocol="3.1.1", broker="embedded") as room:
        room.supervisor()
        room.start("broker", "-m", "controller.service.broker", "--config", str(room.config),
                   "--run-dir", str(room.run_dir))  # fmt: skip
        told = room.run_dir / "mqtt.json"
        await asyncio.to_thread(rooms.until, "broker", told.exists)
        room.service()
        port = json.loads(told.read_text())["port"]
        async with engineer(port, room.keys, version5=False) as who:
            opened(room)
            await session_seen(who)
            assert (await who.do("telemetry_rate", name="beam", hz=2))["result"] == "done"
            refused = await who.do("config_roll_back")
            assert refused["reason"] == "role"
        assert "not for production" in room.log("broker")
        assert room.end("service") == 0
        assert room.end("broker") == 0


async def test_the_process_says_what_it_lacks(tmp_path: Path, broker: rooms.Broker) -> None:
    with rooms.room(tmp_path, broker.port) as room:
        room.service()
        await asyncio.to_thread(rooms.until, "lock", (
            room.run_dir / "state" / "service" / "audit.head").exists)  # fmt: skip
        second = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "controller.service", "--config", str(room.config), "--run-dir",
            str(room.run_dir), cwd=rooms.ROOT, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, words = await second.communicate()
        assert second.returncode == 3
        assert json.loads(words.splitlines()[-1])["error"]["code"] == "second_service"
        audit = room.run_dir / "state" / "service" / "audit.jsonl"
        assert room.end("service") == 0
        audit.write_text(audit.read_text().replace("started", "stopped"))
        room.service()
        assert room.processes["service"].wait(10) == 3
        assert "audit_damaged" in room.log("service")
