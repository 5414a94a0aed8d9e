"""A frame's number against its time."""

import pytest

from controller.imaging.frame_count import FrameCount
from realtime.wire.ring import Slot

MS = 1_000_000


def slot(frame_no: int, open_ms: int) -> Slot:
    open_ns = open_ms * MS
    return Slot(1, frame_no, open_ns, open_ns + 13 * MS, open_ns + 31 * MS, 4, 4, 0, 32, 0, 0)


@pytest.mark.parametrize(
    ("frame_no", "good"), [(10, False), (9, False), (11, True), (16, True), (17, False)]
)
def test_a_counter_grows_no_faster_than_its_windows(frame_no: int, good: bool) -> None:
    count = FrameCount()
    assert count.possible(slot(10, 1000))
    assert count.possible(slot(frame_no, 1066)) is good


def test_the_same_frame_may_be_looked_at_again() -> None:
    count = FrameCount()
    assert count.possible(slot(10, 1000))
    assert count.possible(slot(10, 1000))


def test_a_number_that_cannot_be_is_not_followed() -> None:
    count = FrameCount()
    assert count.possible(slot(10, 1000))
    assert not count.possible(slot(1011, 1066))
    assert count.possible(slot(12, 1132))


def test_a_new_run_begins_anywhere() -> None:
    count = FrameCount()
    assert count.possible(slot(10, 1000))
    count.forget()
    assert count.possible(slot(3, 1066))
