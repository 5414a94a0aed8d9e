"""Once per id, whatever the clock does and however many come."""

from hypothesis import given
from hypothesis import strategies as st

from controller.service.core.replay import Seen, Taken, Window


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2_000), st.integers(1, 900)), max_size=80)
)
def test_no_id_runs_twice_under_any_clock(steps: list[tuple[int, int, int]]) -> None:
    window, ran = Window(capacity=8), set[tuple[str, int]]()
    for number, now_ms, ahead_ms in steps:
        key, expires_ms = f"id-{number}", now_ms + ahead_ms
        if window.seen(key, expires_ms, "d", now_ms) is Seen.NEVER:
            # The same message: same id and same expiry.
            assert (key, expires_ms) not in ran
            ran.add((key, expires_ms))
            window.take(key, Taken(expires_ms, now_ms, "d"))
        assert len(window.ids) <= 8


def test_an_expired_id_is_forgotten_and_leaves_its_floor() -> None:
    window = Window(capacity=8)
    window.take("a", Taken(100, 50, "d"))
    window.take("b", Taken(300, 200, "d"))
    assert "a" not in window.ids
    assert window.seen("a", 100, "d", 60) is Seen.FORGOTTEN


def test_the_same_bytes_are_a_duplicate_only_for_a_moment() -> None:
    window = Window(capacity=8)
    window.take("a", Taken(100_000, 0, "d"))
    assert window.seen("a", 100_000, "d", 5_000) is Seen.JUST_NOW
    assert window.seen("a", 100_000, "d", 5_001) is Seen.BEFORE
    assert window.seen("a", 100_000, "e", 1) is Seen.BEFORE
