"""The command desk: a message comes in, a verdict is reached, and somebody is answered.

Lives here: the order of verdict, audit, act and reply.  May not live here: the checks (`core`), the
acts, or the broker.  An accepted command is in the replay window and in the audit log, on disk,
before it runs; so a crash in between loses a command, and none runs twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import aiomqtt
from pydantic import ValidationError

from controller.core.refusal import Blame, Refusal
from controller.log import line
from controller.service.acts import Acts
from controller.service.clock import ServiceClock
from controller.service.core.answers import REPLIES
from controller.service.core.envelope import Chunk, Progress, Unreadable, blamed, read, readable_id
from controller.service.core.keys import Ring
from controller.service.core.limits import RUNNING_MAX
from controller.service.core.reasons import Reason, Refused
from controller.service.core.verdict import Accepted, Arrival, Judge, Situation
from controller.service.journal import AuditLog, ReplayFile
from controller.service.publisher import Publisher

RESPONSE_TOPIC_MAX: Final = 200
_log = logging.getLogger("service")


class Desk:
    """`take` is called for every message on `cmd/`; acts run as tasks of `group`."""

    def __init__(
        self, device: str, clock: ServiceClock, audit: AuditLog, replay: ReplayFile,
        publisher: Publisher, situation: Callable[[], Situation],
    ) -> None:  # fmt: skip
        self._prefix = f"carm/{device}/"
        self._clock, self._audit, self._replay = clock, audit, replay
        self._publisher, self._situation = publisher, situation
        self._judge = Judge(read, replay.window)
        self._running: set[asyncio.Task[None]] = set()
        self.ring: Ring = {}
        self.acts: Acts
        self.group: asyncio.TaskGroup

    def take(self, message: aiomqtt.Message) -> None:
        """One message.  Never raises for anything that a stranger can send."""
        topic = str(message.topic)
        if not topic.startswith(f"{self._prefix}cmd/"):
            # Not subscribed; some brokers deliver a last will to its own author.
            return
        name = topic.removeprefix(f"{self._prefix}cmd/")
        payload = message.payload
        answer = _Answer(self._publisher, self._prefix, name, message)
        arrival = Arrival(name, payload, bool(message.retain), self._clock.now_ms(),
                          time.monotonic_ns())  # fmt: skip
        try:
            if len(self._running) >= RUNNING_MAX:
                raise Refused(Reason.RATE, f"{RUNNING_MAX} commands are at work")
            accepted = self._judge.judge(arrival, self.ring, self._situation())
            self._write_down(accepted)
        except Refused as refused:
            self._refuse(answer, refused, None, arrival)
            return
        self._publisher.accepted += 1
        answer.id = accepted.request.body.id
        task = self.group.create_task(self._carry_out(accepted, answer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _write_down(self, accepted: Accepted) -> None:
        if accepted.person is None:
            return
        try:
            self._replay.keep(accepted.key, accepted.taken)
            self._note("accepted", accepted, {"arguments": _short(accepted)})
        except OSError as error:
            raise Refused(Reason.MACHINE, f"the audit log cannot be written: {error}") from None

    def _note(self, kind: str, accepted: Accepted, more: dict[str, Any]) -> None:
        body = accepted.request.body
        fields = {"command": body.command, "by": body.by, "id": body.id, **more}
        self._audit.write(self._clock.now_ms(), kind, fields, durable=True)

    async def _carry_out(self, accepted: Accepted, answer: _Answer) -> None:
        if accepted.person is not None:
            answer.say("accepted")
        try:
            result = await self.acts.do(
                accepted, lambda progress, chunk: answer.say("accepted", progress, chunk)
            )
            self._note_done(accepted)
            answer.done(result)
        except Refused as refused:
            arrival = Arrival(accepted.request.body.command, b"", False, self._clock.now_ms(),
                              time.monotonic_ns())  # fmt: skip
            self._refuse(answer, refused, accepted.request.body.by, arrival)
        except ValidationError as error:
            self._unfit(answer, accepted, error)

    def _note_done(self, accepted: Accepted) -> None:
        if accepted.person is None:
            return
        try:
            self._note("done", accepted, {})
        except OSError as error:
            # It ran, and that it was accepted is on disk; the answer is not withheld.
            line(_log, "error", "not_kept", {"what": "audit", "error": str(error)})

    def _unfit(self, answer: _Answer, accepted: Accepted, error: ValidationError) -> None:
        """Our own answer does not fit the contract: said as what it is, and never sent."""
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        line(_log, "error", "answer_unfit", {"command": accepted.request.row.name, "at": where})
        told = Refusal("answer_unfit", Blame.BUG, where[:200], first["msg"], "docs/asyncapi.yaml",
                       "please report it").body["error"]  # fmt: skip
        answer.refused(Refused(Reason.MACHINE, "it ran, but its answer is unfit", told), b"")

    def _refuse(self, answer: _Answer, refused: Refused, by: str | None, arrival: Arrival) -> None:
        told = self._publisher.refusal(refused.reason, arrival.name, by, refused.detail,
                                       arrival.now_ns, arrival.now_ms)  # fmt: skip
        if told:
            answer.refused(refused, arrival.payload)
            line(_log, "info", "refused", {"reason": refused.reason, "command": arrival.name[:40]})


class _Answer:
    """Where the replies to one message go."""

    def __init__(self, publisher: Publisher, prefix: str, name: str, message: aiomqtt.Message):
        self._publisher, self._name = publisher, name[:80]
        self.id = ""
        properties = message.properties
        wanted = getattr(properties, "ResponseTopic", None) if properties is not None else None
        # Elsewhere we would be somebody's tool for writing where he may not.
        topic = wanted if isinstance(wanted, str) else ""
        good = topic.startswith(f"{prefix}reply/") and len(topic) <= RESPONSE_TOPIC_MAX
        good = good and not set("+#\0") & set(topic)
        self._response = topic if good else None
        self._correlation = getattr(properties, "CorrelationData", None) if good else None

    def say(self, result: Any, progress: Progress | None = None,
            chunk: Chunk | None = None) -> None:  # fmt: skip
        """A reply that is not the last."""
        self._send({"result": result, "progress": progress, "chunk": chunk})

    def done(self, answer: dict[str, Any]) -> None:
        """The last reply of a command that ran."""
        self._send({"result": "done", "answer": answer})

    def refused(self, refused: Refused, payload: bytes) -> None:
        """The last reply of one that did not."""
        self.id = self.id or readable_id(payload)
        error = blamed(refused.error) if refused.error is not None else None
        self._send({"result": "refused", "reason": refused.reason, "detail": refused.detail,
                    "error": error})  # fmt: skip

    def _send(self, fields: dict[str, Any]) -> None:
        body = {"schema": "carm.reply/1", "id": self.id, "command": self._name}
        kind = REPLIES.get(self._name, Unreadable)
        reply = kind.model_validate({**body, **fields})
        self._publisher.reply(reply, self._response, self._correlation)


def _short(accepted: Accepted) -> dict[str, Any]:
    """The arguments, long ones by their beginning: the log is for people."""
    found = accepted.request.arguments.model_dump()
    return {key: value[:120] if isinstance(value, str) else value for key, value in found.items()}
