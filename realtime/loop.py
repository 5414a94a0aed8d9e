"""The loop: wait once, read everything, take one turn, apply it.

Theory of operation.  One wait per turn, in `select` (its time-out rounds to microseconds, where
`epoll` rounds up to 1 ms).  The wait ends SPIN_NS before the due instant and the rest is spun, so
the wake-up latency of the machine is spent before the pulse, not after it.  Lines are read first,
and while PULSE is high the gate may take it away before anything else happens.  Where PULSE rises
the intent is written first; everywhere else the lines go out before anything is written or sent.
At rest (`realtime.rest`) packets do not end the wait: they are read when the turn comes.

Lives here: the shell around `realtime.turn`.  May not live here: decisions.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import select
import signal
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from realtime import rest
from realtime.blackbox import BlackBox
from realtime.clock import monotonic_ns
from realtime.drivers.port import LineDriver
from realtime.executive import Executive
from realtime.inputs import Inputs, Letter, Outputs, Peer, joined
from realtime.lateness import Lateness
from realtime.limits import READ_AGAIN_NS, REST_TURN_NS, SPIN_NS, S
from realtime.mailroom import Desk
from realtime.notify import Watchdog
from realtime.permit import Gate
from realtime.trips import TripCode
from realtime.turn import rehearse, strike, turn
from realtime.wire.lines import Out, mask
from realtime.wire.messages import Dark, Message, State, Trip

ORDERS: Final = "orders.sock"
VERDICTS: Final = "verdicts.sock"
BLACK_BOX: Final = "blackbox.ring"
# One thread, so a task that hangs hangs all; each counts for itself all the same, because a turn
# that leaves one of them out is as ill as one that hangs.
CRITICAL: Final = {"lines": 0, "step": 0, "mail": 0}
_PULSE: Final = mask(Out.PULSE)
_NOTHING: Final[frozenset[int]] = frozenset()
_log = logging.getLogger("realtime")


class Loop:
    """Everything the process holds open."""

    def __init__(
        self,
        executive: Executive,
        gate: Gate,
        lines: LineDriver,
        desks: dict[Peer, Desk],
        box: BlackBox,
    ) -> None:
        self.executive = executive
        self.gate = gate
        self.lines = lines
        self.desks = desks
        self.box = box
        self.lateness = Lateness()
        self.stopping = False
        self.watchdog = Watchdog(CRITICAL)
        self._drained = self._stepped = self._collected = 0
        self._at_rest = False
        self._watched: list[int] = []
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._sent = 0

    def stop(self, _signal: int = 0, _frame: object = None) -> None:
        """Ask for the end; safe in a signal handler."""
        self.stopping = True

    def run(self) -> None:
        """Turn until asked to stop, then go dark and leave."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        planned_ns, exact = monotonic_ns(), False
        while not self.stopping:
            planned_ns, exact = self.turn(planned_ns, exact)
            if not exact:
                self._prove_progress()
        self._go_dark()
        self.watchdog.stopping()

    def turn(self, planned_ns: int, exact: bool) -> tuple[int, bool]:
        """Wait until `planned_ns` or news, take one turn, return the plan of the next one."""
        ready = self._wait(planned_ns, exact)
        if exact:
            self._spin(planned_ns)
        read_ns = monotonic_ns()
        inputs = self.lines.drain(read_ns)
        self._drained += 1
        if self._at_rest and not ready:
            now_ns = monotonic_ns()
            if rest.passes(self.executive, now_ns, inputs):
                self.lateness.turn(planned_ns, now_ns, self.lines.packets)
                return now_ns + REST_TURN_NS, False
        if exact:
            self._strike(inputs)
        radiates = self._sent & _PULSE and self.executive.exercise is None
        withdrawn = self._withdraw() if radiates else ""
        mail = self._collect(ready)
        now_ns = monotonic_ns()
        if now_ns - read_ns > READ_AGAIN_NS:
            # The processor was taken away: a read-back may have come that is not in here.
            inputs = joined(inputs, self.lines.drain(now_ns))
        self.lateness.turn(planned_ns, now_ns, self.lines.packets)
        outputs = turn(self.executive, self.gate, now_ns, inputs, mail, self.box.store(),
                       self.lines.packet, self.lines.received_ns, withdrawn)  # fmt: skip
        self._stepped += 1
        # What mail has changed is looked at with the next packet, not a rest later.
        self._at_rest = outputs.at_rest and not mail
        self._apply(now_ns, outputs)
        self._watched = self._descriptors()
        if outputs.exact:
            self._rehearse()
        return outputs.wake_ns, outputs.exact

    def _collect(self, ready: AbstractSet[int]) -> list[Letter]:
        self._collected += 1
        mail: list[Letter] = []
        if not ready:
            return mail
        for desk in self.desks.values():
            if not ready.isdisjoint(each.fileno() for each in desk.sockets()):
                mail += desk.collect()
        return mail

    def _prove_progress(self) -> None:
        counts = (self._drained, self._stepped, self._collected)
        self.watchdog.turn(monotonic_ns(), counts)

    def _strike(self, inputs: Inputs) -> None:
        outputs = strike(self.executive, self.gate, monotonic_ns(), inputs, self.lines.packet,
                         self.lines.received_ns)  # fmt: skip
        if outputs is not None:
            self._apply(monotonic_ns(), outputs)

    def _withdraw(self) -> str:
        """PULSE is high: the gate looks at the newest packet before anything else is done."""
        now_ns = monotonic_ns()
        code = self.gate.withdraws(now_ns, self.lines.packet, self.lines.received_ns)
        if code:
            self._sent &= ~_PULSE
            self.lines.send(now_ns, self._sent)
            self.executive.outlines.sent = self._sent
        return code

    def _rehearse(self) -> None:
        record = rehearse(self.executive, self.gate, monotonic_ns(), self.lines.packet,
                          self.lines.received_ns)  # fmt: skip
        if record is not None:
            self.box.rehearse(record)

    def _wait(self, planned_ns: int, exact: bool) -> AbstractSet[int]:
        wait_ns = planned_ns - monotonic_ns() - (SPIN_NS if exact else 0)
        ready = select.select(self._watched, [], [], max(0, wait_ns) / S)[0]
        return set(ready) if ready else _NOTHING

    def _descriptors(self) -> list[int]:
        """What ends the next wait: mail always, line packets unless the beam is at rest."""
        watched = [self._wake_read]
        line = self.lines.fileno()
        if line >= 0 and not self._at_rest:
            watched.append(line)
        for desk in self.desks.values():
            watched += [each.fileno() for each in desk.sockets()]
        return watched

    def _spin(self, planned_ns: int) -> None:
        if planned_ns - monotonic_ns() <= SPIN_NS:
            while monotonic_ns() < planned_ns:
                pass

    def _apply(self, now_ns: int, outputs: Outputs) -> None:
        if outputs.intent is not None:
            self.box.intent(outputs.intent)
        if outputs.lines != self._sent:
            self.lines.send(now_ns, outputs.lines)
            if outputs.lines & ~self._sent & _PULSE:
                self.executive.firing.left(monotonic_ns())
            self._sent = outputs.lines
        if outputs.closed is not None:
            self.box.close_pulse(outputs.closed)
        if outputs.stray is not None:
            self.box.stray(outputs.stray)
        self.box.latch(self.executive.trips)
        for peer, message in outputs.posts:
            self.desks[peer].post(self._with_lateness(message))

    def _with_lateness(self, message: Message) -> Message:
        if isinstance(message, Trip) and message.code == TripCode.STALL:
            return dataclasses.replace(message, detail=f"{message.detail}: {self.lateness.cause}")
        if not isinstance(message, State):
            return message
        late_ns, turns, cause = self.lateness.take()
        return dataclasses.replace(message, late_max_ns=late_ns, late_turns=turns, late_cause=cause)

    def _go_dark(self) -> None:
        """End the run as the supervisor would, so that the same rows make it dark."""
        now_ns = monotonic_ns()
        dark = Letter(Peer.SUPERVISOR, Dark(0, 0, "stopping"))
        outputs = turn(self.executive, self.gate, now_ns, self.lines.drain(now_ns), [dark],
                       self.box.store(), self.lines.packet, self.lines.received_ns)  # fmt: skip
        self._apply(now_ns, outputs)

    def fail(self) -> None:
        """After an exception nothing of ours is believed: PULSE low, and a latch that stays.

        PERMIT is left where it is; an edge would feed the monostable once more.
        """
        self.lines.send(monotonic_ns(), max(0, self._sent) & ~_PULSE)
        self.box.latch([*self.executive.trips, TripCode.CRASH])

    def close(self) -> None:
        """Let everything go, sockets first."""
        for desk in self.desks.values():
            desk.close()
        self.lines.close()
        self.lateness.close()
        self.box.finish()
        signal.set_wakeup_fd(-1)
        os.close(self._wake_read)
        os.close(self._wake_write)


def black_box_path(run_dir: Path) -> Path:
    """Where the black box of a run directory lies."""
    return run_dir / BLACK_BOX
