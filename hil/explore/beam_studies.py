"""The studies of the beam: which vocabulary each search has.

Lives here: data.  May not live here: what a word does (`beam_acts`, `beam`).  One vocabulary for
everything would never end; together these offer every event in every state of the beam.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from hil.explore.beam_room import TRIGGERED
from realtime.limits import MS, Timing
from realtime.wire.messages import Topology


@dataclass(frozen=True)
class Study:
    """One vocabulary: what the environment may do, and how many letters may be under way."""

    name: str
    acts: tuple[str, ...]
    letters: tuple[str, ...]
    at_next: tuple[str, ...] = ()
    mailbox: int = 1
    timing: Timing = TRIGGERED
    late: bool = True
    direct: tuple[str, ...] = ()
    latched: bool = False
    near_signal: bool = False
    inhibited: bool = False


_HAND: Final = ("press fluoro", "release fluoro", "lift all", "close all")
_CALM: Final = ("order", "verdict_valid")
CONTACTS_STUDY: Final = Study(
    "contacts and interlocks",
    acts=(*_HAND, "cross fluoro", "weld fluoro", "open door", "pull e-stop", "flicker door",
          "flicker e-stop", "unplug", "plug", "age"),
    letters=(), direct=(*_CALM, "reset"), at_next=("release fluoro", "pull e-stop"),
)  # fmt: skip
PEDALS_STUDY: Final = Study(
    "two pedals",
    acts=("press fluoro", "release fluoro", "press cine", "release cine"),
    letters=(), direct=("order", "verdict_valid"), late=False,
)  # fmt: skip
LETTERS_STUDY: Final = Study(
    "letters",
    acts=("press fluoro", "lift all"),
    letters=("order", "order_other", "dark", "verdict_valid", "verdict_invalid"), late=False,
)  # fmt: skip
LEASES_STUDY: Final = Study(
    "leases and credit",
    acts=("press fluoro", "lift all", "box full", "empty the box"), letters=(),
    direct=("order", "order_spent", "order_brief", "verdict_valid", "hello", "dark", "reset"),
)  # fmt: skip
DEVICES_STUDY: Final = Study(
    "devices",
    acts=("press fluoro", "lift all", "stray X-rays", "X-rays stop", "window closes",
          "panel dead", "generator dead", "monostable dead", "X-rays stick",
          "repair"),
    letters=(), direct=(*_CALM, "reset"), late=False,
)  # fmt: skip
FREE_STUDY: Final = Study(
    "free-running panel",
    acts=("press fluoro", "lift all"), letters=(), direct=_CALM,
    late=False, timing=replace(TRIGGERED, topology=Topology.PANEL_MASTER),
)  # fmt: skip
SIGNAL_STUDY: Final = Study(
    "five-minute signal",
    acts=("press fluoro",), letters=(), direct=("order", "reset_timer"),
    near_signal=True, late=False,
)  # fmt: skip
READBACK_STUDY: Final = Study(
    "high level and read-backs",
    acts=("press high", "release high", "lift all", "tone dead", "repair"), letters=(),
    direct=(*_CALM, "reset", "exercise tone_lamp"), late=False,
)  # fmt: skip
LAMP_STUDY: Final = Study(
    "lamp",
    acts=("press fluoro", "lift all", "lamp dead", "repair"), letters=(),
    direct=("order", "exercise tone_lamp"), late=False,
)  # fmt: skip
SELECTED_STUDY: Final = Study(
    "selected mode",
    acts=("press cine", "release cine", "box half full", "empty the box"), letters=(),
    direct=("order", "verdict_valid", "select_cine", "select_one_shot"), late=False,
)  # fmt: skip
SHORT_STUDY: Final = Study(
    "longest run, what only levels or only the gate can tell",
    acts=("press fluoro", "lift all", "imaging gone", "peers up", "release fluoro unseen",
          "repair"),
    letters=(), at_next=("packets spoiled",),
    direct=(*_CALM, "reset", "supervisor_gone"), late=False,
    timing=replace(TRIGGERED, run_max_ns=130 * MS),
)  # fmt: skip
SELF_TEST_STUDY: Final = Study(
    "self-test",
    acts=("press fluoro", "lift all", "window opens", "window closes"), letters=(),
    direct=("exercise monostable", "exercise chain", "exercise pedals"), late=False,
)  # fmt: skip
LATCHED_STUDY: Final = Study(
    "latched at start, first light",
    acts=("press fluoro", "lift all"), letters=(), direct=(*_CALM, "reset"), latched=True,
    inhibited=True,
)  # fmt: skip
STUDIES: Final = (
    CONTACTS_STUDY, PEDALS_STUDY, LETTERS_STUDY, LEASES_STUDY, DEVICES_STUDY, FREE_STUDY,
    SIGNAL_STUDY, READBACK_STUDY, LAMP_STUDY, SELECTED_STUDY, SHORT_STUDY, SELF_TEST_STUDY,
    LATCHED_STUDY,
)  # fmt: skip
