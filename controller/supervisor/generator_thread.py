"""The generator's own thread: blocking transfers there, events into the inbox.

Lives here: the queue of requests, connecting with back-off, our heartbeat consumer.  May not live
here: CANopen (a driver), or what an outcome means (`controller.core`).

A driver's results and heartbeats may come in by a thread of its own, so this one could stand still
unnoticed.  `beat` is called by the main step and tells of it: the beam ends long before a watchdog.

The heartbeat consumer is ours because python-canopen has none: three missed heartbeats are a
`GeneratorDown`, whatever the bus still says.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

from controller.core.events import (
    BankCommitted,
    Command,
    Commit,
    Emergency,
    Event,
    GateCounted,
    GeneratorDown,
    GeneratorSeen,
    GeneratorStatus,
    GeneratorUp,
    Prepare,
    ReadGateCount,
    ResetGenerator,
    ResultSeen,
)
from controller.core.results import PulseResult
from controller.devices.generator import RECENT_MAX, Generator, GeneratorError, commit
from controller.log import line

# Requests come from one press or one self-test at a time; more than this is a fault of ours.
REQUESTS_MAX: Final = 64
HEARTBEATS_MISSED_MAX: Final = 3
# As long as three heartbeats (F17): 280 ms at the main step's 20 ms.
BEATS_STILL_MAX: Final = 14
# Beyond the last heartbeat's time one looks this often; below it, as often as `beat` must see.
SILENT_WAIT_S: Final = 0.005
TURN_MAX_S: Final = 0.1
# At rest the main step beats less often, too; still well below BEATS_STILL_MAX beats of 20 ms, so
# that a turn begun at rest is over before a run could miss it.
TURN_REST_MAX_S: Final = 0.2
# A generator says its status five times a second; what was lost at rest is made good by this.
REPEAT_NS: Final = 1_000_000_000
_BACK_OFF_S: Final = (0.05, 0.1, 0.2, 0.5)
_log = logging.getLogger("supervisor.generator")


class ToInbox:
    """The driver's listener: wraps what comes by itself into events.

    The main step says in `resting` whether a status that only repeats itself may wait.
    """

    def __init__(self, put: Callable[[Event], None]) -> None:
        self._put = put
        self.resting = False
        self._told: GeneratorStatus | None = None
        self._told_ns = 0

    def result(self, result: PulseResult) -> None:
        """One pulse was made."""
        self._put(ResultSeen(result))

    def status(self, status: GeneratorStatus) -> None:
        """The generator's state; at rest the same again only once in REPEAT_NS."""
        now_ns = time.monotonic_ns()
        if self.resting and status == self._told and now_ns - self._told_ns < REPEAT_NS:
            return
        self._told, self._told_ns = status, now_ns
        self._put(GeneratorSeen(status))

    def emergency(self, code: int, detail: str) -> None:
        """An emergency message."""
        self._put(Emergency(code, detail))


class History:
    """A request for counter and results since `account_counter`; the answer comes by `done`."""

    def __init__(
        self,
        account_counter: int | None,
        done: Callable[[int, tuple[PulseResult, ...]], None],
    ) -> None:
        self.account_counter = account_counter
        self.done = done


Request = Command | History


class GeneratorThread:
    """Runs a driver.  `put` must be callable from any thread and never block.

    The main step says in `resting` whether it beats at its pace of rest.
    """

    def __init__(
        self, driver: Generator, heartbeat_ms: int, put: Callable[[Event], None],
        failed: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        self._driver = driver
        self._silence_ns = HEARTBEATS_MISSED_MAX * heartbeat_ms * 1_000_000
        self._put = put
        self._failed = failed
        self._requests: queue.Queue[Request] = queue.Queue(REQUESTS_MAX)
        self._stop = threading.Event()
        self._told = ""
        self.turns = 0
        self.resting = False
        self._serving = False
        self._still = self._turns_seen = 0
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="generator", daemon=True)

    def start(self) -> None:
        """Begin connecting."""
        self._thread.start()

    def ask(self, request: Request) -> bool:
        """Queue a request; False when the queue is full."""
        try:
            self._requests.put_nowait(request)
        except queue.Full:
            return False
        return True

    def beat(self) -> None:
        """The main step has come round; a session that has not moved for too long is given up."""
        if self.turns != self._turns_seen or not self._serving:
            self._turns_seen, self._still = self.turns, 0
            return
        self._still += 1
        if self._still == BEATS_STILL_MAX:
            self._given_up.set()
            self._put(GeneratorDown("hang", "its thread stands still"))

    def stop(self, wait_s: float) -> None:
        """Finish what is queued as far as the time allows, then end."""
        self._stop.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        try:
            attempt = 0
            while not self._stop.is_set():
                self.turns += 1
                attempt = 0 if self._session() else attempt + 1
                self._stop.wait(_BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)])
        except BaseException as error:  # noqa: BLE001 - handed to the main step, which ends dark
            self._failed(error)

    def _session(self) -> bool:
        """One connection from open to loss; True when it was ever up."""
        up = False
        try:
            self._driver.open()
            self._await_heartbeat()
            counter, status = self._driver.counter(), self._driver.read_status()
            self._drain()
            self._put(GeneratorUp(counter, status))
            up = self._serving = True
            self._serve()
        except GeneratorError as error:
            if up or error.detail != self._told:
                line(_log, "warning", f"generator_{error.code}", {"detail": error.detail})
            self._told = error.detail
            if up:
                self._put(GeneratorDown(error.code, error.detail))
        finally:
            self._serving = False
            self._driver.close()
        return up

    def _await_heartbeat(self) -> None:
        deadline_ns = time.monotonic_ns() + 2 * self._silence_ns
        while not self._driver.heartbeat_ns():
            if time.monotonic_ns() > deadline_ns or self._stop.wait(0.005):
                raise GeneratorError("heartbeat", "no heartbeat after the start")

    def _drain(self) -> None:
        # What was asked of a generator that was not there is void; its askers have given up.
        while not self._requests.empty():
            request = self._requests.get_nowait()
            self._refuse(request, "the generator was not connected")

    def _serve(self) -> None:
        looked_ns = time.monotonic_ns()
        while not (self._stop.is_set() and self._requests.empty()):
            self.turns += 1
            if self._given_up.is_set():
                self._given_up.clear()
                raise GeneratorError("hang", "its thread stood still")
            try:
                request = self._requests.get(timeout=self._wait_s(looked_ns))
            except queue.Empty:
                pass
            else:
                self._do(request)
            now_ns = time.monotonic_ns()
            # After a stall of our own the heartbeats are still in the bus's buffer: look again.
            stalled, looked_ns = now_ns - looked_ns > self._silence_ns, now_ns
            silent_ns = now_ns - self._driver.heartbeat_ns()
            if silent_ns > self._silence_ns and not stalled:
                raise GeneratorError("heartbeat", f"silent for {silent_ns // 1_000_000} ms")

    def _wait_s(self, now_ns: int) -> float:
        """To the end of the silence that is allowed; often enough to be seen alive by `beat`."""
        left_ns = self._driver.heartbeat_ns() + self._silence_ns - now_ns
        longest_s = TURN_REST_MAX_S if self.resting else TURN_MAX_S
        return min(max(left_ns / 1e9, SILENT_WAIT_S), longest_s)

    def _do(self, request: Request) -> None:
        # Reading the whole history takes seconds, and happens only while dark.
        self._serving = not isinstance(request, History)
        try:
            self._carry_out(request)
        except GeneratorError as error:
            self._refuse(request, str(error))
            line(_log, "warning", f"generator_{error.code}", {"detail": error.detail})
        finally:
            self._serving = True

    def _carry_out(self, request: Request) -> None:
        driver = self._driver
        match request:
            case Prepare(on):
                driver.prepare(on)
            case Commit(bank, technique):
                ok, detail = commit(driver, bank, technique)
                self._put(BankCommitted(bank, technique.technique_id, ok, detail))
            case ReadGateCount():
                self._put(GateCounted(driver.gate_count()))
            case ResetGenerator():
                driver.clear_faults()
                self._put(GeneratorSeen(driver.read_status()))
            case History():
                request.done(*_history(driver, request.account_counter))
            case _:
                raise AssertionError(f"{request!r} is no request to a generator")

    def _refuse(self, request: Request, detail: str) -> None:
        match request:
            case Commit(bank, technique):
                self._put(BankCommitted(bank, technique.technique_id, False, detail))
            case ReadGateCount():
                self._put(GateCounted(-1))


def _history(driver: Generator, account_counter: int | None) -> tuple[int, tuple[PulseResult, ...]]:
    counter = driver.counter()
    if account_counter is None:
        return counter, ()
    emitted = (counter - account_counter) % (1 << 32)
    return counter, driver.recent(min(emitted, RECENT_MAX)) if emitted else ()
