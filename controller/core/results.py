"""Pulse and result: which generator result belongs to which fired pulse, and whether it is right.

Lives here: pairing of realtime's reports with the generator's results in order of its counter, the
checks on identity and plausibility, and the credit that follows.  May not live here: what a finding
does to the mode (`controller.core.run`), or the bus (`controller.devices`).

Reports and results each come in order; either may come first.  The generator's counter proves that
none is missing: successor = new, equal or older = rejected and counted, anything else = a gap.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from controller.core.technique import Technique
from realtime.wire.messages import CREDIT_AHEAD_MAX, PulseReport

COUNTER_MODULUS: Final = 1 << 32
# A result leaves the generator ≤ 2 ms after the pulse; F18 gives a babbling bus 60 ms.
RESULT_WAIT_NS: Final = 60_000_000
# Credit lets two pulses out ahead of their results; more waiting than that is a fault anyway.
WAITING_MAX: Final = 8
assert WAITING_MAX > CREDIT_AHEAD_MAX
KV_TOLERANCE: Final = 0.08
MA_TOLERANCE: Final = 0.20


@dataclass(frozen=True, slots=True)
class PulseResult:
    """What the generator says about one pulse; `counter` counts its pulses for ever, mod 2³²."""

    counter: int
    technique_id: int
    tube_kv: float
    width_us: int
    mas: float

    @property
    def mean_ma(self) -> float:
        """Mean tube current over the width, mA."""
        return self.mas * 1e6 / self.width_us if self.width_us else 0.0


@dataclass(frozen=True, slots=True)
class Matched:
    """A pulse with its result, checked and found right."""

    report: PulseReport
    result: PulseResult


@dataclass(frozen=True, slots=True)
class Finding:
    """A pulse or result that is not right; `fault_id` names its row of the catalogue."""

    fault_id: str
    detail: str


@dataclass(slots=True)
class Pairing:
    """Reports that wait for results and results that wait for reports."""

    counter: int | None = None
    rejected: int = 0
    unreported: int = 0
    _reports: deque[tuple[PulseReport, int]] = field(default_factory=deque)
    _results: deque[tuple[PulseResult, int]] = field(default_factory=deque)

    @property
    def waiting(self) -> bool:
        """A report or a result waits for its other half."""
        return bool(self._reports or self._results)

    def fired(
        self, report: PulseReport, technique: Technique | None, now_ns: int
    ) -> list[Matched | Finding]:
        """Take a report; `technique` is what its order named, None when nothing was ordered."""
        if technique is None or report.technique_id != technique.technique_id:
            return [Finding("technique_mismatch", f"fired with id {report.technique_id}")]
        self._reports.append((report, now_ns + RESULT_WAIT_NS))
        if len(self._reports) > WAITING_MAX:
            return [Finding("result_missing", f"{len(self._reports)} results are waited for")]
        return self._pair(technique)

    def delivered(
        self, result: PulseResult, technique: Technique | None, now_ns: int
    ) -> list[Matched | Finding]:
        """Take a result; `technique` as in `fired`."""
        if self.counter is not None:
            ahead = (result.counter - self.counter) % COUNTER_MODULUS
            if ahead == 0 or ahead >= COUNTER_MODULUS // 2:
                self.rejected += 1
                return []
            if ahead != 1:
                gap = f"counter {result.counter} after {self.counter}"
                self.counter = result.counter
                return [Finding("result_gap", gap)]
        self.counter = result.counter
        self._results.append((result, now_ns + RESULT_WAIT_NS))
        if len(self._results) > WAITING_MAX:
            return [Finding("pulse_unordered", f"{len(self._results)} results nobody fired")]
        return self._pair(technique)

    def expired(self, now_ns: int) -> list[Finding]:
        """Findings for whatever has waited longer than its time; each is reported once."""
        found = []
        while self._reports and now_ns > self._reports[0][1]:
            report = self._reports.popleft()[0]
            if report.truncated:
                # Cut in its rise: the generator may never have counted it.
                self.unreported += 1
            else:
                found.append(Finding("result_missing", f"pulse_id {report.pulse_id}"))
        while self._results and now_ns > self._results[0][1]:
            result = self._results.popleft()[0]
            found.append(Finding("pulse_unordered", f"generator counter {result.counter}"))
        return found

    def forget(self) -> None:
        """Nothing is waited for any more: realtime is gone, the records will be reconciled."""
        self._reports.clear()
        self._results.clear()

    def _pair(self, technique: Technique | None) -> list[Matched | Finding]:
        pairs: list[Matched | Finding] = []
        while self._reports and self._results:
            report, result = self._reports.popleft()[0], self._results.popleft()[0]
            pairs.append(judge(report, result, technique))
        return pairs


def judge(
    report: PulseReport, result: PulseResult, technique: Technique | None
) -> Matched | Finding:
    """Compare one pulse with its result: identity always, values as far as the pulse was whole."""
    if result.technique_id != report.technique_id:
        return Finding(
            "technique_mismatch", f"ordered {report.technique_id}, delivered {result.technique_id}"
        )
    width_max_us = report.set_us + report.set_us // 10 + 1000
    if result.width_us > width_max_us:
        return Finding("result_implausible", f"width {result.width_us} µs > {width_max_us} µs")
    if report.truncated or technique is None or technique.technique_id != report.technique_id:
        return Matched(report, result)
    return _values(report, result, technique)


def _values(report: PulseReport, result: PulseResult, technique: Technique) -> Matched | Finding:
    if abs(result.tube_kv - technique.tube_kv) > KV_TOLERANCE * technique.tube_kv:
        return Finding("result_implausible",
                       f"{result.tube_kv:g} kV, set {technique.tube_kv:g} kV ±8 %")  # fmt: skip
    least_us = report.set_us - report.set_us // 10 - 1000
    if result.width_us < least_us:
        return Finding("result_implausible", f"width {result.width_us} µs < {least_us} µs")
    # The charge may include rise and tail (at most rise + tail at full current).
    slack_us = technique.rise_us + technique.tail_us
    most = technique.tube_ma * (1 + MA_TOLERANCE) * (result.width_us + slack_us) / 1e6
    least = technique.tube_ma * (1 - MA_TOLERANCE) * result.width_us / 1e6
    # The generator reports whole µAs.
    if not least - 0.001 <= result.mas <= most + 0.001:
        return Finding("result_implausible",
                       f"{result.mas:g} mAs, expected {least:.3f} … {most:.3f}")  # fmt: skip
    return Matched(report, result)
