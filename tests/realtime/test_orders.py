"""Orders: fenced, expiring, bound to one run, never mixed into a pulse."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime import orders
from realtime.limits import MS, US, S
from realtime.orders import MODES_OF, OrderBook, OrderEvent, OrderState, bound_of
from realtime.wire.messages import ORDER_AHEAD_NS_MAX, Mode, Order, Pedal, Topology
from tests.realtime.roomparts import PANEL_MASTER, TIMING

pytestmark = pytest.mark.invariant(5)

NOW = 5 * S
RUN = 77
GOOD = Order(3, 1, RUN, Mode.FLUORO, 0, 9, 1, 1, NOW + 100 * MS, Topology.CONTROLLER_MASTER,
             33_333_333, 1, 8000, 300, 263)  # fmt: skip


def book() -> OrderBook:
    opened = OrderBook(TIMING)
    assert opened.fence(3)
    opened.open_run(RUN)
    return opened


def offer(to: OrderBook, order: Order, now_ns: int = NOW, mode: Mode = Mode.FLUORO) -> str:
    return to.offer(order, b"raw", now_ns, mode, None)


def test_the_table_is_total() -> None:
    pairs = set(product(OrderState, OrderEvent))
    assert set(orders.ROWS) | set(orders.IGNORED) == pairs
    assert not set(orders.ROWS) & set(orders.IGNORED)
    assert all(orders.IGNORED.values())


def test_every_mode_belongs_to_one_pedal() -> None:
    assert sorted(mode for modes in MODES_OF.values() for mode in modes) == sorted(Mode)
    assert set(MODES_OF) == set(Pedal)


def test_a_good_order_is_held_with_its_bytes() -> None:
    held = book()
    assert offer(held, GOOD) == ""
    assert held.state is OrderState.HELD
    assert held.order == GOOD
    assert held.raw == b"raw"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"supervisor_epoch": 2}, "epoch"),
        ({"supervisor_epoch": 4}, "epoch"),
        ({"order_seq": 0}, "seq"),
        ({"run_id": RUN + 1}, "run"),
        ({"run_id": 0}, "run"),
        ({"expires_ns": NOW}, "expired"),
        ({"expires_ns": NOW - 1}, "expired"),
        ({"expires_ns": NOW + ORDER_AHEAD_NS_MAX + 1}, "too_far_ahead"),
        ({"mode": Mode.CINE}, "mode"),
        ({"level": 1}, "level"),
        ({"topology": Topology.PANEL_MASTER}, "topology"),
        ({"period_num_ns": 31_099_999}, "period"),
        ({"set_us": 50_001}, "width"),
        ({"set_us": 11_338}, "fit"),
    ],
)
def test_each_check_refuses_with_its_code(changed: dict[str, Any], code: str) -> None:
    refusing = book()
    assert offer(refusing, replace(GOOD, **changed)) == code
    assert refusing.order is None
    assert refusing.state is OrderState.NONE


def test_the_largest_pulse_that_fits_is_accepted() -> None:
    assert offer(book(), replace(GOOD, set_us=11_337)) == ""
    assert offer(book(), replace(GOOD, period_num_ns=31_100_000)) == ""
    assert offer(book(), replace(GOOD, expires_ns=NOW + 1)) == ""


def test_before_a_run_is_opened_every_order_is_foreign() -> None:
    closed = OrderBook(TIMING)
    closed.fence(3)
    assert offer(closed, GOOD) == "run"
    assert offer(closed, replace(GOOD, run_id=0)) == "run"


def test_high_level_needs_its_level() -> None:
    order = replace(GOOD, mode=Mode.HIGH_LEVEL)
    assert offer(book(), order, mode=Mode.HIGH_LEVEL) == "level"
    assert offer(book(), replace(order, level=1), mode=Mode.HIGH_LEVEL) == ""


def test_an_older_and_a_repeated_order_are_refused() -> None:
    held = book()
    assert offer(held, replace(GOOD, order_seq=5)) == ""
    assert offer(held, replace(GOOD, order_seq=5)) == "seq"
    assert offer(held, replace(GOOD, order_seq=4)) == "seq"
    assert offer(held, replace(GOOD, order_seq=6)) == ""


@pytest.mark.parametrize(
    "changed", [{"period_num_ns": 66_666_666}, {"period_den": 2, "period_num_ns": 66_666_666}]
)
def test_what_a_run_began_with_stays(changed: dict[str, Any]) -> None:
    held = book()
    assert offer(held, GOOD) == ""
    assert offer(held, replace(GOOD, order_seq=2, **changed)) == "changed_in_run"
    assert offer(held, replace(GOOD, order_seq=3, technique_id=10, bank=0)) == ""
    held.open_run(RUN + 1)
    assert offer(held, replace(GOOD, order_seq=4, run_id=RUN + 1, **changed)) == ""


def test_a_lease_ends_by_itself_at_its_instant() -> None:
    held = book()
    offer(held, GOOD)
    assert not held.expire(GOOD.expires_ns - 1)
    assert held.order is not None
    assert held.expire(GOOD.expires_ns)
    assert held.order is None
    assert held.raw == b""
    assert not held.expire(GOOD.expires_ns)


def test_the_end_of_a_run_voids_its_order() -> None:
    for end in (OrderBook.close_run, OrderBook.void, lambda b: b.fence(4)):
        held = book()
        offer(held, GOOD)
        end(held)
        assert held.order is None
        assert held.state is OrderState.NONE


def test_a_newer_supervisor_fences_the_older_for_ever() -> None:
    held = book()
    offer(held, replace(GOOD, order_seq=50))
    assert held.fence(3)
    assert held.order is not None
    assert held.fence(4)
    assert held.order is None
    assert not held.fence(3)
    assert offer(held, replace(GOOD, order_seq=51)) == "epoch"
    assert offer(held, replace(GOOD, supervisor_epoch=4)) == ""


def test_another_technique_waits_for_the_fall_of_the_pulse() -> None:
    held = book()
    offer(held, GOOD)
    other = replace(GOOD, order_seq=2, technique_id=10, bank=0)
    assert held.offer(other, b"other", NOW, Mode.FLUORO, bound_of(GOOD)) == ""
    assert held.order == GOOD
    held.release_parked(NOW + MS)
    assert held.order == other
    assert held.raw == b"other"


def test_a_renewal_of_the_same_technique_does_not_wait() -> None:
    held = book()
    offer(held, GOOD)
    renewed = replace(GOOD, order_seq=2, expires_ns=NOW + 90 * MS, last_pulse_n=3)
    assert held.offer(renewed, b"x", NOW, Mode.FLUORO, bound_of(GOOD)) == ""
    assert held.order == renewed


def test_a_parked_order_that_has_expired_is_dropped() -> None:
    held = book()
    offer(held, GOOD)
    other = replace(GOOD, order_seq=2, technique_id=10, expires_ns=NOW + MS)
    held.offer(other, b"other", NOW, Mode.FLUORO, bound_of(GOOD))
    held.release_parked(NOW + MS)
    assert held.order == GOOD
    held.release_parked(NOW)
    assert held.order == GOOD


def test_a_parked_order_never_outranks_a_newer_one() -> None:
    held = book()
    offer(held, GOOD)
    parked = replace(GOOD, order_seq=2, technique_id=10, bank=0)
    held.offer(parked, b"parked", NOW, Mode.FLUORO, bound_of(GOOD))
    newest = replace(GOOD, order_seq=3)
    held.offer(newest, b"newest", NOW, Mode.FLUORO, bound_of(GOOD))
    held.release_parked(NOW + MS)
    assert held.order == newest
    assert held.raw == b"newest"


def test_a_parked_order_dies_with_the_lease() -> None:
    held = book()
    offer(held, GOOD)
    parked = replace(GOOD, order_seq=2, technique_id=10)
    held.offer(parked, b"parked", NOW, Mode.FLUORO, bound_of(GOOD))
    held.void()
    held.release_parked(NOW)
    assert held.order is None


ORDERS = st.builds(
    replace,
    st.just(GOOD),
    supervisor_epoch=st.integers(2, 4),
    order_seq=st.integers(0, 6),
    run_id=st.sampled_from([0, RUN, RUN + 1]),
    mode=st.sampled_from([Mode.FLUORO, Mode.FLUORO, Mode.CINE]),
    technique_id=st.integers(9, 10),
    expires_ns=st.integers(NOW - 10 * MS, NOW + 120 * MS),
    set_us=st.sampled_from([8000, 5000, 20_000]),
)


@given(st.lists(st.tuples(ORDERS, st.integers(0, 40), st.booleans()), max_size=25))
def test_whatever_is_offered_the_held_order_is_lawful(
    offers: list[tuple[Order, int, bool]],
) -> None:
    held, now_ns, newest_seq = book(), NOW, 0
    for order, wait_ms, pulsing in offers:
        now_ns += wait_ms * MS
        held.expire(now_ns)
        bound = bound_of(held.order) if pulsing and held.order else None
        code = held.offer(order, b"raw", now_ns, Mode.FLUORO, bound)
        if not code:
            assert order.order_seq > newest_seq
            newest_seq = order.order_seq
        if not pulsing:
            held.release_parked(now_ns)
        if held.order is None:
            assert held.raw == b""
            continue
        assert held.order.run_id == RUN
        assert held.order.supervisor_epoch == 3
        assert held.order.mode is Mode.FLUORO
        assert now_ns < held.order.expires_ns <= now_ns + ORDER_AHEAD_NS_MAX
        needed_us = held.order.set_us + held.order.rise_us + held.order.tail_us
        assert needed_us * US < TIMING.window_ns


def test_panel_master_orders_use_whole_windows() -> None:
    held = OrderBook(PANEL_MASTER)
    held.fence(3)
    held.open_run(RUN)
    order = replace(GOOD, topology=Topology.PANEL_MASTER)
    assert offer(held, replace(order, period_num_ns=50_000_000)) == "period"
    assert offer(held, replace(order, period_num_ns=66_666_666)) == ""


@pytest.mark.invariant(4)
def test_each_pedal_has_its_modes_and_no_others() -> None:
    assert MODES_OF == {
        Pedal.FLUORO: (Mode.FLUORO,), Pedal.HIGH: (Mode.HIGH_LEVEL,),
        Pedal.CINE: (Mode.ONE_SHOT, Mode.CINE, Mode.DSA),
    }  # fmt: skip
