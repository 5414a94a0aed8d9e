"""Codes of everything that keeps the beam dark: trips (latched) and inhibits (while they last).

Lives here: the two lists with their words, and the bit of each trip in the persisted latch.  May
not live here: the conditions themselves.  The supervisor's fault catalogue maps each code to
severity, cause and operator text.
"""

from __future__ import annotations

from enum import StrEnum

from realtime.wire.lines import In


class TripCode(StrEnum):
    """Latched until a local reset with the cause gone and all pedals up."""

    ESTOP = "interlock_estop"
    COLLISION = "interlock_collision"
    BARRIER = "interlock_barrier"
    PEDAL_DISAGREE = "pedal_disagree"
    XRAY_STRAY = "xray_without_pulse"
    XRAY_MISSING = "pulse_without_xray"
    STALL = "stall"
    RUN_MAX = "run_max"
    BLACK_BOX = "black_box_full"
    UNCLEAN = "unclean_restart"
    CRASH = "internal_error"
    TONE = "tone_failed_in_high_level"


class Inhibit(StrEnum):
    """No run starts while one of these holds; a run in progress ends."""

    LINK = "lines_not_fresh"
    DOOR = "interlock_door"
    COOLING = "interlock_cooling"
    KEY = "interlock_key"
    GENERATOR_READY = "interlock_generator_ready"
    PANEL_READY = "interlock_panel_ready"
    PEDALS = "pedals_not_released"
    SUPERVISOR = "no_supervisor"
    IMAGING = "no_imaging"
    BLACK_BOX = "black_box_half_full"
    TONE = "tone_readback"
    LAMP = "lamp_readback"
    INHIBITED = "run_inhibited"
    PREFLIGHT = "preflight"
    EXERCISE = "exercise_running"


TRIP_OF_LINE = {
    In.ESTOP: TripCode.ESTOP,
    In.COLLISION: TripCode.COLLISION,
    In.BARRIER: TripCode.BARRIER,
}
INHIBIT_OF_LINE = {
    In.DOOR: Inhibit.DOOR,
    In.COOLING: Inhibit.COOLING,
    In.KEY: Inhibit.KEY,
    In.GENERATOR_READY: Inhibit.GENERATOR_READY,
    In.PANEL_READY: Inhibit.PANEL_READY,
}
_BITS = {code: 1 << bit for bit, code in enumerate(TripCode)}


def to_bits(codes: list[TripCode]) -> int:
    """Bit mask of trip codes, for the header of the black box."""
    bits = 0
    for code in codes:
        bits |= _BITS[code]
    return bits


def from_bits(bits: int) -> list[TripCode]:
    """Trip codes of a persisted mask; unknown bits read as an unclean restart."""
    codes = [code for code, bit in _BITS.items() if bits & bit]
    known = to_bits(codes)
    if bits & ~known and TripCode.UNCLEAN not in codes:
        codes.append(TripCode.UNCLEAN)
    return codes
