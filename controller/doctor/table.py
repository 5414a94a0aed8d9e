"""The checks of `carm doctor`: what is measured, its limit, what it blocks, what to do.

Lives here: the table and the comparison.  May not live here: a measurement (`probes`).  A check is
about an effect; the setting that should bring it about is named in the remedy only.  Those that
block exposure are enforced elsewhere, by whoever needs the effect: realtime's preflight (profile
`board`), or the supervisor, which starts no run while pulses cannot be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Measured = float | str


@dataclass(frozen=True, slots=True)
class Check:
    """One row; `limit` is a number not to be exceeded (`at_least` turns it round) or a word."""

    id: str
    what: str
    unit: str
    limit: Measured
    blocks_exposure: bool
    remedy: str
    at_least: bool = False

    def judge(self, measured: Measured) -> bool:
        """True when the measured value is within the limit; what was not measured is not."""
        if isinstance(self.limit, str) or isinstance(measured, str):
            return measured == self.limit
        return measured >= self.limit if self.at_least else measured <= self.limit

    def row(self, measured: Measured) -> dict[str, Any]:
        """The object of `carm doctor --json`."""
        return {
            "id": self.id, "measured": measured, "limit": self.limit, "unit": self.unit,
            "ok": self.judge(measured), "blocks_exposure": self.blocks_exposure,
            "remedy": self.remedy,
        }  # fmt: skip


# Remedies of the preflight's own checks come with their measurement; these are about the machine.
CHECKS: Final[tuple[Check, ...]] = (
    Check("pulse_log_sync_ms", "a synced write where the pulses are copied to", "ms", 200.0, True,
          "the disk is too slow, full or read-only: look at dmesg and df"),
    Check("free_disk_mb", "what can really be written there", "MB", 300.0, True,
          "remove old records and logs, or give the state folder a larger disk", at_least=True),
    Check("own_folders", "the user of the beam can write where it must", "", "writable", True,
          "systemd-tmpfiles --create carm.conf; chown as systemd/README.md says"),
    Check("strangers", "a stranger at the sockets of the beam", "", "kept out", True,
          "systemctl restart carm.target; the run directory belongs to carm, mode 0711"),
    Check("swapped_kb", "pages of our processes that lie in swap", "kB", 0.0, False,
          "swapoff -a, or more memory; vm.swappiness=1 alone does not bring them back"),
    Check("slow_after_idle", "time of a piece of work after a rest, against its best", "times",
          2.0, False, "cpupower frequency-set -g performance; limit deep idle states"),
    Check("longest_hold_ms", "longest time a FIFO loop is held off its core", "ms", 10.0, False,
          "look for RT throttling (kernel.sched_rt_runtime_us) and for steal by a hypervisor"),
    Check("neighbours_on_core", "ordinary processes seen on the beam's core", "processes", 0.0,
          False, "from 4 cores up: /usr/lib/carm/reserve-core, and isolcpus= for all others"),
    Check("clock_error_ms", "how wrong the wall clock may be", "ms", 1000.0, False,
          "run chrony or systemd-timesyncd, and let it reach its server"),
    # A turn that comes half a millisecond late fires nothing (realtime.limits.LATE_MAX_NS).
    Check("kernel_holds_us", "latest wake-up while an ordinary process is inside the kernel", "us",
          500.0, False,
          "a kernel with PREEMPT_RT (linux-image-rt-amd64), or preempt=full where it has that"),
)  # fmt: skip
BY_ID: Final[Mapping[str, Check]] = {check.id: check for check in CHECKS}
assert len(BY_ID) == len(CHECKS)
