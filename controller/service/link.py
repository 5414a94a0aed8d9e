"""The way to the broker: connect, subscribe, receive, send, and notice when it is only half open.

Lives here: aiomqtt, reconnecting with jitter, the beat whose acknowledgement proves the way.  May
not live here: what a message means (`controller.service.department`).

A broker that accepts bytes and answers nothing is noticed by the beat, a message of QoS 1 once a
second, however much of QoS 0 is being sent: TCP alone would believe in it for minutes.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from controller.log import line
from controller.service.core.limits import INTAKE_MAX
from controller.service.outbox import Outbox, Outgoing

# Twice the beat: one lost acknowledgement is weather, two are a dead broker.
ACK_WAIT_S: Final = 2.0
BEAT_S: Final = 1.0
RETRY_S_MIN: Final = 0.1
RETRY_S_MAX: Final = 1.0
# Connections that end this soon, again and again, are taken over by a namesake.
SHORT_S: Final = 1.0
SHORT_ENDS_MAX: Final = 3
KEEPALIVE_S: Final = 5
TAKEN_OVER: Final = 0x8E
# Small messages both ways: Nagle would hold each for the 40 ms of a delayed acknowledgement.
NO_DELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
_log = logging.getLogger("service")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is and how it is spoken to.  `certificates` None: loopback, plain."""

    host: str
    port: int
    version5: bool
    certificates: Path | None

    def tls(self) -> ssl.SSLContext | None:
        """The context for both sides' certificates; raises OSError when a file is missing."""
        if self.certificates is None:
            return None
        context = ssl.create_default_context(cafile=str(self.certificates / "ca.crt"))
        context.load_cert_chain(self.certificates / "client.crt", self.certificates / "client.key")
        return context


class Intake(asyncio.Queue[aiomqtt.Message]):
    """Bounded; what does not fit is counted and gone."""

    dropped = 0

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Called by the library for every message."""
        if self.qsize() >= INTAKE_MAX:
            Intake.dropped += 1
            return
        super().put_nowait(item)


async def until(due_s: float) -> None:
    """Wait until an absolute instant of the loop's clock."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[None] = loop.create_future()
    timer = loop.call_at(due_s, waiting.set_result, None)
    try:
        await waiting
    finally:
        timer.cancel()


class Link:
    """Keeps one connection for ever.  `received` is called for every message on `cmd/`."""

    def __init__(
        self,
        device: str,
        outbox: Outbox,
        address: Callable[[], Address],
        will: Callable[[], bytes],
        beat: Callable[[int], bytes],
    ) -> None:
        self._prefix = f"carm/{device}/"
        self._name = f"carm-{device}"
        self._outbox, self._address, self._will, self._beat = outbox, address, will, beat
        self.subscribed = False
        self.connects = 0
        self.on_message: Callable[[aiomqtt.Message], None]
        self.on_change: Callable[[str, str], None]
        self.listens: Callable[[], bool]
        self._short_ends = 0
        self._retry_s = RETRY_S_MIN

    def renew(self) -> None:
        """Connect anew, because something that counts at a connection has changed."""
        if self._client_now is not None:
            _hang_up(self._client_now)

    async def run(self) -> None:
        """Connect, live, reconnect; ends only when cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            begun_s = loop.time()
            reason = await self._one_life()
            lived_s = loop.time() - begun_s
            self._judge_end(reason, lived_s)
            line(_log, "warning", "broker_lost", {"why": reason, "lived_s": round(lived_s, 1)})
            pause_s = self._retry_s * random.uniform(0.5, 1.0)
            self._retry_s = min(2 * self._retry_s, RETRY_S_MAX)
            await until(loop.time() + pause_s)

    def _judge_end(self, reason: str, lived_s: float) -> None:
        connected, self._connected = self._connected, False
        short = connected and lived_s < SHORT_S
        self._short_ends = self._short_ends + 1 if short else 0
        if self._taken_over or self._short_ends >= SHORT_ENDS_MAX:
            self._short_ends = 0
            self._name = f"{self._name.partition('~')[0]}~{random.randrange(1 << 32):08x}"
            self.on_change("duplicate_client_id", reason)

    _connected = False
    _taken_over = False
    _client_now: aiomqtt.Client | None = None

    async def _one_life(self) -> str:
        self._taken_over = False
        try:
            client = self._client()
        except (OSError, ValueError) as error:
            return f"not ready: {error}"
        reason = "ended"
        self._client_now = client
        try:
            async with client:
                self._connected = True
                await self._live(client)
        except* (aiomqtt.MqttError, OSError, ValueError) as group:
            first = _first(group)
            cause = first.__cause__ or first
            self._taken_over = getattr(getattr(cause, "rc", None), "value", 0) == TAKEN_OVER
            reason = f"{type(first).__name__}: {first}"[:200]
        finally:
            _hang_up(client)
        return reason

    def _client(self) -> aiomqtt.Client:
        address = self._address()
        version = aiomqtt.ProtocolVersion.V5 if address.version5 else aiomqtt.ProtocolVersion.V311
        return aiomqtt.Client(
            address.host, address.port, identifier=self._name, protocol=version,
            clean_session=None if address.version5 else True, timeout=ACK_WAIT_S,
            keepalive=KEEPALIVE_S, queue_type=Intake, tls_context=address.tls(),
            will=aiomqtt.Will(f"{self._prefix}state/service", self._will(), 1, True),
            max_queued_outgoing_messages=64, max_inflight_messages=20, logger=_mqtt_log,
            socket_options=NO_DELAY,
        )  # fmt: skip

    async def _live(self, client: aiomqtt.Client) -> None:
        self.connects += 1
        self._outbox.begin()
        if self.listens():
            await client.subscribe(f"{self._prefix}cmd/+", **_subscription(self._address()))
        self.subscribed = True
        self._retry_s = RETRY_S_MIN
        self.on_change("connected", self._name)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive(client))
                group.create_task(self._send(client))
                group.create_task(self._beats(client))
        except BaseExceptionGroup:
            # A farewell to a broker that does not answer would only cost its time limit.
            _hang_up(client)
            raise
        finally:
            self.subscribed = False

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            self.on_message(message)

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            out = await self._outbox.next()
            topic = out.topic if out.whole else self._prefix + out.topic
            await client.publish(topic, out.payload, out.qos, out.retain, _properties(out))

    async def _beats(self, client: aiomqtt.Client) -> None:
        loop = asyncio.get_running_loop()
        due_s, number = loop.time(), 0
        while True:
            await client.publish(f"{self._prefix}telemetry/beat", self._beat(number), 1)
            number += 1
            due_s = max(due_s + BEAT_S, loop.time())
            await until(due_s)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


def _subscription(address: Address) -> dict[str, Any]:
    if not address.version5:
        return {"qos": 1}
    # Retained as published: otherwise a command that is stored while we listen looks fresh.
    return {"options": SubscribeOptions(qos=1, retainAsPublished=True)}


def _properties(out: Outgoing) -> Properties | None:
    if out.correlation is None:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.CorrelationData = out.correlation
    return properties


def _hang_up(client: aiomqtt.Client) -> None:
    """End the TCP connection at once.

    The library waits for a farewell that a frozen broker never sends, and after a failed
    CONNACK it keeps the socket and its task; the end of file makes it let go of both.
    """
    ended = client._disconnected
    if ended.done() and not ended.cancelled():
        # Looked at, so that nobody is told later that an exception was never retrieved.
        ended.exception()
    wire = client._client.socket()
    if isinstance(wire, socket.socket):
        try:
            wire.shutdown(socket.SHUT_RDWR)
        except OSError:
            # Already closed by the other side.
            return


_mqtt_log = logging.getLogger("mqtt")
