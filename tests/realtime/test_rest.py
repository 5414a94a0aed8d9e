"""Rest: what it is, what ends it, and that the beam behaves as if the loop had never slept."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from realtime.beam import RUN_STATES, BeamState
from realtime.exercise import Exercising
from realtime.irradiation import SignalState
from realtime.limits import (
    MS,
    PRESS_DEBOUNCE_NS,
    REST_TURN_NS,
    STALL_NS,
    STATE_PERIOD_NS,
    STATE_REST_PERIOD_NS,
    Timing,
)
from realtime.rest import at_rest, passes
from realtime.trips import TripCode
from realtime.wire.lines import In, Out, mask
from realtime.wire.messages import Exercise, Mode, Pedal, Press, Select, State
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import EPOCH, TIMING
from tests.realtime.stories import BOTH, dark_at_once, pulsing


class RestingRoom(Room):
    """The room around a loop that leaves packets in the socket while the beam is at rest."""

    passed = 0
    _sleeps = False

    def _snapshot(self) -> None:
        news = self._news
        super()._snapshot()
        self._news = news if self._sleeps else True

    def turn(self) -> None:
        """A turn that passes, or a whole one."""
        if self._sleeps and not self._mail:
            self._news = False
            inputs = self._inputs()
            if passes(self.executive, self.now_ns, inputs):
                self.passed, self._wake_ns = self.passed + 1, self.now_ns + REST_TURN_NS
                return
            self._edges, self._xray_rises = inputs.unsafe_edges, inputs.xray_rises
        super().turn()
        self._sleeps = at_rest(self.executive)


def resting(timing: Timing = TIMING, latched: list[TripCode] | None = None) -> RestingRoom:
    room = RestingRoom(timing, latched=latched)
    room.ready()
    return room


def levels(room: Room, high: tuple[In, ...] = (), low: tuple[In, ...] = ()) -> None:
    beam = room.executive
    beam.inputs = beam.inputs._replace(levels=beam.inputs.levels & ~mask(*low) | mask(*high))


def in_state(room: Room, state: BeamState) -> None:
    room.executive.state = state


DISTURBANCES: dict[str, Callable[[Room], Any]] = {
    **{state.value: partial(in_state, state=state) for state in sorted(RUN_STATES)},
    "exercise": lambda room: setattr(
        room.executive, "exercise", Exercising(1, Exercise.TONE_LAMP, 0, TIMING)),
    "lines": lambda room: setattr(
        room.executive, "inputs", room.executive.inputs._replace(link=False)),
    "contact": lambda room: levels(room, high=(In.CINE_NO,)),
    "x-rays": lambda room: levels(room, high=(In.XRAY_ON,)),
    "not rested": lambda room: room.executive.pedals.void(room.now_ns),
    "signal": lambda room: setattr(room.executive.irradiation, "state", SignalState.SOUNDING),
    "tone": lambda room: levels(room, high=(In.TONE_READBACK,)),
    "lamp": lambda room: setattr(room.executive.outlines, "sent", mask(Out.LAMP)),
}  # fmt: skip


@pytest.mark.parametrize("what", DISTURBANCES)
def test_anything_urgent_is_no_rest(what: str) -> None:
    room = resting()
    assert at_rest(room.executive)
    DISTURBANCES[what](room)
    assert not at_rest(room.executive)


@pytest.mark.parametrize(
    ("out", "own", "other"),
    [
        (Out.TONE, In.TONE_READBACK, In.LAMP_READBACK),
        (Out.LAMP, In.LAMP_READBACK, In.TONE_READBACK),
    ],
)
def test_tone_and_lamp_are_each_read_back_on_their_own_line(out: Out, own: In, other: In) -> None:
    room = resting()
    room.executive.outlines.sent = mask(out)
    levels(room, high=(own,))
    assert at_rest(room.executive)
    levels(room, high=(other,), low=(own,))
    assert not at_rest(room.executive)


def test_tripped_is_a_rest_too_and_an_open_interlock_no_reason_to_hurry() -> None:
    room = resting(latched=[TripCode.UNCLEAN])
    assert room.executive.state is BeamState.TRIPPED
    assert at_rest(room.executive)
    levels(room, low=(In.DOOR,))
    assert at_rest(room.executive)


def test_a_turn_passes_on_the_same_bank_only_and_never_when_something_is_due() -> None:
    room = resting()
    beam = room.executive
    same = beam.inputs
    soon_ns = beam.last_turn_ns + 1
    for changed in (
        same._replace(levels=same.levels ^ mask(In.DOOR)),
        same._replace(epoch=same.epoch + 1),
        same._replace(link=False),
        same._replace(unsafe_edges=mask(In.ESTOP)),
        same._replace(xray_rises=1),
    ):
        before_ns = beam.last_turn_ns
        assert not passes(beam, soon_ns, changed)
        assert beam.last_turn_ns == before_ns
    beam.state_due_ns = soon_ns + STALL_NS
    assert not passes(beam, beam.last_turn_ns + STALL_NS + 1, same)
    assert passes(beam, beam.last_turn_ns + STALL_NS, same)
    beam.state_due_ns = beam.last_turn_ns + 2
    assert not passes(beam, beam.state_due_ns, same)
    assert passes(beam, beam.state_due_ns - 1, same)
    assert beam.last_turn_ns == beam.state_due_ns - 1


def test_a_turn_that_passes_would_have_changed_nothing() -> None:
    """Whole turns in place of those that pass: every output and every letter is the same."""
    sleeping, awake = resting(), Room().ready()
    for room in (sleeping, awake):
        room.run_for(400)
    assert sleeping.passed > 20
    assert sleeping.lines == awake.lines
    assert sleeping.executive.inhibits == awake.executive.inhibits
    for pedal in Pedal:
        one, other = (room.executive.pedals.of[pedal] for room in (sleeping, awake))
        assert (one.state, one.since_ns) == (other.state, other.since_ns)


def test_reports_come_less_often_at_rest_and_at_once_when_something_changes() -> None:
    room = resting()
    room.run_for(1000)
    states = [at_ns for at_ns, _, message in room.posts if isinstance(message, State)]
    gaps = [after - before for before, after in zip(states[-8:], states[-7:], strict=False)]
    assert all(STATE_REST_PERIOD_NS <= gap <= STATE_REST_PERIOD_NS + REST_TURN_NS for gap in gaps)
    room.put(In.DOOR, 0)
    room.run_for((REST_TURN_NS + MS) / MS)
    last = [message for _, _, message in room.posts if isinstance(message, State)][-1]
    assert "interlock_door" in last.inhibits
    room.put(In.DOOR, 1)
    room.press()
    room.run_for(300)
    states = [at_ns for at_ns, _, message in room.posts if isinstance(message, State)]
    assert states[-1] - states[-2] < STATE_PERIOD_NS + 10 * MS


@BOTH
@pytest.mark.parametrize("phase_ms", [0.0, 3.3, 7.0, 9.9, 13.9])
def test_a_press_out_of_rest_is_called_when_its_contact_has_stood_long_enough(
    timing: Timing, phase_ms: float
) -> None:
    room = resting(timing)
    room.run_for(50 + phase_ms)
    pressed_ns = room.now_ns
    room.press()
    room.run_for(120)
    calls = [at_ns for at_ns, _, message in room.posts if isinstance(message, Press)]
    assert [at_ns - pressed_ns for at_ns in calls] == [PRESS_DEBOUNCE_NS]
    pulsing(room)
    room.release()
    dark_at_once(room)


@pytest.mark.parametrize("phase_ms", [0.1, 5.0, 13.0])
def test_a_flicker_that_is_over_before_the_turn_is_believed(phase_ms: float) -> None:
    room = resting()
    room.run_for(phase_ms)
    room.put(In.ESTOP, 0)
    room.run_for(1)
    room.put(In.ESTOP, 1)
    room.run_for(2 * REST_TURN_NS / MS)
    assert room.executive.state is BeamState.TRIPPED
    assert room.executive.trips == [TripCode.ESTOP]


def test_a_bounce_that_is_over_before_the_turn_starts_nothing() -> None:
    room = resting()
    for _ in range(4):
        room.press()
        room.run_for(1)
        room.release()
        room.run_for(1)
    room.run_for(200)
    assert not [message for _, _, message in room.posts if isinstance(message, Press)]
    assert at_rest(room.executive)


def test_stray_x_rays_at_rest_trip_and_are_recorded() -> None:
    room = resting()
    room.put(In.XRAY_ON, 1)
    room.run_for(3)
    room.put(In.XRAY_ON, 0)
    room.run_for(REST_TURN_NS / MS)
    assert room.executive.trips == [TripCode.XRAY_STRAY]
    assert len(room.records) == 1


def test_mail_is_answered_at_once_and_ends_the_rest() -> None:
    room = resting()
    room.letter(Select(EPOCH, Mode.CINE))
    room.run_for(0)
    assert room.executive.cine_mode is Mode.CINE
    assert not at_rest(room.executive)
