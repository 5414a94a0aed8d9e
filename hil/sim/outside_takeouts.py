"""How reactions towards those outside are taken out: what a programmer could have got wrong there.

Lives here: one function per reaction, as in `takeouts`.  May not live here: their names and when
they are asked for (`removed`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final

from controller.imaging.outgoing import Outgoing
from controller.service.core.reasons import Refusals
from controller.service.core.replay import Seen, Taken, Window
from controller.service.core.verdict import Accepted, Arrival, Judge, Situation
from controller.stream.account import Account
from controller.stream.header import Header
from controller.supervisor.service_desk import PerSecond
from hil.sim import service_process
from hil.sim.audience import Audience
from hil.sim.broker import Broker
from hil.sim.installation import PROFILE
from hil.sim.service_process import ROWS, Key, ServiceProcess
from hil.sim.takeouts import Put, says
from realtime.wire import config

# As long as the way to a broker waits for an acknowledgement (`controller.service.link`).
ACK_WAIT_NS: Final = 2_000_000_000


def without_patience(put: Put) -> None:
    """Who publishes waits until the subscriber has room again, and does nothing else meanwhile."""
    goes_on = Audience._take

    def waits(self: Audience, topic: str, header: Header) -> None:
        self.seat.waits.append((topic, dict(header)))
        self._world.imaging.stop()

    def take(self: Audience, connection: int) -> None:
        goes_on(self, connection)
        if self._world.imaging.stopped:
            self._world.imaging.cont()

    put(Audience, "no_room", waits)
    put(Audience, "_take", take)


def without_stream_numbers(put: Put) -> None:
    """Not so any more: a subscriber finds in the counters what did not reach it."""
    put(Account, "lost_ranges", says([]))


def _judged_as(**changed: Callable[[Any, Situation, Arrival], Any]) -> Callable[[Put], None]:
    """A field of every command is believed to be what it should be."""

    def take_out(put: Put) -> None:
        real = Judge._when

        def when(
            self: Judge, request: Any, person: Any, situation: Situation, arrival: Arrival
        ) -> Any:
            fields = {name: make(request.body, situation, arrival)
                      for name, make in changed.items()}  # fmt: skip
            request.body = SimpleNamespace(**{**vars(request.body), **fields})
            return real(self, request, person, situation, arrival)

        put(Judge, "_when", when)

    return take_out


without_expiry = _judged_as(expires_ms=lambda body, situation, arrival: arrival.now_ms + 1_000)
without_epoch = _judged_as(epoch=lambda body, situation, arrival: situation.epoch)


def without_retained(put: Put) -> None:
    """Not so any more: a command that the broker has kept is an old command."""
    real = Judge.judge
    put(Judge, "judge", lambda self, arrival, *given: real(
        self, replace(arrival, retained=False), *given))  # fmt: skip


def without_once(put: Put) -> None:
    """Not so any more: an id that was taken is not taken again."""
    put(Window, "seen", says(Seen.NEVER))
    put(Window, "take", lambda self, key, taken: self.ids.update({key: taken}))


def without_signature(put: Put) -> None:
    """Not so any more: a signature is held against the key of a person."""
    put(Key, "signed", says(True))


def without_security_event(put: Put) -> None:
    """Not so any more: a refusal is told."""
    put(Refusals, "count", says(False))


def without_desk(put: Put) -> None:
    """Whatever comes from the network is handed on to the supervisor, however much it is."""
    put(service_process, "RUNNING_MAX", 1 << 30)
    put(PerSecond, "take", says(True))

    def handed_on(self: Judge, arrival: Arrival, ring: Any, situation: Situation) -> Accepted:
        body = SimpleNamespace(id="", command="lock_out", arguments={})
        request: Any = SimpleNamespace(body=body, row=ROWS["lock_out"])
        return Accepted(request, None, "", Taken(0, 0, ""))

    put(Judge, "judge", handed_on)


def without_apart(put: Put) -> None:
    """The supervisor waits until the broker has what it says to the network."""
    real = ServiceProcess.answered

    def waits(self: ServiceProcess, token: int, body: Mapping[str, Any]) -> None:
        late_ns = self.broker.extra_ns if self.broker.linked else ACK_WAIT_NS
        self._world.supervisor.block(late_ns)
        real(self, token, body)

    put(ServiceProcess, "answered", waits)


def without_reconnecting(put: Put) -> None:
    """Not so any more: a connection that has ended is made anew."""
    put(Broker, "up", lambda self: setattr(self, "is_up", True))


def without_configuration(put: Put) -> None:
    """Whatever is written in it, a process starts with what it can make of it."""
    good = config.load(PROFILE)
    put(config, "check", says(good))


def without_resend(put: Put) -> None:
    """Not so any more: who joins late gets the series and the last image."""
    put(Outgoing, "subscribed", says(None))
