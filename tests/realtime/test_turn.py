"""One whole turn: two stages, each proved alone, and random rooms in which nothing may slip."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.beam import BeamState
from realtime.executive import Executive
from realtime.inputs import Inputs, Store
from realtime.limits import MS, Timing
from realtime.turn import rehearse, strike
from realtime.wire.codec import pack
from realtime.wire.linebus import KIND_INPUTS, encode
from realtime.wire.lines import INTERLOCKS, In, Out, mask
from realtime.wire.messages import (
    Dark,
    Exercise,
    Exercised,
    ExerciseResult,
    Hello,
    Mode,
    Pedal,
    Press,
    PulseReport,
    Reset,
    Select,
    Skip,
    SkipReason,
)
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import BOOT_ID, EPOCH, PANEL_MASTER, TIMING
from tests.realtime.stubs import Generosity, Insistence

BOTH = pytest.mark.parametrize("timing", [TIMING, PANEL_MASTER], ids=lambda t: t.topology.value)
PULSE, PERMIT = mask(Out.PULSE), mask(Out.PERMIT)


def insisting(timing: Timing = TIMING) -> Room:
    """A room whose executive asks for energy on every turn."""
    room = Room(timing)
    room.executive = Insistence(timing, BOOT_ID, 1, [], [])
    room.judged = False
    room.connect()
    return room.ready()


# The gate alone --------------------------------------------------------------------------------


@BOTH
def test_the_gate_stops_an_executive_that_always_asks(timing: Timing) -> None:
    room = insisting(timing)
    room.run_for(500)
    assert room.rises == []
    assert not any(lines & (PULSE | PERMIT) for _, lines, _ in room.turns)


@pytest.mark.parametrize("line", [line for line in In if INTERLOCKS >> line & 1])
def test_the_gate_alone_holds_every_interlock(line: In) -> None:
    room = insisting()
    room.put(line, 0)
    room.press()
    room.run_for(500)
    assert room.rises == []


def test_the_gate_alone_wants_a_live_order() -> None:
    room = insisting()
    room.renewing = False
    room.press()
    room.run_for(500)
    assert room.rises == []


@pytest.mark.parametrize("pressed", [True, False])
def test_the_gate_alone_wants_the_pedal_itself(pressed: bool) -> None:
    room = insisting(PANEL_MASTER)
    if pressed:
        room.press()
    assert isinstance(room.executive, Insistence)
    for n in range(20):
        order = room.order_for(Press(99, Pedal.FLUORO, Mode.FLUORO, 0), bank=0, last_pulse_n=n)
        room.executive.lease = pack(order)
        room.run_for(25)
    assert bool(room.rises) is pressed
    assert pressed or set(room.executive.refusals) == {"order", "pedal"}


def test_the_gate_alone_counts_credit_and_keeps_spacing() -> None:
    room = insisting()
    room.crediting = False
    room.press()
    room.run_for(1000)
    assert len(room.rises) <= 2
    steps = [b - a for a, b in zip(room.rises, room.rises[1:], strict=False)]
    assert all(step >= TIMING.spacing_min_ns - MS for step in steps)


# The executive alone ---------------------------------------------------------------------------


@BOTH
def test_the_executive_is_right_with_a_gate_that_always_agrees(timing: Timing) -> None:
    gate = Generosity(timing.spacing_min_ns, 50_000)
    room = Room(timing, gate=gate).ready()
    room.press()
    room.run_for(500)
    room.put(In.DOOR, 0)
    room.run_for(0)
    assert not room.lines & PULSE
    assert len(room.rises) > 8


# Together --------------------------------------------------------------------------------------


class Refusal(Generosity):
    """A gate that refuses what it is told to."""

    def __init__(self, refused: int) -> None:
        super().__init__(0, 0)
        self.refused = refused

    def agree(self, *question: Any, **_named: Any) -> str:
        before, wanted = question[4:6]
        return "stubborn" if (before ^ wanted) & wanted & self.refused else ""

    def agree_exercise(self, *question: Any, **_named: Any) -> str:
        return "stubborn" if question[3] & self.refused else ""


@BOTH
def test_a_refused_pulse_never_was(timing: Timing) -> None:
    room = Room(timing, gate=Refusal(PULSE)).ready()
    room.press()
    room.run_for(400)
    assert room.rises == []
    assert room.records == []
    assert not any(lines & PULSE for _, lines, _ in room.turns)
    assert {skip.reason for skip in room.sent(Skip)} == {SkipReason.GATE}
    assert room.executive.firing.pulse_id_next == 1
    assert room.trips() == []


def test_a_refused_toggle_leaves_permit_where_it_is() -> None:
    room = Room(gate=Refusal(PERMIT)).ready()
    room.press()
    room.run_for(400)
    assert not any(lines & PERMIT for _, lines, _ in room.turns)
    assert room.rises == [], "the monostable never rose"


def test_a_refused_exercise_says_so() -> None:
    room = Room(gate=Refusal(PERMIT)).ready()
    room.letter(Exercised(EPOCH, 1, Exercise.MONOSTABLE))
    room.run_for(100)
    result = room.sent(ExerciseResult)[0]
    assert not result.ok
    assert "stubborn" in result.detail


def test_off_is_never_asked_about() -> None:
    asked = []

    class Counting(Generosity):
        def agree(self, *question: Any, **_named: Any) -> str:
            asked.append(question[4:6])
            return ""

    room = Room(gate=Counting(0, 0)).ready()
    room.press()
    room.run_for(300)
    assert room.falls
    assert asked
    assert all((before ^ wanted) & PERMIT or wanted & ~before & PULSE for before, wanted in asked)


@BOTH
def test_strike_and_rehearsal_change_no_pulse(timing: Timing) -> None:
    def story(as_loop: bool) -> Room:
        room = Room(timing).ready()
        room.as_loop = as_loop
        room.press()
        room.run_for(600)
        room.release()
        room.run_for(100)
        return room

    one, other = story(True), story(False)
    assert one.rises == other.rises
    assert one.falls == other.falls
    assert one.records == other.records
    assert one.sent(PulseReport) == other.sent(PulseReport)
    assert (one.rehearsed >= len(one.rises), other.rehearsed) == (True, 0)


def due(timing: Timing = TIMING) -> tuple[Room, int, Inputs]:
    """A room at the due instant of its fourth pulse, with the inputs of that turn."""
    room = Room(timing).ready()
    room.press()
    while len(room.falls) < 3 or room.executive.firing.bound is None:
        room.run_for(0.1)
    due_ns = room.executive.cycle.due_ns
    room.until(due_ns - 1 - room.t0_ns)
    room.now_ns = due_ns
    return room, due_ns, room.executive.inputs._replace(unsafe_edges=0, xray_rises=0)


def struck(room: Room, now_ns: int, inputs: Inputs) -> bool:
    packet = encode(KIND_INPUTS, 0, 0, inputs.levels)
    raw = strike(room.executive, room.gate, now_ns, inputs, packet, now_ns)
    return raw is not None and bool(raw.lines & PULSE)


def test_a_strike_fires_when_nothing_has_moved() -> None:
    room, due_ns, inputs = due()
    assert struck(room, due_ns, inputs)
    assert room.executive.state is BeamState.PULSE
    assert room.executive.outlines.sent & PULSE
    assert not struck(room, due_ns, inputs), "not twice"


@pytest.mark.parametrize(
    "moved",
    [
        {"link": False},
        {"epoch": 99},
        {"unsafe_edges": mask(In.DOOR)},
        {"xray_rises": 1},
        {"levels": 0},
    ],
)
def test_a_strike_leaves_all_that_moves_to_the_whole_turn(moved: dict[str, Any]) -> None:
    room, due_ns, inputs = due()
    assert not struck(room, due_ns, inputs._replace(**moved))
    assert room.executive.state is BeamState.ARMED


@pytest.mark.parametrize("off_ns", [-1, 500_001, 5 * MS])
def test_a_strike_is_on_time_or_not_at_all(off_ns: int) -> None:
    room, due_ns, inputs = due()
    assert not struck(room, due_ns + off_ns, inputs)


def test_a_strike_lacks_what_a_pulse_lacks() -> None:
    room, due_ns, inputs = due()
    room.executive.store = Store(32_768, 32_768)
    assert not struck(room, due_ns, inputs)
    room, due_ns, inputs = due()
    room.executive.firing.bound = None
    assert not struck(room, due_ns, inputs)
    room, due_ns, inputs = due()
    room.executive.last_turn_ns = due_ns - 5 * MS - 1
    assert not struck(room, due_ns, inputs)


def test_a_strike_asks_the_gate() -> None:
    room, due_ns, inputs = due()
    room.gate = Refusal(PULSE)
    assert not struck(room, due_ns, inputs)
    assert room.executive.state is BeamState.ARMED
    assert room.executive.firing.pulse_id_next == 4


@pytest.mark.parametrize("spoil", ["run", "order", "bound"])
def test_a_rehearsal_of_nothing_gives_nothing(spoil: str) -> None:
    room, due_ns, inputs = due()
    assert rehearse(room.executive, room.gate, due_ns, b"", due_ns) is not None
    place = {"run": room.executive, "order": room.executive.book, "bound": room.executive.firing}
    setattr(place[spoil], spoil, None)
    assert rehearse(room.executive, room.gate, due_ns, b"", due_ns) is None
    assert inputs.link


def test_what_the_gate_withdraws_the_executive_gives_up() -> None:
    room = Room().ready()
    room.press()
    while not room.lines & PULSE:
        room.run_for(0.1)
    room.gate = Withdrawal(0, 0)
    room.run_for(0.2)
    room.run_for(5)
    assert not room.lines & PULSE
    assert room.ends() == [("dark", "gate_stubborn")]
    assert room.sent(PulseReport)[-1].truncated


class Withdrawal(Generosity):
    """A gate that takes back every pulse."""

    def withdraws(self, *_question: Any, **_named: Any) -> str:
        return "stubborn"


def test_what_was_sent_is_what_was_agreed() -> None:
    room = Room(gate=Refusal(PULSE)).ready()
    room.press()
    room.run_for(300)
    assert room.executive.outlines.sent == room.lines


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


def test_the_room_can_tell_a_wrong_executive() -> None:
    """The oracle is no rubber stamp: an executive that asks for too much is caught by it."""
    room = insisting()
    room.gate = Generosity(0, 0)
    room.judged = True
    with pytest.raises(AssertionError, match="PULSE"):
        room.run_for(100)
    assert isinstance(room.executive, Executive)
