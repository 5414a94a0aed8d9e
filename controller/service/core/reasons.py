"""Why a command is refused, and how many were.

Lives here: the reasons, the refusal as an exception, and which refusals are told one by one.  May
not live here: a check (`controller.service.core.verdict`), or any package outside the standard
library: virtual time judges with these as well.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Any

from controller.service.core.limits import REFUSALS_PER_S, Allowance


class Reason(StrEnum):
    """Why a command was refused."""

    RETAINED = "retained"
    REPLAYED = "replayed"
    DUPLICATE = "duplicate"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_DEVICE = "wrong_device"
    WRONG_EPOCH = "wrong_epoch"
    ROLE = "role"
    SIGNATURE = "signature"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    RATE = "rate"
    BEAM_ON = "beam_on"
    PEDAL_DOWN = "pedal_down"
    NO_SESSION = "no_session"
    UNAVAILABLE = "unavailable"
    MACHINE = "machine"


class Refused(Exception):
    """A command that is not done: `reason`, a sentence, and as much of it as could be read."""

    def __init__(self, reason: Reason, detail: str, error: dict[str, Any] | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.error = reason, detail[:400], error


class Refusals:
    """Counts every refusal; only so many in a second are told one by one."""

    def __init__(self) -> None:
        self.counted: Counter[Reason] = Counter()
        self._left = Allowance(REFUSALS_PER_S)
        self._untold: Counter[Reason] = Counter()

    def count(self, reason: Reason, now_ns: int) -> bool:
        """Count one at `now_ns` (CLOCK_MONOTONIC); True when it is told by itself."""
        self.counted[reason] += 1
        if self._left.take(now_ns):
            return True
        self._untold[reason] += 1
        return False

    def take_untold(self) -> list[tuple[Reason, int]]:
        """What was only counted since the last call, by reason."""
        untold = sorted(self._untold.items())
        self._untold.clear()
        return untold
