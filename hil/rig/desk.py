"""The desk at which somebody acts on the room: `rig.sock`, JSON lines, one reply for each request.

Lives here: the socket, the reading of requests and the form of replies and refusals.  May not live
here: what an act does (`hil.room`), or the bus faults (`busfaults`).

Requests, one JSON object a line: `{"do": "press fluoro"}`, `{"inject": "F08", "for_ms": 1000}`,
`{"clear": "F08"}` (or `""`: all), `{"wiring": {"window_gate": false}}`, `{"mark": "realtime",
"value": "kill9", "t_ns": 0}`, `{"truth": "flush"}`, `{"status": true}`.  `do` and `inject` take
`phase` 0…1 and `phase_of` (`cycle` or `pulse`), `inject` also `target`, `amount`, `after_ms`.
"""

from __future__ import annotations

import json
import logging
import math
import selectors
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hil.rig import busfaults
from hil.rig.roombus import COMMAND_TEXT_MAX
from hil.rig.sockets import listen_stream
from hil.room.commands import Action, Clear, Command, Inject, Mark, Reply, Wiring

LINE_BYTES_MAX: Final = 8192
VISITORS_MAX: Final = 16
SWITCHES: Final = ("window_gate", "chain", "preset", "backup")
PHASES: Final = ("cycle", "pulse")
Ask = Callable[[Callable[[int], Command]], Reply | None]
Answer = dict[str, Any]
log = logging.getLogger("rig.desk")


class Refused(ValueError):
    """A request that is not one of ours, or that the room refuses; carries the reply."""

    def __init__(
        self, code: str, key: str, value: object, allowed: str, remedy: str, blame: str = "input"
    ) -> None:
        super().__init__(f"{code}: {key}")
        self.reply: Answer = {
            "ok": False,
            "error": {
                "code": code, "blame": blame, "key": key, "value": value, "allowed": allowed,
                "remedy": remedy,
            },
        }  # fmt: skip


def _text(request: Answer, key: str, usual: str = "") -> str:
    value = request.get(key, usual)
    if type(value) is not str or len(value) > COMMAND_TEXT_MAX:
        raise Refused("value", key, value, f"text of at most {COMMAND_TEXT_MAX}", "correct it")
    return value


def _number(request: Answer, key: str, usual: float, low: float, high: float) -> float:
    value = request.get(key, usual)
    if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
        raise Refused("value", key, value, f"a number {low:g} … {high:g}", f"correct {key}")
    return float(value)


def _phase(request: Answer) -> tuple[float, str]:
    phase = _number(request, "phase", -1.0, -1.0, 1.0)
    of = _text(request, "phase_of", "cycle")
    if of not in PHASES:
        raise Refused("value", "phase_of", of, "cycle or pulse", "correct phase_of")
    return (-1.0 if phase < 0 else phase), of


def _known(request: Answer, *keys: str) -> None:
    for key in request:
        if key not in keys:
            raise Refused("unknown_key", key, request[key], ", ".join(keys), f"remove {key}")


class Desk:
    """Serves `rig.sock` in its own thread.  `status` and `flush` are called in that thread."""

    def __init__(
        self, path: Path, ask: Ask, faults: busfaults.BusFaults, status: Callable[[], Answer],
        flush: Callable[[], int],
    ) -> None:  # fmt: skip
        self._ask, self._faults, self._status, self._flush = ask, faults, status, flush
        self._wiring = dict.fromkeys(SWITCHES, True)
        self._path = path
        self._server = listen_stream(path)
        self._wake, self._woken = socket.socketpair()
        self._buffers: dict[socket.socket, bytearray] = {}
        self._thread = threading.Thread(target=self._serve, name="desk")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and remove the socket."""
        if self._thread.is_alive():
            self._wake.send(b"x")
            self._thread.join()
        for open_socket in (self._server, self._wake, self._woken, *self._buffers):
            open_socket.close()
        self._path.unlink(missing_ok=True)

    # ── socket ───────────────────────────────────────────────────────────────────────────────

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        return
                    if key.fileobj is self._server:
                        self._accept(selector)
                    else:
                        self._listen_to(selector, key.fileobj)  # type: ignore[arg-type]

    def _accept(self, selector: selectors.BaseSelector) -> None:
        try:
            visitor, _ = self._server.accept()
        except BlockingIOError:
            return
        if len(self._buffers) >= VISITORS_MAX:
            visitor.close()
            return
        # a visitor that does not read its replies is closed, nobody waits for it
        visitor.settimeout(1.0)
        self._buffers[visitor] = bytearray()
        selector.register(visitor, selectors.EVENT_READ)

    def _listen_to(self, selector: selectors.BaseSelector, visitor: socket.socket) -> None:
        buffer = self._buffers[visitor]
        try:
            chunk = visitor.recv(LINE_BYTES_MAX)
            buffer += chunk
            while (end := buffer.find(b"\n")) >= 0:
                line = bytes(buffer[:end])
                del buffer[: end + 1]
                visitor.sendall(json.dumps(self.answer(line)).encode() + b"\n")
        except OSError:
            chunk = b""
        if not chunk or len(buffer) > LINE_BYTES_MAX:
            selector.unregister(visitor)
            del self._buffers[visitor]
            visitor.close()

    # ── requests ─────────────────────────────────────────────────────────────────────────────

    def answer(self, line: bytes) -> Answer:
        """The reply to one line."""
        try:
            request = json.loads(line)
            if type(request) is not dict:
                raise ValueError("not an object")
        except (ValueError, RecursionError):  # no JSON, or brackets too deep
            text = line[:80].decode("utf-8", "replace")
            return Refused("malformed", "line", text, "one JSON object", "send JSON").reply
        try:
            return {"ok": True, **self._obey(request)}
        except Refused as refused:
            return refused.reply

    def _obey(self, request: Answer) -> Answer:
        kinds: dict[str, Callable[[Answer], Answer]] = {
            "do": self._do, "inject": self._inject, "clear": self._clear, "wiring": self._rewire,
            "mark": self._mark, "truth": self._truth, "status": self._tell,
        }  # fmt: skip
        asked = [kind for kind in kinds if kind in request]
        if len(asked) != 1:
            raise Refused("unknown_request", "line", [*request], "one of " + ", ".join(kinds),
                          "send one request a line")  # fmt: skip
        return kinds[asked[0]](request)

    def _done(self, key: str, value: object, command: Callable[[int], Command]) -> Answer:
        reply = self._ask(command)
        if reply is None:
            raise Refused("no_room", key, value, "a running rig-line", "start hil.rig.line",
                          "machine")  # fmt: skip
        if not reply.ok:
            raise Refused(reply.code, key, value, reply.detail, "see docs/rig.md")
        return {"t_ns": reply.t_ns, "detail": reply.detail}

    def _do(self, request: Answer) -> Answer:
        _known(request, "do", "phase", "phase_of")
        text = _text(request, "do")
        phase, of = _phase(request)
        return self._done("do", text, lambda n: Action(n, text, phase, of))

    def _inject(self, request: Answer) -> Answer:
        _known(request, "inject", "target", "amount", "after_ms", "for_ms", "phase", "phase_of")
        fault, target = _text(request, "inject"), _text(request, "target")
        amount = _number(request, "amount", 0.0, -1e9, 1e9)
        after_ns = round(1e6 * _number(request, "after_ms", 0.0, 0.0, 3.6e6))
        for_ns = round(1e6 * _number(request, "for_ms", 0.0, 0.0, 3.6e6))
        phase, of = _phase(request)
        if fault not in busfaults.TABLE:
            return self._done("inject", fault, lambda n: Inject(
                n, fault, target, amount, after_ns, for_ns, phase, of
            ))  # fmt: skip
        now_ns = time.monotonic_ns()
        refusal = self._faults.inject(fault, target, amount, now_ns, after_ns, for_ns)
        if refusal:
            raise Refused("unknown_target", "target", target, refusal, "correct target")
        return {"t_ns": now_ns, "detail": ""}

    def _clear(self, request: Answer) -> Answer:
        _known(request, "clear")
        fault = _text(request, "clear")
        self._faults.clear(fault)
        if fault in busfaults.TABLE:
            return {"t_ns": time.monotonic_ns(), "detail": ""}
        return self._done("clear", fault, lambda n: Clear(n, fault))

    def _rewire(self, request: Answer) -> Answer:
        _known(request, "wiring")
        wanted = request["wiring"]
        good = type(wanted) is dict and all(
            k in SWITCHES and type(v) is bool for k, v in wanted.items()
        )
        if not good:
            raise Refused("value", "wiring", wanted, "true or false for " + ", ".join(SWITCHES),
                          "correct wiring")  # fmt: skip
        wiring = {**self._wiring, **wanted}
        answer = self._done("wiring", wanted, lambda n: Wiring(n, **wiring))
        self._wiring = wiring
        return {**answer, "wiring": wiring}

    def _mark(self, request: Answer) -> Answer:
        _known(request, "mark", "value", "t_ns")
        name, value = _text(request, "mark"), _text(request, "value")
        t_ns = int(_number(request, "t_ns", 0, 0, 2.0**62))
        if type(request.get("t_ns")) is int:
            t_ns = request["t_ns"]  # beyond 2⁵³ a float would not hold it
        return self._done("mark", name, lambda n: Mark(n, t_ns, name, value))

    def _truth(self, request: Answer) -> Answer:
        _known(request, "truth")
        if request["truth"] != "flush":
            raise Refused("value", "truth", request["truth"], "flush", "send flush")
        return {"lines": self._flush()}

    def _tell(self, request: Answer) -> Answer:
        _known(request, "status")
        return {**self._status(), "wiring": dict(self._wiring)}
