"""Those who watch: told at once, told that we live, never waited for."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from controller.core.events import Remote
from controller.supervisor.links import listen
from controller.supervisor.service_desk import (
    ASKS_PER_S_MAX,
    LIFE_NS,
    NEWS_NS_MIN,
    PICTURE_NS,
    ServiceDesk,
)

T0 = 50_000_000_000
MS = 1_000_000
WATCH = {"n": 5, "ask": True, "watch": True}


class Machine:
    """A visible thing, the desk that shows it, and a clock that only the test moves."""

    def __init__(self, folder: Path) -> None:
        self.thing: object = "first"
        self.now_ns = T0
        self.pictures = 0
        self.looks = 0
        self.put: list[Remote] = []
        self.path = folder / "service.sock"
        self.desk = ServiceDesk(self.put.append, self._visible, self._picture)

    def _visible(self, now_ns: int) -> object:
        self.looks += 1
        return self.thing

    def _picture(self, now_ns: int) -> Mapping[str, Any]:
        self.pictures += 1
        return {"t_ns": now_ns, "status": self.thing}

    def monotonic_ns(self) -> int:
        return self.now_ns

    def turn(self, after_ns: int) -> None:
        self.now_ns += after_ns
        self.desk.stir(self.now_ns)


class Client:
    """One end of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, body: Mapping[str, Any]) -> None:
        self.writer.write(json.dumps(body).encode() + b"\n")

    async def hear(self) -> Any:
        async with asyncio.timeout(5):
            return json.loads(await self.reader.readline())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr("controller.supervisor.service_desk.time.monotonic_ns", made.monotonic_ns)
    return made


async def until(met: Callable[[], object]) -> None:
    """Let the loop turn until it is so."""
    async with asyncio.timeout(5):
        # There is no event for what others' buffers hold.
        while not met():  # noqa: ASYNC110
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def client(machine: Machine) -> AsyncIterator[Client]:
    serving = asyncio.create_task(machine.desk.serve(listen(machine.path, socket.SOCK_STREAM)))
    await asyncio.sleep(0)
    reader, writer = await asyncio.open_unix_connection(machine.path, limit=1 << 20)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
        # The other end notices in its own time.
        await until(lambda: not machine.desk._clients)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_news_comes_with_the_main_step_that_made_it(machine: Machine) -> None:
    async with client(machine) as who:
        who.say(WATCH)
        assert await who.hear() == {"n": 5, "t_ns": T0, "status": "first"}
        machine.turn(NEWS_NS_MIN)
        machine.thing = "second"
        machine.turn(1)
        assert await who.hear() == {"n": 5, "t_ns": T0 + NEWS_NS_MIN + 1, "status": "second"}


async def test_without_news_it_is_told_that_we_live_and_now_and_then_a_picture(
    machine: Machine,
) -> None:
    async with client(machine) as who:
        who.say(WATCH)
        heard = [await who.hear()]
        for _ in range(3 * PICTURE_NS // (70 * MS)):
            machine.turn(70 * MS)
            await asyncio.sleep(0)
        machine.turn(LIFE_NS)
        while heard[-1]["t_ns"] < machine.now_ns:
            heard.append(await who.hear())
        assert max(_gaps(heard)) <= LIFE_NS + 70 * MS
        pictures = [one for one in heard if "status" in one]
        assert len(pictures) == machine.pictures >= 3
        assert all(PICTURE_NS <= gap <= PICTURE_NS + 70 * MS for gap in _gaps(pictures))


def _gaps(heard: list[Any]) -> list[int]:
    return [b["t_ns"] - a["t_ns"] for a, b in pairwise(heard)]


async def test_quick_changes_are_told_together(machine: Machine) -> None:
    async with client(machine) as who:
        who.say(WATCH)
        await who.hear()
        for number in range(100):
            machine.thing = number
            machine.turn(10 * MS)
            await asyncio.sleep(0)
        assert machine.pictures <= 2 + 100 * 10 * MS // NEWS_NS_MIN
        machine.turn(NEWS_NS_MIN)
        told = await who.hear()
        while told.get("status") != 99:
            told = await who.hear()


async def test_one_that_stands_still_costs_a_comparison_and_finds_the_newest(
    machine: Machine,
) -> None:
    async with client(machine) as who:
        who.say(WATCH)
        await who.hear()
        machine.thing = "x" * 300_000
        machine.turn(PICTURE_NS)
        (watcher,) = machine.desk._watchers
        assert watcher.writer.transport.get_write_buffer_size(), "more than the kernel takes"
        before = machine.pictures
        for number in range(1000):
            machine.thing = f"{number}" + "x" * 300_000
            machine.turn(NEWS_NS_MIN)
        assert machine.pictures == before
        assert len((await who.hear())["status"]) == 300_000
        await until(lambda: not watcher.writer.transport.get_write_buffer_size())
        machine.turn(NEWS_NS_MIN)
        assert (await who.hear())["status"].startswith("999x")


async def test_whoever_asks_anyway_is_not_told_the_same_twice(machine: Machine) -> None:
    async with client(machine) as who:
        who.say(WATCH)
        await who.hear()
        machine.thing = "second"
        who.say({"n": 6, "ask": True})
        await until(lambda: machine.put)
        machine.now_ns += LIFE_NS // 2
        machine.desk.answer(machine.put[0].token, machine._picture(machine.now_ns))
        assert (await who.hear())["n"] == 6
        before = machine.pictures
        machine.turn(LIFE_NS - 1)
        assert machine.pictures == before
        machine.turn(1)
        assert await who.hear() == {"n": 5, "t_ns": machine.now_ns}


async def test_nobody_watches_nobody_looks(machine: Machine) -> None:
    machine.turn(PICTURE_NS)
    assert machine.looks == 0
    async with client(machine) as who:
        who.say(WATCH)
        await who.hear()
    looks = machine.looks
    machine.turn(PICTURE_NS)
    assert machine.looks == looks, "it went"


async def test_watching_anew_again_and_again_has_its_bound(machine: Machine) -> None:
    async with client(machine) as who:
        for _ in range(ASKS_PER_S_MAX + 1):
            who.say(WATCH)
        answers = [await who.hear() for _ in range(ASKS_PER_S_MAX + 1)]
        assert [one.get("error", {}).get("code") for one in answers[-2:]] == [None, "rate"]
        assert len(machine.desk._watchers) == 1


@pytest.mark.parametrize("spoilt", [{"watch": 1}, {"watch": None}, {"see": True}])
async def test_a_line_that_is_none_watches_nothing(machine: Machine, spoilt: Any) -> None:
    async with client(machine) as who:
        who.say({"n": 5, "ask": True, **spoilt})
        assert (await who.hear())["error"]["code"] == "malformed"
        assert not machine.desk._watchers
