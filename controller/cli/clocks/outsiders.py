"""Fault windows on those outside: a subscriber of the frames.

Lives here: one class per means that strikes who listens or talks to the machine.  May not live
here: who listens (`ears`), or what must follow.  They keep no phase, but come as far into the
period.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

from controller.cli.clocks.ears import Frames
from controller.cli.clocks.processes import state_of
from controller.cli.clocks.strikes import POLL_NS, Strike
from hil.room.records import NEVER, TruthRecord

if TYPE_CHECKING:
    from controller.cli.clocks.looks import Looks

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
