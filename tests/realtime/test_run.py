"""One run: pictures, credit, skips, and the record of each pulse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.orders import Bound
from realtime.run import SKIP_STREAK_MAX, STREAK_REASONS, Run, Shot
from realtime.wire.messages import EndReason, Mode, Order, Pedal, SkipReason, Topology, Verdict
from realtime.wire.record import FLAG_TRUNCATED, MODES, REASONS, RecordKind, RecordState

pytestmark = pytest.mark.invariant(8)

ORDER = Order(3, 5, 77, Mode.CINE, 0, 9, 1, 4, 10, Topology.CONTROLLER_MASTER, 33_333_333, 1,
              8000, 300, 263)  # fmt: skip


def run_of(fired: int = 0, mode: Mode = Mode.FLUORO) -> Run:
    run = Run(77, Pedal.FLUORO, mode, 0)
    run.fired = fired
    return run


def verdict(n: int, valid: bool = True, run_id: int = 77) -> Verdict:
    return Verdict(run_id, n, 1, valid, "")


def test_no_image_no_beam() -> None:
    run = run_of()
    for fired, needed in ((0, None), (1, None), (2, 0), (3, 1), (9, 7)):
        run.fired = fired
        if needed is not None:
            assert not run.has_verdict()
            assert run.verdict(verdict(needed)) == ""
        assert run.has_verdict()


def test_a_later_verdict_serves_as_well() -> None:
    run = run_of(5)
    run.verdict(verdict(4))
    assert run.has_verdict()


def test_an_invalid_picture_gives_no_permission() -> None:
    run = run_of(2)
    run.verdict(verdict(0, valid=False))
    assert not run.has_verdict()


@pytest.mark.parametrize(
    ("given_verdict", "code"),
    [
        (verdict(0, run_id=76), "run"),
        (verdict(3), "pulse"),
        (verdict(5), "pulse"),
        (verdict(1), "pulse"),
    ],
)
def test_foreign_future_and_repeated_verdicts_are_refused(
    given_verdict: Verdict, code: str
) -> None:
    run = run_of(3)
    assert run.verdict(verdict(1)) == ""
    assert run.verdict(given_verdict) == code


def test_two_lost_pictures_in_a_row_end_the_run() -> None:
    run = run_of(9)
    run.verdict(verdict(0, valid=False))
    assert not run.no_image()
    run.verdict(verdict(1))
    run.verdict(verdict(2, valid=False))
    assert not run.no_image()
    run.verdict(verdict(3, valid=False))
    assert run.no_image()


def test_a_verdict_that_never_came_counts_as_lost() -> None:
    run = run_of(9)
    run.verdict(verdict(0))
    run.verdict(verdict(2, valid=False))
    assert run.no_image()


@given(st.integers(0, 50), st.integers(-1, 50))
def test_credit_is_absolute(fired: int, last_pulse_n: int) -> None:
    from dataclasses import replace

    assert run_of(fired).has_credit(replace(ORDER, last_pulse_n=last_pulse_n)) == (
        fired <= last_pulse_n
    )


@pytest.mark.parametrize("reason", SkipReason)
def test_a_streak_of_lacking_conditions_is_stuck(reason: SkipReason) -> None:
    run = run_of()
    for n in range(SKIP_STREAK_MAX):
        assert not run.stuck()
        run.skip(reason, 1)
        assert run.skipped == n + 1
    assert run.stuck() == (reason in STREAK_REASONS)


def test_one_shot_is_complete_after_one() -> None:
    assert not run_of(0, Mode.ONE_SHOT).complete()
    assert run_of(1, Mode.ONE_SHOT).complete()
    assert not run_of(9, Mode.CINE).complete()


def shot() -> Shot:
    made = Shot(run_of(3, Mode.CINE), ORDER, Bound(9, 1, 8000, 300, 263), 1234)
    made.slot_k, made.due_ns, made.start_ns = 5, 100, 101
    made.window_open_ns, made.window_ns = 50, 1000
    return made


def test_the_intent_and_its_close_are_the_same_pulse() -> None:
    intent = shot().record(RecordState.INTENT)
    closed = shot().record(RecordState.CLOSED, 200, EndReason.SET, (110, 190))
    assert intent.state is RecordState.INTENT
    assert (intent.end_ns, intent.flags, intent.xray_on_ns) == (0, 0, 0)
    assert closed == intent._replace(
        state=RecordState.CLOSED, end_ns=200, xray_on_ns=110, xray_off_ns=190
    )
    assert closed.kind is RecordKind.PULSE
    assert MODES[closed.mode] is Mode.CINE
    assert (closed.pulse_n, closed.pulse_id, closed.run_id) == (3, 1234, 77)
    assert (closed.order_seq, closed.supervisor_epoch) == (5, 3)
    assert (closed.window_open_ns, closed.window_close_ns) == (50, 1050)


@pytest.mark.parametrize("reason", EndReason)
def test_only_the_set_end_is_whole(reason: EndReason) -> None:
    closed = shot().record(RecordState.CLOSED, 200, reason)
    report = shot().report(200, reason)
    assert REASONS[closed.end_reason] is reason
    assert report.end_reason is reason
    assert bool(closed.flags & FLAG_TRUNCATED) == report.truncated == (reason is not EndReason.SET)


def test_record_and_report_agree() -> None:
    closed = shot().record(RecordState.CLOSED, 200, EndReason.SET)
    report = shot().report(200, EndReason.SET)
    for name in ("run_id", "pulse_n", "pulse_id", "technique_id", "bank", "order_seq", "due_ns",
                 "start_ns", "end_ns", "set_us", "window_open_ns", "window_close_ns"):  # fmt: skip
        assert getattr(closed, name) == getattr(report, name), name
    assert (report.slot_k, report.mode) == (5, Mode.CINE)
