"""What one subscriber of the frame stream can prove from the headers it received.

Lives here: headers in, statement out: what came, what was lost on the way, what was never
published.  Written from `docs/frame-stream.md` and from nothing else, so it shares no code with the
publisher's side (`controller.imaging.series`).  May not live here: any import of this project, or
a socket (`subscriber`).  Being pure, it is tested against every pattern of loss, and listens in
virtual time as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

SCHEMA: Final = "carm.frames/1"
EPOCHS_MAX: Final = 64
Header = dict[str, Any]


@dataclass
class RunSeen:
    """What was heard of one run: the newest counters and every range of missing pulses."""

    counters: Header = field(default_factory=dict)
    ranges: dict[int, tuple[int, str]] = field(default_factory=dict)

    def hear(self, counters: Header) -> None:
        """Take counters; a re-sent header may be older than what is known."""
        for first_n, last_n, reason in counters["ranges"]:
            known = self.ranges.get(first_n)
            if known is None or known[0] < last_n:
                self.ranges[first_n] = (last_n, reason)
        if counters["settled"] >= self.counters.get("settled", 0):
            self.counters = counters


@dataclass
class EpochSeen:
    """What was heard of one publisher: frame numbers, and the first number that counts."""

    first_seq: int | None = None
    joined_seq: int | None = None
    seqs: set[int] = field(default_factory=set)
    last_seq: int = 0
    runs: dict[int, RunSeen] = field(default_factory=dict)
    tail: Header | None = None

    def missed(self) -> list[list[int]]:
        """Ranges of published frames that did not arrive after the first thing that was heard."""
        ranges: list[list[int]] = []
        expected = self.last_seq + 1 if self.joined_seq is None else self.joined_seq
        for seq in [*sorted(s for s in self.seqs if s >= expected), self.last_seq + 1]:
            if seq > expected:
                ranges.append([expected, seq - 1])
            expected = seq + 1
        return ranges


class Account:
    """What one subscriber can prove from the headers it received."""

    def __init__(self) -> None:
        self.received = 0
        self.crc_bad = 0
        self.series = ""
        self.device = ""
        self.epoch: int | None = None
        self.epochs: dict[int, EpochSeen] = {}
        self.other: dict[str, int] = {}

    def take(self, topic: str, header: Header) -> bool:
        """Take one header; True when it is a live frame that was not there yet."""
        seen = self._epoch(header)
        if topic == "series":
            self._series(seen, header)
        elif topic == "tail":
            self._tail(seen, header)
        elif topic == "live":
            return self._live(seen, header)
        else:
            self.other[topic] = self.other.get(topic, 0) + 1
        return False

    def _epoch(self, header: Header) -> EpochSeen:
        self.epoch = header["epoch"]
        self.device = header["device"]
        if self.epoch not in self.epochs and len(self.epochs) >= EPOCHS_MAX:
            del self.epochs[next(iter(self.epochs))]
        return self.epochs.setdefault(header["epoch"], EpochSeen())

    def _series(self, seen: EpochSeen, header: Header) -> None:
        self.series = header["series"]
        if seen.first_seq is None:
            seen.first_seq = header["seq_first"]
        # A start heard as it happened: everything from its first frame on is owed to us.
        if seen.joined_seq is None and not header["resend"]:
            seen.joined_seq = header["seq_first"]
        seen.last_seq = max(seen.last_seq, header["seq_first"] - 1)

    def _live(self, seen: EpochSeen, header: Header) -> bool:
        seq = header["seq"]
        self.series = header["series"]
        self._counters(seen, header["run_id"], header["counters"])
        if seen.joined_seq is None:
            seen.joined_seq = seq
        seen.last_seq = max(seen.last_seq, seq)
        if seq in seen.seqs:
            return False
        seen.seqs.add(seq)
        self.received += 1
        return True

    def _tail(self, seen: EpochSeen, header: Header) -> None:
        self.series = header["series"]
        self._counters(seen, header["run_id"], header["counters"])
        # Joined after the run: nothing of it was owed to us.
        if seen.joined_seq is None:
            seen.joined_seq = header["seq_last"] + 1
        seen.last_seq = max(seen.last_seq, header["seq_last"])
        seen.tail = header

    def _counters(self, seen: EpochSeen, run_id: int, counters: Header) -> None:
        seen.runs.setdefault(run_id, RunSeen()).hear(counters)
        if seen.first_seq is None:
            seen.first_seq = counters["seq_first"]

    @property
    def tail_complete(self) -> bool:
        """True when the newest publisher's final tail is here and every number is explained."""
        if self.epoch is None:
            return False
        seen = self.epochs[self.epoch]
        if seen.tail is None or not seen.tail["final"]:
            return False
        c = seen.tail["counters"]
        whole: bool = c["published"] + sum(c["missing"].values()) == c["pulses"] == c["settled"]
        return whole and seen.last_seq == seen.tail["seq_last"]

    def missing_by_reason(self) -> dict[str, int]:
        """Pulses that never had a frame in the stream, by the publisher's reason."""
        total: dict[str, int] = {}
        for seen in self.epochs.values():
            for run in seen.runs.values():
                for reason, count in run.counters.get("missing", {}).items():
                    total[reason] = total.get(reason, 0) + count
        return total

    def lost_ranges(self) -> list[list[int]]:
        """[epoch, first, last] of the published frames that did not reach this subscriber."""
        return [
            [epoch, first, last]
            for epoch, seen in self.epochs.items()
            for first, last in seen.missed()
        ]

    def before_join(self) -> int:
        """Frames published in runs heard of, before this subscriber had joined."""
        return sum(
            max(0, seen.joined_seq - seen.first_seq)
            for seen in self.epochs.values()
            if seen.joined_seq is not None and seen.first_seq is not None
        )

    def statement(self) -> Header:
        """The account in the keys of `carm frames --json`, without latency."""
        lost = self.lost_ranges()
        return {
            "schema": SCHEMA,
            "received": self.received,
            "lost": sum(last - first + 1 for _, first, last in lost),
            "lost_ranges": lost,
            "before_join": self.before_join(),
            "missing_by_reason": self.missing_by_reason(),
            "crc_bad": self.crc_bad,
            "epoch": self.epoch,
            "epochs": len(self.epochs),
            "series": self.series,
            "device": self.device,
            "tail_complete": self.tail_complete,
        }
