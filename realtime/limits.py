"""Times and bounds of the beam path, in one place, with the relations between them.

Lives here: constants from the requirements and `Timing`, what the configuration adds.  May not live
here: anything that decides.  Every bound says why it is right; relations are asserted at import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from realtime.wire.config import SIGNAL_EVERY_S, Config
from realtime.wire.messages import Topology

US: Final = 1_000
MS: Final = 1_000_000
S: Final = 1_000_000_000

# Pedal: bounce of a worn contact is 0.1 … 30 ms; a press must outlast it (F04).
PRESS_DEBOUNCE_NS: Final = 40 * MS
# Invariant 2: released for at least 50 ms before the next press counts.
RELEASED_MIN_NS: Final = 50 * MS
# F07: NO and NC may disagree while the lever travels, not longer.
DISAGREE_MAX_NS: Final = 50 * MS
# Design §4.3: the monostable holds 12 ms and re-arms after two toggles at least 2 ms apart.
MONOSTABLE_NS: Final = 12 * MS
PERMIT_LEAD_NS: Final = 8 * MS
PERMIT_PERIOD_NS: Final = 3 * MS
PERMIT_GAP_MAX_NS: Final = 4 * MS
PERMIT_REARM_NS: Final = 2 * MS
# BANK is stable for at least 1 ms when PULSE rises; 2 ms leave room for a late turn.
BANK_LEAD_NS: Final = 2 * MS
BANK_SETTLE_NS: Final = 1 * MS
# PULSE outlasts the preset, so that its fall never shortens a normal pulse.
PULSE_OVERHANG_NS: Final = 1 * MS
# A turn that comes later than this after the due instant fires nothing: skip and count.
LATE_MAX_NS: Final = 500 * US
# Wake this early and spin; longer would burn the core, shorter would miss noisy wake-ups.
SPIN_NS: Final = 300 * US
# Lines that were read longer ago than this are read again before a turn judges them by the clock.
READ_AGAIN_NS: Final = 200 * US
# The loop turns at least this often, so a missed snapshot is noticed within its age limit.
TURN_MAX_NS: Final = 5 * MS
# At rest, when nothing can shine and no pedal moves, packets wait for the loop this long.  Contacts
# are timed by their stamps, so neither debounce (F04) nor contradiction (F07) grows by it.
REST_TURN_NS: Final = 14 * MS
# Invariant 12: a loop that was away longer has lost its right to radiate.
STALL_NS: Final = 20 * MS
# Away longer than an order may live, a dark loop starts again as after boot: fresh edges only.
AWAY_NS: Final = 100 * MS
# XRAY_ON may differ from PULSE by rise, tail and this (design §6).
XRAY_SLACK_NS: Final = 1 * MS
# Slack between the earliest allowed instant in a window and the due instant.
WINDOW_SLACK_NS: Final = 500 * US
# Read-backs of tone and lamp may lag their output by a relay, not more (F38, F47: 100 ms).
READBACK_MAX_NS: Final = 80 * MS
# The 5-minute signal: every 300 s of irradiation, until reset or at least 2 s.  A bench may be
# configured to hear it sooner, so that it can be proved in real time; nobody to hear it later.
SIGNAL_EVERY_NS: Final = SIGNAL_EVERY_S * S
SIGNAL_MIN_NS: Final = 2 * S
# A panel whose window neither opens nor closes within this of its due time has failed its cycle.
WINDOW_LATE_NS: Final = 2 * MS
# Two lost pictures in a row end the run (F22, invariant 8).
INVALID_MAX: Final = 2
STATE_PERIOD_NS: Final = 50 * MS
# At rest a report says that we live; what changes is reported at once.
STATE_REST_PERIOD_NS: Final = 100 * MS

assert 35 * MS <= PRESS_DEBOUNCE_NS <= 50 * MS, "F04"
assert PERMIT_PERIOD_NS < PERMIT_GAP_MAX_NS < MONOSTABLE_NS
assert PERMIT_PERIOD_NS >= PERMIT_REARM_NS, "each toggle counts for re-arming"
assert PERMIT_LEAD_NS >= 2 * PERMIT_PERIOD_NS + LATE_MAX_NS, "two toggles before PULSE"
assert BANK_LEAD_NS >= BANK_SETTLE_NS + LATE_MAX_NS
assert SPIN_NS < LATE_MAX_NS < BANK_SETTLE_NS
assert MONOSTABLE_NS < STALL_NS, "hardware is dark before software must notice"
assert TURN_MAX_NS < PERMIT_PERIOD_NS * 2
assert REST_TURN_NS + TURN_MAX_NS < STALL_NS, "a late turn at rest is no stall"
assert REST_TURN_NS < PRESS_DEBOUNCE_NS < DISAGREE_MAX_NS, "a contact is seen before it counts"


@dataclass(frozen=True, slots=True)
class Timing:
    """What the configuration fixes for the beam path; all times in ns."""

    topology: Topology
    window_ns: int
    readout_ns: int
    trigger_delay_ns: int
    base_period_ns: int
    guard_open_ns: int
    guard_close_ns: int
    width_cap_ns: int
    spacing_min_ns: int
    run_max_ns: int
    signal_every_ns: int

    @classmethod
    def from_config(cls, config: Config) -> Timing:
        """Convert the checked configuration to nanoseconds, here and nowhere else."""
        return cls(
            topology=Topology(config["panel.topology"]),
            window_ns=config["panel.window_us"] * US,
            readout_ns=config["panel.readout_us"] * US,
            trigger_delay_ns=config["panel.trigger_delay_us"] * US,
            base_period_ns=round(S / config["panel.base_rate_hz"]),
            guard_open_ns=config["beam.guard_open_us"] * US,
            guard_close_ns=config["beam.guard_close_us"] * US,
            width_cap_ns=config["beam.width_cap_us"] * US,
            spacing_min_ns=config["beam.spacing_min_us"] * US,
            run_max_ns=round(config["beam.run_max_s"] * S),
            signal_every_ns=round(config["beam.signal_every_s"] * S),
        )

    @property
    def window_to_due_ns(self) -> int:
        """From the opening of WINDOW to the due instant of its pulse."""
        return self.guard_open_ns + WINDOW_SLACK_NS

    @property
    def trigger_lead_ns(self) -> int:
        """From PANEL_TRIGGER to the due instant (controller master)."""
        return self.trigger_delay_ns + self.window_to_due_ns

    @property
    def cycle_ns(self) -> int:
        """The panel's shortest cycle."""
        return self.trigger_delay_ns + self.window_ns + self.readout_ns

    def needed_ns(self, rise_ns: int, set_ns: int, tail_ns: int) -> int:
        """What a pulse takes of the window: guard, slack, rise, width, tail, guard."""
        return self.window_to_due_ns + rise_ns + set_ns + tail_ns + self.guard_close_ns

    def fits_period(self, num_ns: int, den: int) -> bool:
        """True when the panel can follow this pulse period."""
        period_ns = num_ns // den
        if period_ns < max(self.cycle_ns, self.spacing_min_ns):
            return False
        if self.topology is Topology.CONTROLLER_MASTER:
            return True
        windows = round(period_ns / self.base_period_ns)
        return windows >= 1 and abs(windows * self.base_period_ns - period_ns) <= windows * US
