"""What nothing has happened to yet: every count at zero, every time unknown, everything dark."""

from dataclasses import replace

import pytest

from realtime.executive import CALLED_MAX_NS, Executive
from realtime.firing import Firing
from realtime.inputs import Peer
from realtime.orders import Bound, OrderBook, OrderState
from realtime.run import SKIP_STREAK_MAX, Run, Shot
from realtime.wire.messages import Mode, Order, Pedal, SkipReason
from tests.realtime.miniroom import Room
from tests.realtime.roomparts import PANEL_MASTER, TIMING

pytestmark = pytest.mark.invariant(12)

ORDER = Order(
    3, 1, 500, Mode.FLUORO, 0, 9, 1, 1, 10**12, TIMING.topology, 40_000_000, 1, 8000, 300, 263
)


def test_a_run_begins_with_nothing_fired_skipped_or_seen() -> None:
    run = Run(500, Pedal.FLUORO, Mode.FLUORO, 7)
    assert (run.fired, run.skipped, run.skip_streak, run.invalid_streak) == (0, 0, 0, 0)
    assert (run.last_valid_n, run.verdict_n) == (-1, -1)
    assert (run.start_ns, run.last_start_ns) == (7, 0)


def test_the_third_slot_in_a_row_that_lacks_something_ends_the_run() -> None:
    run = Run(500, Pedal.FLUORO, Mode.FLUORO, 7)
    seen = []
    for _ in range(3):
        run.skip(SkipReason.NO_VERDICT, 1)
        seen.append(run.stuck())
    assert seen == [False, False, True]
    assert SKIP_STREAK_MAX == 3


def test_a_shot_knows_no_time_before_it_is_fired() -> None:
    shot = Shot(Run(500, Pedal.FLUORO, Mode.FLUORO, 7), ORDER, Bound(9, 1, 8000, 300, 263), 1)
    assert (shot.slot_k, shot.due_ns, shot.start_ns) == (0, 0, 0)
    assert (shot.window_open_ns, shot.window_ns) == (0, 0)


def test_a_record_of_an_intent_has_no_end_and_no_x_rays() -> None:
    room = Room().ready()
    room.press()
    room.run_for(400)
    intents = [record for record in room.records if record.state == 1]
    assert intents
    for record in intents:
        assert (record.end_ns, record.xray_on_ns, record.xray_off_ns, record.flags) == (0, 0, 0, 0)


def test_a_book_begins_without_epoch_number_run_or_order() -> None:
    book = OrderBook(TIMING)
    assert (book.epoch, book.seq, book.run_id) == (0, 0, 0)
    assert (book.state, book.order, book.raw) == (OrderState.NONE, None, b"")
    book.open_run(500)
    book.close_run()
    assert book.run_id == 0


def test_a_newer_supervisor_counts_its_orders_from_the_beginning() -> None:
    book = OrderBook(TIMING)
    book.seq = 77
    assert book.fence(4)
    assert book.seq == 0


def test_a_width_of_exactly_the_cap_is_accepted() -> None:
    wide = replace(TIMING, width_cap_ns=8_000_000)
    for set_us, code in ((8000, ""), (8001, "width")):
        book = OrderBook(wide)
        book.fence(3)
        book.open_run(500)
        now_ns = ORDER.expires_ns - 50_000_000
        order = replace(ORDER, set_us=set_us)
        assert book.offer(order, b"x", now_ns, Mode.FLUORO, None) == code


def test_nothing_is_bound_asked_or_due_at_start() -> None:
    for timing in (TIMING, PANEL_MASTER):
        room = Room(timing)
        firing: Firing = room.executive.firing
        assert (firing.asked, firing.bound, firing.shot) == (None, None, None)
        assert (firing.bound_ns, firing.clear_ns, firing.fall_ns) == (0, 0, 0)
        cycle = room.executive.cycle
        assert (cycle.due_ns, cycle.epoch_ns, cycle.slot_k) == (0, 0, -1)
        assert (cycle.num_ns, cycle.den, cycle.windows) == (0, 1, 1)
        outlines = room.executive.outlines
        assert (outlines.permit, outlines.bank, outlines.sent, outlines.toggled_ns) == (0, 0, 0, 0)
        signal = room.executive.irradiation
        assert (signal.total_ns, signal.until_ns) == (0, 0)


def test_an_executive_begins_dark_and_knows_nothing() -> None:
    fresh = Executive(TIMING, 7, 1, [], [])
    assert (fresh.run_count, fresh.inhibited, fresh.opened) == (0, False, False)
    assert (fresh.last_turn_ns, fresh.state_due_ns, fresh.store) == (-1, 0, (0, 1))
    assert fresh.links == dict.fromkeys(Peer, False)
    assert (fresh.posts, fresh.intent, fresh.closed, fresh.stray) == ([], None, None, None)
    assert CALLED_MAX_NS == 35_000_000_000


def test_what_is_rehearsed_is_an_intent_without_times() -> None:
    room = Room().ready()
    room.press()
    while room.executive.firing.bound is None:
        room.run_for(1)
    record = room.executive.firing.rehearse(0)
    assert record is not None
    assert (record.due_ns, record.start_ns, record.end_ns, record.window_open_ns) == (0, 0, 0, 0)
