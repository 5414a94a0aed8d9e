"""The vocabulary of the wires: modes, pedals, topologies, and the named reasons.

Lives here: the enumerations that messages and records carry as words.  May not live here: what a
word leads to.  A word is never reused for another meaning; new ones are added at the end, because
the black box stores their positions.
"""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """The five functions of which at most one is active (invariant 4)."""

    FLUORO = "fluoro"
    HIGH_LEVEL = "high_level"
    ONE_SHOT = "one_shot"
    CINE = "cine"
    DSA = "dsa"


class Pedal(StrEnum):
    """The three pedals; one-shot, cine and DSA share the cine pedal, selected before the press."""

    FLUORO = "fluoro"
    HIGH = "high"
    CINE = "cine"


class Topology(StrEnum):
    """Who starts a panel cycle."""

    CONTROLLER_MASTER = "controller_master"
    PANEL_MASTER = "panel_master"


class EndReason(StrEnum):
    """Why a pulse or a run ended.  `SET` is the only normal end of a pulse."""

    SET = "set"
    RELEASE = "release"
    INTERLOCK = "interlock"
    LINK = "link"
    ORDER = "order"
    TRIP = "trip"
    DARK = "dark"
    WINDOW = "window"
    NO_IMAGE = "no_image"
    COMPLETE = "complete"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    CRASH = "crash"


class SkipReason(StrEnum):
    """Why a due pulse did not fire (skip-and-count)."""

    LATE = "late"
    NO_WINDOW = "no_window"
    NO_FIT = "no_fit"
    NO_CREDIT = "no_credit"
    NO_VERDICT = "no_verdict"
    NO_ORDER = "no_order"
    GATE = "gate"
    BLACK_BOX = "black_box"


class Exercise(StrEnum):
    """Named self-test steps that only realtime can do; all of them dark, pedals up."""

    MONOSTABLE = "monostable"
    CHAIN = "chain"
    WINDOW_GATE = "window_gate"
    PEDALS = "pedals"
    TONE_LAMP = "tone_lamp"
    PANEL_DARK = "panel_dark"
