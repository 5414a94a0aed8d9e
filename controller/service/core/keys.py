"""Public keys of people: who may do what, and whether a signature is theirs.

Lives here: the key ring as a value, and the check.  May not live here: files
(`controller.service.keyfiles`) or private keys, which never come near the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from controller.service.core.levels import Role


@dataclass(frozen=True, slots=True)
class Person:
    """One public key with the name and role under which it was put there."""

    name: str
    role: Role
    key: Ed25519PublicKey

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Whether `signature` (64 bytes, Ed25519) is this person's over exactly `text`."""
        try:
            self.key.verify(signature, text)
        except InvalidSignature:
            return False
        return True


Ring = Mapping[str, Person]
