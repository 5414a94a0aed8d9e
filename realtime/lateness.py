"""How late the loop wakes, and the likely cause of each late turn.

Lives here: the running maximum and the evidence the kernel shows (run delay, faults, switches).
May not live here: consequences; a stall trips in `realtime.executive`.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Final, NamedTuple

from realtime.limits import LATE_MAX_NS, MS

_SCHEDSTAT: Final = Path("/proc/self/schedstat")
RESOURCE_SELF: Final = resource.RUSAGE_SELF


class Evidence(NamedTuple):
    """Kernel counters of this process at one instant."""

    cpu_ns: int = 0
    run_delay_ns: int = 0
    faults_minor: int = 0
    faults_major: int = 0
    switches_forced: int = 0


def evidence() -> Evidence:
    """Read the counters; missing ones read 0."""
    usage = resource.getrusage(RESOURCE_SELF)
    try:
        cpu_ns, delay_ns = (int(word) for word in _SCHEDSTAT.read_text().split()[:2])
    except (OSError, ValueError):
        cpu_ns = delay_ns = 0
    return Evidence(cpu_ns, delay_ns, usage.ru_minflt, usage.ru_majflt, usage.ru_nivcsw)


def cause(before: Evidence, after: Evidence, late_ns: int) -> str:
    """The likely cause of a turn that came `late_ns` late."""
    if after.run_delay_ns - before.run_delay_ns > late_ns // 2:
        return "waited_for_cpu"
    if after.faults_major > before.faults_major:
        return "major_page_fault"
    if after.cpu_ns - before.cpu_ns > late_ns // 2:
        return "busy_in_own_code"
    if after.faults_minor > before.faults_minor:
        return "page_fault"
    return "stopped_or_blocked"


class Lateness:
    """Lateness since the last report."""

    def __init__(self) -> None:
        self.max_ns = 0
        self.late_turns = 0
        self.cause = ""
        self._before = evidence()

    def turn(self, planned_ns: int, now_ns: int) -> None:
        """Note one wake-up that was planned for `planned_ns`."""
        late_ns = now_ns - planned_ns
        if late_ns > self.max_ns:
            self.max_ns = late_ns
        if late_ns > LATE_MAX_NS:
            self.late_turns += 1
            after = evidence()
            self.cause = f"{cause(self._before, after, late_ns)} {late_ns / MS:.1f} ms"
            self._before = after

    def take(self) -> tuple[int, int, str]:
        """(largest lateness in ns, number of late turns, cause of the last); starts afresh."""
        report = (self.max_ns, self.late_turns, self.cause)
        self.max_ns, self.late_turns, self.cause = 0, 0, ""
        self._before = evidence()
        return report
