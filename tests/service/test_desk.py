"""The desk by itself: what becomes of an answer that its own contract does not allow."""

import asyncio
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.service.clock import ServiceClock
from controller.service.core.envelope import SCALAR_MAX, Progress, blamed, scalar
from controller.service.core.verdict import Situation
from controller.service.desk import Desk
from controller.service.journal import AuditLog, EventLog, ReplayFile
from controller.service.outbox import Outbox
from controller.service.publisher import Publisher
from tests.service.bench_folder import DEVICE, EPOCH, people, situation

Answer = dict[str, Any]


class Acts:
    """Answers as told; `steps` are progress before it."""

    def __init__(self, answer: Answer, steps: int = 0) -> None:
        self.answer, self.steps = answer, steps

    async def do(self, accepted: Any, said: Any) -> Answer:
        for number in range(self.steps):
            said(Progress(done=number, total=self.steps), None)
        return self.answer


async def replies(folder: Path, name: str, acts: Acts) -> list[Answer]:
    """Everything said to one valid question."""
    outbox, now = Outbox(), ServiceClock()
    audit, replay, events = AuditLog(folder, 1), ReplayFile(folder, 8), EventLog(folder)

    def known() -> Situation:
        return situation(seen_ns=time.monotonic_ns())

    desk = Desk(DEVICE, now, audit, replay, Publisher(outbox, audit, events), known)
    desk.ring, desk.acts = people().ring, acts  # type: ignore[assignment]
    body = {"id": "question-1", "device": DEVICE, "epoch": EPOCH, "command": name,
            "expires_ms": now.now_ms() + 60_000}  # fmt: skip
    message: Any = SimpleNamespace(
        topic=f"carm/{DEVICE}/cmd/{name}", retain=False, properties=None,
        payload=json.dumps({"body": json.dumps(body)}).encode(),
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        desk.group = group
        desk.take(message)
    for file in (audit, replay, events):
        file.close()
    said = []
    while len(outbox):
        out = await outbox.next()
        said += [json.loads(out.payload)] if out.topic == "reply/question-1" else []
    return said


WHY = {"mode": "STANDBY", "reasons": []}


async def test_an_answer_that_fits_is_sent(tmp_path: Path) -> None:
    (told,) = await replies(tmp_path, "why", Acts(WHY))
    assert (told["result"], told["answer"]) == ("done", WHY)


@pytest.mark.parametrize(
    ("answer", "steps"), [({**WHY, "more": 1}, 0), ({"mode": "ASLEEP", "reasons": []}, 0), (WHY, 1)]
)
async def test_one_that_does_not_is_refused_as_our_bug_and_ends_nothing(
    tmp_path: Path, answer: Answer, steps: int
) -> None:
    (told,) = await replies(tmp_path, "why", Acts(answer, steps))
    assert (told["result"], told["reason"], told["answer"]) == ("refused", "machine", None)
    assert (told["error"]["code"], told["error"]["blame"]) == ("answer_unfit", "bug")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, None), (True, True), (3, 3), (0.5, 0.5), ("x", "x"), (1 << 60, str(1 << 60)),
     (float("nan"), "NaN"), ([1, 2], "[1, 2]"), ("y" * 5000, "y" * SCALAR_MAX)],
)  # fmt: skip
def test_every_value_of_a_refusal_fits_a_message(value: Any, shown: Any) -> None:
    assert scalar(value) == shown
    error = blamed({"code": "x", "value": value, "allowed": "z" * 9000})
    assert (error["value"], len(error["allowed"])) == (shown, 4000)
