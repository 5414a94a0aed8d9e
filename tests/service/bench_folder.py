"""A run directory with people's keys, and bodies that are right in everything.

Lives here: keys, valid commands, and the ways to spoil one.  May not live here: assertions.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.service.core.keys import Person, Ring
from controller.service.core.levels import Role
from controller.service.core.verdict import Arrival, Situation
from controller.service.signing import make_key, new_id, signed

DEVICE = "bench-1"
EPOCH = 7
NOW_MS = 1_800_000_000_000
NOW_NS = 5_000_000_000


@dataclass
class People:
    """Private keys by name; `ring` holds their public halves."""

    private: dict[str, Ed25519PrivateKey]
    ring: Ring


def people() -> People:
    roles = {"olga": Role.OBSERVER, "emil": Role.ENGINEER, "anna": Role.ADMINISTRATOR}
    private = {name: Ed25519PrivateKey.generate() for name in roles}
    ring = {name: Person(name, role, private[name].public_key()) for name, role in roles.items()}
    return People(private, ring)


def write_keys(run_dir: Path) -> dict[str, Path]:
    """Keys on disk; returns the private ones by name."""
    found = {}
    for role, name in (("observer", "olga"), ("engineer", "emil"), ("administrator", "anna")):
        found[name] = run_dir / f"{name}.key"
        make_key(found[name], run_dir / "service-keys" / role / f"{name}.pem")
    return found


def body(command: str = "lock_out", **changed: Any) -> dict[str, Any]:
    """A valid body; `changed` replaces fields."""
    good: dict[str, Any] = {
        "id": new_id(), "device": DEVICE, "epoch": EPOCH, "command": command, "by": "emil",
        "not_before_ms": 0, "expires_ms": NOW_MS + 60_000,
        "arguments": {"reason": "wear"} if command == "lock_out" else {},
    }  # fmt: skip
    return good | changed


def payload(key: Ed25519PrivateKey | None, **changed: Any) -> bytes:
    return signed(json.dumps(body(**changed)), key)


def arrival(content: bytes, name: str = "lock_out", *, retained: bool = False,
            now_ms: int = NOW_MS, now_ns: int = NOW_NS) -> Arrival:  # fmt: skip
    return Arrival(name, content, retained, now_ms, now_ns)


def situation(**changed: Any) -> Situation:
    good: dict[str, Any] = {"device": DEVICE, "epoch": EPOCH, "dark": True, "pedals_up": True,
                            "session": True, "seen_ns": NOW_NS}  # fmt: skip
    return Situation(**good | changed)


def flipped(content: bytes) -> bytes:
    """The same payload with one bit of its signature turned over."""
    whole = json.loads(content)
    raw = bytearray(base64.b64decode(whole["sig"]))
    raw[7] ^= 1
    whole["sig"] = base64.b64encode(bytes(raw)).decode()
    return json.dumps(whole).encode()


Spoil = Callable[[Ed25519PrivateKey], bytes]
# One thing wrong in each, by the reason that must be given; what only the way can spoil (retained,
# duplicate, replayed, rate) is not here.
SPOILED: dict[str, Callable[[People, int], bytes]] = {
    "wrong_device": lambda who, now: _made(who, now, device="bench-2"),
    "wrong_epoch": lambda who, now: _made(who, now, epoch=EPOCH - 1),
    "expired": lambda who, now: _made(who, now, expires_ms=now - 1),
    "not_yet_valid": lambda who, now: _made(who, now, not_before_ms=now + 30_000),
    "role": lambda who, now: _made(who, now, "olga", by="olga"),
    "signature": lambda who, now: flipped(_made(who, now)),
    "malformed": lambda who, now: _made(who, now, arguments={"reason": "wear", "more": 1}),
    "too_large": lambda who, now: _made(who, now) + b" " * 16_384,
}


def _made(who: People, now_ms: int, signer: str = "emil", **changed: Any) -> bytes:
    whole = {"expires_ms": now_ms + 60_000} | changed
    return payload(who.private[signer], **whole)
