"""The line table: every digital signal of the bank, in one place.

Lives here: name, direction, bit, safe level, maximum age and owner of each line, and the masks
derived from them.  `docs/lines.md` is generated from this table.  May not live here: what a level
means for the beam (`realtime.pedals`, `realtime.interlocks`) or how it travels (`linebus`).

A bank is an integer: bit *b* set means line *b* is high.  Inputs and outputs are two banks.
"Safe" is the level that is assumed when the line is unknown: stale, unplugged or never read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class In(IntEnum):
    """Bit number of each input line."""

    FLUORO_NO = 0
    FLUORO_NC = 1
    HIGH_NO = 2
    HIGH_NC = 3
    CINE_NO = 4
    CINE_NC = 5
    ESTOP = 6
    DOOR = 7
    COLLISION = 8
    BARRIER = 9
    COOLING = 10
    KEY = 11
    GENERATOR_READY = 12
    PANEL_READY = 13
    WINDOW = 14
    XRAY_ON = 15
    PERMIT_OK = 16
    CHAIN_OK = 17
    RESET = 18
    TONE_READBACK = 19
    LAMP_READBACK = 20


class Out(IntEnum):
    """Bit number of each output line."""

    PERMIT = 0
    PULSE = 1
    BANK = 2
    PANEL_TRIGGER = 3
    TONE = 4
    LAMP = 5


class Role(Enum):
    """What a line is for; an interlock's role is also its class (see `docs/lines.md`)."""

    PEDAL = "pedal"
    LATCHING = "latching interlock"
    INHIBITING = "inhibiting interlock"
    WINDOW = "panel window"
    READBACK = "read-back"
    BUTTON = "button"
    ENERGY = "energy"
    SELECT = "select"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table.  `max_age_ms` 0 means: an output, which has no age."""

    bit: In | Out
    role: Role
    safe: int
    max_age_ms: int
    owner: str
    meaning: str


MAX_AGE_MS = 15
SNAPSHOT_PERIOD_MS = 5
assert MAX_AGE_MS == 3 * SNAPSHOT_PERIOD_MS, "F10: three missed refreshes mean open"


def _pedal(name: str, no: In, nc: In) -> tuple[Line, Line]:
    return (
        Line(no, Role.PEDAL, 0, MAX_AGE_MS, "pedal", f"{name} pedal, closes when pressed"),
        Line(nc, Role.PEDAL, 0, MAX_AGE_MS, "pedal", f"{name} pedal, opens when pressed"),
    )


def _latching(bit: In, owner: str, meaning: str) -> Line:
    return Line(bit, Role.LATCHING, 0, MAX_AGE_MS, owner, meaning)


def _inhibiting(bit: In, owner: str, meaning: str) -> Line:
    return Line(bit, Role.INHIBITING, 0, MAX_AGE_MS, owner, meaning)


def _readback(bit: In, owner: str, meaning: str) -> Line:
    return Line(bit, Role.READBACK, 0, MAX_AGE_MS, owner, meaning)


INPUTS: tuple[Line, ...] = (
    *_pedal("fluoroscopy", In.FLUORO_NO, In.FLUORO_NC),
    *_pedal("high-level", In.HIGH_NO, In.HIGH_NC),
    *_pedal("cine", In.CINE_NO, In.CINE_NC),
    _latching(In.ESTOP, "room", "emergency stop not pulled"),
    _inhibiting(In.DOOR, "room", "door closed"),
    _latching(In.COLLISION, "stand", "no collision"),
    _latching(In.BARRIER, "stand", "receptor intercepts the whole beam"),
    _inhibiting(In.COOLING, "generator", "tube cooling runs"),
    _inhibiting(In.KEY, "console", "key switched on"),
    _inhibiting(In.GENERATOR_READY, "generator", "generator powered, no fault"),
    _inhibiting(In.PANEL_READY, "panel", "panel powered and able to integrate"),
    Line(In.WINDOW, Role.WINDOW, 0, MAX_AGE_MS, "panel", "panel integrates; X-rays allowed"),
    _readback(In.XRAY_ON, "generator", "tube voltage above 10 % of set, independent of PULSE"),
    _readback(In.PERMIT_OK, "monostable", "the monostable is retriggered and armed"),
    _readback(In.CHAIN_OK, "chain", "the hard-wired chain feeds the inverter"),
    Line(In.RESET, Role.BUTTON, 0, MAX_AGE_MS, "console", "local reset button held"),
    _readback(In.TONE_READBACK, "console", "the buzzer draws current"),
    _readback(In.LAMP_READBACK, "console", "the beam-on lamp draws current"),
)

OUTPUTS: tuple[Line, ...] = (
    Line(Out.PERMIT, Role.ENERGY, 0, 0, "realtime", "toggled while a pulse may come or runs"),
    Line(Out.PULSE, Role.ENERGY, 0, 0, "realtime", "gates one pulse"),
    Line(Out.BANK, Role.SELECT, 0, 0, "realtime", "technique bank latched at the rise of PULSE"),
    Line(Out.PANEL_TRIGGER, Role.SELECT, 0, 0, "realtime", "rise starts one panel cycle"),
    Line(Out.TONE, Role.SIGNAL, 0, 0, "realtime", "buzzer: 5-minute signal, high level, alarm"),
    Line(Out.LAMP, Role.SIGNAL, 0, 0, "realtime", "beam-on lamp"),
)


def mask(*bits: int) -> int:
    """Bank with exactly the given bits high."""
    bank = 0
    for bit in bits:
        bank |= 1 << bit
    return bank


IN_ALL = mask(*In)
OUT_ALL = mask(*Out)
IN_SAFE = mask(*(line.bit for line in INPUTS if line.safe))
OUT_SAFE = mask(*(line.bit for line in OUTPUTS if line.safe))
LATCHING = mask(*(line.bit for line in INPUTS if line.role is Role.LATCHING))
INHIBITING = mask(*(line.bit for line in INPUTS if line.role is Role.INHIBITING))
INTERLOCKS = LATCHING | INHIBITING
NO_CONTACTS = mask(In.FLUORO_NO, In.HIGH_NO, In.CINE_NO)
NC_CONTACTS = mask(In.FLUORO_NC, In.HIGH_NC, In.CINE_NC)
PEDALS = NO_CONTACTS | NC_CONTACTS
# The side of a line from which the beam must end: an interlock that opens, a NO that opens.
# A NC contact is unsafe when it closes, so it is kept apart.
UNSAFE_WHEN_LOW = INTERLOCKS | NO_CONTACTS
UNSAFE_WHEN_HIGH = NC_CONTACTS

assert tuple(line.bit for line in INPUTS) == tuple(In), "one row per input, in bit order"
assert tuple(line.bit for line in OUTPUTS) == tuple(Out), "one row per output, in bit order"
assert OUT_SAFE == 0, "every output rests low"
