"""What ends a run: pedals, interlocks, lines, orders and the supervisor."""

import pytest

from realtime.beam import RUN_STATES, BeamState
from realtime.inputs import Peer
from realtime.limits import MS, PRESS_DEBOUNCE_NS, Timing
from realtime.trips import INHIBIT_OF_LINE, TRIP_OF_LINE
from realtime.wire.lines import In, Out, mask
from realtime.wire.messages import Dark, Press, Refused, RunEnd
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import EPOCH, PANEL_MASTER
from tests.realtime.stories import BOTH, dark_at_once, in_pulse, pulsing, reset

pytestmark = pytest.mark.invariant(1)

# What ends a run -------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("line", sorted(INHIBIT_OF_LINE), ids=lambda line: line.name)
def test_an_inhibiting_interlock_ends_the_run_without_a_latch(timing: Timing, line: In) -> None:
    room = in_pulse(timing)
    room.put(line, 0)
    dark_at_once(room)
    assert room.ends() == [("interlock", str(INHIBIT_OF_LINE[line]))]
    assert room.trips() == []
    room.put(line, 1)
    room.run_for(300)
    assert len(room.rises) == 3, "no resumption"


@BOTH
@pytest.mark.parametrize("line", sorted(TRIP_OF_LINE), ids=lambda line: line.name)
def test_a_latching_interlock_trips_until_closed_and_reset(timing: Timing, line: In) -> None:
    room = in_pulse(timing)
    room.put(line, 0)
    dark_at_once(room)
    assert room.ends() == [("trip", str(TRIP_OF_LINE[line]))]
    room.release()
    room.run_for(100)
    reset(room)
    assert room.refusals()[-1] == ("Reset", str(TRIP_OF_LINE[line]))
    room.put(line, 1)
    reset(room)
    assert room.executive.trips == []
    assert room.executive.state is BeamState.DARK


@pytest.mark.parametrize("line", [In.DOOR, In.ESTOP, In.KEY, In.BARRIER])
def test_a_flicker_of_an_interlock_between_two_turns_is_believed(line: In) -> None:
    room = in_pulse()
    room.put(line, 0)
    room.put(line, 1)
    dark_at_once(room)
    assert len(room.ends()) == 1


@pytest.mark.parametrize(
    ("open_turns", "code"), [(0, "pedals_not_released"), (1, "interlock_door")]
)
def test_an_interlock_that_opens_under_a_press_in_the_making_spends_it(
    open_turns: int, code: str
) -> None:
    room = Room().ready()
    room.press()
    room.run_for(20)
    room.put(In.DOOR, 0)
    for _ in range(open_turns):
        room.run_for(0)
    room.put(In.DOOR, 1)
    room.run_for(500)
    assert room.sent(Press) == []
    assert room.refusals() == [("press", code)]
    room.release()
    room.run_for(60)
    room.press()
    room.run_for(60)
    assert len(room.sent(Press)) == 1


@pytest.mark.parametrize("before_ms", [0, 20])
def test_a_press_made_while_the_lines_were_away_is_spent_and_told_once(before_ms: int) -> None:
    room = Room().ready()
    if before_ms:
        room.press()
        room.run_for(before_ms)
    room.unplug()
    room.run_for(15)
    if not before_ms:
        room.press()
    assert room.refusals() == []
    room.plug()
    room.run_for(500)
    assert room.sent(Press) == []
    refused = [(m.what, m.code, m.detail) for m in room.sent(Refused)]
    assert refused == [("press", "pedals_not_released", "made while nobody watched")]
    room.release()
    room.run_for(60)
    room.press()
    room.run_for(60)
    assert len(room.sent(Press)) == 1


def test_lines_that_are_away_while_nobody_presses_refuse_no_press() -> None:
    room = Room().ready()
    room.unplug()
    room.run_for(50)
    room.plug()
    room.run_for(100)
    room.press()
    room.run_for(60)
    assert room.refusals() == []
    assert len(room.sent(Press)) == 1


def test_a_press_under_an_open_interlock_that_closes_before_it_counts_is_spent() -> None:
    room = Room().ready()
    room.put(In.KEY, 0)
    room.run_for(100)
    room.press()
    room.run_for(20)
    room.put(In.KEY, 1)
    room.run_for(500)
    assert room.sent(Press) == []
    assert room.refusals() == [("press", "interlock_key")]


def test_a_flicker_on_the_turn_on_which_the_press_counts_spends_it() -> None:
    room = Room().ready()
    room.press()
    room.run_for(PRESS_DEBOUNCE_NS // MS - 1)
    assert room.sent(Press) == []
    room.put(In.DOOR, 0)
    room.put(In.DOOR, 1)
    room.now_ns += 2 * MS
    room.run_for(500)
    assert room.sent(Press) == []
    assert room.refusals() == [("press", "pedals_not_released")]


def test_an_interlock_that_opens_at_rest_asks_nothing_of_the_pedals() -> None:
    room = Room().ready()
    room.put(In.DOOR, 0)
    room.put(In.DOOR, 1)
    room.run_for(1)
    room.press()
    room.run_for(60)
    assert len(room.sent(Press)) == 1


def test_a_flicker_of_the_pedal_between_two_turns_is_believed() -> None:
    room = in_pulse()
    room.release()
    room.press()
    dark_at_once(room)
    assert room.ends() == [("release", "")]


def test_contacts_that_disagree_are_dark_at_once_and_a_fault_after_50_ms() -> None:
    room = in_pulse()
    room.put(In.FLUORO_NC, 1)
    dark_at_once(room)
    assert room.ends() == [("release", "")]
    assert room.trips() == ["pedal_disagree"]
    trip_ns = next(t for t, _, m in room.posts if getattr(m, "code", "") == "pedal_disagree")
    assert 50 * MS < trip_ns - room.sent(RunEnd)[0].t_ns <= 56 * MS


@BOTH
def test_losing_the_lines_is_dark_and_counts_as_boot(timing: Timing) -> None:
    room = in_pulse(timing)
    room.unplug()
    dark_at_once(room)
    assert room.ends() == [("link", "lines_not_fresh")]
    room.plug()
    room.run_for(500)
    assert len(room.rises) == 3, "the pedal is still down since before"
    room.release()
    room.run_for(60)
    room.press()
    pulsing(room, 4)


def test_a_new_epoch_of_the_lines_ends_a_run_even_if_fresh_again() -> None:
    room = in_pulse()
    room.plug()
    dark_at_once(room)
    assert room.ends() == [("link", "lines_not_fresh")]


@BOTH
def test_a_lease_that_is_not_renewed_ends_the_run(timing: Timing) -> None:
    room = in_pulse(timing)
    room.renewing = False
    stop_ns = room.now_ns
    room.run_for(200)
    assert room.ends() == [("order", "expired")]
    assert room.falls[-1] - stop_ns <= 100 * MS


def test_the_supervisor_leaving_ends_the_run_at_once() -> None:
    room = in_pulse()
    room.links(Peer.SUPERVISOR, up=False)
    dark_at_once(room)
    assert room.ends() == [("order", "no_supervisor")]


@pytest.mark.parametrize("run_id", ["this", 0])
def test_dark_from_the_supervisor_needs_no_permission(run_id: str | int) -> None:
    room = in_pulse()
    room.letter(Dark(0, room.run_id if run_id == "this" else 0, "why_not"))
    dark_at_once(room)
    assert room.ends() == [("dark", "why_not")]


def test_dark_for_another_run_changes_nothing() -> None:
    room = in_pulse()
    room.letter(Dark(EPOCH, room.run_id - 1, "old"))
    room.run_for(100)
    assert room.ends() == []


@BOTH
@pytest.mark.parametrize("state", sorted(RUN_STATES, key=str))
def test_dark_from_every_state_of_a_run_is_dark_in_the_same_turn(
    timing: Timing, state: BeamState
) -> None:
    if timing is PANEL_MASTER and state is BeamState.CLEARING:
        assert not Room(timing).executive.clears_first
        return
    room = Room(timing).ready()
    room.press()
    for _ in range(4000):
        if room.executive.state is state:
            break
        room.run_for(0.25)
    assert room.executive.state is state
    room.letter(Dark(EPOCH, 0, "x"))
    room.run_for(0)
    assert room.executive.state is BeamState.DARK
    assert room.lines & ~mask(Out.PERMIT, Out.BANK) == 0
    rises = len(room.rises)
    room.run_for(300)
    assert len(room.rises) == rises
