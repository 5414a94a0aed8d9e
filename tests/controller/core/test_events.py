"""Events: which message is which kind, where each comes from, and what a local act asks for."""

import pytest

from controller.core import events
from controller.core.events import FromExecutive, GeneratorStatus, Kind, Local, Origin, Remote
from realtime.wire import messages as wire
from realtime.wire.messages import EndReason, Exercise, ExerciseResult, Pedal, Press, RunEnd
from realtime.wire.messages import Mode as Function
from tests.controller.core.scene import report, state

pytestmark = [pytest.mark.invariant(12), pytest.mark.invariant(14)]

MESSAGES = {
    Kind.STATE: state(0),
    Kind.PRESS: Press(1, Pedal.FLUORO, Function.FLUORO, 0),
    Kind.RUN_END: RunEnd(1, 0, EndReason.RELEASE, "", 0, 0),
    Kind.PULSE: report(1, 0, 1),
    Kind.SKIP: wire.Skip(1, 0, 0, wire.SkipReason.LATE),
    Kind.TRIP: wire.Trip("stall", 0, ""),
    Kind.REFUSED: wire.Refused("Order", "run", "", 1),
    Kind.EXERCISED: ExerciseResult(1, Exercise.PEDALS, True, 0.0, "", ""),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_each_message_of_realtime_has_its_row(kind: Kind) -> None:
    event = FromExecutive(MESSAGES[kind])
    assert (event.kind, event.origin) == (kind, Origin.BEAM)


@pytest.mark.parametrize("kind", [Kind.READY, Kind.SET, Kind.RESET])
def test_an_act_at_the_board_is_the_kind_that_it_asks_for(kind: Kind) -> None:
    event = Local(1, kind, kind.value, {})
    assert (event.kind, event.origin) == (kind, Origin.LOCAL)


def test_whatever_comes_over_the_network_says_so() -> None:
    asked, wished = (Remote(1, ask, "status", "anna", {}) for ask in (True, False))
    assert (asked.kind, wished.kind) == (Kind.REMOTE_ASK, Kind.REMOTE)
    assert {asked.origin, wished.origin} == {Origin.NETWORK}


@pytest.mark.parametrize("rotor", [True, False])
@pytest.mark.parametrize("filament", [True, False])
def test_prepared_is_rotor_and_filament(rotor: bool, filament: bool) -> None:
    assert GeneratorStatus(3, rotor, filament, 0, 0).prepared is (rotor and filament)


def test_a_beat_is_our_own() -> None:
    assert (events.Tick().kind, events.Tick().origin) == (Kind.TICK, Origin.INSIDE)
