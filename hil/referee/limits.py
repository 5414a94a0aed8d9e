"""The limits the referee judges by: every number with the place it comes from.

Lives here: one table of limits and one of faults whose own limit is longer.  May not live here:
judging, or any number that the rig publishes itself (those stand in the log's first line).
Written from `docs/` and the requirement texts, not from the tables of the executive.
"""

from __future__ import annotations

from typing import Final

MS: Final = 1_000_000

# Invariant 1: "truly pressed within the last 20 ms; no pulse starts when the release is older
# than 10 ms".
RELEASE_HV_NS: Final = 20 * MS
RELEASE_START_NS: Final = 10 * MS
# Invariant 2: "all pedals were seen released for ≥ 50 ms".
RELEASED_BEFORE_NS: Final = 50 * MS
# Invariant 3: "every interlock was closed 10 ms ago and its reading is fresh"; design §6: age
# above 15 ms is every input at its safe level.
INTERLOCK_NS: Final = 10 * MS
FRESH_NS: Final = 15 * MS
# Invariant 5: "width (kV ≥ 75 % of peak) ≤ min(1.1·set + 1 ms, cap)".
WIDTH_FACTOR_PERCENT: Final = 110
WIDTH_EXTRA_US: Final = 1000
# Invariant 8: "never > 2 consecutive pulses without a valid frame".
FRAMELESS_PULSES_MAX: Final = 2
# A frame that has not come by readout + this is missing (F22: limit 2P, P ≥ 1/30 s).
FRAME_LATE_NS: Final = 200 * MS
# Invariant 11: "5-minute signal within ±0.1 s of each 300 s of irradiation"; what begins it anew.
SIGNAL_EVERY_NS: Final = 300_000 * MS
SIGNAL_SLACK_NS: Final = 100 * MS
# A bench may be configured to signal sooner, and then says so in its log; nobody later.
SIGNAL_EVERY_S_MIN: Final = 10
TIMER_STARTS: Final = frozenset({("realtime", "started"), ("timer", "reset")})
# Invariant 12: "dark within 50 ms"; what ends realtime, and what lets it go on.
FAIL_DARK_NS: Final = 50 * MS
ENDS: Final = frozenset(("realtime", how) for how in ("kill9", "crash", "sigstop"))
GOES_ON: Final = frozenset(
    {("realtime", "started"), ("realtime", "sigcont"), ("lines", "connected")}
)
ENDS_KEPT_MAX: Final = 64
# "… and a latch that survives restarts": these ends, until a local reset after the start.
LATCHED_ENDS: Final = frozenset(("kill9", "crash"))
BOARD_RESET: Final = ("board", "reset")
# design §9: intervals in which the rig itself was later are reported apart.
RIG_LATE_NS: Final = 2 * MS

# Catalogue: where a fault's own limit is longer than an invariant's, it stands while active.
RELEASE_FAULT_NS: Final = {
    "F05": 50 * MS, "F06": 50 * MS, "F13": 50 * MS, "F18": 60 * MS, "F30": 50 * MS,
}  # fmt: skip
# Invariant 3 under faults: software gone (F28, F29) leaves the monostable's 20 ms.
INTERLOCK_FAULT_NS: Final = {
    "F10": 15 * MS, "F13": 50 * MS, "F18": 60 * MS, "F28": 20 * MS, "F29": 20 * MS,
    "F30": 50 * MS,
}  # fmt: skip
# Faults whose reaction is dark or stop: after their limit a run needs a fresh edge.
STOPPING_FAULT_NS: Final = {
    "F05": 50 * MS, "F06": 50 * MS, "F09": 10 * MS, "F10": 15 * MS, "F13": 50 * MS,
    "F28": 20 * MS, "F30": 50 * MS,
}  # fmt: skip
UNPLUGGED_FAULT: Final = "F05"
FLICKER_FAULT: Final = "F09"
# Interlock classes: these need a reset, all others only a press after they have closed.
LATCHING: Final = ("estop", "collision", "barrier")
# F28: what is not armed has nothing to make dark; a press in the making begins again.
AWAY_FAULT: Final = "F28"
# F29: longer than an order may live, and SIGCONT finds nothing that was pressed before.
AWAY_NS: Final = 100 * MS
# A silence shorter than the age limit, an off that was obeyed after all.
BRIEF_FAULTS: Final = frozenset({"F10", "F13"})
# F29: after which time a killed or stopped process must have ended the beam.
PROCESS_DARK_NS: Final = {"realtime": 20 * MS, "supervisor": 150 * MS}
# F15: "≤ 1 pulse" untriggered per onset.
STRAY_FAULT: Final = "F15"
# F13: "the chain drops the inverter's supply": the width of such a pulse is the chain's affair.
DEAF_FAULT: Final = "F13"
CHAIN_INTERLOCKS: Final = ("estop", "door")
# Its relay has a drop-out delay: an opening that is shorter never reaches it.
CHAIN_SEES_NS: Final = 10 * MS
WINDOWLESS_FAULTS: Final = (DEAF_FAULT, STRAY_FAULT)
# F10: an interlock's reading is frozen; "age limit = open, 3 refreshes".
FROZEN_FAULT: Final = "F10"

assert RELEASE_START_NS < RELEASE_HV_NS < RELEASED_BEFORE_NS
assert INTERLOCK_FAULT_NS[DEAF_FAULT] > CHAIN_SEES_NS
assert all(limit > RELEASE_HV_NS for limit in RELEASE_FAULT_NS.values())
assert all(limit > INTERLOCK_NS for limit in INTERLOCK_FAULT_NS.values())
