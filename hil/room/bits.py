"""The line table as plain integers, looked up once: the room uses them at every change.

Lives here: bit numbers by name, taken from `realtime.wire.lines`.  May not live here: a level, or
what a line means.
"""

from __future__ import annotations

from typing import Final

from hil.room.interlocks import NAMES
from realtime.wire.lines import OUT_ALL, In, Out

PEDAL_NAMES: Final = ("fluoro", "high", "cine")
PEDAL_BITS: Final = {
    name: (int(In[f"{name.upper()}_NO"]), int(In[f"{name.upper()}_NC"])) for name in PEDAL_NAMES
}
TRUTH_INPUTS: Final = (
    In.PERMIT_OK, In.CHAIN_OK, In.XRAY_ON, In.TONE_READBACK, In.LAMP_READBACK,
)  # fmt: skip
TRUTH_BITS: Final = tuple((line.name.lower(), int(line)) for line in TRUTH_INPUTS)
OUT_BITS: Final = {line.name.lower(): int(line) for line in Out}
# The outputs that differ, in the order of the table, by the difference of two banks.
OUT_CHANGES: Final = tuple(
    tuple((name, bit) for name, bit in OUT_BITS.items() if changed >> bit & 1)
    for changed in range(OUT_ALL + 1)
)

PERMIT: Final = int(Out.PERMIT)
PULSE: Final = int(Out.PULSE)
BANK: Final = int(Out.BANK)
TRIGGER: Final = int(Out.PANEL_TRIGGER)

INTERLOCKS: Final = int(In.ESTOP)
WINDOW: Final = int(In.WINDOW)
XRAY_ON: Final = int(In.XRAY_ON)
PERMIT_OK: Final = int(In.PERMIT_OK)
CHAIN_OK: Final = int(In.CHAIN_OK)
RESET: Final = int(In.RESET)

SIGNALS: Final = ("tone", "lamp")
# Both signals are read back so many bits further up.
READ_BACK: Final = In.TONE_READBACK - Out.TONE
assert In.LAMP_READBACK - Out.LAMP == READ_BACK
assert [In[name.upper()] - In.ESTOP for name in NAMES] == list(range(len(NAMES)))
