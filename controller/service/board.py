"""The way to the supervisor: `service.sock`, pictures and wishes.

Lives here: connecting, matching answers to questions, time limits.  May not live here: what a wish
means.  While the supervisor is away every wish is refused at once; nothing is kept for later.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
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
    """One connection at a time; `converse` lives as long as it does."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / SOCKET
        self._writer: asyncio.StreamWriter | None = None
        self._number = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def connect(self) -> asyncio.StreamReader:
        """Connect; raises OSError."""
        reader, self._writer = await asyncio.open_unix_connection(self._path, limit=LINE_BYTES_MAX)
        return reader

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Give answers to those who wait, until the supervisor goes."""
        try:
            while raw := await reader.readline():
                answer = json.loads(raw)
                waiting = self._waiting.get(answer.pop("n"))
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
            self._writer.write(json.dumps({"n": number, **body}).encode() + b"\n")
            async with asyncio.timeout(wait_s):
                return await asyncio.shield(waiting)
        except TimeoutError:
            raise Refused(Reason.UNAVAILABLE, "the supervisor does not answer in time") from None
        except asyncio.CancelledError:
            if not waiting.cancelled():
                raise
            raise Refused(Reason.UNAVAILABLE, "the supervisor went away") from None
        finally:
            self._waiting.pop(number, None)
