"""The process `service` in virtual time: the shipped judgement of commands, and its accounts.

Lives here: what `controller.service.desk` and `department` do in their order: pictures of the
machine, a verdict on each message, wishes to the supervisor, refusals told as security events.  May
not live here: the verdict itself (`controller.service.core.verdict`), how often what may be asked
(`controller.supervisor.service_desk`), or the wire (`broker`).

A message is read as plain JSON, and a signature is a keyed hash: forms and Ed25519 are tested with
real bytes elsewhere.  Until somebody opens it the process does nothing that the machine could
notice, and costs nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from controller.core.events import Remote
from controller.service.core.levels import Level, Role
from controller.service.core.limits import (
    INTAKE_MAX,
    PICTURE_HZ,
    REPLAY_IDS_MAX,
    RUNNING_MAX,
)
from controller.service.core.reasons import Reason, Refusals, Refused
from controller.service.core.replay import Taken, Window
from controller.service.core.verdict import Accepted, Arrival, Judge, Situation
from controller.service.outbox import Outbox, Outgoing
from controller.supervisor.service_desk import ACTS_PER_S_MAX, ASKS_PER_S_MAX, PerSecond
from hil.sim.broker import Broker
from hil.sim.chance import Stream

if TYPE_CHECKING:
    from hil.sim.world import World

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
# From the line on its socket to the supervisor's inbox, and back.
LINE_NS: Final = (30_000, 400_000)
# What one message costs it: reading, one Ed25519 verification, an audit entry.
JUDGE_NS: Final = (60_000, 160_000)
BATCH: Final = 16
# Service time: any instant, as long as it is the same one for everybody who signs.
SERVICE_ORIGIN_MS: Final = 1_800_000_000_000
VALID_MS: Final = 60_000
BY: Final = "emil"
COMMAND: Final = "lock_out"
ROWS: Final[Mapping[str, Any]] = {
    "lock_out": SimpleNamespace(name="lock_out", level=Level.CHANGE, role=Role.ENGINEER),
    "state": SimpleNamespace(name="state", level=Level.ASK, role=Role.ANYBODY),
}
FLOOD: Final = (
    ("state", b"\x00 not even JSON"),
    ("lock_out", json.dumps({"body": json.dumps({
        "id": "stranger-1", "device": "bench-1", "epoch": 1, "command": "lock_out", "by": BY,
        "not_before_ms": 0, "expires_ms": 0, "arguments": {"reason": "flood"},
    }), "sig": ""}).encode()),
)  # fmt: skip
# What is wrong with a command that is right in everything else: the words of F43.
HOSTILE: Final[dict[str, Reason]] = {
    "retained": Reason.RETAINED, "replayed": Reason.REPLAYED, "duplicate": Reason.DUPLICATE,
    "stale": Reason.WRONG_EPOCH, "forged": Reason.SIGNATURE, "expired": Reason.EXPIRED,
}  # fmt: skip
# How long before it was taken already: a retransmission, and somebody else's replay.
TAKEN_BEFORE_MS: Final = {"duplicate": 1_000, "replayed": 30_000}


@dataclass(frozen=True, slots=True)
class Key:
    """The one key that is known: a keyed hash in the place of Ed25519."""

    name: str = BY
    role: Role = Role.ENGINEER

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Whether the signature is made with this key over exactly this text."""
        return signature == sign(text)


def sign(text: bytes) -> bytes:
    """The signature of the one key."""
    return hashlib.sha256(b"private key of emil" + text).digest()


def read(payload: bytes, name: str) -> Any:
    """A payload in the form of a request; raises Refused (malformed)."""
    try:
        whole = json.loads(payload)
        body = json.loads(whole["body"])
        text, signature = whole["body"].encode(), bytes.fromhex(whole["sig"])
    except (ValueError, KeyError, TypeError):
        raise Refused(Reason.MALFORMED, "not a command") from None
    row = ROWS.get(name)
    if row is None or body["command"] != name:
        raise Refused(Reason.MALFORMED, "on another topic")
    return SimpleNamespace(body=SimpleNamespace(**body), row=row, text=text,
                           signature=signature or None)  # fmt: skip


class ServiceProcess:
    """`arrived_count` is how many messages on `cmd/` it was given."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = Stream(world.seed, "service")
        self._stays = False
        self._ring = {BY: Key()}
        self._intake: deque[tuple[str, bytes, bool]] = deque()
        self._busy = False
        self._asked_ns = -SECOND
        self._picture: Mapping[str, Any] | None = None
        self._seen_ns = -SECOND
        self._tokens = 0
        self._epoch = 0
        self._running: dict[int, bool] = {}
        self._asks, self._acts = PerSecond(ASKS_PER_S_MAX), PerSecond(ACTS_PER_S_MAX)
        self.outbox = Outbox()
        self.broker = Broker(world, self.outbox)
        self.judge = Judge(read, Window(REPLAY_IDS_MAX))
        self.refusals = Refusals()
        self.is_open = False
        self.arrived_count = 0
        self._spoiled_count = 0
        self.dropped = 0
        self.accepted = 0

    def open(self, *, stays: bool) -> None:
        """From now on it is part of the world; `stays` until its end, not that of a window."""
        self._stays = self._stays or stays
        if not self.is_open:
            self.is_open = True
            self.broker.connect()
            self._rhythm()

    def close(self) -> None:
        """The window is over: as if it were not there."""
        if not self._stays:
            self.is_open = False
            self.broker.disconnect()
            self._intake.clear()
            self._picture = None

    # ── pictures of the machine, ten times a second ──────────────────────────────────────────

    def _rhythm(self) -> None:
        if not self.is_open:
            return
        world = self._world
        if not world.supervisor.alive or world.supervisor.epoch != self._epoch:
            # The socket has closed with the process; whoever waited for an answer has none.
            self._running.clear()
            self._epoch = world.supervisor.epoch
        if world.supervisor.alive and True not in self._running.values():
            self._ask(True, "", {})
        self.outbox.put(Outgoing("telemetry/beam", b"", qos=0))
        self.broker.pump()
        world.after(SECOND // PICTURE_HZ, self._rhythm)

    def _ask(self, only_looks: bool, what: str, arguments: Mapping[str, Any]) -> None:
        """One line on `service.sock`; a supervisor that is away never answers it."""
        self._tokens -= 1
        self._running[self._tokens] = only_looks
        event = Remote(self._tokens, only_looks, what, "" if only_looks else BY, arguments)
        self._world.after(self._chance.between(*LINE_NS), self._line, event)

    def _line(self, event: Remote) -> None:
        """It is read at the supervisor's desk, which takes only so many in a second."""
        left = self._asks if event.ask else self._acts
        if left.take(self._world.now_host_ns):
            self._world.supervisor.put(event)
        else:
            self._answer(event.token, {"error": {"code": "rate"}})

    def answered(self, token: int, body: Mapping[str, Any]) -> None:
        """The supervisor has answered."""
        self._world.after(self._chance.between(*LINE_NS), self._answer, token, body)

    def _answer(self, token: int, body: Mapping[str, Any]) -> None:
        only_looks = self._running.pop(token, None)
        error = body.get("error")
        if only_looks is False and error is not None:
            known = {"beam_on", "pedal_down", "no_session", "rate"}
            code = error["code"]
            self._refuse(Reason(code) if code in known else Reason.MACHINE)
        elif only_looks and error is None:
            self._picture, self._seen_ns = body, self._world.now_host_ns
            self.outbox.state("state/mode", str(body["status"]["mode"]).encode())
            self.broker.pump()

    # ── messages on `cmd/`, as `controller.service.desk` takes them ──────────────────────────

    def send_hostile(self, kind: str) -> None:
        """Somebody publishes a command with one thing wrong."""
        self._world.after(self._chance.between(2 * MS, 20 * MS), self._publish, kind)

    def _publish(self, kind: str) -> None:
        if self.is_open:
            payload = self._spoiled(kind)
            self.broker.deliver(COMMAND, payload, retained=kind == "retained")

    def _spoiled(self, kind: str) -> bytes:
        now_ms, epoch = self._now_ms(), self.situation().epoch
        self._spoiled_count += 1
        body = {
            "id": f"{kind}-{self._spoiled_count:08}", "device": self._world.config["device"],
            "epoch": epoch - (kind == "stale"), "command": COMMAND, "by": BY, "not_before_ms": 0,
            "expires_ms": now_ms + (-1 if kind == "expired" else VALID_MS),
            "arguments": {"reason": kind},
        }  # fmt: skip
        text = json.dumps(body).encode()
        if kind in TAKEN_BEFORE_MS:
            # It has run already: the window remembers it, across restarts as well.
            digest = hashlib.sha256(text).hexdigest()[:32]
            taken = Taken(now_ms + VALID_MS, now_ms - TAKEN_BEFORE_MS[kind], digest)
            self.judge.window.take(f"{BY}/{body['id']}", taken)
        signature = bytes(32) if kind == "forged" else sign(text)
        return json.dumps({"body": text.decode(), "sig": signature.hex()}).encode()

    def poured(self, count: int) -> None:
        """So many messages of strangers at once."""
        for number in range(count):
            self._take_in((*FLOOD[number % len(FLOOD)], False))

    def arrived(self, name: str, payload: bytes, retained: bool) -> None:
        """The broker delivers a message."""
        self._take_in((name, payload, retained))
        self._world.look()

    def _take_in(self, message: tuple[str, bytes, bool]) -> None:
        self.arrived_count += 1
        if len(self._intake) >= INTAKE_MAX:
            self.dropped += 1
            return
        self._intake.append(message)
        if not self._busy:
            self._busy = True
            self._world.after(self._chance.between(*JUDGE_NS), self._work)

    def _work(self) -> None:
        self._busy = False
        done = 0
        while self._intake and done < BATCH:
            self._take(*self._intake.popleft())
            done += 1
        self.broker.pump()
        if self._intake:
            self._busy = True
            self._world.after(done * self._chance.between(*JUDGE_NS), self._work)

    def _take(self, name: str, payload: bytes, retained: bool) -> None:
        world = self._world
        arrival = Arrival(name, payload, retained, self._now_ms(), world.now_host_ns)
        try:
            if len(self._running) >= RUNNING_MAX:
                raise Refused(Reason.RATE, "too many are at work")
            accepted = self.judge.judge(arrival, self._ring, self.situation())
        except Refused as refused:
            self._refuse(refused.reason)
            return
        self._carry_out(accepted)

    def _carry_out(self, accepted: Accepted) -> None:
        """What is in the replay window, and on disk, runs once: the supervisor is asked."""
        self.accepted += 1
        if accepted.request.row.level is Level.CHANGE:
            body = accepted.request.body
            self._world.journal.note("wish", self._world.clockwork.now_ns, body.id)
            self._ask(False, body.command, body.arguments)

    def _refuse(self, reason: Reason) -> None:
        if self.refusals.count(reason, self._world.now_host_ns):
            self._world.journal.note("refused", self._world.clockwork.now_ns, reason.value)
            self.outbox.put(Outgoing("event/security", reason.value.encode(), qos=1))
            self.broker.pump()

    def situation(self) -> Situation:
        """What the supervisor last said of the machine."""
        picture, device = self._picture, self._world.config["device"]
        if picture is None:
            return Situation(device, 0, False, None, False, self._seen_ns)
        return Situation(device, picture["status"]["epoch"], picture["dark"], picture["pedals_up"],
                         picture["session_left_ms"] > 0, self._seen_ns)  # fmt: skip

    def _now_ms(self) -> int:
        return SERVICE_ORIGIN_MS + self._world.now_host_ns // MS
