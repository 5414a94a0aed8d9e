"""The monostable against a brute-force reading of its rule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hil.room.monostable import Monostable
from hil.room.records import NEVER

HOLD, APART = 12, 2


def reference(toggles: list[int], t: int) -> bool:
    """Armed at `t`, from the whole history at once: find the arming pair, then no gap since."""
    past = [x for x in toggles if x <= t]
    armed = False
    for k, at in enumerate(past):
        gap = at - past[k - 1] if k else NEVER
        if gap >= HOLD:
            armed = False
        elif not armed and gap >= APART:
            armed = True
    return armed and t - past[-1] < HOLD


@given(st.lists(st.integers(0, 20), max_size=30), st.lists(st.integers(0, 60), max_size=10))
def test_it_is_what_the_rule_says_at_every_instant(gaps: list[int], looks: list[int]) -> None:
    toggles = [sum(gaps[: k + 1]) for k in range(len(gaps))]
    end = (toggles[-1] if toggles else 0) + 40
    machine = Monostable(HOLD, APART)
    level, coming = 0, list(toggles)
    for t in range(end):
        machine.advance(t)
        while coming and coming[0] == t:
            coming.pop(0)
            level = 1 - level
            machine.permit(t, level)
        assert machine.ok == reference(toggles, t), f"at {t} after {toggles}"


@given(st.lists(st.integers(0, 1), max_size=40))
def test_toggles_closer_than_the_distance_never_arm(gaps: list[int]) -> None:
    machine, t = Monostable(HOLD, APART), 0
    for k, gap in enumerate(gaps):
        t += gap
        machine.permit(t, (k + 1) % 2)
        assert not machine.ok


def test_it_drops_exactly_at_the_last_toggle_plus_the_hold() -> None:
    machine = Monostable(HOLD, APART)
    machine.permit(0, 1)
    machine.permit(2, 0)
    assert machine.next_ns() == 14
    machine.advance(13)
    assert machine.ok
    machine.advance(14)
    assert not machine.ok
    assert machine.next_ns() == NEVER


def test_a_level_that_does_not_change_is_no_toggle() -> None:
    machine = Monostable(HOLD, APART)
    for t in (0, 3, 6):
        machine.permit(t, 1)
    assert not machine.ok


def test_after_a_drop_one_toggle_is_not_enough() -> None:
    machine = Monostable(HOLD, APART)
    machine.permit(0, 1)
    machine.permit(3, 0)
    machine.advance(15)
    machine.permit(20, 1)
    assert not machine.ok
    machine.permit(22, 0)
    assert machine.ok


def test_stuck_closes_the_output_whatever_it_does() -> None:
    machine = Monostable(HOLD, APART)
    machine.stuck = True
    assert machine.ok
    assert not machine.armed
