"""What the miniature room is made of: its times, its technique, one stretch of high voltage.

Lives here: values.  May not live here: behaviour (`miniroom`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from realtime.limits import MS, US, S, Timing
from realtime.wire.lines import INTERLOCKS, NC_CONTACTS
from realtime.wire.messages import Mode, Topology

T0_NS = 1_000 * S
TIMING = Timing(
    topology=Topology.CONTROLLER_MASTER,
    window_ns=13 * MS,
    readout_ns=18 * MS,
    trigger_delay_ns=100 * US,
    base_period_ns=33_333_333,
    guard_open_ns=300 * US,
    guard_close_ns=300 * US,
    width_cap_ns=50 * MS,
    spacing_min_ns=30 * MS,
    run_max_ns=600 * S,
    signal_every_ns=300 * S,
)
PANEL_MASTER = replace(TIMING, topology=Topology.PANEL_MASTER)
RESTING = INTERLOCKS | NC_CONTACTS
EPOCH = 3
MONOSTABLE_NS = 12 * MS
BOOT_ID = 7


@dataclass
class Technique:
    """What the supervisor's orders say; changed by a story before or during a run."""

    technique_id: int = 9
    bank: int = 1
    set_us: int = 8000
    rise_us: int = 300
    tail_us: int = 263
    period_num_ns: int = 33_333_333
    period_den: int = 1
    mode: Mode | None = None
    lease_ns: int = 100 * MS


@dataclass
class Shine:
    """One stretch of high voltage; `end_ns` 0 while it lasts."""

    start_ns: int
    end_ns: int = 0
