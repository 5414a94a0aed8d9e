"""The folder of public keys: `ROLE/NAME.pem`, Ed25519, as `openssl pkey -pubout` writes them.

Lives here: reading it.  May not live here: private keys, or the check of a signature
(`controller.service.core.keys`).  A file that is no such key is left out and told once.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from controller.log import line
from controller.service.core.keys import Person, Ring
from controller.service.core.levels import ROLES
from controller.service.core.limits import KEYS_MAX

_NAME = re.compile("[a-z0-9_-]{1,32}")
_log = logging.getLogger("service")


def read_ring(folder: Path) -> Ring:
    """Everybody whose key lies under `folder`; nobody when it does not exist."""
    ring: dict[str, Person] = {}
    for file in sorted(folder.glob("*/*.pem"))[:KEYS_MAX]:
        why = _unfit(file, ring)
        if why:
            line(_log, "warning", "key_left_out", {"file": file.name, "why": why})
            continue
        try:
            key = load_pem_public_key(file.read_bytes())
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            line(_log, "warning", "key_left_out", {"file": file.name, "why": str(error)[:80]})
            continue
        if isinstance(key, Ed25519PublicKey):
            ring[file.stem] = Person(file.stem, ROLES[file.parent.name], key)
        else:
            line(_log, "warning", "key_left_out", {"file": file.name, "why": "not Ed25519"})
    return ring


def _unfit(file: Path, ring: dict[str, Person]) -> str:
    if file.parent.name not in ROLES:
        return f"the folder names no role; there are {', '.join(ROLES)}"
    if not _NAME.fullmatch(file.stem):
        return "the name is not 1 … 32 of a-z 0-9 _ -"
    if file.stem in ring:
        return f"the name is already {ring[file.stem].role.name.lower()}"
    return ""
