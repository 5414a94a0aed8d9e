"""Fault windows that strike processes: signals, pauses, a second one at the place of the first.

Lives here: one class per means that needs a process id.  May not live here: what the other
processes do then, or who restarts the one that was struck (the launcher).  A signal counts only
where the kernel says that it struck.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Final

from controller.cli.clocks.strikes import MS, POLL_NS, Strike
from controller.cli.launch import is_alive, read_pids
from controller.cli.stage import Stage
from hil.rig.client import RigError
from hil.room.acts import SIGNALS
from hil.room.records import NEVER, TruthRecord
from realtime.wire.codec import BadMessage, pack, unpack
from realtime.wire.messages import MESSAGE_BYTES_MAX, Hello

WATCH_NS: Final = 20 * MS
ANSWER_S: Final = 0.2
STARVED: Final = ("realtime", "supervisor", "imaging")
BETWEEN_BURSTS_S: Final = (0.005, 0.015)
OVERRUN_NS: Final = 4 * MS


class Signalled(Strike):
    """SIGKILL or SIGSTOP at the phase; the rig sends it, the kernel is asked whether it struck."""

    word = ""
    _pid = 0
    _struck = False

    def _begin(self, now_ns: int) -> None:
        self.due_ns = self.asked_ns
        self.word = self.means.name or "STOP"
        self._name = self.window.instance or "supervisor"
        self._pid = self._stage.pid(self._name)
        self._mark = SIGNALS[self.word]

    def _act(self, now_ns: int) -> None:
        if self.due_ns == self.asked_ns:
            act = f"signal {self._name} {self._pid} {self.word}"
            self._stage.rig.do(act, **self._phase())
            self.due_ns = now_ns + POLL_NS
        elif not self._struck:
            self._struck = state_of(self._pid) in ("T", "")
            self.due_ns = now_ns + (self._lasts_ns() if self._struck else POLL_NS)
        elif self.word == "STOP":
            self._go_on()
            self.due_ns = NEVER
        else:
            self._look_for_restart(now_ns)

    def _lasts_ns(self) -> int:
        if self.word != "STOP":
            return WATCH_NS
        return self.window.duration_ns or NEVER

    def _go_on(self) -> None:
        if self._pid and state_of(self._pid) == "T":
            self._stage.rig.do(f"signal {self._name} {self._pid} CONT")

    def _look_for_restart(self, now_ns: int) -> None:
        self.due_ns = now_ns + WATCH_NS
        pid = read_pids(self._stage.run_dir).get(self._name, 0)
        if pid not in (0, self._pid) and is_alive(pid):
            self._stage.rig.mark(self._name, "started")
            self.cleared_ns, self.due_ns = now_ns, NEVER

    def _end(self) -> None:
        self._go_on()

    def _reckon(self, records: list[TruthRecord]) -> None:
        for record in records:
            if (record.kind, record.name) == ("process", self._name):
                if record.value == self._mark and self._struck:
                    self.effect_ns = self.effect_ns or record.t_ns
                elif record.value == "sigcont" and self.effect_ns:
                    self.cleared_ns = self.cleared_ns or record.t_ns
        self._found(records, self.effect_ns or self.asked_ns)


class Paused(Signalled):
    """The loop is away for so long: stopped, and continued by whoever looks every millisecond."""

    def _lasts_ns(self) -> int:
        return round((self.window.amount or self.window.row.amount) * MS)


class Starved(Strike):
    """Every process waits for the processor: all are stopped in bursts of up to the amount.

    The rig is not among them, it must go on telling the truth.  The first burst has the whole
    amount, so that a fault of that length is surely made.  A stop that this computer made longer
    than it was meant to be by more than OVERRUN_NS was another fault, and spoils the case.
    """

    def _begin(self, now_ns: int) -> None:
        self._pids = {name: self._stage.pid(name) for name in STARVED}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._starve, name="bursts")
        self._chance = random.Random(self.asked_ns)

    def _act(self, now_ns: int) -> None:
        if self.due_ns == self._onset_ns:
            self._thread.start()
            self.due_ns = self._onset_ns + self.window.duration_ns
        else:
            self._end()
            self.due_ns = NEVER

    def _starve(self) -> None:
        longest_ns = round((self.window.amount or self.window.row.amount) * MS)
        lasts_ns = longest_ns
        while not self._over.is_set():
            self._burst(lasts_ns)
            lasts_ns = self._chance.randrange(longest_ns // 4, longest_ns)
            self._over.wait(self._chance.uniform(*BETWEEN_BURSTS_S))
        running = all(state_of(pid) != "T" for pid in self._pids.values())
        self.cleared_ns = time.monotonic_ns() if running else 0

    def _burst(self, lasts_ns: int) -> None:
        begun_ns = time.monotonic_ns()
        for pid in self._pids.values():
            _signal(pid, signal.SIGSTOP)
        time.sleep(lasts_ns / 1e9)
        if not self.effect_ns and all(state_of(pid) == "T" for pid in self._pids.values()):
            self.effect_ns = begun_ns
        for pid in self._pids.values():
            _signal(pid, signal.SIGCONT)
        took_ns = time.monotonic_ns() - begun_ns
        if took_ns > lasts_ns + OVERRUN_NS:
            self.spoiled = f"a stop of {lasts_ns / MS:.1f} ms lasted {took_ns / MS:.1f} ms"

    def _end(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _reckon(self, records: list[TruthRecord]) -> None:
        self._found(records, self._onset_ns)


def _signal(pid: int, number: int) -> None:
    # One that ended meanwhile is the launcher's affair.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class Second(Signalled):
    """A newer supervisor takes the place at realtime; at the end the fenced one is killed."""

    _peer: socket.socket | None = None

    def _begin(self, now_ns: int) -> None:
        super()._begin(now_ns)
        self.word, self._mark = "KILL", "kill9"
        self.due_ns = self._onset_ns

    def _act(self, now_ns: int) -> None:
        if self.due_ns == self._onset_ns:
            self._take_place(now_ns)
            self.due_ns = self._onset_ns + self.window.duration_ns
        elif self._peer is not None:
            self._leave()
            self._stage.rig.do(f"signal {self._name} {self._pid} KILL")
            self.due_ns = now_ns + WATCH_NS
        else:
            self._look_for_restart(now_ns)

    def _take_place(self, now_ns: int) -> None:
        epoch = int(self._stage.local("status")["epoch"]) + 1
        self._peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._peer.settimeout(ANSWER_S)
        self._peer.connect(str(self._stage.run_dir / "orders.sock"))
        self._peer.send(pack(Hello("supervisor", epoch, os.getpid(), 0, "")))
        try:
            greeted = isinstance(unpack(self._peer.recv(MESSAGE_BYTES_MAX)), Hello)
        except (OSError, BadMessage):
            greeted = False
        # Whoever is greeted holds the place; the older one's connection is closed by then.
        self.effect_ns = time.monotonic_ns() if greeted else 0

    def _leave(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def _end(self) -> None:
        self._leave()

    def _reckon(self, records: list[TruthRecord]) -> None:
        self._found(records, self._onset_ns)


def state_of(pid: int) -> str:
    """The kernel's letter for a process (T: stopped), '' when it is gone."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
    return "" if state in "ZX" else state


def wake(stage: Stage) -> None:
    """Continue whatever is stopped; whoever gave up in mid-window leaves nothing stopped."""
    for name, pid in read_pids(stage.run_dir).items():
        if name != "launcher" and state_of(pid) == "T":
            try:
                stage.rig.do(f"signal {name} {pid} CONT")
            except (OSError, RigError):
                os.kill(pid, signal.SIGCONT)
