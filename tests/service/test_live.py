"""The service process, a real mosquitto, and the supervisor's real core and desks."""

import asyncio
import base64
import contextlib
import gzip
import hashlib
import io
import json
import random
import resource
import signal
import time
import zipfile
from collections import Counter

import aiomqtt
import pytest

from controller.service.configs import folder_of
from controller.service.core.commands import COMMANDS, Nothing
from controller.service.core.levels import Level
from controller.service.journal import verify_audit
from controller.service.link import until
from tests.service import rooms
from tests.service.contract import Contract, ear
from tests.service.engineer import Engineer, client, engineer, opened, response, session_seen
from tests.service.hostile import KINDS, hostile

pytestmark = pytest.mark.process


async def test_everything_that_is_said_and_asked_fits_the_document(
    room: rooms.Room, broker: rooms.Broker
) -> None:
    async with ear(broker.port) as heard, engineer(broker.port, room.keys) as who:
        opened(room)
        await session_seen(who)
        room.say("fault")
        await who.until("fault", lambda said: "event/fault" in said)
        asked: tuple[tuple[str, dict[str, object]], ...] = (
            *((row.name, {}) for row in COMMANDS.values() if row.arguments is Nothing),
            ("fault_acknowledge", {"fault": "generator_lost"}),
            ("telemetry_rate", {"name": "beam", "hz": 10}),
            ("constancy_propose", {"kv": 70, "ma": 40, "ms": 8, "pulses": 3, "reason": "yearly"}),
            ("config_validate", {"toml": room.config.read_text()}),
            ("process_restart", {"process": "realtime"}), ("lock_out", {"reason": "wear"}),
            ("log_download", {}), ("audit_download", {}), ("incident", {}),
        )  # fmt: skip
        answers = {}
        for name, arguments in asked:
            # Questions need no signature, and signed commands are at most 20 a second.
            by = None if COMMANDS[name].level is Level.ASK else "anna"
            answers[name] = await who.do(name, by, **arguments)
        ended = {name: one["result"] for name, one in answers.items()}
        # The rest needs what half a supervisor has not: STANDBY, a black box, an earlier change.
        assert {n for n, result in ended.items() if result == "refused"} == {
            "self_test", "dry_run", "config_roll_back", "process_restart"}, answers  # fmt: skip
        await _reconfigured(who, room)
        await who.do("fault_acknowledge", fault="no_such")
        await who.until("beats", lambda said: len(said.get("telemetry/beat", [])) >= 2
                        and "telemetry/beam" in said)  # fmt: skip
        await who.until("security", lambda said: "event/security" in said)
    contract = Contract()
    for message in heard.heard:
        contract.take(*message)
    states = {name for name in contract.document["channels"] if name.startswith("state-")}
    assert states <= set(contract.used)
    assert {"event-mode", "event-fault", "event-session", "event-security", "telemetry-beam",
            "telemetry-beat", *(f"{part}-{name}" for part in ("cmd", "reply") for name in answers),
            } <= set(contract.used)  # fmt: skip


async def _reconfigured(who: Engineer, room: rooms.Room) -> None:
    """A configuration from a proposal to the next start and back, by the files it leaves."""
    queued = folder_of(room.run_dir) / "queued"
    toml = room.config.read_text().replace("kv = 70.0", "kv = 72.0")
    told = await who.do("config_propose", "anna", toml=toml)
    name = told["answer"]["proposal"]
    assert told["answer"]["changes"] == ["technique.kv"]
    assert (queued.parent / f"{name}.toml").read_text() == toml
    assert (await who.do("config_queue", "anna", proposal=name))["result"] == "done"
    assert queued.read_text().strip() == name
    assert (await who.do("config_roll_back", "anna"))["answer"]["taken_back"] == name
    assert not queued.exists()


async def test_questions_are_answered_at_any_time_and_changes_only_when_allowed(
    room: rooms.Room, broker: rooms.Broker
) -> None:
    async with engineer(broker.port, room.keys) as who:
        refused = await who.do("lock_out", reason="wear")
        assert (refused["result"], refused["reason"]) == ("refused", "no_session")
        opened(room)
        await session_seen(who)
        for word, reason, seen in (
            ("pedal", "pedal_down", lambda said: who.newest("state/pedals")["up"] is False),
            ("beam", "beam_on", lambda said: not who.newest("state/mode")["dark"]),
        ):
            room.say(word)
            # What is published is what service knows; only then is the reason certain.
            await who.until(word, seen)
            told = await who.do("lock_out", reason="wear")
            assert (told["result"], told["reason"]) == ("refused", reason)
            assert (await who.do("state", None))["result"] == "done"
        room.say("rest")
        await who.until("rest", lambda said: who.newest("state/mode")["dark"])
        assert (await who.do("lock_out", reason="wear"))["result"] == "done"
    assert [one["id"] for one in room.local("faults")["held"]] == ["locked_out"]


EACH = 3


async def test_hostile_messages_execute_nothing_between_valid_ones_that_execute_once(
    room: rooms.Room, broker: rooms.Broker
) -> None:
    async with engineer(broker.port, room.keys) as who:
        opened(room)
        await session_seen(who)
        order = [kind for kind in KINDS for _ in range(EACH)]
        random.Random(4).shuffle(order)
        good: dict[str, bytes] = {}
        sent: dict[str, list[str]] = {kind: [] for kind in KINDS}
        for number, kind in enumerate(order):
            # Far enough below 20/s that a stall of the machine does not make a flood of it.
            pause = asyncio.get_running_loop().time() + 0.08
            id_, text = who.text("telemetry_rate", arguments={"name": "beam", "hz": number / 100})
            good[id_] = who.payload(text)
            await who.send("telemetry_rate", good[id_])
            bad, command, payload, options = hostile(who, kind, id_, text, good[id_])
            await who.send(command, payload, **options)
            sent[kind].append(bad)
            await until(pause)
        for kind, ids in sent.items():
            for id_ in ids:
                topic = f"reply/{id_}"
                await who.until(topic, lambda said, topic=topic: any(
                    one["result"] == "refused" for _, one in said.get(topic, [])))  # fmt: skip
                reasons = [one["reason"] for _, one in who.said[topic] if one["reason"]]
                assert reasons == [kind], (kind, reasons)
        for id_ in good:
            await who.until(id_, lambda said, id_=id_: any(
                one["result"] == "done" for _, one in said.get(f"reply/{id_}", [])))  # fmt: skip
    # Their effect, seen outside MQTT: what the supervisor permitted, and the file of the audit.
    assert room.local("status")["mode"] == "STANDBY", "no lock_out was executed"
    done = Counter(one["id"] for one in room.audit("done"))
    assert done == Counter(list(good))
    permitted = Counter(one["command"] for one in room.audit("accepted"))
    assert permitted == {"telemetry_rate": len(good)}
    refused = Counter(one["reason"] for one in room.audit("refused"))
    assert refused == dict.fromkeys(KINDS, EACH)
    assert verify_audit(room.run_dir / "state" / "service")[2] is None


async def settled(who: Engineer, begun: float) -> float:
    """Wait until all of the flood has been judged; how long that took, s."""

    def judged() -> int:
        security = who.newest("state/security") or {"refused": {}, "accepted": 0}
        return int(sum(security["refused"].values()) + security["accepted"])

    await who.until("flood judged", lambda said: judged() >= FLOOD)
    return time.monotonic() - begun


FLOOD = 400


async def test_a_flood_beyond_the_rate_is_refused_and_a_valid_command_still_comes_through(
    room: rooms.Room, broker: rooms.Broker
) -> None:
    async with engineer(broker.port, room.keys) as who:
        opened(room)
        await session_seen(who)
        begun = time.monotonic()
        for _ in range(FLOOD):
            _, text = who.text("telemetry_rate", arguments={"name": "beam", "hz": 1})
            await who.mqtt.publish("carm/bench-1/cmd/telemetry_rate", who.payload(text), 0)
        lasted = await settled(who, begun)
        # Budgets are per second; after one without a flood they are whole again.
        await until(asyncio.get_running_loop().time() + 1.1)
        assert (await who.do("telemetry_rate", name="imaging", hz=3.5))["result"] == "done"
        executed = len(room.audit("done")) - 1
        assert 20 <= executed <= 20 * (1 + lasted)
        assert set(who.newest("state/security")["refused"]) == {"rate"}


async def test_nothing_runs_twice_across_restarts_of_the_process(
    room: rooms.Room, broker: rooms.Broker
) -> None:
    async with engineer(broker.port, room.keys) as who:
        opened(room)
        await session_seen(who)
        id_, text = who.text("telemetry_rate", arguments={"name": "beam", "hz": 2})
        content = who.payload(text)
        await who.send("telemetry_rate", content)
        assert (await who.last(id_))["result"] == "done"
        room.processes["service"].kill()
        room.processes.pop("service").wait()
        await who.until("last will", lambda said: who.newest("state/service")["online"] is False)
        pid = room.service()
        await who.until("birth", lambda said: who.newest("state/service")["pid"] == pid
                        and who.newest("state/service")["epoch"] is not None)  # fmt: skip
        who.said.pop(f"reply/{id_}")
        await who.send("telemetry_rate", content)
        told = await who.last(id_)
        assert (told["result"], told["reason"]) in (("refused", "duplicate"),
                                                    ("refused", "replayed"))  # fmt: skip
    assert [one["id"] for one in room.audit("done")] == [id_]


async def test_a_broker_that_dies_freezes_and_returns_is_found_again_with_all_state(
    room: rooms.Room, broker: rooms.Broker
) -> None:
    opened(room)
    for hurt in ("kill", "freeze"):
        lost = room.log("service").count("broker_lost")
        async with engineer(broker.port, room.keys) as who:
            await session_seen(who)
            id_, text = who.text("telemetry_rate", arguments={"name": "beam", "hz": 2})
            content = who.payload(text)
            await who.send("telemetry_rate", content)
        # The command is on its way, or at work, or just done.
        broker.kill() if hurt == "kill" else broker.signal(signal.SIGSTOP)
        # A frozen broker says nothing; the beat that is not acknowledged tells.
        await asyncio.to_thread(rooms.until, "noticed", lambda lost=lost: (
            room.log("service").count("broker_lost") > lost))  # fmt: skip
        broker.start() if hurt == "kill" else broker.signal(signal.SIGCONT)
        begun = time.monotonic()
        async with engineer(broker.port, room.keys) as who:
            await who.until("state", lambda said: {"state/mode", "state/why", "state/faults",
                                                   "state/technique"} <= set(said))  # fmt: skip
            await who.until("beat", lambda said: "telemetry/beat" in said)
            took = time.monotonic() - begun
            assert who.newest("state/mode")["mode"] == room.local("status")["mode"]
            # Whether it had come through before or not: sent again, it has run once.
            await who.send("telemetry_rate", content)
            told = await who.last(id_)
            assert (told["result"], told["reason"]) in (("done", None), ("refused", "duplicate"),
                                                        ("refused", "replayed"))  # fmt: skip
        assert [one["id"] for one in room.audit("done")].count(id_) == 1
        assert took <= 2.5, f"{hurt}: {took:.2f} s"
    assert room.acts()["permit"] == 2
    assert "Traceback" not in room.log("service")
    assert room.descriptors("service") < 40


async def test_a_namesake_does_not_keep_us_out(room: rooms.Room, broker: rooms.Broker) -> None:
    async def insist() -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with client("127.0.0.1", broker.port, identifier="carm-bench-1") as mine:
                    async for _ in mine.messages:
                        pass
            await until(asyncio.get_running_loop().time() + 0.3)

    async with engineer(broker.port, room.keys) as who, asyncio.TaskGroup() as group:
        namesake = group.create_task(insist())
        await who.until("taken over", lambda said: any(
            one["change"] == "duplicate_client_id" for _, one in said.get("event/broker", [])
        ))  # fmt: skip
        assert (await who.do("state", None))["result"] == "done"
        namesake.cancel()


async def test_mqtt_5_response_topics_are_answered_too_but_nowhere_else(
    room: rooms.Room, broker: rooms.Broker
) -> None:
    async with engineer(broker.port, room.keys) as who:
        got: asyncio.Queue[aiomqtt.Message] = asyncio.Queue()

        async def collect(mqtt: aiomqtt.Client) -> None:
            async for message in mqtt.messages:
                got.put_nowait(message)

        async with client("127.0.0.1", broker.port,
                                  protocol=aiomqtt.ProtocolVersion.V5) as mine:  # fmt: skip
            await mine.subscribe("carm/bench-1/reply/mine", 1)
            await mine.subscribe("carm/bench-1/cmd/lock_out", 1)
            collecting = asyncio.create_task(collect(mine))
            for topic in ("carm/bench-1/cmd/lock_out", "carm/bench-1/reply/mine"):
                id_, text = who.text("why", None)
                await who.send("why", who.payload(text, None),
                               properties=response(topic, b"correlated"))  # fmt: skip
                assert (await who.last(id_))["result"] == "done"
            message = await asyncio.wait_for(got.get(), 5)
            assert str(message.topic) == "carm/bench-1/reply/mine"
            assert getattr(message.properties, "CorrelationData", None) == b"correlated"
            assert got.empty()
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)


async def test_a_download_comes_whole_and_an_incident_is_a_file(
    room: rooms.Room, broker: rooms.Broker
) -> None:
    async with engineer(broker.port, room.keys) as who:
        for name, magic in (("log_download", b"\x1f\x8b"), ("incident", b"PK")):
            id_, text = who.text(name, "olga")
            await who.send(name, who.payload(text, "olga"))
            done = await who.last(id_)
            assert done["result"] == "done", done
            replies = [one for _, one in who.said[f"reply/{id_}"]]
            whole = b"".join(base64.b64decode(one["chunk"]["base64"])
                             for one in replies if one["chunk"])  # fmt: skip
            assert whole.startswith(magic)
            assert hashlib.sha256(whole).hexdigest() == done["answer"]["sha256"]
            assert any(one["progress"] for one in replies)
            if name == "incident":
                opened_file(whole)
            if name == "log_download":
                events = [json.loads(line) for line in gzip.decompress(whole).splitlines()]
                assert events[-1]["event"] in ("broker", "mode", "session", "process")


def opened_file(content: bytes) -> None:
    """An incident of a machine whose other half is missing says so, and is whole otherwise."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        missing = json.loads(archive.read("missing.json"))
        page = archive.read("index.html").decode()
        status = json.loads(archive.read("status.json"))
    assert set(missing) == {"blackbox.jsonl", "timing.svg"}
    assert {"configuration.toml", "events.jsonl", "faults.json", "headers.jsonl", "log.txt",
            "status.json", "versions.json", "why.json"} <= names  # fmt: skip
    assert status["mode"] in page
    # Nothing is fetched when it is opened: no network where it is read, perhaps.
    assert not [word for word in ("http:", "https:", "src=", "href=", "@import") if word in page]


async def test_a_full_disk_refuses_changes_and_still_answers_questions(
    room: rooms.Room, broker: rooms.Broker
) -> None:
    async with engineer(broker.port, room.keys) as who:
        opened(room)
        await session_seen(who)
        # Every file is at its largest now: the kernel answers EFBIG as it would ENOSPC.
        resource.prlimit(room.processes["service"].pid, resource.RLIMIT_FSIZE, (1, 1))
        told = await who.do("telemetry_rate", name="beam", hz=2)
        assert (told["result"], told["reason"]) == ("refused", "machine")
        assert (await who.do("state", None))["result"] == "done"
    assert room.audit("accepted") == []
