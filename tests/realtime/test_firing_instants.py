"""Firing at the very instants of its limits: one turn each, everything else as it should be."""

from dataclasses import replace

import pytest

from realtime.beam import BeamState
from realtime.executive import Executive
from realtime.firing import TRIGGER_HIGH_NS, Firing, stray_record
from realtime.inputs import Inputs, Peer, Store
from realtime.limits import (
    BANK_SETTLE_NS,
    LATE_MAX_NS,
    MS,
    PERMIT_LEAD_NS,
    US,
    WINDOW_LATE_NS,
    S,
    Timing,
)
from realtime.orders import Bound, OrderState, bound_of
from realtime.run import Run, Shot
from realtime.watch import Asked
from realtime.wire.lines import INTERLOCKS, NC_CONTACTS, In, mask
from realtime.wire.messages import EndReason, Mode, Order, Pedal, PulseReport, Skip, SkipReason
from realtime.wire.record import REASONS, RecordKind, RecordState
from tests.realtime.roomparts import PANEL_MASTER, TIMING

pytestmark = pytest.mark.invariant(5)

T = 10 * S
ORDER = Order(3, 5, 500, Mode.FLUORO, 0, 9, 1, 1, T + S, TIMING.topology, 40_000_000, 1, 8000, 300,
              263)  # fmt: skip
READY = INTERLOCKS | NC_CONTACTS | mask(In.WINDOW, In.PERMIT_OK, In.CHAIN_OK, In.TONE_READBACK)
OPENED_NS = T - 800 * US


def due_now(timing: Timing = TIMING, mode: Mode = Mode.FLUORO) -> Executive:
    """ARMED, bound, due at T, inside its window: it would fire."""
    beam = Executive(timing, 7, 41, [], [])
    beam.state, beam.run = BeamState.ARMED, Run(500, Pedal.FLUORO, mode, T - S)
    beam.inputs = Inputs(True, 1, READY, 0, OPENED_NS, OPENED_NS - 20 * MS)
    beam.store = Store(0, 8)
    order = replace(ORDER, mode=mode)
    beam.book.order, beam.book.state = order, OrderState.HELD
    beam.book.run_id, beam.book.epoch = 500, 3
    beam.cycle.start(order, T - 200 * MS, T - 100 * MS)
    beam.cycle.epoch_ns = beam.cycle.due_ns = T
    beam.firing.bound, beam.firing.bound_ns = bound_of(order), T - 4 * MS
    return beam


def run_of(beam: Executive) -> Run:
    assert beam.run is not None
    return beam.run


def turned(beam: Executive, now_ns: int = T) -> BeamState:
    beam.firing.turn(now_ns, run_of(beam))
    return beam.state


def skips(beam: Executive) -> list[SkipReason]:
    return [m.reason for peer, m in beam.posts if isinstance(m, Skip) and peer is Peer.SUPERVISOR]


def test_the_trigger_is_high_for_two_milliseconds() -> None:
    assert TRIGGER_HIGH_NS == 2_000_000


def test_a_pulse_that_lacks_nothing_fires_at_its_due_instant_and_not_before() -> None:
    beam = due_now()
    assert turned(beam, T - 1) is BeamState.ARMED
    assert skips(beam) == []
    assert turned(beam) is BeamState.PULSE
    assert (run_of(beam).fired, run_of(beam).last_start_ns, beam.firing.pulse_id_next) == (1, T, 42)
    assert beam.firing.fall_ns == T + 9 * MS
    assert beam.firing.asked == Asked(T, 0, bound_of(ORDER))
    assert beam.intent is not None
    assert (beam.intent.pulse_id, beam.intent.due_ns, beam.intent.start_ns) == (41, T, T)
    assert (beam.intent.window_open_ns, beam.intent.window_close_ns) == (
        OPENED_NS, OPENED_NS + 13 * MS)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("late", SkipReason.LATE), ("no order", SkipReason.NO_ORDER),
        ("spent", SkipReason.NO_CREDIT), ("unseen", SkipReason.NO_VERDICT),
        ("full", SkipReason.BLACK_BOX), ("order ends with the pulse", SkipReason.NO_ORDER),
        ("window shut", SkipReason.NO_WINDOW), ("window too old", SkipReason.NO_FIT),
        ("permit", SkipReason.GATE), ("chain", SkipReason.GATE), ("x-rays", SkipReason.GATE),
        ("other technique", SkipReason.GATE), ("bank just set", SkipReason.GATE),
        ("too soon", SkipReason.GATE), ("inhibited", SkipReason.GATE),
    ],
)  # fmt: skip
def test_one_thing_that_is_lacking_skips_the_slot(change: str, reason: SkipReason) -> None:
    beam = due_now()
    run, now_ns = run_of(beam), T
    end_ns = T + (8000 + 300 + 263) * US
    if change == "late":
        now_ns = T + LATE_MAX_NS + 1
    elif change == "no order":
        beam.book.order = None
    elif change == "spent":
        run.fired, run.last_valid_n = 2, 1
    elif change == "unseen":
        run.fired, run.last_valid_n = 2, -1
        beam.book.order = replace(ORDER, last_pulse_n=9)
    elif change == "full":
        beam.store = Store(8, 8)
    elif change == "order ends with the pulse":
        beam.book.order = replace(ORDER, expires_ns=end_ns)
    elif change == "window too old":
        beam.inputs = beam.inputs._replace(window_rise_ns=T - 20 * MS, window_fall_ns=T - 21 * MS)
    elif change == "other technique":
        beam.book.order = replace(ORDER, technique_id=10)
    elif change == "bank just set":
        beam.firing.bound_ns = T - BANK_SETTLE_NS + 1
    elif change == "too soon":
        run.last_start_ns = T - TIMING.spacing_min_ns + 1
    elif change == "inhibited":
        beam.inhibited = True
    else:
        bits = {"window shut": In.WINDOW, "permit": In.PERMIT_OK, "chain": In.CHAIN_OK,
                "x-rays": In.XRAY_ON}  # fmt: skip
        beam.inputs = beam.inputs._replace(levels=READY ^ mask(bits[change]))
    assert turned(beam, now_ns) is BeamState.ARMED
    assert skips(beam) == [reason]
    assert beam.firing.bound is None
    assert beam.cycle.slot_k == 1


def test_what_is_just_enough_fires() -> None:
    beam = due_now()
    run = run_of(beam)
    run.last_start_ns = T - TIMING.spacing_min_ns
    beam.firing.bound_ns = T - BANK_SETTLE_NS
    beam.store = Store(7, 8)
    beam.book.order = replace(ORDER, expires_ns=T + (8000 + 300 + 263) * US + 1)
    assert beam.firing.ready_to_fire(T, run)
    assert turned(beam) is BeamState.PULSE
    late = due_now()
    assert turned(late, T + LATE_MAX_NS) is BeamState.PULSE


@pytest.mark.parametrize(("tone", "state"), [(True, BeamState.PULSE), (False, BeamState.ARMED)])
def test_high_level_fires_with_its_tone_only(tone: bool, state: BeamState) -> None:
    beam = due_now(mode=Mode.HIGH_LEVEL)
    if not tone:
        beam.inputs = beam.inputs._replace(levels=READY ^ mask(In.TONE_READBACK))
    assert turned(beam) is state


def test_a_pulse_that_is_not_bound_is_not_ready() -> None:
    beam = due_now()
    beam.firing.bound = None
    assert not beam.firing.ready_to_fire(T, run_of(beam))
    bound = due_now()
    bound.book.order = None
    assert not bound.firing.ready_to_fire(T, run_of(bound))


def test_a_technique_is_bound_at_its_instant_and_not_before() -> None:
    beam = due_now()
    beam.firing.bound = None
    bind_ns = beam.cycle.bind_ns()
    seen: list[Bound | None] = []
    for now_ns in (bind_ns - 1, bind_ns):
        turned(beam, now_ns)
        seen.append(beam.firing.bound)
    assert seen == [None, bound_of(ORDER)]
    assert beam.firing.bound_ns == bind_ns


@pytest.mark.parametrize(("late_ns", "reasons"), [(-1, []), (0, [SkipReason.LATE])])
def test_a_slot_that_is_due_and_not_bound_is_late(late_ns: int, reasons: list[SkipReason]) -> None:
    beam = due_now()
    beam.firing.bound = None
    turned(beam, T + late_ns)
    assert skips(beam) == reasons


def test_an_order_that_ends_between_binding_and_due_still_binds() -> None:
    """A renewal comes meanwhile; at due it is asked for again."""
    beam = due_now()
    beam.firing.bound = None
    beam.book.order = replace(ORDER, expires_ns=T)
    turned(beam, beam.cycle.bind_ns())
    assert beam.firing.bound is not None


# Clearing, fall, readout ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rise_ns", "fall_ns", "state"),
    [(1, 2, BeamState.ARMED), (0, 2, BeamState.DARK), (2, 2, BeamState.DARK),
     (3, 2, BeamState.DARK)],
)  # fmt: skip
def test_the_panel_has_cleared_when_its_window_rose_and_fell_since(
    rise_ns: int, fall_ns: int, state: BeamState
) -> None:
    beam = due_now()
    beam.state, beam.firing.clear_ns = BeamState.CLEARING, T - 50 * MS
    beam.firing.bound = None
    beam.inputs = beam.inputs._replace(
        window_rise_ns=beam.firing.clear_ns + rise_ns, window_fall_ns=beam.firing.clear_ns + fall_ns
    )
    looks_ns = T - PERMIT_LEAD_NS - MS
    assert turned(beam, looks_ns - 1) is BeamState.CLEARING
    assert turned(beam, looks_ns) is state


def test_a_free_running_panel_is_armed_on_the_turn_of_its_order() -> None:
    beam = due_now(PANEL_MASTER)
    beam.state, beam.firing.bound = BeamState.CALLED, None
    beam.inputs = beam.inputs._replace(window_rise_ns=0)
    assert turned(beam, T) is BeamState.ARMED
    assert beam.firing.clear_ns == T


def pulsing(mode: Mode = Mode.FLUORO) -> Executive:
    beam = due_now(mode=mode)
    turned(beam)
    beam.posts, beam.intent = [], None
    return beam


def test_pulse_falls_at_its_instant_and_not_before() -> None:
    beam = pulsing()
    assert turned(beam, T + 9 * MS - 1) is BeamState.PULSE
    assert beam.closed is None
    assert turned(beam, T + 9 * MS) is BeamState.READOUT
    reports = [message for _, message in beam.posts]
    assert [type(report) for report in reports] == [PulseReport, PulseReport]
    assert [peer for peer, _ in beam.posts] == [Peer.SUPERVISOR, Peer.IMAGING]
    assert beam.firing.asked == Asked(T, T + 9 * MS, bound_of(ORDER))
    assert (beam.firing.shot, beam.firing.bound) == (None, None)
    assert beam.cycle.slot_k == 1


@pytest.mark.parametrize(
    ("on_ns", "off_ns", "noted"),
    [(0, 8 * MS, (T, T + 8 * MS)), (-1, 8 * MS, (0, 0)), (MS, MS, (T + MS, 0)),
     (MS, 2 * MS, (T + MS, T + 2 * MS))],
)  # fmt: skip
def test_a_record_has_the_x_rays_of_its_own_pulse(
    on_ns: int, off_ns: int, noted: tuple[int, int]
) -> None:
    beam = pulsing()
    beam.firing.seen = beam.inputs._replace(xray_rise_ns=T + on_ns, xray_fall_ns=T + off_ns)
    turned(beam, T + 9 * MS)
    assert beam.closed is not None
    assert beam.closed.state == RecordState.CLOSED
    assert (beam.closed.xray_on_ns, beam.closed.xray_off_ns) == noted


def reading_out(levels: int = READY) -> Executive:
    beam = pulsing()
    turned(beam, T + 9 * MS)
    beam.posts = []
    beam.inputs = beam.inputs._replace(levels=levels)
    return beam


def test_the_readout_begins_when_the_window_shuts_or_is_overdue() -> None:
    overdue_ns = OPENED_NS + 13 * MS + WINDOW_LATE_NS
    open_still = reading_out()
    assert turned(open_still, overdue_ns) is BeamState.READOUT
    assert turned(open_still, overdue_ns + 1) is BeamState.ARMED
    shut = reading_out(READY ^ mask(In.WINDOW))
    assert turned(shut, T + 10 * MS) is BeamState.ARMED


@pytest.mark.parametrize(("early_ns", "reasons"), [(1, []), (0, [SkipReason.LATE])])
def test_a_slot_that_the_readout_has_outlasted_is_late(
    early_ns: int, reasons: list[SkipReason]
) -> None:
    beam = reading_out(READY ^ mask(In.WINDOW))
    beam.firing._read_out(beam.cycle.due_ns - beam.cycle.prepare_lead_ns() - early_ns, run_of(beam))
    assert skips(beam) == reasons


def test_a_one_shot_is_over_with_its_picture() -> None:
    beam = pulsing(Mode.ONE_SHOT)
    turned(beam, T + 9 * MS)
    run = run_of(beam)
    beam.inputs = beam.inputs._replace(levels=READY ^ mask(In.WINDOW))
    beam.firing.turn(T + 14 * MS, run)
    assert beam.run is None
    assert beam.state is BeamState.DARK


def test_a_cut_closes_the_record_and_forgets_the_next_pulse() -> None:
    beam = pulsing()
    beam.firing.cut(T + MS, EndReason.RELEASE)
    assert beam.closed is not None
    assert (beam.closed.end_ns, beam.firing.shot, beam.firing.bound) == (T + MS, None, None)
    waiting = due_now()
    waiting.firing.cut(T, EndReason.RELEASE)
    assert (waiting.closed, waiting.firing.bound) == (None, None)


def test_what_the_last_gate_vetoes_never_was() -> None:
    beam = pulsing()
    run = run_of(beam)
    beam.firing.veto(T, run, "window")
    assert (run.fired, run.skipped, beam.firing.pulse_id_next) == (0, 1, 41)
    assert (beam.firing.shot, beam.firing.asked, beam.firing.bound) == (None, None, None)
    assert beam.state is BeamState.ARMED
    assert skips(beam) == [SkipReason.GATE]


def test_a_skip_says_its_slot_and_counts_those_that_were_slept_over() -> None:
    beam = due_now()
    run = run_of(beam)
    beam.firing._skip(T + 90 * MS, run, SkipReason.NO_WINDOW)
    (_, skip), (peer, other) = beam.posts
    assert skip == other == Skip(500, 0, T, SkipReason.NO_WINDOW)
    assert peer is Peer.IMAGING
    assert run.skipped == 1 + 2
    assert run.skip_streak == 1


def test_what_is_rehearsed_is_what_would_be_written() -> None:
    beam = due_now()
    record = beam.firing.rehearse(T)
    assert record is not None
    assert (record.pulse_id, record.state) == (41, RecordState.INTENT)
    for lacking in ("run", "order", "bound"):
        beam = due_now()
        if lacking == "run":
            beam.run = None
        elif lacking == "order":
            beam.book.order = None
        else:
            beam.firing.bound = None
        assert beam.firing.rehearse(T) is None, lacking


def test_a_shot_takes_its_numbers_from_run_order_and_slot() -> None:
    beam = due_now()
    beam.cycle.slot_k = 6
    turned(beam)
    shot = beam.firing.shot
    assert isinstance(shot, Shot)
    assert (shot.slot_k, shot.due_ns, shot.start_ns) == (6, T, T)
    assert (shot.window_open_ns, shot.window_ns) == (OPENED_NS, TIMING.window_ns)
    assert (shot.run_id, shot.pulse_n, shot.order_seq, shot.epoch) == (500, 0, 5, 3)


def test_a_slot_without_an_order_says_so_even_when_it_is_late() -> None:
    beam = due_now()
    beam.firing.bound = beam.book.order = None
    turned(beam)
    assert skips(beam) == [SkipReason.NO_ORDER]


def test_a_pulse_ends_a_row_of_skips() -> None:
    beam = due_now()
    run_of(beam).skip_streak = 2
    turned(beam)
    assert run_of(beam).skip_streak == 0


def test_the_rehearsal_walks_the_checks_of_the_due_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = []
    monkeypatch.setattr(Firing, "_lacks_at_due", lambda self, now_ns, run: walked.append(now_ns))
    due_now().firing.rehearse(T - 300 * US)
    assert walked == [T - 300 * US]


def test_an_order_that_was_parked_takes_effect_after_the_slot_it_waited_for() -> None:
    beam = due_now()
    newer = replace(ORDER, technique_id=10)
    beam.book._parked = (newer, b"newer")
    beam.firing._skip(T, run_of(beam), SkipReason.NO_WINDOW)
    assert (beam.book.order, beam.book.raw) == (newer, b"newer")


@pytest.mark.parametrize(
    ("rise_ns", "fall_ns", "noted"),
    [(T - 5, T - 1, (T - 5, T - 1)), (T - 5, T - 5, (T - 5, 0)), (T - 5, T - 9, (T - 5, 0)),
     (0, 0, (T, 0))],
)  # fmt: skip
@pytest.mark.parametrize("in_a_run", [True, False])
def test_x_rays_nobody_asked_for_are_recorded_with_their_times_and_nothing_else(
    rise_ns: int, fall_ns: int, noted: tuple[int, int], in_a_run: bool
) -> None:
    run = Run(500, Pedal.FLUORO, Mode.FLUORO, T) if in_a_run else None
    seen = Inputs(True, 1, READY, 0, 0, 0, rise_ns, fall_ns, 1)
    record = stray_record(seen, T, run)
    assert (record.kind, record.state) == (RecordKind.STRAY, RecordState.CLOSED)
    assert REASONS[record.end_reason] is EndReason.TRIP
    assert (record.xray_on_ns, record.xray_off_ns) == noted
    assert record.run_id == (500 if in_a_run else 0)
    rest = ("mode bank flags pulse_n technique_id pulse_id order_seq supervisor_epoch due_ns "
            "start_ns end_ns window_open_ns window_close_ns set_us")  # fmt: skip
    assert {getattr(record, name) for name in rest.split()} == {0}
