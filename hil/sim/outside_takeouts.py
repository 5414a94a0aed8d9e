"""How reactions towards those outside are taken out: what a programmer could have got wrong there.

Lives here: one function per reaction, as in `takeouts`.  May not live here: their names and when
they are asked for (`removed`).
"""

from __future__ import annotations

from controller.imaging.outgoing import Outgoing
from controller.stream.account import Account
from controller.stream.header import Header
from hil.sim.audience import Audience
from hil.sim.takeouts import Put, says


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


def without_resend(put: Put) -> None:
    """Not so any more: who joins late gets the series and the last image."""
    put(Outgoing, "subscribed", says(None))
