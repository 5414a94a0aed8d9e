"""What the stories of the executive share: getting into a pulse, and judging that it is dark.

Lives here: steps of stories.  May not live here: a story.
"""

import pytest

from realtime.limits import Timing
from realtime.wire.lines import Out, mask
from realtime.wire.messages import (
    Pedal,
    Reset,
)
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import EPOCH, PANEL_MASTER, TIMING

BOTH = pytest.mark.parametrize("timing", [TIMING, PANEL_MASTER], ids=lambda t: t.topology.value)
PULSE = mask(Out.PULSE)


def pulsing(room: Room, pulses: int = 3, ms: float = 4.0) -> Room:
    """Go on until `ms` into pulse number `pulses` (from 1)."""
    for _ in range(4000):
        if len(room.rises) >= pulses:
            room.run_for(ms)
            assert room.lines & PULSE, "in mid-pulse"
            return room
        room.run_for(0.5)
    raise AssertionError(f"no pulse: {room.ends()} {room.executive.inhibits}")


def in_pulse(timing: Timing = TIMING, pedal: Pedal = Pedal.FLUORO) -> Room:
    room = Room(timing).ready()
    room.press(pedal)
    return pulsing(room)


def dark_at_once(room: Room) -> None:
    """The very turn of the event is dark, and nothing comes after it."""
    now_ns, rises = room.now_ns, len(room.rises)
    room.run_for(0)
    assert room.turns[-1][0] == now_ns
    assert not room.lines & PULSE
    assert room.executive.run is None
    room.run_for(400)
    assert len(room.rises) == rises
    assert room.shines[-1].end_ns <= now_ns


def reset(room: Room) -> None:
    room.letter(Reset(EPOCH))
    room.run_for(1)
