"""May this command run now?  Values in, a verdict out.

Lives here: the checks, in their order.  May not live here: sockets, files, carrying it out, or how
bytes are read and signatures computed: both are handed in, and virtual time hands in others.

Order: what the message itself shows (retained, form, device), who sent it (signature, role), when
(epoch, validity, once), then what the machine does (beam, pedals, session), then the rate.  Budgets
are taken last, so that nobody uses up somebody else's; the costly signature has one of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from controller.service.core.levels import Level, Role
from controller.service.core.limits import (
    COMMANDS_PER_S,
    EXPIRES_AHEAD_MS_MAX,
    KEYS_MAX,
    PICTURE_AGE_NS_MAX,
    QUESTION_IDS_MAX,
    QUESTIONS_PER_S,
    REPLAY_IDS_MAX,
    SIGNATURES_PER_S,
    Allowance,
)
from controller.service.core.reasons import Reason, Refused
from controller.service.core.replay import Seen, Taken, Window

if TYPE_CHECKING:
    from controller.service.core.envelope import Request

Read = Callable[[bytes, str], "Request"]


class Known(Protocol):
    """A person under whose name there is a key (`controller.service.core.keys.Person`)."""

    @property
    def name(self) -> str:
        """The name of the key."""

    @property
    def role(self) -> Role:
        """What the person may."""

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Whether the signature is theirs, over exactly this text."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message on `cmd/<name>`; `now_ms` is service time, `now_ns` CLOCK_MONOTONIC."""

    name: str
    payload: bytes
    retained: bool
    now_ms: int
    now_ns: int


@dataclass(frozen=True, slots=True)
class Situation:
    """What the supervisor last said of the machine.  `pedals_up` None: not known."""

    device: str
    epoch: int
    dark: bool
    pedals_up: bool | None
    session: bool
    seen_ns: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command that may run: once, now."""

    request: Request
    person: Known | None
    key: str
    taken: Taken


@dataclass(slots=True)
class Judge:
    """Keeps the window and the budgets; `judge` is the only way to a verdict.

    `read` gives a payload its form, or raises Refused (`controller.service.core.envelope.read`).
    """

    read: Read
    window: Window = field(default_factory=lambda: Window(REPLAY_IDS_MAX))
    questions: Window = field(default_factory=lambda: Window(QUESTION_IDS_MAX))
    commands_left: Allowance = field(default_factory=lambda: Allowance(COMMANDS_PER_S))
    questions_left: Allowance = field(default_factory=lambda: Allowance(QUESTIONS_PER_S))
    signatures_left: dict[str, Allowance] = field(default_factory=dict)

    def judge(self, arrival: Arrival, ring: Mapping[str, Known], situation: Situation) -> Accepted:
        """The verdict; raises Refused.  An accepted id is remembered before this returns."""
        if arrival.retained:
            raise Refused(Reason.RETAINED, "a stored command is an old command; clear the topic")
        request = self.read(arrival.payload, arrival.name)
        if request.body.device != situation.device:
            raise Refused(Reason.WRONG_DEVICE, f"this is {situation.device}")
        person = self._who(request, ring, arrival.now_ns)
        _role(request, person)
        taken, key = self._when(request, person, situation, arrival)
        _machine(request, situation, arrival.now_ns)
        self._rate(person, arrival.now_ns)
        (self.window if person is not None else self.questions).take(key, taken)
        return Accepted(request, person, key, taken)

    def _who(self, request: Request, ring: Mapping[str, Known], now_ns: int) -> Known | None:
        name = request.body.by
        if request.signature is None:
            if request.row.level is Level.ASK and name is None:
                return None
            raise Refused(Reason.SIGNATURE, f"{request.row.name} needs a signature")
        person = ring.get(name) if name is not None else None
        if person is None:
            raise Refused(Reason.SIGNATURE, "no key is known under this name")
        assert len(ring) <= KEYS_MAX
        left = self.signatures_left.setdefault(person.name, Allowance(SIGNATURES_PER_S))
        if not left.take(now_ns):
            raise Refused(Reason.RATE, f"more than {SIGNATURES_PER_S} signatures per second")
        if not person.signed(request.text, request.signature):
            raise Refused(Reason.SIGNATURE, "the signature does not cover these bytes")
        return person

    def _when(
        self, request: Request, person: Known | None, situation: Situation, arrival: Arrival
    ) -> tuple[Taken, str]:
        body, now_ms = request.body, arrival.now_ms
        if body.epoch != situation.epoch:
            raise Refused(Reason.WRONG_EPOCH, f"the epoch is {situation.epoch}")
        if body.expires_ms <= now_ms:
            raise Refused(Reason.EXPIRED, f"expired {now_ms - body.expires_ms} ms ago")
        if body.not_before_ms > now_ms:
            raise Refused(Reason.NOT_YET_VALID, f"valid in {body.not_before_ms - now_ms} ms")
        if body.expires_ms - now_ms > EXPIRES_AHEAD_MS_MAX:
            ahead = f"expires_ms is more than {EXPIRES_AHEAD_MS_MAX} ms ahead"
            raise Refused(Reason.MALFORMED, ahead)
        key = f"{person.name if person is not None else ''}/{body.id}"
        digest = hashlib.sha256(request.text).hexdigest()[:32]
        window = self.window if person is not None else self.questions
        seen = window.seen(key, body.expires_ms, digest, now_ms)
        if seen is Seen.JUST_NOW:
            raise Refused(Reason.DUPLICATE, "the same message was taken a moment ago")
        if seen is Seen.BEFORE:
            raise Refused(Reason.REPLAYED, "this id was used before")
        if seen is Seen.FORGOTTEN and person is not None:
            raise Refused(Reason.EXPIRED, "older than what is remembered")
        return Taken(body.expires_ms, now_ms, digest), key

    def _rate(self, person: Known | None, now_ns: int) -> None:
        left = self.commands_left if person is not None else self.questions_left
        if not left.take(now_ns):
            raise Refused(Reason.RATE, f"more than {left.per_s} per second")


def _role(request: Request, person: Known | None) -> None:
    role = person.role if person is not None else Role.ANYBODY
    if role < request.row.role:
        raise Refused(Reason.ROLE, f"{request.row.name} needs the role {request.row.role.name}")


def _machine(request: Request, situation: Situation, now_ns: int) -> None:
    if now_ns - situation.seen_ns > PICTURE_AGE_NS_MAX:
        raise Refused(Reason.UNAVAILABLE, "the supervisor does not answer")
    level = request.row.level
    if level is Level.ASK:
        return
    if not situation.dark:
        raise Refused(Reason.BEAM_ON, "commands act only while the beam is dark")
    if situation.pedals_up is False:
        raise Refused(Reason.PEDAL_DOWN, "commands act only with all pedals up")
    if level is not Level.CHANGE:
        return
    if situation.pedals_up is None:
        raise Refused(Reason.PEDAL_DOWN, "the pedals are not known to be up")
    if not situation.session:
        raise Refused(Reason.NO_SESSION, "somebody at the board must open a service session")
