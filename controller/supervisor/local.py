"""Local operation: JSON lines over a Unix socket at the board; never the network.

Lives here: framing, the list of requests, waiting for the answer.  May not live here: whether an
act is allowed (`controller.core.local`).  One request per line, `{"do": name, …}`; one reply per
line, `{"ok": true, …}`, a report, or `{"error": {…}}`.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from controller.core.events import Kind, Local
from controller.core.refusal import Blame, Refusal
from controller.core.report import ANSWERS

# Name of the request → column of the mode table.
REQUESTS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(ANSWERS, Kind.ASK),
    "ready": Kind.READY, "reset": Kind.RESET, "set": Kind.SET, "select": Kind.SELECT,
    "selftest": Kind.SELF_TEST, "reset_timer": Kind.RESET_TIMER,
    "service_open": Kind.SERVICE, "service_close": Kind.SERVICE,
}  # fmt: skip
CLIENTS_MAX: Final = 16
LINE_BYTES_MAX: Final = 65_536
# A whole self-test has seven steps of at most 3 s each; a client waits no longer than all of them.
ANSWER_MAX_S: Final = 25.0


class LocalDesk:
    """Takes requests, hands them to `put` as events, and gives the replies back."""

    def __init__(self, put: Callable[[Local], None]) -> None:
        self._put = put
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._tokens = 0
        self._clients = 0

    async def serve(self, listener: socket.socket) -> None:
        """Serve until cancelled."""
        server = await asyncio.start_unix_server(self._client, sock=listener, limit=LINE_BYTES_MAX)
        async with server:
            await server.serve_forever()

    def answer(self, token: int, body: Mapping[str, Any]) -> None:
        """The reply to a request; one whose client has gone is dropped."""
        waiting = self._waiting.pop(token, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(body)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= CLIENTS_MAX:
                await self._converse(reader, writer)
        except (ConnectionError, asyncio.LimitOverrunError, ValueError):
            # The client went away or sent a line without end; both are its own affair.
            pass
        finally:
            self._clients -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while raw := await reader.readline():
            try:
                body = await self._asked(parsed(raw))
            except Refusal as refusal:
                body = refusal.body
            writer.write(json.dumps(body, ensure_ascii=False).encode() + b"\n")
            await writer.drain()

    async def _asked(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        arguments = {key: value for key, value in request.items() if key != "do"}
        self._tokens += 1
        token = self._tokens
        waiting: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[token] = waiting
        try:
            self._put(Local(token, REQUESTS[request["do"]], request["do"], arguments))
            async with asyncio.timeout(ANSWER_MAX_S):
                return await waiting
        except TimeoutError:
            raise Refusal("no_answer", Blame.BUG, "do", request["do"], f"≤ {ANSWER_MAX_S:g} s",
                          "look at the supervisor's log") from None  # fmt: skip
        finally:
            self._waiting.pop(token, None)


def parsed(raw: bytes) -> Mapping[str, Any]:
    """One request line; raises Refusal when it is not one."""
    try:
        request = json.loads(raw)
    except (ValueError, RecursionError):  # no JSON, or brackets too deep
        request = None
    if type(request) is not dict or request.get("do") not in REQUESTS:
        shown = raw[:80].decode(errors="replace").strip()
        raise Refusal("malformed", Blame.INPUT, "do", shown, ", ".join(sorted(REQUESTS)),
                      'send one line {"do": name}')  # fmt: skip
    return request
