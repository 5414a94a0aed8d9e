"""Fault windows on those outside: a subscriber of the frames, the broker, hostile commands.

Lives here: one class per means that strikes who listens or talks to the machine.  May not live
here: who listens (`ears`) and publishes (`network`), or what must follow.  They keep no phase, but
come as far into the period.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Final

from controller.cli.clocks.ears import Frames
from controller.cli.clocks.network import Commands
from controller.cli.clocks.processes import state_of
from controller.cli.clocks.strikes import MS, POLL_NS, Strike
from controller.cli.launch import read_pids
from controller.service.department import ENDPOINT
from hil.room.records import NEVER, TruthRecord

if TYPE_CHECKING:
    from controller.cli.clocks.looks import Looks

# Between two stops of a slow broker: enough for some messages.
AWAKE_S: Final = 0.03
STRIKES_MAX_S: Final = 2.0
STRUCK: Final = {"stopped": signal.SIGSTOP, "dead": signal.SIGKILL}


def ear_of(looks: Looks, component: str) -> Frames:
    """Who listens in this case; every window on a subscriber has one."""
    ear = looks.ears[component]
    assert isinstance(ear, Frames)
    return ear


class OnSubscriber(Strike):
    """A subscriber that is stopped, slow, or dead until another one starts."""

    _struck = False

    def _act(self, now_ns: int) -> None:
        ear = ear_of(self._looks, self.window.component)
        if self.due_ns == self._onset_ns:
            self._strike(ear)
            self.due_ns = now_ns + POLL_NS
        elif not self.effect_ns:
            self.effect_ns = self._seen_ns(ear, now_ns)
            lasts_ns = self.window.duration_ns or NEVER
            self.due_ns = self._onset_ns + lasts_ns if self.effect_ns else now_ns + POLL_NS
        else:
            self._end()
            self.cleared_ns = now_ns
            self.due_ns = NEVER

    def _strike(self, ear: Frames) -> None:
        self._struck = True
        if self.window.type == "slow":
            ear.say(f"slow {self.window.amount or self.window.row.amount:g}")
        else:
            os.kill(ear.pid, STRUCK[self.window.type])

    def _seen_ns(self, ear: Frames, now_ns: int) -> int:
        if self.window.type == "slow":
            return ear.said("slow")
        return now_ns if state_of(ear.pid) in ("T", "") else 0

    def _end(self) -> None:
        if not self._struck:
            return
        self._struck = False
        ear = ear_of(self._looks, self.window.component)
        if self.window.type == "slow":
            ear.say("quick")
        elif self.window.type == "stopped":
            os.kill(ear.pid, signal.SIGCONT)
        else:
            ear.stop()
            ear.subscribe()

    def _reckon(self, records: list[TruthRecord]) -> None:
        self._found(records, self._onset_ns)


class Hostile(Strike):
    """A command with one thing wrong is published at the broker."""

    def _act(self, now_ns: int) -> None:
        ear = self._looks.ears[self.window.component]
        assert isinstance(ear, Commands)
        self.effect_ns = ear.publish(*ear.spoiled(self.window.instance))
        self.due_ns = NEVER

    def _reckon(self, records: list[TruthRecord]) -> None:
        if self.effect_ns:
            self.cleared_ns = max(self.effect_ns, self._onset_ns + self.window.duration_ns)
        self._found(records, self._onset_ns)


class OnBroker(Strike):
    """The embedded broker is killed once, again and again, or is stopped half of a time."""

    _pid = 0

    def _begin(self, now_ns: int) -> None:
        self.due_ns = self._onset_ns
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="broker")

    def _act(self, now_ns: int) -> None:
        if self.due_ns == self._onset_ns:
            self._thread.start()
            self.due_ns = self._onset_ns + self.window.duration_ns
        else:
            self._over.set()
            back = self._is_back()
            self.cleared_ns = now_ns if back else 0
            self.due_ns = NEVER if back else now_ns + 10 * MS

    def _is_back(self) -> bool:
        """The launcher has it running, and it tells where it listens."""
        pid = read_pids(self._stage.run_dir).get("broker", 0)
        try:
            told = json.loads((self._stage.run_dir / ENDPOINT).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return False
        return pid > 0 and state_of(pid) not in ("T", "") and told["pid"] == pid

    def _go_on(self) -> None:
        kills = self.window.type != "slow"
        awake_s = self.window.duration_ns / 1e9 if self.window.type == "down" else AWAKE_S
        while not self._over.is_set():
            if self._is_back():
                self._strike(signal.SIGKILL if kills else signal.SIGSTOP)
            self._over.wait(awake_s if kills else self._amount_s())
            if not kills:
                os.kill(self._pid, signal.SIGCONT)
                self._over.wait(AWAKE_S)

    def _amount_s(self) -> float:
        return (self.window.amount or self.window.row.amount) / 1000

    def _strike(self, number: signal.Signals) -> None:
        self._pid = self._stage.pid("broker")
        os.kill(self._pid, number)
        until_s = time.monotonic() + STRIKES_MAX_S
        while state_of(self._pid) not in ("T", "") and time.monotonic() < until_s:
            time.sleep(0.001)
        self.effect_ns = self.effect_ns or time.monotonic_ns()

    def _end(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _reckon(self, records: list[TruthRecord]) -> None:
        self._found(records, self._onset_ns)
