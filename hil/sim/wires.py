"""Message wires in virtual time: in order, delayed, and now and then without a message.

Lives here: one direction of a Unix socket or of the bus.  May not live here: what a message means.
A wire keeps the order of what it carries, as a stream does; a message that is lost is lost whole.
What arrives at a process that has died or was replaced meanwhile goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hil.sim.chance import Stream
from hil.sim.clockwork import Clockwork


class Wire:
    """`send` calls `deliver(message)` later, and `harmed` when a fault of the wire showed.

    `open` is whether both ends hold the connection.
    """

    def __init__(
        self,
        clockwork: Clockwork,
        seed: int,
        name: str,
        delay_ns: tuple[int, int],
        deliver: Callable[[Any], None],
        harmed: Callable[[], None],
    ) -> None:
        self.name = name
        self.open = False
        self.lose = 0
        self.lost = 0
        self.extra_ns = 0
        self.slowed = 0
        self._clockwork = clockwork
        self._bits = Stream(seed, name).bits
        self._low_ns, self._span_ns = delay_ns[0], delay_ns[1] - delay_ns[0] + 1
        self._deliver = deliver
        self._harmed = harmed
        self._arrival_ns = 0
        self._connection = 0

    def connect(self) -> None:
        """Both ends are there."""
        self._connection += 1
        self.open = True

    def cut(self) -> None:
        """The connection is gone, with what was on its way."""
        self._connection += 1
        self.open = False

    def send(self, message: Any, at_ns: int = 0) -> bool:
        """Send at `at_ns` (0: now); False when it is lost, which the sender does not know."""
        if not self.open:
            return True
        if self.lose:
            self.lose -= 1
            self.lost += 1
            self._harmed()
            return False
        if self.extra_ns:
            self.slowed += 1
            self._harmed()
        sent_ns = max(at_ns, self._clockwork.now_ns)
        delay_ns = self._low_ns + (self._bits(32) * self._span_ns >> 32) + self.extra_ns
        self._arrival_ns = max(self._arrival_ns + 1, sent_ns + delay_ns)
        self._clockwork.at(self._arrival_ns, self._arrive, message, self._connection)
        return True

    def _arrive(self, message: Any, connection: int) -> None:
        if connection == self._connection:
            self._deliver(message)
