"""The mail: who may say what, fencing, and refusals that are reported but not repeated."""

from dataclasses import replace
from typing import Any

import pytest

from realtime.beam import BeamState
from realtime.inputs import Letter, Peer
from realtime.limits import MS
from realtime.trips import TripCode
from realtime.wire.messages import (
    Dark,
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
    Select,
    Topology,
    Verdict,
)
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import EPOCH

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
    assert room.executive.posts == [] or not isinstance(room.executive.posts[-1][1], Refused)


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
