"""The shell over real sockets: orders in time, dark on every failure, latches that survive."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.cli.answer import ask
from controller.core.events import Event, Kind
from controller.core.order import AHEAD_NS
from controller.supervisor import shell as shells
from controller.supervisor.shell import INBOX_MAX, Shell
from controller.supervisor.state import StateDir
from realtime.wire.messages import (
    Committed,
    Dark,
    Delivered,
    EndReason,
    Order,
    Pedal,
    Press,
    PulseReport,
    RunEnd,
    Select,
    Series,
    Skip,
    SkipReason,
    Trip,
)
from realtime.wire.messages import Mode as Function
from realtime.wire.record import CAPACITY_MIN, Head, file_bytes, pack_head
from tests.controller.core.scene import BENCH, report
from tests.controller.supervisor.peers import ImagingPeer, ObjectGenerator, Realtime, until

RUN = 77


class Bench:
    """A supervisor in this thread, its partners and a story in others."""

    def __init__(self, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run_dir = run_dir
        self.realtime, self.imaging = Realtime(), ImagingPeer()
        self.generator: ObjectGenerator | None = None
        monkeypatch.setattr(shells, "find", self._find)
        self.failure: BaseException | None = None
        self.living = True
        black_box = pack_head(Head(CAPACITY_MIN, 1, 0, 1, 1, 0, 0))
        (run_dir / "blackbox.ring").write_bytes(black_box.ljust(file_bytes(CAPACITY_MIN), b"\0"))

    def _find(self, config: Any, run_dir: Path, listener: Any) -> ObjectGenerator:
        self.generator = ObjectGenerator(listener)
        return self.generator

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        return ask(self.run_dir / "local.sock", {"do": do, **arguments}, 5.0)

    def mode(self) -> str:
        return str(self.ask("status").get("mode"))

    def gen(self) -> ObjectGenerator:
        assert self.generator is not None
        return self.generator

    def ready(self) -> None:
        until("standby", lambda: self.mode() == "STANDBY")
        assert self.ask("ready")["ok"]
        until("commit", lambda: self.ask("status")["committed_id"] is not None)

    def press(self, run_id: int = RUN, pedal: Pedal = Pedal.FLUORO,
              function: Function = Function.FLUORO) -> None:  # fmt: skip
        self.realtime.send(Press(run_id, pedal, function, time.monotonic_ns()))

    def pulse(self, n: int) -> None:
        order: Order = self.realtime.messages(Order)[-1]
        changes = {"bank": order.bank, "set_us": order.set_us}
        self.realtime.send(report(order.run_id, n, order.technique_id, **changes))
        self.gen().fire(order.bank)

    def live(self, story: Callable[[], None], shell_class: type[Shell] = Shell) -> int:
        """Run the supervisor; the story ends it, or it ends by itself."""
        state = StateDir.claim(self.run_dir / "state")
        shell = shell_class(BENCH, self.run_dir, state)
        thread = threading.Thread(target=self._tell, args=(story,))
        thread.start()
        try:
            return shell.run()
        finally:
            self.living = False
            thread.join()
            self.realtime.stop()
            self.imaging.stop()
            state.release()
            if self.failure is not None:
                raise self.failure

    def _tell(self, story: Callable[[], None]) -> None:
        try:
            until("sockets", (self.run_dir / "local.sock").exists)
            self.realtime.serve(self.run_dir, self.gen())
            self.imaging.connect(self.run_dir)
            story()
        except BaseException as error:  # noqa: BLE001 - raised again in the test
            self.failure = error
            if self.living:
                end()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def latches(run_dir: Path) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads((run_dir / "state" / "latches.json").read_text())
    return stored


def test_from_boot_to_hold_and_out(bench: Bench) -> None:
    def story() -> None:
        bench.ready()
        bench.press()
        until("order", lambda: bool(bench.realtime.messages(Order)))
        for n in range(10):
            until("credit", lambda n=n: bench.realtime.messages(Order)[-1].last_pulse_n >= n)  # type: ignore[misc]
            bench.pulse(n)
        until("credit", lambda: bench.realtime.messages(Order)[-1].last_pulse_n == 11)
        bench.realtime.send(RunEnd(RUN, time.monotonic_ns(), EndReason.RELEASE, "", 10, 0))
        until("hold", lambda: bench.mode() == "HOLD")
        end()

    assert bench.live(story) == 0
    imaging, realtime = bench.imaging, bench.realtime
    (series,) = imaging.messages(Series)
    assert series.run_id == RUN
    assert [one.pulse_n for one in imaging.messages(Delivered)] == list(range(10))
    orders: list[Order] = realtime.messages(Order)
    assert [one.order_seq for one in orders] == list(range(1, len(orders) + 1))
    (technique_id,) = {one.technique_id for one in orders}
    assert technique_id == imaging.messages(Committed)[-1].technique_id
    assert realtime.messages(Select)
    for at_ns, order in ((t, m) for t, m in realtime.heard if isinstance(m, Order)):
        assert order.expires_ns - at_ns <= AHEAD_NS
    assert latches(bench.run_dir) == {"clean": True, "held": []}
    left = {path.name for path in bench.run_dir.iterdir()}
    assert left == {"blackbox.ring", "state", "orders.sock"}


class Stalling(asyncio.Queue[Event]):
    """An inbox whose reader stops coming back after the first skipped pulse."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.stalled = asyncio.Event()
        self.resumed = asyncio.Event()

    async def get(self) -> Event:
        if self.stalled.is_set():
            await self.resumed.wait()
        event = await super().get()
        if event.kind is Kind.SKIP:
            self.stalled.set()
        if event.kind is Kind.STOP:
            self.stalled.clear()
        return event


def test_a_stalled_main_step_starves_the_order_though_other_tasks_live(bench: Bench) -> None:
    inboxes: list[Stalling] = []
    loops: list[asyncio.AbstractEventLoop] = []

    class StallingShell(Shell):
        async def _live(self) -> int:
            self._inbox = Stalling(INBOX_MAX)
            inboxes.append(self._inbox)
            loops.append(asyncio.get_running_loop())
            return await super()._live()

    def story() -> None:
        bench.ready()
        bench.press()
        until("order", lambda: len(bench.realtime.messages(Order)) > 3)
        bench.realtime.send(Skip(RUN, 1, time.monotonic_ns(), SkipReason.LATE))
        until("stall", inboxes[0].stalled.is_set)
        count = len(bench.realtime.messages(Order))
        last = bench.realtime.messages(Order)[-1]
        until("the last order's end", lambda: time.monotonic_ns() > last.expires_ns)
        # The other tasks live: the local socket still refuses what it cannot read.
        reply = ask(bench.run_dir / "local.sock", {"do": "dance"}, 2.0)
        assert reply["error"]["code"] == "malformed"
        assert len(bench.realtime.messages(Order)) <= count + 1
        loops[0].call_soon_threadsafe(inboxes[0].resumed.set)
        until("fault", lambda: bench.mode() == "FAULT")
        assert len(bench.realtime.messages(Order)) <= count + 1
        assert bench.ask("status")["faults"][0]["id"] == "order_lapsed"
        end()

    assert bench.live(story, StallingShell) == 0
    assert [held[0] for held in latches(bench.run_dir)["held"]] == ["order_lapsed"]


def test_an_exception_is_dark_latched_and_a_code_of_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from controller.core.machine import ACTIONS

    def explode(core: object, event: object, now_ns: int) -> list[Any]:
        raise ZeroDivisionError("seeded")

    monkeypatch.setitem(ACTIONS, "skip_counted", explode)

    def story() -> None:
        bench.ready()
        bench.press()
        until("order", lambda: bool(bench.realtime.messages(Order)))
        bench.realtime.send(Skip(RUN, 1, time.monotonic_ns(), SkipReason.LATE))
        until("dark", lambda: bool(bench.realtime.messages(Dark)))

    assert bench.live(story) == shells.EXIT_BUG
    (dark,) = bench.realtime.messages(Dark)
    assert (dark.run_id, dark.code) == (RUN, "internal_error")
    stored = latches(bench.run_dir)
    assert not stored["clean"]
    assert stored["held"][0][0] == "internal_error"
    assert "seeded" in stored["held"][0][1]


def test_a_full_inbox_is_dark_and_the_end(bench: Bench) -> None:
    class Flooded(Shell):
        def _from_executive(self, message: Any) -> None:
            for _ in range(INBOX_MAX + 1 if isinstance(message, Skip) else 1):
                super()._from_executive(message)

    def story() -> None:
        bench.ready()
        bench.press()
        until("order", lambda: bool(bench.realtime.messages(Order)))
        bench.realtime.send(Skip(RUN, 1, time.monotonic_ns(), SkipReason.LATE))
        until("dark", lambda: bool(bench.realtime.messages(Dark)))

    assert bench.live(story, Flooded) == shells.EXIT_BUG
    assert "Overflow" in latches(bench.run_dir)["held"][0][1]


def test_latches_survive_the_process_until_a_local_reset(bench: Bench) -> None:
    def trip() -> None:
        bench.ready()
        bench.realtime.spoil["trips"] = ["stall"]
        bench.realtime.send(Trip("stall", 1, "seeded"))
        until("fault", lambda: bench.mode() == "FAULT")
        end()

    assert bench.live(trip) == 0
    bench.realtime, bench.imaging = Realtime(), ImagingPeer()

    def recover() -> None:
        until("fault", lambda: bench.mode() == "FAULT")
        held = bench.ask("status")["faults"]
        assert [one["id"] for one in held] == ["executive_trip"]
        until("partners", lambda: len(bench.ask("why")["reasons"]) <= 3)
        assert bench.ask("reset")["ok"]
        assert bench.mode() == "STANDBY"
        end()

    assert bench.live(recover) == 0
    assert latches(bench.run_dir) == {"clean": True, "held": []}


def test_presses_that_cannot_be_served_are_refused_with_their_code(bench: Bench) -> None:
    def story() -> None:
        bench.ready()
        bench.press(1, Pedal.HIGH, Function.HIGH_LEVEL)
        bench.press(2, Pedal.CINE, Function.CINE)
        until("refusals", lambda: len(bench.realtime.messages(Dark)) == 2)
        end()

    assert bench.live(story) == 0
    codes = [(dark.run_id, dark.code) for dark in bench.realtime.messages(Dark)]
    assert codes == [(1, "high_level_needs_dose_limits"), (2, "cine_needs_recorder")]
    assert bench.realtime.messages(Order) == []


def test_a_generator_that_stores_one_step_else_never_gets_an_order(bench: Bench) -> None:
    def story() -> None:
        bench.ready()
        bench.gen().stores_one_step_else = True
        assert bench.ask("set", kv=71.0)["ok"]
        bench.ask("ready")
        until("fault", lambda: bench.mode() == "FAULT")
        assert "71" in bench.ask("status")["faults"][0]["detail"]
        bench.press()
        until("refusal", lambda: bool(bench.realtime.messages(Dark)))
        end()

    assert bench.live(story) == 0
    assert bench.realtime.messages(Order) == []


def test_a_silent_generator_disarms_within_three_heartbeats(bench: Bench) -> None:
    seen: list[int] = []

    def story() -> None:
        bench.ready()
        bench.press()
        until("order", lambda: bool(bench.realtime.messages(Order)))
        seen.append(time.monotonic_ns())
        bench.gen().alive = False
        until("dark", lambda: bool(bench.realtime.messages(Dark)))
        seen.append(time.monotonic_ns())
        end()

    assert bench.live(story) == 0
    assert bench.realtime.messages(Dark)[0].code == "generator_lost"
    assert seen[1] - seen[0] < 1_000_000_000


def test_garbage_on_a_wire_is_counted_and_dropped(bench: Bench) -> None:
    def story() -> None:
        until("standby", lambda: bench.mode() == "STANDBY")
        for garbage in (b"\xc1", b"\x00" * 5000, os.urandom(64)):
            assert bench.realtime.connection is not None
            assert bench.imaging.connection is not None
            bench.realtime.connection.send(garbage)
            bench.imaging.connection.send(garbage)
        assert bench.ask("ready")["ok"]
        end()

    assert bench.live(story) == 0


def test_realtime_lost_and_back_needs_a_reset(bench: Bench) -> None:
    def story() -> None:
        bench.ready()
        bench.press()
        until("order", lambda: bool(bench.realtime.messages(Order)))
        bench.realtime.stop()
        until("fault", lambda: bench.mode() == "FAULT")
        bench.realtime = Realtime()
        bench.realtime.serve(bench.run_dir, bench.gen(), epoch=10)
        until("link", lambda: bench.ask("status")["executive"]["up"])
        assert bench.ask("ready")["error"]["code"] == "fault_executive_lost"
        until("reset", lambda: bench.ask("reset").get("ok", False))
        assert bench.mode() == "STANDBY"
        end()

    assert bench.live(story) == 0
    assert not bench.realtime.messages(PulseReport)
    assert bench.realtime.messages(Order) == []
