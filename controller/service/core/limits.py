"""Every bound of the service department in one place, and the allowance that enforces rates.

Lives here: numbers with the reason for each, and their relations.  May not live here: who counts
what (`controller.service.intake`).
"""

from __future__ import annotations

from collections import deque
from typing import Final

NS: Final = 1_000_000_000
# Outside the contract nothing is longer: a proposed configuration is the largest argument.
PAYLOAD_BYTES_MAX: Final = 16_384
# What may reach the supervisor (issue: at most 20 verified commands a second).
COMMANDS_PER_S: Final = 20
# Everything that may be at work at once: a burst of commands and two downloads.
RUNNING_MAX: Final = COMMANDS_PER_S + 4
# Questions without a signature have their own budget, so that strangers cannot use up the other.
QUESTIONS_PER_S: Final = 20
# One Ed25519 verification takes ~0.1 ms: 100/s for each key is 1 % of a core, whoever floods.
SIGNATURES_PER_S: Final = 100
# Refusals answered one by one; beyond it they are counted and told once a second.
REFUSALS_PER_S: Final = 50
# A command prepared longer ahead than this is an open cheque.
EXPIRES_AHEAD_MS_MAX: Final = 600_000
# Repeated bytes within this time are a retransmission, later ones somebody else's replay.
DUPLICATE_MS_MAX: Final = 5_000
REPLAY_IDS_MAX: Final = 16_384
QUESTION_IDS_MAX: Final = 2_048
KEYS_MAX: Final = 64
INTAKE_MAX: Final = 512
# The supervisor is asked for its picture so often while something is going on; at rest it says by
# itself what is new, and five times a second that it lives.  Unheard for half a second nothing is
# known of it, and after a second it is sought anew.
PICTURE_HZ: Final = 10
# Telemetry that is wanted more often than the supervisor shows itself at rest needs asking.
REST_HZ_MAX: Final = 1.0
PICTURE_AGE_NS_MAX: Final = 500_000_000
SILENCE_NS_MAX: Final = 1_000_000_000
TELEMETRY_HZ_MAX: Final = 10.0
CHUNK_BYTES: Final = 24_576
# 24 KiB × 40/s is 1 MB/s: a whole black box in five seconds, and little load beside a beam.
CHUNKS_PER_S: Final = 40
EVENTS_KEPT_MAX: Final = 4_096
AUDIT_BYTES_MAX: Final = 64 * 1024 * 1024
SESSION_MINUTES_MAX: Final = 240

assert REPLAY_IDS_MAX >= COMMANDS_PER_S * (EXPIRES_AHEAD_MS_MAX // 1000 + 1), (
    "an id is never forgotten before its command has expired"
)


class Allowance:
    """At most `per_s` in any second, wherever it begins.  Time is a value."""

    def __init__(self, per_s: int) -> None:
        self.per_s = per_s
        self._taken_ns: deque[int] = deque(maxlen=per_s)

    def take(self, now_ns: int) -> bool:
        """True when one more is allowed at `now_ns` (CLOCK_MONOTONIC), and counts it."""
        full = len(self._taken_ns) == self.per_s
        if full and now_ns - self._taken_ns[0] < NS:
            return False
        self._taken_ns.append(now_ns)
        return True
