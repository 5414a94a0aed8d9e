"""The way to the supervisor: `service.sock`, pictures and wishes.

Lives here: connecting, watching, matching answers to questions, time limits.  May not live here:
what a wish means.  While the supervisor is away every wish is refused at once; nothing is kept for
later.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from controller.service.core.reasons import Reason, Refused

SOCKET: Final = "service.sock"
LINE_BYTES_MAX: Final = 262_144
PICTURE_WAIT_S: Final = 1.0
# A whole self-test has seven steps of at most 3 s each.
WISH_WAIT_S: Final = 25.0
WAITING_MAX: Final = 32


class Board:
    """One connection at a time; `told` gets what the supervisor says to one who watches."""

    def __init__(self, run_dir: Path, told: Callable[[Mapping[str, Any]], None]) -> None:
        self._path, self._told = run_dir / SOCKET, told
        self._watch = 0
        self._writer: asyncio.StreamWriter | None = None
        self._number = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def connect(self) -> asyncio.StreamReader:
        """Connect; raises OSError."""
        reader, self._writer = await asyncio.open_unix_connection(self._path, limit=LINE_BYTES_MAX)
        return reader

    def watch(self) -> None:
        """Ask to be told whatever is new, and that the supervisor lives."""
        self._number += 1
        self._watch = self._number
        self._write({"n": self._watch, "ask": True, "watch": True})

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Give answers to those who wait, until the supervisor goes."""
        try:
            while raw := await reader.readline():
                answer = json.loads(raw)
                number = answer.pop("n")
                if number == self._watch:
                    self._told(answer)
                    continue
                waiting = self._waiting.get(number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the connection, and of everybody who waits for an answer."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.cancel()

    async def picture(self) -> dict[str, Any]:
        """Everything that is shown of the machine; raises Refused (unavailable)."""
        return await self._asked({"ask": True}, PICTURE_WAIT_S)

    async def wish(self, what: str, by: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a change; raises Refused with the supervisor's reason."""
        body = {"ask": False, "what": what, "by": by, "arguments": dict(arguments)}
        answer = await self._asked(body, WISH_WAIT_S)
        error = answer.get("error")
        if error is None:
            return answer
        reasons = {"beam_on": Reason.BEAM_ON, "pedal_down": Reason.PEDAL_DOWN,
                   "no_session": Reason.NO_SESSION, "rate": Reason.RATE}  # fmt: skip
        reason = reasons.get(error["code"], Reason.MACHINE)
        raise Refused(reason, f"{error['code']}: {error['remedy']}", error)

    async def _asked(self, body: Mapping[str, Any], wait_s: float) -> dict[str, Any]:
        if self._writer is None or len(self._waiting) >= WAITING_MAX:
            raise Refused(Reason.UNAVAILABLE, "the supervisor does not answer")
        self._number += 1
        number = self._number
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            self._write({"n": number, **body})
            async with asyncio.timeout(wait_s):
                return await asyncio.shield(waiting)
        except TimeoutError:
            raise Refused(Reason.UNAVAILABLE, "the supervisor does not answer in time") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            # Both may be: whoever is told to end must not take it for the supervisor's end.
            if not waiting.cancelled() or (task is not None and task.cancelling()):
                raise
            raise Refused(Reason.UNAVAILABLE, "the supervisor went away") from None
        finally:
            self._waiting.pop(number, None)

    def _write(self, body: Mapping[str, Any]) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps(body).encode() + b"\n")
