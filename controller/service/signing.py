"""Making keys and signed payloads, on the engineer's machine.

Lives here: what `carm service keygen` and `carm service sign` do, and what the terminal client
sends.  May not live here: anything of the machine's side; private keys never come to it.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)


def new_id() -> str:
    """An id that nobody else has."""
    return secrets.token_hex(12)


def body_text(
    command: str, arguments: Mapping[str, Any], *, device: str, epoch: int, by: str | None,
    now_ms: int, valid_ms: int, id_: str = "",
) -> str:  # fmt: skip
    """The text under "body": valid from now for `valid_ms`."""
    body = {
        "id": id_ or new_id(), "device": device, "epoch": epoch, "command": command, "by": by,
        "not_before_ms": 0, "expires_ms": now_ms + valid_ms, "arguments": dict(arguments),
    }  # fmt: skip
    return json.dumps(body, ensure_ascii=False)


def load_private(path: Path) -> Ed25519PrivateKey:
    """A private key as openssl writes it; raises ValueError or OSError."""
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} is not an Ed25519 key")
    return key


def signed(text: str, key: Ed25519PrivateKey | None) -> bytes:
    """The payload: body and signature; without a key, a question without signature."""
    sig = base64.b64encode(key.sign(text.encode())).decode() if key is not None else None
    return json.dumps({"body": text, "sig": sig}).encode()


def make_key(private: Path, public: Path) -> None:
    """A new pair; refuses to overwrite.  Raises OSError."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    fd = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as out:
        out.write(pem)
    public.parent.mkdir(parents=True, exist_ok=True)
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
