"""What the environment can do to the room: contacts, lines, devices that break and are repaired.

Lives here: the acts by name.  May not live here: when they may happen (`beam`), or letters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hil.explore.beam_room import RESTING
from hil.explore.beam_rules import CONTACTS
from hil.explore.beam_state import Frame
from realtime.inputs import Peer
from realtime.wire.lines import In, Out
from realtime.wire.messages import Pedal

WELL: Final = frozenset({"panel", "generator", "monostable", "lamp", "tone", "packets"})
Act = Callable[[Frame], None]


def _contact(pedal: Pedal, no_level: int, nc_level: int) -> Act:
    no, nc = CONTACTS[pedal]

    def act(frame: Frame) -> None:
        frame.room.put(no, no_level, frame.now_ns)
        frame.room.put(nc, nc_level, frame.now_ns)

    return act


def _line(bit: In, level: int) -> Act:
    return lambda frame: frame.room.put(bit, level, frame.now_ns)


def _flicker(bit: In) -> Act:
    def act(frame: Frame) -> None:
        room = frame.room
        if room.levels >> bit & 1:
            room.edges |= 1 << bit

    return act


def _release_unseen(frame: Frame) -> None:
    """F06: the release has no edge; only the level tells."""
    room = frame.room
    no, nc = CONTACTS[Pedal.FLUORO]
    if room.levels >> no & 1:
        room.levels = room.levels & ~(1 << no) | 1 << nc


def _lift(frame: Frame) -> None:
    for no, nc in CONTACTS.values():
        frame.room.put(no, 0, frame.now_ns)
        frame.room.put(nc, 1, frame.now_ns)


def _close(frame: Frame) -> None:
    for bit in In:
        if RESTING >> bit & 1 and In.ESTOP <= bit <= In.PANEL_READY:
            frame.room.put(bit, 1, frame.now_ns)


def _link(link: bool) -> Act:
    def act(frame: Frame) -> None:
        room = frame.room
        room.epoch += link and not room.link
        room.link = link

    return act


def _peers(*up: Peer) -> Act:
    def act(frame: Frame) -> None:
        executive = frame.executive
        executive.links = {peer: peer in up for peer in Peer}

    return act


def _health(name: str, well: bool) -> Act:
    def act(frame: Frame) -> None:
        room = frame.room
        if room.healthy == WELL:  # one device is broken at a time
            room.healthy = WELL | {name} if well else WELL - {name}

    return act


def _repair(frame: Frame) -> None:
    room = frame.room
    room.healthy = WELL
    if not room.xray_off_ns:
        room.put(In.XRAY_ON, 0, frame.now_ns)
    sent = frame.executive.outlines.sent
    room.put(In.TONE_READBACK, sent >> Out.TONE & 1, frame.now_ns)
    room.put(In.LAMP_READBACK, sent >> Out.LAMP & 1, frame.now_ns)


def _unread(records: int) -> Act:
    def act(frame: Frame) -> None:
        frame.room.unread = records

    return act


ACTS: Final[dict[str, Act]] = {
    "press fluoro": _contact(Pedal.FLUORO, 1, 0),
    "release fluoro": _contact(Pedal.FLUORO, 0, 1),
    "cross fluoro": _contact(Pedal.FLUORO, 0, 0),
    "weld fluoro": _contact(Pedal.FLUORO, 1, 1),
    "press cine": _contact(Pedal.CINE, 1, 0),
    "release cine": _contact(Pedal.CINE, 0, 1),
    "press high": _contact(Pedal.HIGH, 1, 0),
    "release high": _contact(Pedal.HIGH, 0, 1),
    "release fluoro unseen": _release_unseen,
    "lift all": _lift,
    "open door": _line(In.DOOR, 0),
    "pull e-stop": _line(In.ESTOP, 0),
    "flicker door": _flicker(In.DOOR),
    "flicker e-stop": _flicker(In.ESTOP),
    "close all": _close,
    "unplug": _link(False),
    "plug": _link(True),
    "peers up": _peers(*Peer),
    "imaging gone": _peers(Peer.SUPERVISOR),
    "stray X-rays": _line(In.XRAY_ON, 1),
    "X-rays stop": _line(In.XRAY_ON, 0),
    "window opens": _line(In.WINDOW, 1),
    "window closes": _line(In.WINDOW, 0),
    "panel dead": _health("panel", False),
    "packets spoiled": _health("packets", False),
    "generator dead": _health("generator", False),
    "monostable dead": _health("monostable", False),
    "lamp dead": _health("lamp", False),
    "tone dead": _health("tone", False),
    "X-rays stick": _health("xray_sticks", True),
    "repair": _repair,
    "box half full": _unread(3),
    "box full": _unread(4),
    "empty the box": _unread(0),
}
