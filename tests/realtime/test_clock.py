"""The clocks: a stamp is believed between its floor and now, otherwise nothing looks fresher."""

import struct
import time

import pytest

from realtime import clock
from realtime.clock import arrival_ns, wall_offset_ns

S = 1_000_000_000
NOW_NS = 5_000 * S


@pytest.fixture(autouse=True)
def _frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Monotonic time stands still at NOW_NS, the wall clock shows 70 s more."""
    monkeypatch.setattr(time, "monotonic_ns", lambda: NOW_NS)
    monkeypatch.setattr(time, "time_ns", lambda: NOW_NS + 70 * S)


def stamp(at_ns: int, kind: int = 35) -> tuple[int, int, bytes]:
    """What the kernel adds to a datagram that came at monotonic `at_ns`."""
    wall_ns = at_ns + 70 * S
    return 1, kind, struct.pack("@qq", wall_ns // S, wall_ns % S)


def test_the_offset_takes_wall_time_to_monotonic_time() -> None:
    assert wall_offset_ns() == -70 * S


@pytest.mark.parametrize("at_ns", [NOW_NS, NOW_NS - 1, NOW_NS - 2 * S + 7, NOW_NS - 9 * S])
def test_a_stamp_between_floor_and_now_is_believed(at_ns: int) -> None:
    assert arrival_ns([stamp(at_ns)], wall_offset_ns(), NOW_NS - 9 * S) == at_ns


@pytest.mark.parametrize("at_ns", [NOW_NS + 1, NOW_NS - 9 * S - 1, NOW_NS + 3_600 * S])
def test_a_stamp_from_across_a_step_of_the_wall_clock_is_not(at_ns: int) -> None:
    assert arrival_ns([stamp(at_ns)], wall_offset_ns(), NOW_NS - 9 * S) == NOW_NS - 9 * S


def test_without_a_stamp_nothing_looks_fresher_than_it_is() -> None:
    at_ns = NOW_NS - S
    cut = (1, 35, stamp(at_ns)[2][:-1])
    for words in ([], [stamp(at_ns, kind=34)], [stamp(at_ns, kind=36)], [cut]):
        assert arrival_ns(words, wall_offset_ns(), NOW_NS - 9 * S) == NOW_NS - 9 * S


def test_the_stamp_is_found_among_other_words() -> None:
    words = [(1, 2, b"x" * 12), stamp(NOW_NS - 3)]
    assert arrival_ns(words, wall_offset_ns(), NOW_NS - S) == NOW_NS - 3


def test_a_floor_in_the_future_is_now() -> None:
    assert arrival_ns([], wall_offset_ns(), NOW_NS + 1) == NOW_NS


def test_the_kernel_s_numbers() -> None:
    """SO_TIMESTAMPNS of linux/socket.h; room for one cmsghdr with a timespec, twice over."""
    assert clock.SO_TIMESTAMPNS == 35
    assert clock.STAMP_SPACE == 64
    assert clock.monotonic_ns is not time.time_ns
