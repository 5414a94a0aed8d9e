"""Hostile messages: each a valid command with exactly one thing wrong.

Lives here: making them.  May not live here: sending, or what has to come of it.
"""

from __future__ import annotations

import json
import time
from typing import Any

from tests.service.bench_folder import flipped
from tests.service.engineer import Engineer

KINDS = ("retained", "wrong_device", "wrong_epoch", "expired", "not_yet_valid", "role",
         "signature", "malformed", "too_large", "duplicate", "replayed")  # fmt: skip
Message = tuple[str, str, bytes, dict[str, Any]]


def hostile(who: Engineer, kind: str, id_: str, text: str, content: bytes) -> Message:
    """(id, command, payload, options); `id_`, `text`, `content` are of a valid one just sent."""
    body = json.loads(text)
    if kind == "duplicate":
        return id_, body["command"], content, {}
    if kind == "replayed":
        other = body | {"expires_ms": body["expires_ms"] - 1}
        return id_, body["command"], who.payload(json.dumps(other)), {}
    now_ms = int(time.time() * 1000)
    changed: dict[str, dict[str, Any]] = {
        "wrong_device": {"device": "bench-2"}, "wrong_epoch": {"epoch": 6},
        "expired": {"expires_ms": now_ms - 1}, "not_yet_valid": {"not_before_ms": now_ms + 30_000},
        "malformed": {"more": 1},
    }  # fmt: skip
    by = "olga" if kind == "role" else "emil"
    bad, changed_text = who.text("lock_out", by, arguments={"reason": "x"}, **changed.get(kind, {}))
    payload = who.payload(changed_text, by)
    if kind == "signature":
        payload = flipped(payload)
    if kind == "too_large":
        payload += b" " * 16_384
    return bad, "lock_out", payload, {"retain": kind == "retained"}
