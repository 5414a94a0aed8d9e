"""The durable copier's own thread: fsync there, its standing into the inbox.

Lives here: the rhythm of copying, reconciliation requests, how failures are told.  May not live
here: the files' layout (`controller.supervisor.durable`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final

from controller.core.events import DurableSeen, Event, Reconciled
from controller.core.reconcile import Account
from controller.core.results import PulseResult
from controller.supervisor.durable import Copier, PulseLog, settle
from controller.supervisor.state import StateDir
from realtime.wire.record import BlackBoxError

# At 30 pulses/s half of the smallest black box lasts nine minutes; 100 ms keep it nearly empty.
COPY_PERIOD_S: Final = 0.1
# As long as nothing new was found, one looks less often; a run's first records wait this long.
COPY_REST_PERIOD_S: Final = 0.25
JOBS_MAX: Final = 16
# A storage that stalls longer than this keeps nothing: no run starts until it moves again (F40).
STILL_MAX_NS: Final = 900_000_000
BEAT_NS_MAX: Final = 100_000_000
# While a crashed pulse is still open in the ring, reconciliation would count it as missing.
SETTLE_TRIES: Final = 50
History = tuple[int, tuple[PulseResult, ...]]


class DurableThread:
    """Runs the copier.  `put` must be callable from any thread and never block."""

    def __init__(
        self, copier: Copier, state: StateDir, put: Callable[[Event], None],
        failed: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        self._copier = copier
        self._log: PulseLog = copier.log
        self._state = state
        self._put = put
        self._failed = failed
        self._jobs: queue.Queue[Callable[[], None]] = queue.Queue(JOBS_MAX)
        self._told: DurableSeen | None = None
        self._unread = 0
        self._period_s = COPY_PERIOD_S
        self._stop = threading.Event()
        self.turns = self._turns_seen = 0
        self._beat_ns = self._still_ns = 0
        self._still = False
        self._thread = threading.Thread(target=self._run, name="durable", daemon=True)

    def start(self) -> None:
        """Begin copying."""
        self._thread.start()

    def reconcile(self, counter: int, recent: tuple[PulseResult, ...]) -> bool:
        """Queue a reconciliation; False when the queue is full."""
        return self._job(lambda: self._reconcile(counter, recent))

    def keep_account(self, account: Account) -> bool:
        """Queue the storing of an account; False when the queue is full."""
        return self._job(lambda: self._state.write_account(account))

    def beat(self, now_ns: int) -> None:
        """The main step has come round; a copier that does not move is told of, once."""
        # Time that the main step was away itself says nothing of the copier.
        since_ns, self._beat_ns = min(now_ns - self._beat_ns, BEAT_NS_MAX), now_ns
        if self.turns != self._turns_seen:
            self._turns_seen, self._still_ns = self.turns, 0
            if self._still:
                # What it said last was said before the stall; its next word is news again.
                self._still, self._told = False, None
            return
        self._still_ns += since_ns
        if self._still_ns > STILL_MAX_NS and not self._still:
            self._still = True
            self._put(DurableSeen(False, self._log.lit, self._unread, "the copier stands still"))

    def stop(self, wait_s: float) -> None:
        """Copy a last time and end."""
        self._stop.set()
        self._thread.join(wait_s)

    def _job(self, job: Callable[[], None]) -> bool:
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        try:
            while True:
                ending = self._stop.is_set()
                self._copy()
                self._work()
                if ending:
                    break
        except BaseException as error:  # noqa: BLE001 - handed to the main step, which ends dark
            self._failed(error)
        finally:
            self._copier.close()
            self._log.close()

    def _work(self) -> None:
        try:
            job = self._jobs.get(timeout=0 if self._stop.is_set() else self._period_s)
        except queue.Empty:
            return
        try:
            job()
        except OSError as error:
            self._tell(False, f"{error.strerror}: {error.filename}")

    def _copy(self) -> None:
        self.turns += 1
        try:
            before = self._copier.copied
            self._unread = self._copier.copy()
            quiet = self._copier.copied == before and not self._unread
            self._period_s = COPY_REST_PERIOD_S if quiet else COPY_PERIOD_S
        except OSError as error:
            self._tell(False, f"{error.strerror}: {error.filename}")
        except BlackBoxError as error:
            # A header or record caught between two writes is read again; a lasting one is told
            # by the age of `ok`, because READY asks for it.
            self._tell(False, str(error))
        else:
            self._tell(True, "")

    def _tell(self, ok: bool, detail: str) -> None:
        seen = DurableSeen(ok, self._log.lit, self._unread, detail)
        if seen != self._told:
            self._told = seen
            self._put(seen)

    def _reconcile(self, counter: int, recent: tuple[PulseResult, ...]) -> None:
        for _ in range(SETTLE_TRIES):
            self._copy()
            if not self._unread or self._stop.wait(0.02):
                break
        account = self._state.read_account()
        finding, now = settle(self._log, account, counter, recent)
        self._state.write_account(now)
        self._tell(True, "")
        self._put(Reconciled(finding, now))
