"""A refusal in the one form everybody gets: code, blame, where, value, allowed, remedy.

Lives here: the value and its JSON form (`outputs`, section General).  May not live here: the
decision to refuse, or how it is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Blame(StrEnum):
    """Whose mistake it is."""

    INPUT = "input"
    MACHINE = "machine"
    DEVICE = "device"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """Something asked for is not done, and why; raised by checks, sent as a reply."""

    code: str
    blame: Blame
    where: str
    value: Any
    allowed: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.code}: {self.where} = {self.value!r}; allowed: {self.allowed}; {self.remedy}"

    @property
    def body(self) -> dict[str, Any]:
        """The `{error: {…}}` object; `value` is JSON-able."""
        return {
            "error": {
                "code": self.code,
                "blame": self.blame.value,
                "key": self.where,
                "value": self.value,
                "allowed": self.allowed,
                "remedy": self.remedy,
            }
        }


def busy(what: str, mode: str) -> Refusal:
    """Local operation is possible only while dark and at rest."""
    return Refusal(
        "busy", Blame.INPUT, what, mode, "while dark and at rest", "release the pedal and try again"
    )
