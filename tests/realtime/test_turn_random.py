"""Random rooms, in which nothing may slip: the oracle of the room judges every turn."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.inputs import Store
from realtime.limits import Timing
from realtime.wire.lines import INTERLOCKS, In, Out, mask
from realtime.wire.messages import (
    Dark,
    Exercise,
    Exercised,
    Hello,
    Mode,
    Pedal,
    Press,
    Reset,
    Select,
)
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import EPOCH, PANEL_MASTER, TIMING
from tests.realtime.stubs import Generosity

pytestmark = pytest.mark.invariant(5)

PULSE = mask(Out.PULSE)

# Random rooms ----------------------------------------------------------------------------------

Act = tuple[str, int, int]
LINES = st.sampled_from([line for line in In if INTERLOCKS >> line & 1])
ACTS = st.one_of(
    st.tuples(st.just("press"), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("release"), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("open"), LINES, st.just(0)),
    st.tuples(st.just("close"), LINES, st.just(0)),
    st.tuples(st.just("flicker"), LINES, st.just(0)),
    st.tuples(st.just("contact"), st.integers(0, 5), st.integers(0, 1)),
    st.tuples(st.just("sleep"), st.integers(1, 200), st.just(0)),
    st.tuples(st.just("link"), st.booleans(), st.just(0)),
    st.tuples(st.just("renewing"), st.booleans(), st.just(0)),
    st.tuples(st.just("crediting"), st.booleans(), st.just(0)),
    st.tuples(st.just("pictures"), st.sampled_from([True, False, None]), st.just(0)),
    st.tuples(st.just("technique"), st.integers(10, 20), st.sampled_from([2000, 5000, 11000])),
    st.tuples(st.just("letter"), st.integers(0, 6), st.integers(0, 5)),
    st.tuples(st.just("store"), st.sampled_from([0, 20_000, 32_768]), st.just(0)),
    st.tuples(st.just("generator_on"), st.booleans(), st.just(0)),
    st.tuples(st.just("panel_on"), st.booleans(), st.just(0)),
    st.tuples(st.just("monostable_on"), st.booleans(), st.just(0)),
)


def act(room: Room, what: str, a: Any, b: int) -> None:
    """One random act on the room."""
    pedals = list(Pedal)
    if what in ("press", "release"):
        getattr(room, what)(pedals[a])
    elif what in ("open", "close", "flicker"):
        room.put(a, int(what == "close"))
        if what == "flicker":
            room.put(a, 1)
    elif what == "contact":
        room.put(a, b)
    elif what == "sleep":
        if not room.asleep:
            room.sleep(a)
    elif what == "link":
        if a and not room.link:
            room.plug()
        elif not a:
            room.unplug()
    elif what == "pictures":
        room.judging = lambda n: a
    elif what == "technique":
        room.technique.technique_id, room.technique.set_us = a, b
        room.technique.bank = a & 1
    elif what == "store":
        room.store = Store(a, 32_768)
    elif what == "letter":
        post(room, a, b)
    else:
        setattr(room, what, a)


def post(room: Room, which: int, epoch: int) -> None:
    """One random letter, some of them foreign, old or forged."""
    press = Press(room.run_id or 5, Pedal.FLUORO, Mode.FLUORO, 0)
    forged = room.order_for(press, supervisor_epoch=epoch, last_pulse_n=1 << 40)
    foreign = room.order_for(press, run_id=press.run_id + epoch + 1, last_pulse_n=1 << 40)
    if forged.supervisor_epoch == EPOCH:
        forged = foreign
    messages = [
        forged, foreign, Dark(epoch, 0, ""), Reset(epoch), Select(epoch, Mode.CINE),
        Exercised(epoch, 1, Exercise.WINDOW_GATE), Hello("supervisor", 0, 1, 0, ""),
    ]  # fmt: skip
    room.letter(messages[which])


@settings(max_examples=150)
@given(
    st.sampled_from([TIMING, PANEL_MASTER]),
    st.lists(st.tuples(ACTS, st.integers(0, 1200)), max_size=30),
    st.booleans(),
    st.booleans(),
)
def test_whatever_happens_no_pulse_breaks_a_rule(
    timing: Timing, acts: list[tuple[Act, int]], generous: bool, as_loop: bool
) -> None:
    gate = Generosity(0, 0) if generous else None
    room = Room(timing, gate=gate).ready()
    room.as_loop = as_loop
    room.press()
    room.run_for(200)
    for (what, a, b), tenths in acts:
        act(room, what, a, b)
        room.run_for(tenths / 10)
    room.run_for(100)
    for before, after in zip(room.turns, room.turns[1:], strict=False):
        if after[1] & ~before[1] & PULSE and after[2] == "pulse":
            assert before[2] == "armed"
    if not room.executive.exercise:
        assert len(room.rises) - len(room.falls) in (0, 1)


@settings(max_examples=40)
@given(
    st.sampled_from([TIMING, PANEL_MASTER]),
    st.lists(st.tuples(ACTS, st.integers(0, 1200)), max_size=20),
)
def test_after_any_trouble_a_reset_and_a_fresh_press_shine_again(
    timing: Timing, acts: list[tuple[Act, int]]
) -> None:
    room = Room(timing).ready()
    for (what, a, b), tenths in acts:
        act(room, what, a, b)
        room.run_for(tenths / 10)
    repair(room)
    room.run_for(700)
    room.letter(Reset(EPOCH))
    room.run_for(200)
    room.letter(Exercised(EPOCH, 99, Exercise.TONE_LAMP))
    room.run_for(300)
    assert room.executive.trips == []
    assert room.executive.inhibits == []
    rises = len(room.rises)
    room.press()
    room.run_for(400)
    assert len(room.rises) > rises + 3, room.ends()


def repair(room: Room) -> None:
    """Everything good again, and all pedals up."""
    if not room.link:
        room.plug()
    for line in In:
        if INTERLOCKS >> line & 1:
            room.put(line, 1)
    for pedal in Pedal:
        room.release(pedal)
    room.store = Store(0, 32_768)
    room.renewing = room.crediting = room.generator_on = room.panel_on = True
    room.monostable_on = True
    room.judging = lambda n: True
