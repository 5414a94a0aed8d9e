"""The mail: who may say what, fencing, and refusals that are reported but not repeated."""

from dataclasses import replace
from typing import Any

import pytest

from realtime.beam import BeamState
from realtime.correspondence import REPORT_EVERY_NS
from realtime.inputs import Letter, Peer, Store
from realtime.limits import MS, S
from realtime.trips import Inhibit, TripCode
from realtime.wire.lines import PEDALS
from realtime.wire.messages import (
    Dark,
    EndReason,
    Exercise,
    Exercised,
    ExerciseResult,
    Hello,
    Message,
    Mode,
    Order,
    Press,
    PulseReport,
    Refused,
    Reset,
    ResetTimer,
    RunEnd,
    Select,
    State,
    Topology,
    Verdict,
)
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import BOOT_ID, EPOCH

pytestmark = pytest.mark.invariant(5)

ORDER = Order(EPOCH, 1, 77, Mode.FLUORO, 0, 9, 1, 1, 1, Topology.CONTROLLER_MASTER,
              33_333_333, 1, 8000, 300, 263)  # fmt: skip


def running() -> Room:
    room = Room().ready()
    room.press()
    room.run_for(250)
    assert room.rises
    return room


def answer(room: Room, message: Message, peer: Peer = Peer.SUPERVISOR) -> list[tuple[str, str]]:
    """Refusals that a message brings at once."""
    before = len(room.sent(Refused, peer))
    room.letter(message, peer)
    room.run_for(0)
    return [(m.what, m.code) for m in room.sent(Refused, peer)[before:]]


@pytest.mark.parametrize("kind", [Select, Reset, ResetTimer, Exercised])
@pytest.mark.parametrize("epoch", [EPOCH - 1, EPOCH + 1, 0])
def test_every_command_is_fenced_by_its_epoch(kind: Any, epoch: int) -> None:
    room = Room(latched=[TripCode.UNCLEAN]).ready()
    more = {Select: (Mode.CINE,), Exercised: (1, Exercise.PEDALS)}.get(kind, ())
    assert answer(room, kind(epoch, *more)) == [(kind.__name__, "epoch")]
    assert room.executive.state is BeamState.TRIPPED


def test_an_order_without_a_run_is_refused() -> None:
    assert answer(Room().ready(), ORDER) == [("Order", "run")]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"run_id": 1}, "run"),
        ({"order_seq": 1}, "seq"),
        ({"supervisor_epoch": EPOCH - 1}, "epoch"),
        ({"expires_ns": 1}, "expired"),
        ({"mode": Mode.CINE}, "mode"),
    ],
)
def test_a_bad_order_in_a_run_is_refused_and_changes_nothing(
    changed: dict[str, Any], code: str
) -> None:
    room = running()
    good = room.order_for(room.sent(Press)[0])
    held = room.executive.book.order
    assert answer(room, replace(good, **changed)) == [("Order", code)]
    assert room.executive.book.order is held


@pytest.mark.parametrize("message", [ORDER, Dark(EPOCH, 0, ""), Reset(EPOCH)])
def test_imaging_may_not_command(message: Message) -> None:
    room = running()
    kind = type(message).__name__
    assert answer(room, message, Peer.IMAGING) == [(kind, "not_yours")]
    assert room.executive.run is not None


def test_the_supervisor_may_not_judge_pictures() -> None:
    room = running()
    assert answer(room, Verdict(room.run_id, 0, 1, True, "")) == [("Verdict", "not_yours")]


def test_verdicts_are_taken_in_their_run_only() -> None:
    stray = Verdict(1, 0, 1, True, "")
    assert answer(Room().ready(), stray, Peer.IMAGING) == [("Verdict", "run")]
    room = running()
    assert answer(room, stray, Peer.IMAGING) == [("Verdict", "run")]


def test_a_refusal_is_reported_once_per_kind_and_second_with_its_count() -> None:
    room = Room().ready()
    for _ in range(5):
        room.letter(ORDER)
        room.run_for(100)
    room.letter(Reset(0))
    room.run_for(700)
    room.letter(ORDER)
    room.run_for(1)
    refused = room.sent(Refused)
    assert [(m.what, m.count) for m in refused] == [("Order", 1), ("Reset", 1), ("Order", 6)]


def test_a_mode_change_in_a_run_is_refused() -> None:
    room = running()
    assert answer(room, Select(EPOCH, Mode.DSA)) == [("Select", "busy")]


@pytest.mark.parametrize("mode", [Mode.FLUORO, Mode.HIGH_LEVEL])
def test_only_functions_of_the_cine_pedal_can_be_selected(mode: Mode) -> None:
    assert answer(Room().ready(), Select(EPOCH, mode)) == [("Select", "mode")]


def test_an_older_supervisor_is_refused_for_ever() -> None:
    room = Room().ready()
    hello = Hello("supervisor", EPOCH + 1, 1, 0, "")
    assert answer(room, hello) == []
    assert answer(room, replace(hello, epoch=EPOCH)) == [("Hello", "epoch")]
    assert answer(room, Reset(EPOCH)) == [("Reset", "epoch")]


def test_a_newer_supervisor_voids_the_lease_of_the_older() -> None:
    room = running()
    assert answer(room, Hello("supervisor", EPOCH + 1, 1, 0, "")) == []
    assert room.executive.book.order is None
    rises = len(room.rises)
    room.run_for(200)
    assert len(room.rises) == rises


def test_the_numbers_of_pulses_go_on_from_the_durable_copy() -> None:
    room = Room()
    room.connect(floor=5000)
    room.ready()
    room.press()
    room.run_for(200)
    assert room.sent(PulseReport)[0].pulse_id == 5000


def test_a_lower_floor_or_one_in_a_run_changes_no_number() -> None:
    room = running()
    before = room.executive.firing.pulse_id_next
    answer(room, Hello("supervisor", EPOCH, 1, 10**6, ""))
    assert room.executive.firing.pulse_id_next == before
    room.release()
    room.run_for(10)
    answer(room, Hello("supervisor", EPOCH, 1, 1, ""))
    assert room.executive.firing.pulse_id_next >= before


def test_imaging_leaving_does_not_end_a_run_by_itself() -> None:
    room = running()
    room.links(Peer.IMAGING, up=False)
    room.run_for(1)
    assert room.executive.run is not None
    assert "no_imaging" in room.executive.inhibits


def test_a_hello_of_imaging_is_no_refusal() -> None:
    room = Room().ready()
    room.executive.mail.take(room.now_ns, Letter(Peer.IMAGING, Hello("imaging", 1, 1, 0, "")))
    assert room.sent(Refused, Peer.IMAGING) == [], "it has said hello before"
    hello = Letter(Peer.IMAGING, Hello("imaging", 1, 1, 0, ""))
    assert not [m for m in taken(room, hello) if isinstance(m, Refused)]


def test_an_exercise_is_refused_unless_dark_with_pedals_up() -> None:
    room = running()
    room.letter(Exercised(EPOCH, 5, Exercise.PEDALS))
    room.run_for(0)
    room.release()
    room.run_for(10)
    room.letter(Exercised(EPOCH, 6, Exercise.PEDALS))
    room.run_for(100)
    room.letter(Exercised(EPOCH, 7, Exercise.MONOSTABLE))
    room.run_for(1)
    room.letter(Exercised(EPOCH, 8, Exercise.PEDALS))
    room.run_for(200)
    results = {r.exercise_id: (r.ok, r.detail) for r in room.sent(ExerciseResult)}
    refused = (False, "not dark with all pedals up")
    assert results == {5: refused, 6: refused, 7: (True, ""), 8: refused}


def test_a_good_tone_and_lamp_exercise_proves_them() -> None:
    room = Room().ready()
    room.executive.tone.failed = room.executive.lamp.failed = True
    room.letter(Exercised(EPOCH, 1, Exercise.PEDALS))
    room.run_for(10)
    assert room.executive.tone.failed
    room.letter(Exercised(EPOCH, 2, Exercise.TONE_LAMP))
    room.run_for(300)
    assert [r.ok for r in room.sent(ExerciseResult)] == [True, True]
    assert not room.executive.tone.failed
    assert not room.executive.lamp.failed


def test_a_state_in_a_run_tells_of_the_run() -> None:
    room = running()
    room.executive.begin_outputs()
    room.executive.mail.report_state(room.now_ns)
    state = room.executive.posts[-1][1]
    assert getattr(state, "pulses", 0) == len(room.rises)
    assert getattr(state, "irradiation_ms", 0) > 50
    assert getattr(state, "released_ns", 1) == 0
    assert getattr(state, "t_ns", 0) == room.now_ns
    assert room.now_ns > 200 * MS


def taken(room: Room, letter: Letter) -> list[Message]:
    """What one letter makes the executive post, before any turn."""
    room.executive.begin_outputs()
    room.executive.mail.take(room.now_ns, letter)
    return [message for _, message in room.executive.posts]


def ends(posts: list[Message]) -> list[tuple[EndReason, str]]:
    """Reason and code of the run's end, once for each peer that is told."""
    return [(m.reason, m.code) for m in posts if isinstance(m, RunEnd)]


def test_a_supervisor_that_leaves_ends_the_run_on_that_letter() -> None:
    room = running()
    posts = taken(room, Letter(Peer.SUPERVISOR, None, link_up=False))
    assert ends(posts) == [(EndReason.ORDER, Inhibit.SUPERVISOR)] * 2
    assert room.executive.run is None
    assert room.executive.links[Peer.SUPERVISOR] is False
    assert not [m for m in posts if isinstance(m, Refused)]


def test_a_peer_that_comes_ends_no_run_and_is_no_refusal() -> None:
    room = running()
    for peer in Peer:
        assert taken(room, Letter(peer, None, link_up=True)) == []
        assert room.executive.links[peer] is True
    assert room.executive.run is not None


@pytest.mark.parametrize("epoch", [EPOCH - 1, EPOCH, EPOCH + 1])
def test_off_needs_no_permission_and_names_its_run_or_any(epoch: int) -> None:
    for run_id in (0, None):
        room = running()
        wanted = room.run_id if run_id is None else run_id
        posts = taken(room, Letter(Peer.SUPERVISOR, Dark(epoch, wanted, "said so")))
        assert ends(posts) == [(EndReason.DARK, "said so")] * 2
        assert not [m for m in posts if isinstance(m, Refused)]


def test_dark_for_another_run_ends_nothing() -> None:
    for other in (1, -1, BOOT_ID):
        room = running()
        assert taken(room, Letter(Peer.SUPERVISOR, Dark(EPOCH, other, ""))) == []
        assert room.executive.run is not None
    for run_id in (0, 77):
        assert taken(Room().ready(), Letter(Peer.SUPERVISOR, Dark(EPOCH, run_id, ""))) == []


def test_a_selection_is_kept_and_wants_a_fresh_edge() -> None:
    room = Room().ready()
    room.press()
    room.run_for(10)  # within the debounce
    assert taken(room, Letter(Peer.SUPERVISOR, Select(EPOCH, Mode.DSA))) == []
    assert room.executive.cine_mode is Mode.DSA
    room.run_for(200)
    assert room.run_id == 0, "the pedal was not seen released since"


def test_a_reset_says_why_it_is_refused() -> None:
    room = Room(latched=[TripCode.UNCLEAN]).ready()
    room.press()
    room.run_for(10)
    assert answer(room, Reset(EPOCH)) == [("Reset", Inhibit.PEDALS)]
    room.release()
    room.run_for(100)
    assert answer(room, Reset(EPOCH)) == []
    assert room.executive.trips == []


def test_the_timer_begins_anew() -> None:
    room = running()
    room.release()
    room.run_for(100)
    assert room.executive.irradiation.total_ns > 0
    assert taken(room, Letter(Peer.SUPERVISOR, ResetTimer(EPOCH))) == []
    assert room.executive.irradiation.total_ns == 0


def test_an_exercise_is_answered_by_its_result_only() -> None:
    room = Room().ready()
    assert taken(room, Letter(Peer.SUPERVISOR, Exercised(EPOCH, 5, Exercise.PEDALS))) == []
    again = taken(room, Letter(Peer.SUPERVISOR, Exercised(EPOCH, 6, Exercise.PEDALS)))
    assert [(type(m), getattr(m, "exercise_id", 0)) for m in again] == [(ExerciseResult, 6)]


def test_a_refusal_is_repeated_after_exactly_a_second() -> None:
    room = Room().ready()
    told = []
    for now_ns in (0, REPORT_EVERY_NS - 1, REPORT_EVERY_NS, 2 * REPORT_EVERY_NS - 1, 3 * S):
        room.executive.begin_outputs()
        room.executive.mail.refuse(now_ns, Peer.IMAGING, "Order", "run")
        told += [(now_ns, peer, m) for peer, m in room.executive.posts]
    assert told == [
        (now_ns, Peer.IMAGING, Refused("Order", "run", "", count))
        for now_ns, count in ((0, 1), (REPORT_EVERY_NS, 3), (3 * S, 5))
    ]
    assert REPORT_EVERY_NS == 1_000_000_000


def state_of(room: Room) -> State:
    room.executive.begin_outputs()
    room.executive.mail.report_state(room.now_ns)
    ((peer, state),) = room.executive.posts
    assert peer is Peer.SUPERVISOR
    assert isinstance(state, State)
    return state


def test_a_state_at_rest_is_all_that_the_executive_holds() -> None:
    room = Room(latched=[TripCode.UNCLEAN]).ready()
    beam = room.executive
    beam.irradiation.total_ns = 1_999 * MS + 999_999
    beam.store = Store(3, 40_000)
    beam.pedals.up_since_ns = room.now_ns - 7
    assert state_of(room) == State(
        t_ns=room.now_ns, realtime_epoch=BOOT_ID, beam=BeamState.TRIPPED.value, run_id=0,
        lines_in=room.levels, lines_out=room.lines, link=True, trips=[TripCode.UNCLEAN.value],
        inhibits=[str(code) for code in beam.inhibits], released_ns=7, pulses=0, skipped=0,
        irradiation_ms=1_999, late_max_ns=0, late_turns=0, late_cause="", black_box_unread=3,
        black_box_capacity=40_000,
    )  # fmt: skip


@pytest.mark.parametrize(("ago_ns", "told_ns"), [(0, 1), (1, 1), (2, 2), (None, 0)])
def test_released_since_now_is_not_the_same_as_pressed(ago_ns: int | None, told_ns: int) -> None:
    """0 says that a pedal is down, so an instant of rest is told as 1 ns."""
    room = Room().ready()
    room.executive.pedals.up_since_ns = -1 if ago_ns is None else room.now_ns - ago_ns
    assert state_of(room).released_ns == told_ns


def test_released_since_the_beginning_of_the_clock_is_released() -> None:
    room = Room().ready()
    room.executive.pedals.up_since_ns = 0
    assert state_of(room).released_ns == room.now_ns


def test_a_state_in_a_run_counts_what_was_fired_and_skipped() -> None:
    room = running()
    run = room.executive.run
    assert run is not None
    run.fired, run.skipped = 41, 5
    state = state_of(room)
    assert (state.run_id, state.pulses, state.skipped) == (room.run_id, 41, 5)
    assert state.lines_in & PEDALS == room.levels & PEDALS
