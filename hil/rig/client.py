"""A client of `rig.sock`, for the command line, tests and the demo.

Lives here: one request and its reply over a socket.  May not live here: anything of the rig itself.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Final

REPLY_BYTES_MAX: Final = 1 << 20


class RigError(Exception):
    """The rig refused; `error` is the refusal as in `{error: {code, blame, key, …}}`."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error.get('code')}: {error.get('key')} = {error.get('value')!r}, "
                         f"allowed is {error.get('allowed')}")  # fmt: skip
        self.error = error


class RigClient:
    """A connection to the desk of a running rig; raises OSError when nobody serves `path`."""

    def __init__(self, path: Path, timeout_s: float = 5.0) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(timeout_s)
        try:
            self._sock.connect(str(path))
        except OSError:
            self._sock.close()
            raise
        self._file = self._sock.makefile("rb")

    def request(self, **request: Any) -> dict[str, Any]:
        """Send one request and return the reply; raises RigError when refused."""
        self._sock.sendall(json.dumps(request).encode() + b"\n")
        line = self._file.readline(REPLY_BYTES_MAX)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the rig closed rig.sock")
        reply: dict[str, Any] = json.loads(line)
        if not reply.get("ok"):
            raise RigError(reply["error"])
        return reply

    def do(self, act: str, phase: float = -1.0, phase_of: str = "cycle") -> int:
        """Act on the room; returns when (ns) the room took it."""
        return int(self.request(do=act, phase=phase, phase_of=phase_of)["t_ns"])

    def inject(self, fault: str, **how: Any) -> dict[str, Any]:
        """Inject a fault; `how`: target, amount, after_ms, for_ms, phase, phase_of."""
        return self.request(inject=fault, **how)

    def clear(self, fault: str = "") -> None:
        """End one fault, or all."""
        self.request(clear=fault)

    def wiring(self, **switches: bool) -> None:
        """Connect or disconnect window_gate, chain, preset, backup."""
        self.request(wiring=switches)

    def mark(self, name: str, value: str, t_ns: int = 0) -> None:
        """Write a process mark into the truth log."""
        self.request(mark=name, value=value, t_ns=t_ns)

    def flush(self) -> int:
        """Have the truth log written; returns its number of lines."""
        return int(self.request(truth="flush")["lines"])

    def status(self) -> dict[str, Any]:
        """State of both rig processes."""
        return self.request(status=True)

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._sock.close()

    def __enter__(self) -> RigClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()
