"""One whole turn: two stages, each proved alone, and both together."""

from typing import Any

import pytest

from realtime.beam import BeamState
from realtime.executive import Executive
from realtime.inputs import Inputs, Store
from realtime.limits import MS, Timing
from realtime.turn import rehearse, strike
from realtime.wire.codec import pack
from realtime.wire.linebus import KIND_INPUTS, encode
from realtime.wire.lines import INTERLOCKS, In, Out, mask
from realtime.wire.messages import (
    Exercise,
    Exercised,
    ExerciseResult,
    Mode,
    Pedal,
    Press,
    PulseReport,
    Skip,
    SkipReason,
)
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import BOOT_ID, EPOCH, PANEL_MASTER, TIMING
from tests.realtime.stubs import Generosity, Insistence

pytestmark = pytest.mark.invariant(13)

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
    room.gate = Generosity(0, 0)
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


def test_the_room_can_tell_a_wrong_executive() -> None:
    """The oracle is no rubber stamp: an executive that asks for too much is caught by it."""
    room = insisting()
    room.gate = Generosity(0, 0)
    room.judged = True
    with pytest.raises(AssertionError, match="PULSE"):
        room.run_for(100)
    assert isinstance(room.executive, Executive)
