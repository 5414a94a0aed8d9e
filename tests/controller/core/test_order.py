"""Orders: short, numbered, and never more credit than checked results allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core import order as order_module
from controller.core.events import ResultSeen
from controller.core.modes import Mode
from controller.core.order import AHEAD_NS, Lease, credit, order
from controller.core.technique import from_config
from realtime.wire.codec import pack, unpack
from realtime.wire.messages import CREDIT_AHEAD_MAX, ORDER_AHEAD_NS_MAX, Topology
from realtime.wire.messages import Mode as Function
from tests.controller.core.scene import BENCH, Scene, orders, report, result

pytestmark = pytest.mark.invariant(5)

LEASE = Lease(3, 11, Function.FLUORO, from_config(BENCH).numbered(77), 1,
              Topology.CONTROLLER_MASTER)  # fmt: skip


def test_credit_is_two_ahead_of_the_last_checked_pulse() -> None:
    assert [credit(n) for n in (-1, 0, 5)] == [1, 2, 7]
    with pytest.raises(AssertionError):
        credit(-2)


@given(st.integers(-1, 1 << 40), st.integers(1, 1 << 40), st.integers(0, 1 << 60))
def test_an_order_says_exactly_what_the_lease_grants(checked: int, seq: int, now_ns: int) -> None:
    made = order(LEASE, seq, checked, now_ns)
    assert 0 < made.expires_ns - now_ns <= ORDER_AHEAD_NS_MAX
    assert made.last_pulse_n - checked == CREDIT_AHEAD_MAX
    assert (made.run_id, made.technique_id, made.bank, made.order_seq) == (11, 77, 1, seq)
    assert (made.period_num_ns, made.period_den) == (200_000_000, 3)
    assert unpack(pack(made)) == made


@given(st.lists(st.sampled_from(["tick", "fire", "result"]), max_size=80))
def test_no_order_of_a_run_ever_exceeds_its_credit(acts: list[str]) -> None:
    scene = Scene().exposing()
    technique_id = scene.core.wanted.technique_id
    fired, checked, seen = 0, -1, orders(scene.last)
    for act in acts:
        scene.refresh()
        if act == "tick":
            made = orders(scene.tick(5))
            assert all(one.last_pulse_n <= checked + CREDIT_AHEAD_MAX for one in made)
            assert all(one.expires_ns == scene.now_ns + AHEAD_NS for one in made)
            seen += made
        elif act == "fire" and fired <= checked + CREDIT_AHEAD_MAX:
            scene.hear(report(scene.run_id, fired, technique_id))
            fired += 1
        elif act == "result" and fired > checked + 1:
            scene.counter += 1
            scene.tell(ResultSeen(result(scene.counter, technique_id)))
            checked += 1
        if scene.mode() is not Mode.EXPOSING:
            break
    assert [one.order_seq for one in seen] == list(range(1, len(seen) + 1))
    assert {(one.technique_id, one.bank, one.run_id) for one in seen} <= {
        (technique_id, scene.core.bank, scene.run_id)
    }


def test_the_pace_at_rest_is_fixed() -> None:
    assert order_module.REST_TICK_NS == 70_000_000


def test_a_beat_at_rest_may_come_early_by_half_its_pace_and_never_in_a_run() -> None:
    assert order_module.REST_EARLY_NS * 2 == order_module.REST_TICK_NS
    assert order_module.REST_TICK_NS - order_module.REST_EARLY_NS > order_module.TICK_NS
