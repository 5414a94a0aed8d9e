"""The values that go into one turn of the executive and come out of it.

Lives here: `Inputs`, `Letter`, `Outputs`: plain values.  May not live here: anything that computes
them (line drivers, loop) or decides on them (executive, permit).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from realtime.wire.lines import IN_SAFE
from realtime.wire.messages import Message
from realtime.wire.record import Record


class Peer(StrEnum):
    """Who is at the other end of a socket."""

    SUPERVISOR = "supervisor"
    IMAGING = "imaging"


class Inputs(NamedTuple):
    """What the line bank says on this turn.

    `link` is true when the bank is connected, gapless and fresh; `epoch` grows with every
    (re)connection or gap.  `levels` holds safe levels where nothing is known.  `unsafe_edges` are
    lines that were on their unsafe side at any time since the last turn, even if they are back.
    The stamps are kernel arrival times of the last edges in host ns (0: none yet);
    `xray_rises` counts rises of XRAY_ON since the last turn; `pedal_edge_ns` is when a contact of a
    pedal last changed.
    """

    link: bool = False
    epoch: int = 0
    levels: int = IN_SAFE
    unsafe_edges: int = 0
    window_rise_ns: int = 0
    window_fall_ns: int = 0
    xray_rise_ns: int = 0
    xray_fall_ns: int = 0
    xray_rises: int = 0
    pedal_edge_ns: int = 0


def joined(first: Inputs, second: Inputs) -> Inputs:
    """Two readings as that of one turn: what the first saw has happened, the second says is now."""
    link = first.link and second.link
    return second._replace(
        link=link,
        levels=second.levels if link else IN_SAFE,
        unsafe_edges=first.unsafe_edges | second.unsafe_edges,
        xray_rises=first.xray_rises + second.xray_rises,
    )


class Letter(NamedTuple):
    """One piece of mail: a message with its raw bytes, or (None) a link going up or down."""

    peer: Peer
    message: Message | None
    raw: bytes = b""
    link_up: bool = False


class Store(NamedTuple):
    """How full the black box is."""

    unread: int
    capacity: int


class Outputs(NamedTuple):
    """What one turn decided: the output bank, when to turn next, mail and records.

    `exact` is true when `wake_ns` is the due instant of a pulse: worth spinning for.
    `at_rest` is true when line packets may wait until `wake_ns` (`realtime.rest`).
    """

    lines: int
    wake_ns: int
    exact: bool
    posts: list[tuple[Peer, Message]]
    intent: Record | None
    closed: Record | None
    stray: Record | None
    at_rest: bool = False
