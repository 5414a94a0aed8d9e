"""The executive turn by turn, at the very instants of its limits: absence, lines, reports."""

import pytest

from realtime.beam import BeamState
from realtime.executive import CALLED_MAX_NS, Executive
from realtime.exercise import Exercising
from realtime.firing import Firing
from realtime.inputs import Inputs, Peer, Store
from realtime.limits import AWAY_NS, MS, STALL_NS, STATE_REST_PERIOD_NS, S
from realtime.orders import Bound
from realtime.pedals import PedalState
from realtime.run import Run
from realtime.trips import Inhibit, TripCode
from realtime.watch import Asked
from realtime.wire.lines import INTERLOCKS, NC_CONTACTS, In, mask
from realtime.wire.messages import EndReason, Exercise, Mode, Order, Pedal, Refused, RunEnd, State
from tests.realtime.roomparts import TIMING

pytestmark = pytest.mark.invariant(12)

T = 10 * S
ORDER = Order(3, 1, 500, Mode.FLUORO, 0, 9, 1, 1, T + S, TIMING.topology, 40_000_000, 1, 8000, 300,
              263)  # fmt: skip
REST = Inputs(True, 1, INTERLOCKS | NC_CONTACTS)
STORE = Store(0, 8)


def fresh() -> Executive:
    return Executive(TIMING, 7, 1, [], [])


def in_run(executive: Executive) -> Executive:
    executive.state = BeamState.CALLED
    executive.run = Run(500, Pedal.FLUORO, Mode.FLUORO, T)
    return executive


def at_rest() -> Executive:
    executive = fresh()
    for ms in range(0, 70, 5):
        executive.step(T + (ms - 65) * MS, REST, [], STORE)
    assert executive.pedals.all_up()
    return executive


@pytest.mark.parametrize(
    ("last_ns", "now_ns", "trips"),
    [
        (T, T + STALL_NS, []),
        (T, T + STALL_NS + 1, [TripCode.STALL]),
        (0, STALL_NS + 1, [TripCode.STALL]),
        (-1, T, []),
    ],
)
def test_a_run_outlives_an_absence_of_its_limit_and_no_more(
    last_ns: int, now_ns: int, trips: list[TripCode]
) -> None:
    executive = in_run(fresh())
    executive.last_turn_ns = last_ns
    executive._watch_clock(now_ns)
    assert executive.trips == trips


@pytest.mark.parametrize(
    ("away_ns", "after"), [(AWAY_NS, PedalState.UP), (AWAY_NS + 1, PedalState.BLOCKED)]
)
def test_longer_away_than_an_order_lives_is_like_a_boot(away_ns: int, after: PedalState) -> None:
    executive = at_rest()
    executive._watch_clock(T + away_ns)
    assert executive.pedals.of[Pedal.FLUORO].state is after


def test_a_press_that_nobody_watched_is_timed_anew() -> None:
    executive = at_rest()
    pedal = executive.pedals.of[Pedal.FLUORO]
    pedal.state, pedal.since_ns = PedalState.PRESSING, T
    executive._watch_clock(T + STALL_NS)
    assert pedal.since_ns == T
    executive._watch_clock(T + STALL_NS + 1)
    assert pedal.since_ns == T + STALL_NS + 1


@pytest.mark.parametrize(("away_ns", "told"), [(AWAY_NS, 0), (AWAY_NS + 1, 1)])
def test_a_press_made_while_the_loop_was_away_is_told(away_ns: int, told: int) -> None:
    executive = at_rest()
    pressed = REST._replace(levels=REST.levels ^ mask(In.FLUORO_NO, In.FLUORO_NC))
    out = executive.step(T + away_ns, pressed, [], STORE)
    refused = Refused("press", Inhibit.PEDALS, "made while nobody watched", 1)
    assert out.posts.count((Peer.SUPERVISOR, refused)) == told
    out = executive.step(T + away_ns + MS, pressed, [], STORE)
    assert (Peer.SUPERVISOR, refused) not in out.posts


def test_a_trip_says_enough_of_a_foot_that_is_down() -> None:
    executive = at_rest()
    executive.state = BeamState.TRIPPED
    pressed = REST._replace(epoch=2, levels=REST.levels ^ mask(In.FLUORO_NO, In.FLUORO_NC))
    out = executive.step(T + 5 * MS, pressed, [], STORE)
    assert not [message for _, message in out.posts if isinstance(message, Refused)]


@pytest.mark.invariant(2)
def test_lines_that_come_back_are_like_a_boot() -> None:
    executive = at_rest()
    executive.step(T + 5 * MS, REST._replace(epoch=2), [], STORE)
    assert executive.pedals.of[Pedal.FLUORO].state is PedalState.RELEASING
    assert not executive.pedals._rested


@pytest.mark.invariant(2)
def test_contacts_that_nobody_sees_are_not_seen_released() -> None:
    executive = at_rest()
    executive.pedals.of[Pedal.FLUORO].state = PedalState.DOWN
    executive.step(T + 5 * MS, Inputs(False, 1), [], STORE)
    assert executive.pedals.of[Pedal.FLUORO].state is PedalState.BLOCKED
    assert executive.pedals.up_since_ns == -1


@pytest.mark.parametrize("lost", [Inputs(False, 1), REST._replace(epoch=2)])
def test_read_backs_of_lost_lines_are_forgotten(lost: Inputs) -> None:
    executive = at_rest()
    for readback in (executive.tone, executive.lamp):
        readback._differs_since_ns = T
    executive.step(T + 5 * MS, lost, [], STORE)
    assert executive.tone._differs_since_ns == executive.lamp._differs_since_ns == -1


@pytest.mark.invariant(3)
@pytest.mark.parametrize("inputs", [REST, Inputs(False, 1)])
def test_what_was_open_is_forgotten_when_the_lines_are_read_again(inputs: Inputs) -> None:
    executive = at_rest()
    executive.opened = True
    executive.step(T + 5 * MS, inputs, [], STORE)
    assert executive.opened is False


def test_the_state_is_told_once_per_period_and_at_once_when_it_changes() -> None:
    executive = at_rest()

    def told(now_ns: int, inputs: Inputs = REST) -> bool:
        out = executive.step(now_ns, inputs, [], STORE)
        return any(isinstance(message, State) for _, message in out.posts)

    executive.state_due_ns = T + 8 * MS
    assert [told(T + ms * MS) for ms in (5, 8, 10)] == [False, True, False]
    due_ns = T + 8 * MS + STATE_REST_PERIOD_NS
    assert [told(due_ns - 1), told(due_ns), told(due_ns + MS)] == [False, True, False]
    assert told(due_ns + 2 * MS, REST._replace(levels=NC_CONTACTS))
    assert not told(due_ns + 3 * MS, REST._replace(levels=NC_CONTACTS))


def held(executive: Executive) -> Executive:
    """In a run whose pedal is pressed."""
    in_run(executive).pedals.of[Pedal.FLUORO].state = PedalState.DOWN
    executive.store = STORE
    return executive


@pytest.mark.invariant(11)
@pytest.mark.parametrize(
    ("state", "limit_ns", "ended"),
    [(BeamState.ARMED, TIMING.run_max_ns, True), (BeamState.CALLED, CALLED_MAX_NS, True),
     (BeamState.ARMED, CALLED_MAX_NS, False), (BeamState.CALLED, TIMING.run_max_ns, True)],
)  # fmt: skip
def test_a_run_ends_when_it_is_longer_than_its_limit(
    state: BeamState, limit_ns: int, ended: bool
) -> None:
    assert TIMING.run_max_ns > CALLED_MAX_NS
    executive = held(fresh())
    executive.state = state
    executive._end_if_dark(T + limit_ns)
    longer = state is BeamState.CALLED and limit_ns > CALLED_MAX_NS
    assert (executive.run is None) is longer
    if executive.run is not None:
        executive._end_if_dark(T + limit_ns + 1)
    assert (executive.run is None) is ended


def test_the_end_of_a_run_leaves_no_order_and_no_schedule() -> None:
    executive = held(fresh())
    executive.book.open_run(500)
    executive.cycle.due_ns = T
    executive.end_run(T, EndReason.DARK)
    assert (executive.book.run_id, executive.cycle.due_ns, executive.run) == (0, 0, None)


@pytest.mark.invariant(3)
def test_two_interlocks_at_once_end_a_run_in_the_name_of_the_first() -> None:
    executive = held(fresh())
    executive.opened, executive.inhibits = True, [Inhibit.DOOR, Inhibit.KEY]
    executive._end_if_dark(T)
    (_, end), *_ = executive.posts
    assert isinstance(end, RunEnd)
    assert (end.reason, end.code) == (EndReason.INTERLOCK, Inhibit.DOOR)


def test_a_press_is_refused_for_the_first_thing_that_blocks_it() -> None:
    executive = fresh()
    executive.pedals._rested = True
    for pedal in executive.pedals.of.values():
        pedal.state = PedalState.UP
    executive.pedals.of[Pedal.FLUORO].state = PedalState.DOWN
    executive.inhibits = [Inhibit.DOOR, Inhibit.KEY]
    executive._press(T)
    assert executive.posts == [(Peer.SUPERVISOR, Refused("press", Inhibit.DOOR, "", 1))]
    assert executive.run is None


@pytest.mark.parametrize(("inhibited", "trips"), [(True, []), (False, [TripCode.XRAY_MISSING])])
def test_first_light_misses_no_x_rays(inhibited: bool, trips: list[TripCode]) -> None:
    executive = held(Executive(TIMING, 7, 1, [], [], inhibited))
    executive.state, executive.inputs = BeamState.PULSE, REST
    executive.firing.asked = Asked(T, 0, Bound(9, 1, 8000, 300, 263))
    executive._watch_xray(T + 6 * MS, 0)
    assert executive.trips == trips


@pytest.mark.invariant(10)
@pytest.mark.parametrize(("unread", "code"), [(4, ""), (5, Inhibit.BLACK_BOX)])
def test_a_reset_wants_half_of_the_black_box_read(unread: int, code: str) -> None:
    executive = at_rest()
    executive.state, executive.trips = BeamState.TRIPPED, [TripCode.STALL]
    executive.store = Store(unread, 8)
    assert executive.reset(T) == code
    assert (executive.state is BeamState.DARK) is (not code)


def test_pedals_inhibit_only_where_no_run_holds_one() -> None:
    executive = at_rest()
    assert Inhibit.PEDALS not in executive._inhibits(T, [])
    pedal = executive.pedals.of[Pedal.FLUORO]
    pedal.state = PedalState.DOWN
    assert Inhibit.PEDALS in executive._inhibits(T, [])
    assert Inhibit.PEDALS not in in_run(executive)._inhibits(T, [])


def test_runs_are_numbered_within_their_boot() -> None:
    executive = at_rest()
    executive.inhibits, executive.pedals._rested = [], True
    executive.pedals.of[Pedal.CINE].state = PedalState.DOWN
    executive._press(T)
    assert executive.run is not None
    assert executive.run.run_id == 7 * 1_048_576 + 1
    assert executive.run.mode is Mode.ONE_SHOT


@pytest.mark.parametrize(
    ("state", "due_in_ns", "exact"),
    [(BeamState.DARK, 5 * MS, False), (BeamState.ARMED, 200_000, True),
     (BeamState.ARMED, 400 * MS, False)],
)  # fmt: skip
def test_only_a_pulse_that_is_due_next_is_waited_for_exactly(
    state: BeamState, due_in_ns: int, exact: bool
) -> None:
    executive = held(at_rest())
    executive.state = state
    executive.cycle.due_ns = T + due_in_ns
    executive.firing.bound = Bound(9, 1, 8000, 300, 263)
    executive.outlines.toggled_ns = T
    wakes = executive._outputs(T, 0)
    assert wakes.exact is exact, (wakes.wake_ns - T, due_in_ns)


@pytest.mark.parametrize(
    ("what", "still"),
    [("nothing", True), ("state", False), ("run", False), ("link", False), ("levels", False),
     ("epoch", False), ("edges", False), ("x-rays", False), ("early", False), ("late", False),
     ("longest", True), ("lacks", False)],
)  # fmt: skip
def test_only_a_room_that_stands_still_needs_no_whole_turn(
    monkeypatch: pytest.MonkeyPatch, what: str, still: bool
) -> None:
    executive = held(at_rest())
    executive.state = BeamState.DARK if what == "state" else BeamState.ARMED
    executive.cycle.due_ns = T + 5 * MS
    ready = what != "lacks"
    monkeypatch.setattr(Firing, "ready_to_fire", lambda self, now_ns, run: ready)
    if what == "run":
        executive.run = None
    inputs = {
        "link": REST._replace(link=False), "levels": REST._replace(levels=NC_CONTACTS),
        "epoch": REST._replace(epoch=2), "edges": REST._replace(unsafe_edges=1),
        "x-rays": REST._replace(xray_rises=1),
    }.get(what, REST)  # fmt: skip
    executive.last_turn_ns = T if what in ("longest", "late") else T + MS
    now_ns = executive.cycle.due_ns + {"early": -1, "late": 1}.get(what, 0)
    assert executive.stands_still(now_ns, inputs) is still


def test_a_strike_says_what_happened_on_its_turn_and_wants_the_next_one_at_once() -> None:
    executive = held(at_rest())
    executive.state = BeamState.ARMED
    executive.cycle.due_ns = T
    executive.book.order = ORDER
    executive.firing.bound = Bound(9, 1, 8000, 300, 263)
    executive.posts = [(Peer.SUPERVISOR, Refused("press", "", "", 1))]
    executive.closed = executive.stray = executive.firing.rehearse(T)
    out = executive.strike(T, REST)
    assert (out.posts, out.closed, out.stray) == ([], None, None)
    assert (executive.closed, executive.stray) == (None, None)
    assert (out.wake_ns, out.exact) == (T, False)
    assert out.intent is not None


def test_a_release_that_nobody_sees_is_not_timed_on() -> None:
    executive = at_rest()
    executive.pedals.of[Pedal.FLUORO].state = PedalState.RELEASING
    executive.step(T + 5 * MS, Inputs(False, 1), [], STORE)
    assert executive.pedals.of[Pedal.FLUORO].state is PedalState.BLOCKED
    assert not executive.pedals._rested, "all must be seen released again"


def test_a_strike_takes_the_stamps_of_its_turn() -> None:
    executive = held(at_rest())
    executive.state, executive.cycle.due_ns = BeamState.ARMED, T
    executive.book.order, executive.firing.bound = ORDER, Bound(9, 1, 8000, 300, 263)
    executive.strike(T, REST._replace(window_rise_ns=T - MS))
    assert executive.firing.shot is not None
    assert executive.firing.shot.window_open_ns == T - MS


@pytest.mark.invariant(13)
@pytest.mark.parametrize("breaks", ["run", "link", "pedal", "nothing"])
def test_an_exercise_goes_on_only_in_the_dark_with_all_pedals_up(breaks: str) -> None:
    executive = at_rest()
    executive.exercise = Exercising(1, Exercise.MONOSTABLE, T, TIMING)
    executive.inputs = REST._replace(link=breaks != "link")
    executive.state = BeamState.CALLED if breaks == "run" else BeamState.DARK
    if breaks == "pedal":
        executive.pedals.of[Pedal.CINE].state = PedalState.RELEASING
    executive._go_on_exercise(T)
    assert (executive.exercise is None) is (breaks != "nothing")


def test_inhibits_stand_while_nothing_else_came() -> None:
    executive = at_rest()
    executive.step(T + 5 * MS, REST, [], STORE)
    assert executive.inhibits_stand(T + 5 * MS)
    executive.standing.append(Inhibit.TONE)
    assert not executive.inhibits_stand(T + 5 * MS)
