"""Read-backs against what was asked: stray and missing X-rays, tone and lamp."""

import pytest

from realtime.inputs import Inputs
from realtime.limits import MS, READBACK_MAX_NS, US, S
from realtime.orders import Bound
from realtime.watch import Asked, Readback, in_time, missing, rose_with, stray
from realtime.wire.lines import In, Out, mask

pytestmark = pytest.mark.invariant(5)

T = 10 * S
BOUND = Bound(9, 1, 8000, 300, 263)
SLACK = (300 + 263) * US + MS
XRAY = mask(In.XRAY_ON)
DURING = Asked(T, 0, BOUND)
AFTER = Asked(T, T + 9 * MS, BOUND)


def on(rise_ns: int = 0, rises: int = 0, levels: int = XRAY) -> Inputs:
    return Inputs(True, 1, levels, 0, 0, 0, rise_ns, 0, rises)


def test_quiet_is_not_stray() -> None:
    assert not stray(Inputs(True, 1), None, T)
    assert not stray(Inputs(True, 1), DURING, T)
    assert not stray(Inputs(True, 1), AFTER, T + S)


def test_x_rays_before_any_pulse_are_stray() -> None:
    assert stray(on(), None, T)
    assert stray(on(T, 1, levels=0), None, T)


def test_two_rises_in_one_turn_are_stray() -> None:
    assert stray(on(T + MS, 2), DURING, T + 2 * MS)


@pytest.mark.parametrize(
    ("rise_ns", "expected"),
    [(T - 1, True), (T, False), (T + 300 * US + MS, False), (T + 300 * US + MS + 1, True)],
)
def test_a_rise_belongs_to_its_pulse_or_is_stray(rise_ns: int, expected: bool) -> None:
    assert in_time(on(rise_ns, 1), DURING) is not expected
    assert stray(on(rise_ns, 1), DURING, T + 5 * MS) is expected
    assert stray(on(rise_ns, 1, levels=0), AFTER, T + 20 * MS) is expected


@pytest.mark.parametrize("late_ns", [-MS, 0, 2 * MS])
def test_a_pulse_that_left_late_is_answered_as_much_later(late_ns: int) -> None:
    sent = DURING._replace(sent_ns=T + late_ns)
    from_ns = T + max(0, late_ns)
    assert in_time(on(T, 1), sent)
    assert in_time(on(from_ns + 300 * US + MS, 1), sent)
    assert not in_time(on(from_ns + 300 * US + MS + 1, 1), sent)
    assert not missing(Inputs(True, 1), sent, from_ns + SLACK)
    assert missing(Inputs(True, 1), sent, from_ns + SLACK + 1)


def test_a_pulse_has_not_left_until_it_is_told() -> None:
    assert Asked(T, 0, BOUND).sent_ns == 0


LATE = T + 300 * US + MS + 1


@pytest.mark.parametrize(
    ("rise_ns", "before_ns", "asked", "expected"),
    [
        (T - 1, 0, DURING, False),
        (T, 0, DURING, True),
        (T, T, AFTER, True),
        (LATE, 0, DURING, True),
        (LATE, T - 1, DURING, True),
        (LATE, T, DURING, False),
        (LATE, 0, AFTER, False),
        (LATE, 0, None, False),
    ],
)
def test_the_first_rise_in_a_pulse_is_its_own_however_late(
    rise_ns: int, before_ns: int, asked: Asked | None, expected: bool
) -> None:
    assert rose_with(on(rise_ns, 1), asked, before_ns) is expected


@pytest.mark.parametrize(("since_ns", "expected"), [(SLACK, False), (SLACK + 1, True)])
def test_x_rays_that_outlive_their_pulse_are_stray(since_ns: int, expected: bool) -> None:
    assert stray(on(T), AFTER, AFTER.fall_ns + since_ns) is expected


def test_a_pulse_that_shines_is_not_missing() -> None:
    assert not missing(on(T), DURING, T + 7 * MS)


@pytest.mark.parametrize(("since_ns", "expected"), [(SLACK, False), (SLACK + 1, True)])
def test_a_pulse_that_never_shone_is_missing_after_the_slack(since_ns: int, expected: bool) -> None:
    assert missing(Inputs(True, 1), DURING, T + since_ns) is expected


@pytest.mark.parametrize(
    ("fall_ns", "now_ns", "expected"),
    [
        (T + 2 * MS, T + 2 * MS + SLACK, False),
        (T + 2 * MS, T + 2 * MS + SLACK + 1, True),
        (T + 8 * MS - SLACK, T + 9 * MS, False),
        (T + 8 * MS - SLACK - 1, T + 9 * MS, True),
        (T + 8200 * US, T + 9 * MS, False),
    ],
)
def test_a_collapse_long_before_the_set_width_is_missing(
    fall_ns: int, now_ns: int, expected: bool
) -> None:
    inputs = Inputs(True, 1, 0, 0, 0, 0, T + 100 * US, fall_ns, 0)
    assert missing(inputs, DURING, now_ns) is expected


def test_a_short_pulse_is_judged_on_its_own_width() -> None:
    short = Asked(T, 0, BOUND._replace(set_us=1000))
    assert not missing(Inputs(True, 1), short, T + 2 * MS)


def test_a_read_back_that_follows_in_time_is_good() -> None:
    lamp = Readback(Out.LAMP, In.LAMP_READBACK)
    lit, read = mask(Out.LAMP), mask(In.LAMP_READBACK)
    lamp.turn(T, lit, 0)
    lamp.turn(T + READBACK_MAX_NS, lit, 0)
    assert not lamp.failed
    lamp.turn(T + READBACK_MAX_NS + MS, lit, read)
    lamp.turn(T + 3 * S, lit, read)
    assert not lamp.failed


@pytest.mark.parametrize(("out", "levels"), [(mask(Out.LAMP), 0), (0, mask(In.LAMP_READBACK))])
def test_a_failure_sticks_until_proved(out: int, levels: int) -> None:
    lamp = Readback(Out.LAMP, In.LAMP_READBACK)
    lamp.turn(T, out, levels)
    lamp.turn(T + READBACK_MAX_NS + 1, out, levels)
    assert lamp.failed
    lamp.turn(T + S, 0, 0)
    assert lamp.failed
    lamp.prove()
    assert not lamp.failed


def test_what_is_not_known_is_not_timed() -> None:
    lamp = Readback(Out.LAMP, In.LAMP_READBACK)
    lamp.turn(T, mask(Out.LAMP), 0)
    lamp.forget()
    lamp.turn(T + S, mask(Out.LAMP), 0)
    assert not lamp.failed
    lamp.turn(T + S + READBACK_MAX_NS + 1, mask(Out.LAMP), 0)
    assert lamp.failed


def test_x_rays_that_rose_with_their_pulse_are_its_own() -> None:
    inputs = Inputs(True, 1, 0, 0, 0, 0, T, T + 8 * MS, 0)
    assert not missing(inputs, DURING, T + 9 * MS)


def test_a_difference_that_begins_at_time_zero_is_timed_from_there() -> None:
    lamp = Readback(Out.LAMP, In.LAMP_READBACK)
    lamp.turn(0, mask(Out.LAMP), 0)
    lamp.turn(READBACK_MAX_NS + 1, mask(Out.LAMP), 0)
    assert lamp.failed


def test_what_was_proved_is_timed_anew() -> None:
    lamp = Readback(Out.LAMP, In.LAMP_READBACK)
    lamp.turn(T, mask(Out.LAMP), 0)
    lamp.turn(T + READBACK_MAX_NS + 1, mask(Out.LAMP), 0)
    lamp.prove()
    lamp.turn(T + S, mask(Out.LAMP), 0)
    lamp.turn(T + S + READBACK_MAX_NS, mask(Out.LAMP), 0)
    assert not lamp.failed


def test_it_differs_while_it_does_and_until_it_is_looked_at_again() -> None:
    lamp = Readback(Out.LAMP, In.LAMP_READBACK)
    sent, back = mask(Out.LAMP), mask(In.LAMP_READBACK)
    assert not lamp.differs(0, 0)
    assert not lamp.differs(sent, back)
    assert lamp.differs(sent, 0)
    assert lamp.differs(0, back)
    lamp.turn(T, sent, 0)
    assert lamp.differs(sent, back)
    lamp.turn(T, sent, back)
    assert not lamp.differs(sent, back)
    lamp.turn(0, sent, 0)
    assert lamp.differs(sent, back)
