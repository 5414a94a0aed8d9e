"""What leaves for the public, in which order, and what is sent again to whom joins late."""

from __future__ import annotations

from controller.imaging.outgoing import DELIVERED_WAIT_NS, TAIL_PERIOD_NS
from realtime.wire.messages import (
    Committed,
    DarkFrame,
    EndReason,
    Hello,
    RunEnd,
    Series,
)
from tests.controller.imaging.bench import Bench, start_of
from tests.controller.imaging.peers import MS, run_start


def test_truncated_frames_are_marked_and_never_held(bench: Bench) -> None:
    bench.shoot(0)
    bench.pulse(1, end_ns=start_of(1) + MS, truncated=True, end_reason=EndReason.RELEASE)
    bench.deliver(1)
    bench.frame(1, level=102.0)
    assert bench.ears.verdicts()[1] == (1, True, "truncated")
    assert [h["truncated"] for h in bench.ears.of("live")] == [False, True]
    bench.end(2)
    assert [h["pulse_n"] for h in bench.ears.of("hold")] == [0]


def test_a_frame_waits_three_milliseconds_for_delivered_values(bench: Bench) -> None:
    bench.pulse(0)
    bench.frame(0)
    assert bench.ears.of("live") == []
    assert bench.department.next_due_ns() == 0
    bench.department.tick(1000)
    assert bench.department.next_due_ns() == 1000 + DELIVERED_WAIT_NS
    bench.department.tick(1000 + DELIVERED_WAIT_NS)
    (header,) = bench.ears.of("live")
    assert header["kv_delivered"] is None
    bench.deliver(0, now_ns=77)
    (amend,) = bench.ears.of("amend")
    assert (amend["seq"], amend["pulse_n"], amend["kv_delivered"]) == (1, 0, 70.1)
    bench.end(1)
    assert bench.ears.of("hold")[0]["kv_delivered"] == 70.1


def test_delivered_values_push_a_waiting_frame_out(bench: Bench) -> None:
    bench.pulse(0)
    bench.frame(0)
    bench.deliver(0)
    assert bench.ears.of("live")[0]["kv_delivered"] == 70.1
    assert bench.ears.of("amend") == []


def test_a_loss_never_overtakes_a_waiting_frame(bench: Bench) -> None:
    bench.pulse(0)
    bench.frame(0)
    bench.pulse(1)
    bench.department.panel_lost(5)
    assert bench.ears.topics()[-2:] == ["live", "loss"]


def test_the_end_of_a_run_is_hold_and_a_tail_that_repeats(bench: Bench) -> None:
    bench.shoot(0)
    bench.end(1, now_ns=1000)
    assert bench.ears.topics()[-2:] == ["hold", "tail"]
    assert bench.ears.of("hold")[0]["seq"] == 1
    assert bench.ears.of("tail")[0]["final"]
    for turn in range(3):
        bench.department.tick(1000 + turn * TAIL_PERIOD_NS)
    assert len(bench.ears.of("tail")) == 4
    assert bench.department.next_due_ns() == 1000 + 3 * TAIL_PERIOD_NS


def test_a_tail_is_not_final_while_a_frame_may_come(bench: Bench) -> None:
    bench.shoot(0)
    bench.pulse(1)
    bench.deliver(1)
    bench.end(2, now_ns=start_of(1) + 10 * MS)
    bench.department.tick(start_of(1) + 10 * MS)
    assert [h["final"] for h in bench.ears.of("tail")] == [False]
    assert bench.ears.of("hold") == []
    bench.frame(1)
    assert [h["final"] for h in bench.ears.of("tail")] == [False, True]
    assert bench.ears.of("hold")[0]["pulse_n"] == 1


def test_a_run_without_any_picture_leaves_the_last_one_held(bench: Bench) -> None:
    bench.shoot(0)
    bench.end(1)
    bench.hear(run_start(6, 30))
    bench.hear(RunEnd(6, 2, EndReason.RELEASE, "release", 0, 0))
    assert len(bench.ears.of("hold")) == 1
    assert bench.ears.of("series")[1]["series"] == "run-6"


def test_someone_who_joins_gets_start_last_image_and_tail_with_their_numbers(
    bench: Bench,
) -> None:
    bench.outgoing.subscribed(0)
    bench.department.tick(60 * MS)
    assert [(t, h["resend"]) for t, h, _ in bench.ears.stream[1:]] == [("series", True)]
    bench.shoot(0)
    bench.ears.stream.clear()
    bench.outgoing.subscribed(61 * MS)
    bench.outgoing.subscribed(62 * MS)
    due_ns = bench.department.next_due_ns()
    assert due_ns is not None
    assert due_ns <= 161 * MS
    bench.department.tick(due_ns)
    assert [(t, h["resend"]) for t, h, _ in bench.ears.stream] == [
        ("series", True), ("live", True),
    ]  # fmt: skip
    assert bench.ears.of("live")[0]["seq"] == 1
    bench.end(1)
    bench.ears.stream.clear()
    bench.outgoing.subscribed(500 * MS)
    bench.department.tick(600 * MS)
    assert {"series", "hold", "tail"} == set(bench.ears.topics())


def test_nothing_is_sent_again_before_the_first_run() -> None:
    bench = Bench()
    bench.outgoing.subscribed(0)
    bench.department.tick(50 * MS)
    assert bench.ears.stream == []
    assert bench.department.next_due_ns() is None
    bench.panel.close()


def test_what_is_remembered_is_bounded(bench: Bench) -> None:
    for n in range(200):
        bench.department.from_supervisor(Series(n + 10, "s", "p", "o", 1.0), 0)
        bench.department.from_supervisor(Committed(n + 10, 1, 1, 1, "none", 1, 1), 0)
        bench.department.from_supervisor(DarkFrame(n), 0)
        bench.deliver(n + 1000)
    bench.department.from_supervisor(Hello("x", 1, 1, 0, ""), 0)
    assert bench.department.odd["supervisor_Hello"] == 1
    assert len(bench.department._series) <= 8
    assert len(bench.department._committed) <= 64
    assert len(bench.department._dark) <= 4
    assert len(bench.outgoing._delivered) <= 64
