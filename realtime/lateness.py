"""How late the loop wakes, and the cause of each late turn, by what the kernel counts.

Theory of operation.  The kernel's counters of this thread are read every few turns (some 10 µs) and
when a turn is late.  It is explained by what happened since they were last read: the time that
passed was spent on the processor (`cpu`), waiting for it (`run_delay`), or asleep; of the sleep
only what goes beyond the plan counts.  The largest of the three says what kind of stall it was,
further counters say which:

| kind | evidence beside it | class |
|---|---|---|
| any | the policy is no longer the one we began with | `priority_lost` |
| waiting | — (stolen time of the whole machine counts here, too) | `cpu_starved` |
| on the processor or asleep | page faults in step with the time lost | `page_fault` |
| asleep | blocks read or written | `disk` |
| asleep | — | `blocked_call` |
| on the processor | line packets in step with the time lost | `edge_flood` |
| on the processor | — (the garbage collector, or code of ours) | `own_code` |

Lives here: the counters, the classes, the running maximum.  May not live here: consequences; a
stall trips in `realtime.executive`.  `docs/lateness.md` has the measured confusion matrix.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import Final, NamedTuple

from realtime.limits import LATE_MAX_NS, MS, US, S

SCHEDSTAT: Final = Path("/proc/self/schedstat")
STAT: Final = Path("/proc/stat")
RESOURCE_SELF: Final = resource.RUSAGE_SELF
# A fault of a page that has to be found or cleared costs 0.3 … 2 µs; fewer per time lost than this
# are by-catch.  One from the disk is always a cause.
US_PER_FAULT_MAX: Final = 12
# Receiving and decoding a packet costs 3 … 10 µs here, 30 µs on a small board.
US_PER_PACKET_MAX: Final = 40
# What lies between two readings is by-catch of a stall: a few turns, half a millisecond of work.
FRESH_TURNS: Final = 4
CLASSES: Final = (
    "priority_lost", "cpu_starved", "page_fault", "disk", "blocked_call", "edge_flood", "own_code",
)  # fmt: skip
_TICK_NS: Final = S // os.sysconf("SC_CLK_TCK")


class Evidence(NamedTuple):
    """Kernel counters of this process at one instant; `packets` counts kernel-stamped arrivals."""

    at_ns: int = 0
    cpu_ns: int = 0
    run_delay_ns: int = 0
    faults_minor: int = 0
    faults_major: int = 0
    blocks: int = 0
    policy: int = 0
    steal_ns: int = 0
    packets: int = 0


class _KernelFile:
    """A file of the kernel's that stays open; its first line as words."""

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1

    def words(self) -> list[bytes]:
        """The first words, now; none where the kernel does not say."""
        try:
            return os.pread(self._fd, 200, 0).split(maxsplit=9) if self._fd >= 0 else []
        except OSError:
            return []

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Schedstat(_KernelFile):
    """Time on the processor and waiting for it."""

    def __init__(self, path: Path = SCHEDSTAT) -> None:
        super().__init__(path)

    def read(self) -> tuple[int, int]:
        """(cpu_ns, run_delay_ns); what the kernel does not say reads 0."""
        try:
            cpu_ns, delay_ns = self.words()[:2]
            return int(cpu_ns), int(delay_ns)
        except ValueError:
            return 0, 0


class Stolen(_KernelFile):
    """Time a hypervisor took from all our cores."""

    def __init__(self, path: Path = STAT) -> None:
        super().__init__(path)

    def read_ns(self) -> int:
        """0 where the kernel does not say."""
        try:
            return int(self.words()[8]) * _TICK_NS
        except (ValueError, IndexError):
            return 0


def evidence(schedstat: Schedstat, packets: int = 0) -> Evidence:
    """Read the counters that are cheap; policy and steal are read when a turn is late."""
    usage = resource.getrusage(RESOURCE_SELF)
    cpu_ns, delay_ns = schedstat.read()
    return Evidence(
        time.monotonic_ns(), cpu_ns, delay_ns, usage.ru_minflt, usage.ru_majflt,
        usage.ru_inblock + usage.ru_oublock, packets=packets,
    )  # fmt: skip


def cause(before: Evidence, after: Evidence, planned_ns: int) -> str:
    """The class of a turn that was planned for `planned_ns` and came late."""
    spent = Evidence(*(late - early for early, late in zip(before, after, strict=True)))
    asleep_ns = spent.at_ns - spent.cpu_ns - spent.run_delay_ns
    unplanned_ns = asleep_ns - max(0, planned_ns - before.at_ns - spent.cpu_ns)
    stolen_ns = max(0, min(spent.steal_ns, unplanned_ns))
    blocked_ns, waited_ns = unplanned_ns - stolen_ns, spent.run_delay_ns + stolen_ns
    kind = max((spent.cpu_ns, "cpu"), (waited_ns, "waited"), (blocked_ns, "asleep"))
    lost_us = max(1, kind[0] // US)
    if after.policy != before.policy:
        return "priority_lost"
    if kind[1] == "waited":
        return "cpu_starved"
    if spent.faults_major or spent.faults_minor * US_PER_FAULT_MAX > lost_us:
        return "page_fault"
    if kind[1] == "asleep":
        return "disk" if spent.blocks else "blocked_call"
    return "edge_flood" if spent.packets * US_PER_PACKET_MAX > lost_us else "own_code"


class Lateness:
    """Lateness since the last report.  Made after the process has its scheduling policy."""

    def __init__(self) -> None:
        self.max_ns = 0
        self.late_turns = 0
        self.cause = ""
        self._schedstat = Schedstat()
        self._stolen = Stolen()
        self._policy = os.sched_getscheduler(0)
        self._steal_ns = self._stolen.read_ns()
        self._turns = 0
        self._before = evidence(self._schedstat)

    def turn(self, planned_ns: int, now_ns: int, packets: int = 0) -> None:
        """Note one wake-up that was planned for `planned_ns`; `packets` is a running count."""
        late_ns = now_ns - planned_ns
        self._turns += 1
        if late_ns <= LATE_MAX_NS and self._turns < FRESH_TURNS:
            if late_ns > self.max_ns:
                self.max_ns = late_ns
            return
        self._turns = 0
        after = evidence(self._schedstat, packets)
        if late_ns > LATE_MAX_NS:
            self._explain(after, planned_ns, late_ns)
        self.max_ns = max(self.max_ns, late_ns)
        self._before = after

    def _explain(self, after: Evidence, planned_ns: int, late_ns: int) -> None:
        self.late_turns += 1
        stolen_ns = self._stolen.read_ns()
        before = self._before._replace(policy=self._policy, steal_ns=self._steal_ns)
        after = after._replace(policy=os.sched_getscheduler(0), steal_ns=stolen_ns)
        self._steal_ns = stolen_ns
        if late_ns > self.max_ns:
            self.cause = f"{cause(before, after, planned_ns)} {late_ns / MS:.1f} ms"

    def take(self) -> tuple[int, int, str]:
        """(largest lateness in ns, number of late turns, cause of the largest); starts afresh."""
        report = (self.max_ns, self.late_turns, self.cause)
        self.max_ns, self.late_turns, self.cause = 0, 0, ""
        self._steal_ns = self._stolen.read_ns()
        return report

    def close(self) -> None:
        """Close the kernel's files."""
        self._schedstat.close()
        self._stolen.close()
