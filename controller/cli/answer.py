"""How a command answers: one JSON object or words for people, refusals, exit codes.

Lives here: printing and exit codes (0 good, 1 judged bad, 2 input refused, 3 the machine lacks
something, 4 our bug, 130 interrupted), and the client of JSON-lines sockets.  May not live here:
what is asked.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

GOOD: Final = 0
JUDGED_BAD: Final = 1
REFUSED: Final = 2
MACHINE: Final = 3
BUG: Final = 4
_BY_BLAME: Final = {"input": REFUSED, "machine": MACHINE, "device": MACHINE, "bug": BUG}
# Longer than the supervisor waits for the longest act (a whole self-test).
ANSWER_MAX_S: Final = 30.0
BAD_LOCAL: Final = frozenset({"ready", "reset", "selftest"})


def show(body: Mapping[str, Any], as_json: bool, words: str = "") -> None:
    """Print the object, or the words for it."""
    print(json.dumps(body, ensure_ascii=False) if as_json or not words else words)


def refuse(body: Mapping[str, Any], as_json: bool) -> NoReturn:
    """Print a refusal and leave with the exit code of its blame."""
    error = body["error"]
    if as_json:
        print(json.dumps(body, ensure_ascii=False))
    else:
        where = error.get("key") or error.get("file") or ""
        value = "" if error.get("value") is None else f" = {error['value']}"
        sys.stderr.write(
            f"carm: {error['code']}: {where}{value}; allowed: {error['allowed']}; "
            f"{error['remedy']}\n"
        )
    raise SystemExit(_BY_BLAME[error["blame"]])


def refusal(
    code: str, blame: str, key: str, value: Any, allowed: str, remedy: str
) -> dict[str, Any]:
    """The object of a refusal that a command makes itself."""
    return {"error": {"code": code, "blame": blame, "key": key, "value": value,
                      "allowed": allowed, "remedy": remedy}}  # fmt: skip


def ask(path: Path, request: Mapping[str, Any], timeout_s: float = ANSWER_MAX_S) -> dict[str, Any]:
    """Send one JSON line to a socket and return the reply; a refusal object when nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as replies:
                reply = json.loads(replies.readline() or b"null")
    except (OSError, ValueError) as error:
        return refusal("no_answer", "machine", "socket", str(path), "a running process",
                       f"start it with carm up --run-dir {path.parent} ({error})")  # fmt: skip
    if type(reply) is not dict:
        return refusal("no_answer", "machine", "socket", str(path), "a reply",
                       "the process ended while it was asked; try again")  # fmt: skip
    return reply
