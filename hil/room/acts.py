"""What somebody in the room can do, in words.

Lives here: the table of acts (`ACTS`) and the reading of a line of text.  May not live here: the
models they act on, or when.  `signal NAME PID KILL|STOP|CONT|TERM|USR2` lets the rig strike a
process at a phase of the pulse, which nothing slower could; USR2 raises an exception in a process
that the bench has prepared for it, and ends any other.  `forget` drops every act and fault that
still waits for a phase.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from hil.room.outbox import Signal
from realtime.wire.lines import In

if TYPE_CHECKING:
    from hil.room.room import Room

Act = Callable[["Room", int], None]
SIGNALS: Final = {"KILL": "kill9", "STOP": "sigstop", "CONT": "sigcont", "TERM": "sigterm",
                  "USR2": "crash"}  # fmt: skip


class ActError(ValueError):
    """Not an act of the table; `code` is `unknown_act` or `bad_signal`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def _foot(pedal: str, down: bool) -> Act:
    def act(room: Room, t_ns: int) -> None:
        (room.pedals[pedal].press if down else room.pedals[pedal].release)(t_ns)

    return act


def _contact(name: str, closed: bool) -> Act:
    def act(room: Room, _t_ns: int) -> None:
        room.interlocks.closed[name] = closed

    return act


def _forget(room: Room, _t_ns: int) -> None:
    room.agenda.forget()


def _button(down: bool) -> Act:
    def act(room: Room, _t_ns: int) -> None:
        room.reset_button = int(down)

    return act


ACTS: Final[dict[str, Act]] = {
    **{f"press {pedal}": _foot(pedal, True) for pedal in ("fluoro", "high", "cine")},
    **{f"release {pedal}": _foot(pedal, False) for pedal in ("fluoro", "high", "cine")},
    "press reset": _button(True),
    "release reset": _button(False),
    "open door": _contact("door", False),
    "close door": _contact("door", True),
    "estop": _contact("estop", False),
    "reset estop": _contact("estop", True),
    "collision": _contact("collision", False),
    "clear collision": _contact("collision", True),
    "remove barrier": _contact("barrier", False),
    "restore barrier": _contact("barrier", True),
    "stop cooling": _contact("cooling", False),
    "start cooling": _contact("cooling", True),
    "key off": _contact("key", False),
    "key on": _contact("key", True),
    "panel off": _contact("panel_ready", False),
    "panel on": _contact("panel_ready", True),
}


# Inputs that an act lets fall on its own instant, by contact alone.
DROPS: Final[dict[str, int]] = {
    "release fluoro": 1 << In.FLUORO_NO,
    "release high": 1 << In.HIGH_NO,
    "release cine": 1 << In.CINE_NO,
    "open door": 1 << In.DOOR,
    "estop": 1 << In.ESTOP,
    "collision": 1 << In.COLLISION,
    "remove barrier": 1 << In.BARRIER,
    "stop cooling": 1 << In.COOLING,
    "key off": 1 << In.KEY,
    "panel off": 1 << In.PANEL_READY,
}


def _signal(words: list[str]) -> Act:
    if len(words) != 4 or not words[2].isdigit() or words[3] not in SIGNALS:
        raise ActError("bad_signal", "signal NAME PID " + "|".join(SIGNALS))
    _, name, pid, signal = words

    def act(room: Room, t_ns: int) -> None:
        room.out.record(t_ns, "process", name, SIGNALS[signal])
        room.out.signals.append(Signal(t_ns, name, int(pid), signal))

    return act


def read(text: str) -> Act:
    """The act that a text names; raises ActError."""
    words = text.split()
    if words[:1] == ["signal"]:
        return _signal(words)
    act = _forget if words == ["forget"] else ACTS.get(" ".join(words))
    if act is None:
        raise ActError("unknown_act", "one of: " + "; ".join(ACTS))
    return act
