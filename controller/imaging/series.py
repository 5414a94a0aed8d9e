"""What became of every pulse of a run: the publisher's side of the account.

Lives here: counters and ranges from which any single subscriber proves that it has every frame or
says which are missing and why.  May not live here: sockets, pixels, or the subscriber's own sum
(`controller.stream.account` keeps that with other code).

Each pulse n = 0, 1, 2, … of a run is settled exactly once, in order: `publish(n)` or `lose(n)`.
Pulses between two reports were reported by nobody (a full queue, a restart in mid-run); they are
settled as lost with a reason of their own, so the account never has a hole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

# A header shows the newest ranges, the tail all: 600 s at 30/s, each second pulse lost, at most.
RANGES_IN_HEADER: Final = 16
PULSES_MAX: Final = 100_000
NO_REPORT: Final = "no_report"


class AccountFull(RuntimeError):
    """A run of more than `PULSES_MAX` pulses: beyond any run the executive allows."""


@dataclass
class RunAccount:
    """The account of one run.  `settled` pulses, `published` of them, the others in `ranges`."""

    run_id: int
    seq_first: int
    settled: int = 0
    published: int = 0
    emitted: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    ranges: list[list[Any]] = field(default_factory=list)

    def reported(self, pulse_n: int) -> None:
        """A pulse was reported by the executive."""
        self.emitted = max(self.emitted, pulse_n + 1)

    def publish(self, pulse_n: int) -> None:
        """Settle a pulse whose frame is published now; earlier unknown ones become losses."""
        self._bridge(pulse_n)
        assert pulse_n == self.settled, f"pulse {pulse_n} settled twice"
        self.settled += 1
        self.published += 1
        self.emitted = max(self.emitted, self.settled)

    def lose(self, pulse_n: int, reason: str) -> None:
        """Settle a pulse whose frame will not be published."""
        self._bridge(pulse_n)
        assert pulse_n == self.settled, f"pulse {pulse_n} settled twice"
        self._lose_range(pulse_n, pulse_n, reason)

    def is_settled(self, pulse_n: int) -> bool:
        """True when the fate of this pulse is known and told."""
        return pulse_n < self.settled

    def finish(self, pulses: int) -> None:
        """The run is over with `pulses` fired: what nobody reported is lost."""
        self.emitted = max(self.emitted, pulses)
        self._bridge(self.emitted)

    def counters(self, *, every_range: bool) -> dict[str, Any]:
        """The running counters as they stand in headers (newest ranges) and tails (all)."""
        shown = self.ranges if every_range else self.ranges[-RANGES_IN_HEADER:]
        return {
            "pulses": self.emitted,
            "settled": self.settled,
            "published": self.published,
            "missing": dict(self.missing),
            "ranges": [list(entry) for entry in shown],
            "ranges_left_off": len(self.ranges) - len(shown),
            "seq_first": self.seq_first,
        }

    def _bridge(self, pulse_n: int) -> None:
        if pulse_n > self.settled:
            self._lose_range(self.settled, pulse_n - 1, NO_REPORT)

    def _lose_range(self, first_n: int, last_n: int, reason: str) -> None:
        if last_n >= PULSES_MAX:
            raise AccountFull(f"pulse {last_n} of run {self.run_id}")
        self.settled = last_n + 1
        self.emitted = max(self.emitted, self.settled)
        self.missing[reason] = self.missing.get(reason, 0) + last_n - first_n + 1
        newest = self.ranges[-1] if self.ranges else None
        if newest is not None and newest[1] == first_n - 1 and newest[2] == reason:
            newest[1] = last_n
        else:
            self.ranges.append([first_n, last_n, reason])
