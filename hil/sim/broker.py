"""The broker and the way to it in virtual time: up or down, quick or slow, and who listens there.

Lives here: the wire only: what the service process publishes reaches a listener, what strangers
publish reaches the service process, each with a delay, and neither while the broker is away.  May
not live here: what is published (`service_process`), or MQTT, whose bytes are tested with real
brokers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.service.outbox import Outbox, Outgoing
from hil.sim.chance import Stream
from hil.sim.words import CONNECTED

if TYPE_CHECKING:
    from hil.sim.world import World

MS: Final = 1_000_000
WAY_NS: Final = (100_000, 2 * MS)
# As `controller.service.link` tries again: 0.1 … 1 s apart, with jitter.
RETRY_NS: Final = (50 * MS, 1_000 * MS)
FLOOD_EVERY_NS: Final = 5 * MS
EVENT: Final = "event/"


class Broker:
    """`is_up` as strangers see it, `linked` when the service process is connected."""

    def __init__(self, world: World, outbox: Outbox) -> None:
        self._world = world
        self._chance = Stream(world.seed, "broker")
        self._outbox = outbox
        self._connection = 0
        self._sending = False
        self._flap_ns = 0
        self._flood_per_turn = 0
        self.is_up = True
        self.linked = False
        self.extra_ns = 0
        self.cuts = 0
        self.slowed = 0
        self.flooded = 0

    # ── what goes wrong ──────────────────────────────────────────────────────────────────────

    def down(self) -> None:
        """It is gone, with every connection."""
        if self.is_up:
            self.is_up = False
            self.cuts += 1
            self._cut()
            self._world.look()

    def up(self) -> None:
        """It is there; the service process finds it at its next try."""
        if not self.is_up:
            self.is_up = True
            self._world.after(self._chance.between(*RETRY_NS), self._link, self._connection)

    def flap(self, each_ns: int) -> None:
        """From now on it goes and comes, each for so long; 0 ends it."""
        self._flap_ns = each_ns
        if each_ns:
            self._turn_over()

    def flood(self, per_second: int) -> None:
        """From now on strangers publish so much on `cmd/`; 0 ends it."""
        begins = not self._flood_per_turn
        self._flood_per_turn = per_second * FLOOD_EVERY_NS // 1_000_000_000
        if begins and per_second:
            self._pour()

    def _turn_over(self) -> None:
        if self._flap_ns:
            if self.is_up:
                self.down()
            else:
                self.up()
            self._world.after(self._flap_ns, self._turn_over)

    def _pour(self) -> None:
        if not self._flood_per_turn:
            return
        if self.linked:
            self.flooded += self._flood_per_turn
            self._world.service.poured(self._flood_per_turn)
            self._world.look()
        self._world.after(FLOOD_EVERY_NS, self._pour)

    # ── the connection ───────────────────────────────────────────────────────────────────────

    def connect(self) -> None:
        """The service process has a connection, as it had before anybody looked."""
        if self.is_up and not self.linked:
            self._link(self._connection)

    def disconnect(self) -> None:
        """The service process lets go of it."""
        self._cut()

    def _link(self, connection: int) -> None:
        if not self.is_up or connection != self._connection or not self._world.service.is_open:
            return
        self.linked = True
        self._outbox.begin()
        self._outbox.put(Outgoing(f"{EVENT}broker", CONNECTED.encode(), qos=1))
        self.pump()

    def _cut(self) -> None:
        self.linked = self._sending = False
        self._connection += 1

    # ── what is carried ──────────────────────────────────────────────────────────────────────

    def deliver(self, name: str, payload: bytes, *, retained: bool) -> None:
        """Somebody publishes on `cmd/<name>`; without a connection nobody hears it."""
        after_ns = self._chance.between(*WAY_NS) + self.extra_ns
        self._world.after(after_ns, self._delivered, name, payload, retained)

    def _delivered(self, name: str, payload: bytes, retained: bool) -> None:
        if self.linked:
            self._world.service.arrived(name, payload, retained)

    def pump(self) -> None:
        """Send the next message, one after the other, as each is acknowledged."""
        if not self.linked or self._sending:
            return
        message = self._outbox.take()
        if message is None:
            return
        self._sending = True
        if self.extra_ns:
            self.slowed += 1
            self._world.look()
        after_ns = self._chance.between(*WAY_NS) + self.extra_ns
        self._world.after(after_ns, self._sent, message, self._connection)

    def _sent(self, message: Outgoing, connection: int) -> None:
        if connection != self._connection:
            return
        self._sending = False
        world = self._world
        if message.topic.startswith(EVENT):
            world.observed.tell(world.clockwork.now_ns, message.payload.decode())
        self.pump()
