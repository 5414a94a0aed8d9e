"""The desk of the service process: JSON lines over `service.sock`, apart from the local desk.

Lives here: framing, bounds, waiting for the answer.  May not live here: whether a wish is granted
(`controller.core.service`).  Whatever arrives on this socket becomes an event of the network; there
is no line that could be taken for an act at the board.

`{"n": 7, "ask": true}` is answered by the picture; `{"n": 8, "ask": false, "what": …, "by": …,
"arguments": {…}}` by `{"ok": true, …}` or `{"error": {…}}`; each answer carries its `n`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from controller.core.events import Remote
from controller.core.refusal import Blame, Refusal
from realtime.wire.messages import INT_MAX

LINE_BYTES_MAX: Final = 4096
# The service process keeps to 20 a second; a few more belong to a restart of it.
ACTS_PER_S_MAX: Final = 25
# Pictures for the retained state and for questions.
ASKS_PER_S_MAX: Final = 60
WAITING_MAX: Final = 32
CLIENTS_MAX: Final = 2


class PerSecond:
    """At most `per_s` in each second of CLOCK_MONOTONIC."""

    def __init__(self, per_s: int) -> None:
        self.per_s, self._second, self._count = per_s, -1, 0

    def take(self, now_ns: int) -> bool:
        """True when one more is allowed, and counts it."""
        second = now_ns // 1_000_000_000
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= self.per_s


class ServiceDesk:
    """Takes wishes, hands them to `put` as events of the network, and gives the replies back.

    Its tokens are negative, so that replies find the right desk.
    """

    def __init__(self, put: Callable[[Remote], None]) -> None:
        self._put = put
        self._tokens = 0
        self._clients = 0
        self._waiting: dict[int, tuple[int, asyncio.StreamWriter]] = {}
        self._acts, self._asks = PerSecond(ACTS_PER_S_MAX), PerSecond(ASKS_PER_S_MAX)

    async def serve(self, listener: socket.socket) -> None:
        """Serve until cancelled."""
        server = await asyncio.start_unix_server(self._client, sock=listener, limit=LINE_BYTES_MAX)
        async with server:
            await server.serve_forever()

    def answer(self, token: int, body: Mapping[str, Any]) -> None:
        """The reply to a wish; one whose client has gone, or reads nothing, is dropped."""
        number, writer = self._waiting.pop(token, (0, None))
        if writer is not None and not writer.is_closing():
            _write(writer, {"n": number, **body})

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            while self._clients <= CLIENTS_MAX and (raw := await reader.readline()):
                self._taken(raw, writer)
        except (ConnectionError, asyncio.LimitOverrunError, ValueError):
            # The client went away or sent a line without end; both are its own affair.
            pass
        finally:
            self._clients -= 1
            self._waiting = {t: kept for t, kept in self._waiting.items() if kept[1] is not writer}
            writer.close()

    def _taken(self, raw: bytes, writer: asyncio.StreamWriter) -> None:
        number = 0
        try:
            number, event = self._event(raw)
            if len(self._waiting) >= WAITING_MAX:
                raise _too_many("waiting", WAITING_MAX)
            self._waiting[event.token] = (number, writer)
            self._put(event)
        except Refusal as refusal:
            _write(writer, {"n": number, **refusal.body})

    def _event(self, raw: bytes) -> tuple[int, Remote]:
        wish = parsed(raw)
        self._tokens -= 1
        now_ns = time.monotonic_ns()
        left = self._asks if wish["ask"] else self._acts
        if not left.take(now_ns):
            raise _too_many("per second", left.per_s)
        event = Remote(self._tokens, wish["ask"], wish["what"], wish["by"], wish["arguments"])
        return wish["n"], event


def _too_many(what: str, limit: int) -> Refusal:
    return Refusal("rate", Blame.INPUT, what, limit + 1, f"≤ {limit}", "ask less often")


def _write(writer: asyncio.StreamWriter, body: Mapping[str, Any]) -> None:
    # A client that reads nothing is cut off instead of being waited for.
    if writer.transport.get_write_buffer_size() > 1_000_000:
        writer.transport.abort()
        return
    writer.write(json.dumps(body, ensure_ascii=False).encode() + b"\n")


def parsed(raw: bytes) -> Mapping[str, Any]:
    """One line, complete and of the right types; raises Refusal otherwise."""
    try:
        wish = json.loads(raw)
    except (ValueError, RecursionError):
        wish = None
    kinds: Mapping[str, type] = {"n": int, "ask": bool, "what": str, "by": str, "arguments": dict}
    if type(wish) is dict:
        whole: dict[str, Any] = {"what": "", "by": "", "arguments": {}} | wish
        good = set(whole) == set(kinds) and all(type(whole[k]) is t for k, t in kinds.items())
        if good and 0 <= whole["n"] <= INT_MAX:
            return whole
    raise Refusal("malformed", Blame.INPUT, "line", raw[:80].decode(errors="replace").strip(),
                  ", ".join(kinds), 'send one line {"n": 1, "ask": true}')  # fmt: skip
