"""The desk of the service process: JSON lines over `service.sock`, apart from the local desk.

Theory of operation.  A wish waits for the main step, as everything does.  A client that watches is
told by itself: the picture at once when it shows anything new, and now and then when not; between
pictures that we live.  `stir` comes with every main step and costs a comparison.  What a client has
not read yet is not added to: one that is stopped costs nothing, and later finds the newest.

Lives here: framing, bounds, waiting for the answer, watching.  May not live here: whether a wish is
granted, or what a picture shows (`controller.core.service`).  Whatever arrives on this socket
becomes an event of the network; there is no line that could be taken for an act at the board.

`{"n": 7, "ask": true}` is answered by the picture; `{"n": 8, "ask": false, "what": …, "by": …,
"arguments": {…}}` by `{"ok": true, …}` or `{"error": {…}}`; each answer carries its `n`.
`{"n": 9, "ask": true, "watch": true}` is answered again and again, by the picture or by
`{"n": 9, "t_ns": …}`: nothing new.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
_MS: Final = 1_000_000
# Whoever asks ten times a second is told nothing twice.
NEWS_NS_MIN: Final = 120 * _MS
# Telemetry goes once a second, by what stands in the pictures.
PICTURE_NS: Final = 980 * _MS
# Service believes in nobody whom it has not heard for half a second.
LIFE_NS: Final = 200 * _MS


@dataclass(slots=True)
class _Watcher:
    """One that watches: what it was shown last, and when."""

    number: int
    writer: asyncio.StreamWriter
    shown: object = None
    picture_ns: int = 0
    regular_ns: int = 0
    line_ns: int = 0


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

    Its tokens are negative, so that replies find the right desk.  `visible(now_ns)` says cheaply
    what a picture is made of, `picture(now_ns)` makes it.
    """

    def __init__(
        self, put: Callable[[Remote], None], visible: Callable[[int], object],
        picture: Callable[[int], Mapping[str, Any]],
    ) -> None:  # fmt: skip
        self._put, self._visible, self._picture = put, visible, picture
        self._watchers: list[_Watcher] = []
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
            if "status" in body:
                self._has_seen(writer, body["t_ns"])

    def stir(self, now_ns: int) -> None:
        """After a main step: tell those who watch what is new to them, or that we live."""
        if not self._watchers:
            return
        visible = self._visible(now_ns)
        for watcher in self._watchers:
            self._tell(watcher, visible, now_ns)

    def _tell(self, watcher: _Watcher, visible: object, now_ns: int) -> None:
        news = visible != watcher.shown and now_ns - watcher.picture_ns >= NEWS_NS_MIN
        regular = now_ns - watcher.regular_ns >= PICTURE_NS
        due = news or regular or now_ns - watcher.line_ns >= LIFE_NS
        transport = watcher.writer.transport
        if not due or transport.is_closing() or transport.get_write_buffer_size():
            return
        watcher.line_ns = now_ns
        told: Mapping[str, Any] = {"t_ns": now_ns}
        if news or regular:
            watcher.shown, watcher.picture_ns, told = visible, now_ns, self._picture(now_ns)
        if regular:
            watcher.regular_ns = now_ns
        _write(watcher.writer, {"n": watcher.number, **told})

    def _has_seen(self, writer: asyncio.StreamWriter, t_ns: int) -> None:
        """Whoever watches and asks, too, has the picture of `t_ns`; the main step made it now."""
        for watcher in self._watchers:
            if watcher.writer is writer:
                watcher.shown, watcher.picture_ns = self._visible(t_ns), t_ns
                watcher.line_ns = t_ns

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
            self._watchers = [one for one in self._watchers if one.writer is not writer]
            writer.close()

    def _taken(self, raw: bytes, writer: asyncio.StreamWriter) -> None:
        number = 0
        try:
            wish = parsed(raw)
            number, now_ns = wish["n"], time.monotonic_ns()
            left = self._asks if wish["ask"] else self._acts
            if not left.take(now_ns):
                raise _too_many("per second", left.per_s)
            if wish["ask"] and wish["watch"]:
                self._watches(number, writer)
                self.stir(now_ns)
            else:
                self._wished(wish, writer)
        except Refusal as refusal:
            _write(writer, {"n": number, **refusal.body})

    def _watches(self, number: int, writer: asyncio.StreamWriter) -> None:
        """From now on; one that watched already begins anew."""
        others = [one for one in self._watchers if one.writer is not writer]
        self._watchers = [*others, _Watcher(number, writer)]
        assert len(self._watchers) <= CLIENTS_MAX

    def _wished(self, wish: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        if len(self._waiting) >= WAITING_MAX:
            raise _too_many("waiting", WAITING_MAX)
        self._tokens -= 1
        self._waiting[self._tokens] = (wish["n"], writer)
        event = Remote(self._tokens, wish["ask"], wish["what"], wish["by"], wish["arguments"])
        self._put(event)


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
    kinds: Mapping[str, type] = {"n": int, "ask": bool, "watch": bool, "what": str, "by": str,
                                 "arguments": dict}  # fmt: skip
    if type(wish) is dict:
        whole: dict[str, Any] = {"watch": False, "what": "", "by": "", "arguments": {}} | wish
        good = set(whole) == set(kinds) and all(type(whole[k]) is t for k, t in kinds.items())
        if good and 0 <= whole["n"] <= INT_MAX:
            return whole
    raise Refusal("malformed", Blame.INPUT, "line", raw[:80].decode(errors="replace").strip(),
                  ", ".join(kinds), 'send one line {"n": 1, "ask": true}')  # fmt: skip
