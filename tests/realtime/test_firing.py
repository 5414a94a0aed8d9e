"""From order to pulse: bind, trigger, fire, fall, readout; skip and count."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from realtime.beam import BeamState
from realtime.inputs import Peer, Store
from realtime.limits import MS, US, Timing
from realtime.wire.lines import In, Out, mask
from realtime.wire.messages import Mode, PulseReport, RunStart, Skip, SkipReason
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import PANEL_MASTER, TIMING

pytestmark = pytest.mark.invariant(5)

BOTH = pytest.mark.parametrize("timing", [TIMING, PANEL_MASTER], ids=lambda t: t.topology.value)


def armed(timing: Timing = TIMING, pulses: int = 3) -> Room:
    """A run whose pulse number `pulses` (from 1) has just been read out."""
    room = Room(timing).ready()
    room.press()
    while len(room.falls) < pulses or room.executive.state is not BeamState.ARMED:
        room.run_for(0.5)
        assert room.now_ns - room.t0_ns < 3000 * MS, room.ends()
    return room


def skips(room: Room) -> list[SkipReason]:
    return [skip.reason for skip in room.sent(Skip)]


def until_binding(room: Room) -> None:
    while room.executive.firing.bound is None:
        room.run_for(0.1)


@pytest.mark.parametrize(
    ("num_ns", "den"), [(33_333_333, 1), (100_000_000, 3), (66_666_667, 1), (1_000_000_000, 4)]
)
def test_pulses_come_when_the_rational_says_never_early(num_ns: int, den: int) -> None:
    room = Room().ready()
    room.technique.period_num_ns, room.technique.period_den = num_ns, den
    room.press()
    room.run_for(2000)
    epoch_ns = room.rises[0]
    assert len(room.rises) >= 2000 * MS * den // num_ns - 5
    assert room.rises == [epoch_ns + k * num_ns // den for k in range(len(room.rises))]


@pytest.mark.parametrize("windows", [1, 2, 4, 15])
def test_panel_master_fires_into_every_kth_window(windows: int) -> None:
    room = Room(PANEL_MASTER).ready()
    room.technique.period_num_ns = windows * PANEL_MASTER.base_period_ns
    room.press()
    room.run_for(2000)
    steps = {b - a for a, b in zip(room.rises, room.rises[1:], strict=False)}
    assert steps == {windows * PANEL_MASTER.base_period_ns}
    assert skips(room) == []


@BOTH
def test_pulse_stays_high_for_its_set_width_and_one_millisecond(timing: Timing) -> None:
    room = armed(timing)
    widths = {fall - rise for rise, fall in zip(room.rises, room.falls, strict=False)}
    assert widths == {9 * MS}


def test_the_first_frame_after_idle_is_cleared_without_a_pulse() -> None:
    room = Room().ready()
    room.press()
    rises = []
    before = 0
    while not room.rises:
        room.run_for(0.1)
        trigger = room.lines & mask(Out.PANEL_TRIGGER)
        if trigger and not before:
            rises.append(room.now_ns)
        before = trigger
    assert len(rises) == 2
    assert room.rises[0] - rises[0] >= TIMING.cycle_ns
    starts = room.sent(RunStart, Peer.IMAGING)
    assert [start.run_id for start in starts] == [room.run_id]


def test_a_panel_that_does_not_clear_is_no_image() -> None:
    room = Room().ready()
    room.panel_on = False
    room.press()
    room.run_for(400)
    assert room.ends() == [("no_image", "panel_did_not_clear")]
    assert room.rises == []


def test_a_free_running_panel_needs_no_clearing() -> None:
    room = Room(PANEL_MASTER).ready()
    room.press()
    room.run_for(400)
    assert BeamState.CLEARING.value not in {state for _, _, state in room.turns}


@BOTH
def test_bank_is_steady_long_before_its_pulse(timing: Timing) -> None:
    room = Room(timing).ready()
    room.press()
    room.run_for(150)
    room.technique.bank = 0
    room.run_for(300)
    banks = [(t, lines & mask(Out.BANK)) for t, lines, _ in room.turns]
    changed = [b[0] for a, b in itertools.pairwise(banks) if a[1] != b[1]]
    assert len(changed) == 2, "up at the first pulse, down with the new technique"
    for rise_ns in room.rises:
        assert not [t for t in changed if rise_ns - 1 * MS < t <= rise_ns + 9 * MS]


@BOTH
def test_no_pulse_mixes_two_techniques(timing: Timing) -> None:
    room = Room(timing).ready()
    for n in range(120):
        room.after(150 + n * 7.3, setattr, room.technique, "technique_id", 10 + n)
        room.after(150 + n * 7.3, setattr, room.technique, "bank", n & 1)
    room.press()
    room.run_for(1000)
    bank_at = {t: bool(lines & mask(Out.BANK)) for t, lines, _ in room.turns}
    reports = room.sent(PulseReport)
    assert len(reports) > 20
    assert len({report.technique_id for report in reports}) > 10
    for report in reports:
        assert bank_at[report.start_ns] == bool(report.bank)
        if report.technique_id > 9:
            assert report.bank == report.technique_id % 2
        during = [b for t, b in bank_at.items() if report.start_ns <= t < report.end_ns]
        assert set(during) == {bool(report.bank)}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda room: setattr(room, "store", Store(32_768, 32_768)), SkipReason.BLACK_BOX),
        (lambda room: setattr(room.executive.book, "order", None), SkipReason.NO_ORDER),
    ],
)
def test_what_is_missing_when_a_slot_is_bound(spoil: Any, reason: SkipReason) -> None:
    room = armed()
    spoil(room)
    run = room.executive.run
    assert run is not None
    now_ns = room.executive.cycle.bind_ns()
    room.executive.begin_outputs()
    room.executive.store = room.store
    room.executive.firing.turn(now_ns, run)
    assert skips(room) == []
    sent = [m for _, m in room.executive.posts if isinstance(m, Skip)]
    assert [m.reason for m in sent] == [reason, reason]


@pytest.mark.parametrize(
    ("line", "low", "reason"),
    [
        (In.WINDOW, 0, SkipReason.NO_WINDOW),
        (In.PERMIT_OK, 0, SkipReason.GATE),
        (In.CHAIN_OK, 0, SkipReason.GATE),
    ],
)
def test_what_is_missing_at_the_due_instant(line: In, low: int, reason: SkipReason) -> None:
    room = armed()
    put = room.put

    def stuck(bit: int, level: int) -> None:
        put(bit, low if bit == line else level)

    room.put = stuck  # type: ignore[method-assign]
    room.put(line, low)
    room.run_for(40)
    assert skips(room)[0] is reason
    assert len(room.rises) == 3


def test_without_credit_and_without_pictures_slots_are_skipped_and_counted() -> None:
    room = armed()
    room.crediting = False
    room.run_for(200)
    assert set(skips(room)) == {SkipReason.NO_CREDIT}
    room = armed()
    room.judging = lambda n: None
    room.run_for(200)
    assert set(skips(room)) == {SkipReason.NO_VERDICT}
    assert room.ends() == [("no_image", "skips")]


def test_an_order_that_would_end_before_the_pulse_fires_nothing() -> None:
    room = armed()
    until_binding(room)
    order = room.executive.book.order
    assert order is not None
    due_ns = room.executive.cycle.due_ns
    room.executive.book.order = replace(order, expires_ns=due_ns + 8563 * US)
    room.renewing = False
    room.run_for(5)
    assert skips(room) == [SkipReason.NO_ORDER]
    assert len(room.rises) == 3


def test_an_order_that_outlives_the_pulse_by_a_nanosecond_fires() -> None:
    room = armed()
    until_binding(room)
    order = room.executive.book.order
    assert order is not None
    due_ns = room.executive.cycle.due_ns
    kept = replace(order, expires_ns=due_ns + 8563 * US + 1)
    room.executive.book.order = room.last_order = kept
    room.renewing = False
    room.run_for(5)
    assert len(room.rises) == 4


@BOTH
@pytest.mark.parametrize("late_us", [400, 600, 3000])
def test_on_time_or_not_at_all(timing: Timing, late_us: int) -> None:
    room = armed(timing)
    until_binding(room)
    due_ns = room.executive.cycle.due_ns
    room.at(due_ns - 300 * US, room.sleep, (300 + late_us) / 1000)
    room.run_for(20)
    if late_us <= 500:
        assert room.rises[3] == due_ns + late_us * US
        assert skips(room) == []
    else:
        assert len(room.rises) == 3
        assert skips(room) == [SkipReason.LATE]
    room.run_for(200)
    assert len(room.rises) > 5, "the schedule goes on"


def test_a_turn_that_comes_after_due_before_binding_is_late() -> None:
    room = armed()
    bind_ns = room.executive.cycle.bind_ns()
    room.at(bind_ns - 100 * US, room.sleep, 4)
    room.run_for(30)
    assert skips(room) == [SkipReason.LATE]


def test_a_window_that_opened_late_does_not_fit() -> None:
    room = armed()
    until_binding(room)
    room.timing = replace(TIMING, trigger_delay_ns=TIMING.trigger_delay_ns + 600 * US)
    room.run_for(20)
    assert skips(room) == [SkipReason.NO_FIT]
    assert len(room.rises) == 3


def test_a_panel_that_stops_in_a_run_ends_it() -> None:
    room = armed()
    room.panel_on = False
    room.run_for(300)
    assert set(skips(room)) == {SkipReason.NO_WINDOW}
    assert room.ends() == [("no_image", "skips")]


@pytest.mark.parametrize("drift_us", [-150, 150])
def test_a_panel_that_drifts_is_followed(drift_us: int) -> None:
    room = Room(PANEL_MASTER).ready()
    room.press()
    room.run_for(300)
    room.timing = replace(PANEL_MASTER, base_period_ns=PANEL_MASTER.base_period_ns + drift_us * US)
    rises = len(room.rises)
    room.run_for(1000)
    assert len(room.rises) - rises >= 25
    assert room.trips() == []


def test_a_panel_whose_phase_jumps_is_skipped_never_chased() -> None:
    room = Room(PANEL_MASTER).ready()
    room.press()
    room.run_for(300)
    room.timing = replace(PANEL_MASTER, base_period_ns=PANEL_MASTER.base_period_ns + 7 * MS)
    room.run_for(40)
    room.timing = PANEL_MASTER
    room.run_for(400)
    assert skips(room)
    assert set(skips(room)) <= {SkipReason.NO_WINDOW, SkipReason.NO_FIT}


def test_a_window_that_never_closes_does_not_hold_the_run() -> None:
    room = armed()
    put = room.put

    def stuck(bit: int, level: int) -> None:
        if bit != In.WINDOW or level:
            put(bit, level)

    room.put = stuck  # type: ignore[method-assign]
    room.run_for(300)
    assert room.ends() == [("no_image", "skips")]
    assert set(skips(room)) <= {SkipReason.NO_FIT, SkipReason.NO_WINDOW, SkipReason.LATE}


def test_a_readout_that_ends_after_the_next_slot_skips_it() -> None:
    room = armed()
    while not room.lines & mask(Out.PULSE):
        room.run_for(0.1)
    room.at(room.rises[-1] + 9 * MS + US, room.sleep, 17.5)
    room.run_for(30)
    assert skips(room) == [SkipReason.LATE]
    assert room.trips() == []


def test_a_slot_that_was_slept_over_is_counted() -> None:
    room = armed()
    run = room.executive.run
    assert run is not None
    until_binding(room)
    room.executive.cycle.num_ns //= 4
    due_ns = room.executive.cycle.due_ns
    room.at(due_ns - 100 * US, room.sleep, 18)
    room.run_for(25)
    assert room.trips() == []
    assert run.skipped > len(skips(room)) > 0


@pytest.mark.parametrize("spoil", ["tone", "bound", "xray"])
def test_the_hardware_must_agree_at_due(spoil: str) -> None:
    room = armed()
    until_binding(room)
    firing, run, order = room.executive.firing, room.executive.run, room.executive.book.order
    assert run is not None
    assert order is not None
    room.run_for(0)
    due_ns = room.executive.cycle.due_ns
    good = room.executive.inputs._replace(
        levels=room.levels | mask(In.WINDOW, In.PERMIT_OK, In.CHAIN_OK)
    )
    room.executive.inputs = good
    assert firing._hardware_agrees(due_ns, run, order)
    if spoil == "tone":
        run.mode = Mode.HIGH_LEVEL
    elif spoil == "bound":
        order = replace(order, technique_id=order.technique_id + 1)
    else:
        room.executive.inputs = good._replace(levels=good.levels | mask(In.XRAY_ON))
    assert not firing._hardware_agrees(due_ns, run, order)


def test_bank_and_spacing_must_have_settled() -> None:
    room = armed()
    until_binding(room)
    firing, run, order = room.executive.firing, room.executive.run, room.executive.book.order
    assert run is not None
    assert order is not None
    levels = room.levels | mask(In.WINDOW, In.PERMIT_OK, In.CHAIN_OK)
    room.executive.inputs = room.executive.inputs._replace(levels=levels)
    settled_ns = max(firing.bound_ns + MS, run.last_start_ns + TIMING.spacing_min_ns)
    assert firing._hardware_agrees(settled_ns, run, order)
    assert not firing._hardware_agrees(settled_ns - 1, run, order)
