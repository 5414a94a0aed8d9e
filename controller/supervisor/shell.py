"""The shell: one inbox, one main step, the adapters in a task group.

Lives here: the event loop's side of the supervisor: time, the beat, carrying out commands, and what
happens when anything of ours fails.  May not live here: a decision (`controller.core.machine`).

Everything that happens goes through the inbox, the beat included; orders leave from the main step
alone.  So a main step that stalls starves the order, even when every other task still lives.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from functools import partial
from pathlib import Path
from typing import Final

from controller.core import events, service
from controller.core.condition import Core
from controller.core.events import Command, Event, Kind
from controller.core.faults import Held, added
from controller.core.machine import Machine
from controller.core.order import REST_EARLY_NS, REST_TICK_NS, TICK_NS
from controller.core.results import PulseResult
from controller.core.technique import from_config
from controller.devices.generator import find
from controller.log import line
from controller.supervisor.durable import Copier, PulseLog
from controller.supervisor.durable_thread import DurableThread
from controller.supervisor.generator_thread import GeneratorThread, History, ToInbox
from controller.supervisor.links import Link, call, listen, serve
from controller.supervisor.local import LocalDesk
from controller.supervisor.service_desk import ServiceDesk
from controller.supervisor.state import StateDir
from realtime.notify import Watchdog
from realtime.wire.config import Config
from realtime.wire.messages import Dark, DarkFrameResult, Hello, ImagingState, Message

# 30 pulses/s bring ~200 events a second; 1024 waiting means five seconds without a main step.
INBOX_MAX: Final = 1024
STOP_WAIT_S: Final = 2.0
EXIT_BUG: Final = 4
LOCAL_SOCKET: Final = "local.sock"
SERVICE_SOCKET: Final = "service.sock"
IMAGING_SOCKET: Final = "imaging.sock"
ORDERS_SOCKET: Final = "orders.sock"
BLACK_BOX: Final = "blackbox.ring"
PULSE_LOG: Final = "pulses.log"
# The copier may wait for a disk that stalls for 10 s (F40); without it no run starts anyway.
CRITICAL: Final = {"main_step": 0, "generator": 0, "durable": 12_000_000_000}
_log = logging.getLogger("supervisor")


class Overflow(RuntimeError):
    """The inbox is full: the main step has stalled or somebody floods (F30)."""


class Shell:
    """The process's one object.  `run` returns the exit code."""

    def __init__(self, config: Config, run_dir: Path, state: StateDir) -> None:
        self._config, self._run_dir, self._state = config, run_dir, state
        core = Core(config, state.epoch, from_config(config))
        core.wanted = core.numbered(core.wanted)
        core.faults = state.read_latches(time.monotonic_ns())
        self.machine = Machine(core)
        self._inbox: asyncio.Queue[Event] = asyncio.Queue(INBOX_MAX)
        self._exit_code: int | None = None
        self._failure: BaseException | None = None
        self._beat_waiting = False
        self._resting = False
        self._ticks = 0
        self._watchdog = Watchdog(CRITICAL)
        self._executive = Link(
            "realtime", self._executive_up, self._from_executive,
            lambda why: self.put(events.ExecutiveDown(why)), self._fail,
        )  # fmt: skip
        self._imaging = Link(
            "imaging", lambda hello: self.put(events.ImagingUp(hello)), self._from_imaging,
            lambda why: self.put(events.ImagingDown(why)), self._fail,
        )  # fmt: skip
        self._desk = LocalDesk(self.put)
        self._service_desk = ServiceDesk(
            self.put, partial(service.visible, core), partial(service.picture, core)
        )
        self._pulse_log = PulseLog(state.path / PULSE_LOG)
        self._pulse_log.open()
        self._durable = DurableThread(Copier(run_dir / BLACK_BOX, self._pulse_log), state,
                                      self.put_from_thread, self._thread_failed)  # fmt: skip
        self._heard = ToInbox(self.put_from_thread)
        driver = find(config, run_dir, self._heard)
        self._generator = GeneratorThread(driver, config["generator.heartbeat_ms"],
                                          self.put_from_thread, self._thread_failed)  # fmt: skip

    def put(self, event: Event) -> None:
        """Into the inbox, from the loop's thread; a full inbox ends the process, dark first."""
        try:
            self._inbox.put_nowait(event)
        except asyncio.QueueFull:
            self._fail(Overflow(f"{INBOX_MAX} events wait"))

    def put_from_thread(self, event: Event) -> None:
        """Into the inbox, from any other thread."""
        try:
            self._loop.call_soon_threadsafe(self.put, event)
        except RuntimeError:
            # The loop has ended; so has the interest in the event.
            return

    def _thread_failed(self, error: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: BaseException) -> None:
        """Dark at once, while the link still stands; then everything else ends."""
        if self._failure is None:
            self._failure = error
            line(_log, "error", "internal_error", {"error": repr(error)})
            self._end_dark(error)
            self._main.cancel()

    # ── the process ──────────────────────────────────────────────────────────────────────────

    def run(self) -> int:
        """Run to the end; whatever fails ends dark, latched and with a code of its own."""
        self._imaging_server = listen(self._run_dir / IMAGING_SOCKET, socket.SOCK_SEQPACKET)
        self._local_server = listen(self._run_dir / LOCAL_SOCKET, socket.SOCK_STREAM)
        self._service_server = listen(self._run_dir / SERVICE_SOCKET, socket.SOCK_STREAM)
        self._state.write_latches(self.machine.core.faults, clean=False)
        try:
            return asyncio.run(self._live())
        finally:
            self._generator.stop(STOP_WAIT_S)
            self._durable.stop(STOP_WAIT_S)
            for server in (self._imaging_server, self._local_server, self._service_server):
                server.close()
            for name in (IMAGING_SOCKET, LOCAL_SOCKET, SERVICE_SOCKET):
                (self._run_dir / name).unlink(missing_ok=True)

    async def _live(self) -> int:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._loop_failed)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop, number)
        self._generator.start()
        self._durable.start()
        self._main = asyncio.create_task(self._with_adapters())
        try:
            await self._main
        except (asyncio.CancelledError, BaseExceptionGroup) as error:
            self._fail(error)
            _log.error("ended by an exception", exc_info=self._failure)
            return EXIT_BUG
        assert self._exit_code is not None
        return self._exit_code

    async def _with_adapters(self) -> None:
        async with asyncio.TaskGroup() as group:
            adapters = [
                group.create_task(
                    call(self._executive, self._run_dir / ORDERS_SOCKET, self._hello)
                ),
                group.create_task(serve(self._imaging, self._imaging_server, self._hello)),
                group.create_task(self._desk.serve(self._local_server)),
                group.create_task(self._service_desk.serve(self._service_server)),
            ]
            self._next_beat_ns = time.monotonic_ns()
            self._beat()
            try:
                await self._main_step()
            except Exception as error:
                self._fail(error)
                raise
            for adapter in adapters:
                adapter.cancel()

    def _hello(self) -> Hello:
        return Hello("supervisor", self._state.epoch, os.getpid(),
                     self._pulse_log.last_pulse_id + 1, self._config["device"])  # fmt: skip

    def _stop(self, number: int) -> None:
        self.put(events.Stop(signal.Signals(number).name))

    def _loop_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        self._fail(error if isinstance(error, BaseException) else RuntimeError(str(context)))

    def _end_dark(self, failure: BaseException) -> None:
        core, now_ns = self.machine.core, time.monotonic_ns()
        run_id = core.run.run_id if core.run is not None else 0
        self._executive.send(Dark(core.epoch, run_id, "internal_error"))
        core.faults = added(core.faults, Held("internal_error", repr(failure)[:200], now_ns))
        self._persist(clean=False)

    # ── the main step ────────────────────────────────────────────────────────────────────────

    def _beat(self) -> None:
        """Put a tick into the inbox at absolute instants; one at most waits there."""
        if not self._beat_waiting:
            self._beat_waiting = True
            self.put(events.Tick())
        self._resting = self._generator.resting = self.machine.core.at_rest
        self._heard.resting = self._resting
        every_ns = REST_TICK_NS if self._resting else TICK_NS
        now_ns = time.monotonic_ns()
        late = max(0, now_ns - self._next_beat_ns) // every_ns
        self._next_beat_ns += (late + 1) * every_ns
        self._timer = self._loop.call_at(self._next_beat_ns / 1e9, self._beat)

    def _keep_pace(self) -> None:
        """After an event: one that has ended the rest brings the beat back to its full pace.

        At rest an event that comes shortly before the beat takes the beat with it: one waking less.
        """
        if not self._resting or self._beat_waiting:
            return
        now_ns = time.monotonic_ns()
        if not self.machine.core.at_rest or self._next_beat_ns - now_ns <= REST_EARLY_NS:
            self._timer.cancel()
            self._next_beat_ns = now_ns
            self._beat()

    async def _main_step(self) -> None:
        while self._exit_code is None:
            event = await self._inbox.get()
            if event.kind is Kind.TICK:
                self._beat_waiting = False
            before = self.machine.mode
            for command in self.machine.step(event, time.monotonic_ns()):
                self._carry_out(command)
            if self.machine.mode is not before:
                line(_log, "info", "mode", {"from": before, "to": self.machine.mode,
                                            "event": event.kind})  # fmt: skip
            if event.kind is Kind.TICK:
                self._prove_progress()
            self._service_desk.stir(time.monotonic_ns())
            self._keep_pace()
        self._watchdog.stopping()

    def _prove_progress(self) -> None:
        self._ticks += 1
        now_ns = time.monotonic_ns()
        self._generator.beat()
        self._durable.beat(now_ns)
        counts = (self._ticks, self._generator.turns, self._durable.turns)
        self._watchdog.turn(now_ns, counts)

    def _carry_out(self, command: Command) -> None:
        match command:
            case events.ToExecutive(message):
                self._executive.send(message)
            case events.ToImaging(message):
                self._imaging.send(message)
            case events.Reply(token, body):
                (self._desk if token > 0 else self._service_desk).answer(token, body)
            case events.EndProcess(name, pid):
                self._end_process(name, pid)
            case events.Log(level, what, fields):
                line(_log, level, what, fields)
            case events.Persist(clean):
                self._persist(clean)
            case events.Reconcile():
                self._reconcile()
            case events.KeepAccount(account):
                self._asked(self._durable.keep_account(account))
            case events.Exit(code):
                self._exit_code = code
            case _:
                self._asked(self._generator.ask(command))

    def _end_process(self, name: str, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGTERM)
        except OSError as error:
            # It ended by itself meanwhile, or is not ours; its link tells the rest.
            line(_log, "warning", "not_ended", {"process": name, "error": str(error)})

    def _asked(self, taken: bool) -> None:
        if not taken:
            self.put(events.Broken("a queue of requests is full"))

    def _reconcile(self) -> None:
        account = self._state.read_account()
        since = account.counter if account is not None else None
        self._asked(self._generator.ask(History(since, self._history_read)))

    def _history_read(self, counter: int, recent: tuple[PulseResult, ...]) -> None:
        if not self._durable.reconcile(counter, recent):
            self.put_from_thread(events.Broken("the queue of the durable copier is full"))

    def _persist(self, clean: bool) -> None:
        try:
            self._state.write_latches(self.machine.core.faults, clean)
        except OSError as error:
            # The file from the start of this process stays: the next start comes up latched.
            line(_log, "error", "latches_not_written", {"error": str(error)})

    # ── messages ─────────────────────────────────────────────────────────────────────────────

    def _executive_up(self, hello: Hello) -> None:
        self.put(events.ExecutiveUp(hello))

    def _from_executive(self, message: Message) -> None:
        if type(message) in events.KIND_OF_MESSAGE:
            self.put(events.FromExecutive(message))
        else:
            line(_log, "warning", "executive_unexpected", {"message": type(message).__name__})

    def _from_imaging(self, message: Message) -> None:
        if isinstance(message, ImagingState):
            self.put(events.ImagingSeen(message))
        elif isinstance(message, DarkFrameResult):
            self.put(events.DarkFrameSeen(message))
        else:
            line(_log, "warning", "imaging_unexpected", {"message": type(message).__name__})
