"""From pictures to messages: states when they change, events as they happen, telemetry at its rate.

Lives here: when something is published, numbering, and the counters that are.  May not live here:
commands, or the way to the broker (`controller.service.link`).
"""

from __future__ import annotations

import logging
import platform
import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Any, Final

from controller.log import line
from controller.service.core.commands import Strict
from controller.service.core.envelope import Reply
from controller.service.core.picture import STATE_OF, TELEMETRY_OF, changes, essence
from controller.service.core.reasons import Reason, Refusals
from controller.service.core.states import (
    EVENTS,
    Presence,
    SecurityState,
    ServiceTelemetry,
    SessionState,
    VersionState,
)
from controller.service.journal import AuditLog, EventLog
from controller.service.outbox import Outbox, Outgoing

RATES_HZ: Final = {"beam": 1.0, "imaging": 1.0, "generator": 1.0, "service": 0.2}
NS: Final = 1_000_000_000
# The end of a session is shown to the second; less would be published with every picture.
SESSION_STEP_MS: Final = 2_000
_log = logging.getLogger("service")


def dumped(value: Strict) -> bytes:
    """The JSON of a published value, by the names of the contract."""
    return value.model_dump_json(by_alias=True).encode()


def versions() -> VersionState:
    """What runs here."""
    return VersionState(
        carm=metadata.version("carm-supervisor"), python=platform.python_version(), contract="1"
    )


@contextmanager
def _storage(what: str) -> Iterator[None]:
    """A full or broken disk ends neither the telling nor the refusing; accepting it does end."""
    try:
        yield
    except OSError as error:
        line(_log, "error", "not_kept", {"what": what, "error": str(error)})


class Publisher:
    """Everything that is said without being asked, and the form of replies."""

    def __init__(self, outbox: Outbox, audit: AuditLog, events: EventLog) -> None:
        self.refusals = Refusals()
        self.accepted = 0
        self.rates_hz = dict(RATES_HZ)
        self._outbox, self._audit, self._events = outbox, audit, events
        self._seq = 0
        self._before: Mapping[str, Any] | None = None
        self._essence: Mapping[str, Any] | None = None
        self._told_ns: dict[str, int] = {}
        self._until_ms: int | None = None
        outbox.state("state/versions", dumped(versions()))

    def presence(self, presence: Presence) -> None:
        """Birth, and every change of it."""
        self._outbox.state("state/service", dumped(presence))

    def picture(self, picture: Mapping[str, Any], now_ms: int) -> bool:
        """A new picture of the machine; True when it shows anything new."""
        seen = essence(picture)
        news, self._essence = seen != self._essence, seen
        for topic, fields in changes(self._before, picture) if news else ():
            self.event(topic, now_ms, fields)
        self._before = picture
        # First the session: no listener sees READY while he believes one to be open.
        self._outbox.state("state/session", dumped(self._session(picture, now_ms)))
        for name, make in STATE_OF.items() if news else ():
            self._outbox.state(f"state/{name}", dumped(make(picture)))
        return news

    def _session(self, picture: Mapping[str, Any], now_ms: int) -> SessionState:
        left_ms = picture["session_left_ms"]
        if left_ms <= 0:
            self._until_ms = None
        elif self._until_ms is None or abs(now_ms + left_ms - self._until_ms) > SESSION_STEP_MS:
            self._until_ms = now_ms + left_ms
        return SessionState(open=left_ms > 0, until_ms=self._until_ms)

    @property
    def fastest_hz(self) -> float:
        """The highest rate that telemetry is asked for now."""
        return max(self.rates_hz.values())

    def telemetry(self, picture: Mapping[str, Any], now_ns: int, now_ms: int) -> None:
        """Whatever is due by its rate; called with every picture."""
        for name, make in TELEMETRY_OF.items():
            value = make(picture, now_ms) if self._due(name, now_ns) else None
            if value is not None:
                self._outbox.put(Outgoing(f"telemetry/{name}", dumped(value), qos=0))

    def service_telemetry(self, waiting: int, dropped: int, connects: int, now_ns: int,
                          now_ms: int) -> None:  # fmt: skip
        """This process's own."""
        if self._due("service", now_ns):
            value = ServiceTelemetry(
                t_ms=now_ms, accepted=self.accepted, waiting=waiting,
                refused=self.refusals.counted.total(), dropped=dropped + self._outbox.dropped,
                connects=connects, rss_kib=rss_kib(),
            )  # fmt: skip
            self._outbox.put(Outgoing("telemetry/service", dumped(value), qos=0))

    def _due(self, name: str, now_ns: int) -> bool:
        hz = self.rates_hz[name]
        if hz <= 0 or now_ns < self._told_ns.get(name, 0):
            return False
        self._told_ns[name] = now_ns + int(NS / hz) - NS // 40
        return True

    def event(self, topic: str, now_ms: int, fields: Mapping[str, Any]) -> None:
        """Something happened: published, and kept in the event log."""
        self._seq += 1
        payload = dumped(EVENTS[topic](seq=self._seq, t_ms=now_ms, **fields))
        with _storage("events"):
            self._events.add(topic, payload.decode())
        self._outbox.put(Outgoing(f"event/{topic}", payload, qos=1))

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    def refusal(self, reason: Reason, command: str, by: str | None, detail: str, now_ns: int,
                now_ms: int) -> bool:  # fmt: skip
        """Count a refusal; True when it is told and answered by itself, not only counted."""
        if not self.refusals.count(reason, now_ns):
            return False
        fields = {"reason": reason, "command": command[:80], "by": by, "detail": detail[:200]}
        with _storage("audit"):
            self._audit.write(now_ms, "refused", {**fields, "reason": reason.value})
        self.event("security", now_ms, {**fields, "count": 1})
        return True

    def second(self, now_ms: int) -> None:
        """Once a second: refusals that were only counted, and the security state."""
        for reason, count in self.refusals.take_untold():
            fields = {"reason": reason, "command": "", "by": None, "detail": "too many to tell",
                      "count": count}  # fmt: skip
            with _storage("audit"):
                self._audit.write(now_ms, "refused", {**fields, "reason": reason.value})
            self.event("security", now_ms, fields)
        with _storage("audit"):
            self._audit.settle()
        head = self._audit.head
        state = SecurityState(refused=dict(self.refusals.counted), accepted=self.accepted,
                              audit_seq=head.seq, audit_hash=head.hash)  # fmt: skip
        self._outbox.state("state/security", dumped(state))

    def reply(self, reply: Reply, response_topic: str | None, correlation: bytes | None) -> None:
        """To `reply/<id>`, and to the response topic of an MQTT 5 client."""
        payload = dumped(reply)
        self._outbox.put(Outgoing(f"reply/{reply.id}", payload, qos=1))
        if response_topic is not None:
            self._outbox.put(Outgoing(response_topic, payload, qos=1, whole=True,
                                      correlation=correlation))  # fmt: skip


def rss_kib() -> int:
    """Largest resident memory so far, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
