"""Imaging's decisions over a real ring, without sockets: what is told, published, lost."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

from controller.imaging.department import DARK_ALONE_NS, DARK_MAX_NS
from realtime.wire import ring
from realtime.wire.messages import (
    DarkFrame,
    DarkFrameResult,
    EndReason,
    Hello,
    RunEnd,
)
from tests.controller.imaging.bench import RUN, SIZE, Bench, start_of
from tests.controller.imaging.peers import MS, pulse_report, run_start


def test_a_frame_is_judged_and_published_with_what_is_known(bench: Bench) -> None:
    bench.shoot(0)
    assert bench.ears.verdicts() == [(0, True, "ok")]
    (header,) = bench.ears.of("live")
    assert header["seq"] == 1
    assert header["series"] == "S"
    assert header["pulse_id"] == 1000
    assert (header["kv_set"], header["kv_delivered"]) == (70.0, 70.1)
    assert header["kerma_ngy"] is None
    assert header["frame_no"] == 101
    assert header["window_open_ns"] == start_of(0) - MS
    assert header["exposure_start_ns"] == start_of(0)
    assert header["corrections"] == ["offset", "gain", "defects"]
    assert header["measuring_field"]["mean_du"] == pytest.approx(500, abs=2)
    assert header["counters"]["published"] == header["counters"]["settled"] == 1
    assert zlib.crc32(bench.ears.stream[-1][2].tobytes()) == header["crc32"]


def test_the_verdict_leaves_before_the_frame(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(bench.ears, "tell_executive", lambda m: order.append(type(m).__name__))
    monkeypatch.setattr(bench.chain, "correct", lambda: order.append("correct"))
    monkeypatch.setattr(bench.outgoing, "frame", lambda *_: order.append("publish"))
    bench.shoot(0)
    assert order == ["Verdict", "correct", "publish"]


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        ({"level": 101.0}, "no_signal"),
        ({"pixels": np.zeros((SIZE, SIZE), dtype=np.uint16)}, "zero"),
        ({"flags": ring.FLAG_AFTER_IDLE}, "after_idle"),
        ({"width": SIZE - 1}, "size"),
        ({"payload_bytes": 8}, "size"),
        ({"crc32": 12345}, "checksum"),
    ],
)
def test_a_bad_frame_is_a_loss_with_its_reason(
    bench: Bench, spoiled: dict[str, Any], reason: str
) -> None:
    bench.shoot(0)
    bench.shoot(1, **spoiled)
    assert bench.ears.verdicts() == [(0, True, "ok"), (1, False, reason)]
    assert [(h["pulse_n"], h["reason"]) for h in bench.ears.of("loss")] == [(1, reason)]
    assert len(bench.ears.frames) == 1


def test_a_frozen_repeat_is_never_live(bench: Bench) -> None:
    pixels = np.random.default_rng(0).integers(500, 700, (SIZE, SIZE)).astype(np.uint16)
    for n in range(2):
        bench.shoot(n, pixels=pixels)
    assert bench.ears.verdicts()[1] == (1, False, "frozen")


def test_a_frame_overwritten_while_it_is_read_is_torn(bench: Bench) -> None:
    bench.panel.torn_while_read = True
    bench.shoot(0)
    assert bench.ears.verdicts() == [(0, False, "torn")]


def test_a_slot_that_is_being_written_makes_its_pulse_a_torn_loss(bench: Bench) -> None:
    bench.pulse(0)
    seq = bench.panel.write(0)
    assert bench.panel.layout is not None
    ring.begin(bench.panel.view, bench.panel.layout, seq + bench.panel.layout.slots)
    bench.department.frames(bench.panel, [seq], start_of(0))
    assert bench.ears.verdicts() == []
    bench.department.tick(start_of(2) + MS)
    assert bench.ears.verdicts() == [(0, False, "torn")]


def test_ghost_of_the_frame_before_is_no_image(bench: Bench) -> None:
    bench.shoot(0, level=60_000.0)
    bench.shoot(1, level=100.0 + 0.01 * 60_000)
    assert bench.ears.verdicts()[1] == (1, False, "no_signal")


def test_without_calibration_no_frame_is_valid() -> None:
    bench = Bench(calibrated=False)
    bench.begin()
    bench.shoot(0)
    assert bench.ears.verdicts() == [(0, False, "no_calibration")]
    bench.panel.close()


def test_a_missing_frame_is_told_by_its_deadline(bench: Bench) -> None:
    bench.pulse(0)
    deadline_ns = start_of(0) + 2 * (1_000_000_000 // 30)
    assert bench.department.next_due_ns() == deadline_ns
    bench.department.tick(deadline_ns - 1)
    assert bench.ears.verdicts() == []
    bench.department.tick(deadline_ns)
    assert bench.ears.verdicts() == [(0, False, "missing")]
    bench.frame(0)
    assert bench.ears.of("live") == []


def test_a_later_frame_tells_a_missing_one_at_once(bench: Bench) -> None:
    bench.pulse(0)
    bench.shoot(1)
    assert bench.ears.verdicts() == [(0, False, "missing"), (1, True, "ok")]
    assert bench.ears.of("live")[0]["counters"]["ranges"] == [[0, 0, "missing"]]


def test_unpulsed_duplicate_and_partial_frames_are_neither_published_nor_lost(
    bench: Bench,
) -> None:
    bench.frame(7)
    bench.shoot(0)
    bench.frame(0)
    bench.pulse(1)
    shifted = {"integration_open_ns": start_of(1) + 7 * MS,
               "integration_close_ns": start_of(1) + 20 * MS}  # fmt: skip
    bench.frame(1, **shifted)
    assert len(bench.ears.frames) == 1
    assert bench.department.odd["duplicate"] == 1
    assert bench.department.odd["partial"] == 1
    assert bench.outgoing.missing == 0


def test_a_report_after_its_frame_is_paired_from_the_ring(bench: Bench) -> None:
    bench.frame(0)
    assert bench.ears.verdicts() == []
    bench.hear(pulse_report(RUN, 0, start_of(0)), start_of(0) + 32 * MS)
    assert bench.ears.verdicts() == [(0, True, "ok")]


def test_pulses_that_only_the_run_end_knows_are_no_report(bench: Bench) -> None:
    bench.shoot(0)
    bench.end(3)
    counters = bench.ears.of("tail")[-1]["counters"]
    assert counters["missing"] == {"no_report": 2}
    assert counters["pulses"] == 3
    assert bench.outgoing.missing == 2


def test_a_new_run_settles_what_the_old_one_still_waited_for(bench: Bench) -> None:
    bench.pulse(0)
    bench.hear(run_start(6, 30))
    assert bench.ears.of("loss")[0]["reason"] == "run_over"
    tail = bench.ears.of("tail")[0]
    assert (tail["run_id"], tail["end_reason"], tail["final"]) == (RUN, "crash", True)


def test_losing_the_executive_ends_the_run(bench: Bench) -> None:
    bench.shoot(0)
    bench.department.executive_lost(5)
    bench.department.executive_lost(6)
    assert [h["end_code"] for h in bench.ears.of("tail")] == ["executive_lost"]
    bench.end(1)
    assert bench.department.odd["run_end_of_no_run"] == 1


def test_a_pulse_of_an_unknown_run_opens_it() -> None:
    bench = Bench()
    bench.pulse(3)
    bench.deliver(3)
    bench.frame(3)
    assert bench.ears.of("series")[0]["series"] == f"run-{RUN}"
    assert bench.ears.of("live")[0]["counters"]["ranges"] == [[0, 2, "no_report"]]
    assert bench.ears.of("live")[0]["kv_set"] is None
    bench.panel.close()


def test_reports_out_of_order_change_nothing(bench: Bench) -> None:
    bench.shoot(0)
    bench.pulse(0)
    bench.pulse(10**9)
    assert bench.department.odd["pulse_out_of_order"] == 2
    bench.hear(RunEnd(99, 1, EndReason.RELEASE, "", 1, 0))
    bench.hear(Hello("x", 1, 1, 0, ""))
    bench.end(10**12)
    assert bench.department.odd["run_end_pulses"] == 1
    assert bench.ears.of("tail")[-1]["counters"]["pulses"] == 1
    bench.pulse(1)
    assert bench.department.odd["pulse_out_of_order"] == 3


def results(bench: Bench) -> list[DarkFrameResult]:
    return [message for message in bench.ears.told if isinstance(message, DarkFrameResult)]


def test_the_dark_frame_test_measures_the_next_unpulsed_frame() -> None:
    bench = Bench()
    bench.frame(0, level=100.0)
    bench.department.from_supervisor(DarkFrame(11), 0)
    bench.frame(1, level=100.0)
    (result,) = results(bench)
    assert (result.request_id, result.ok) == (11, True)
    assert result.mean_du == pytest.approx(0, abs=1)
    assert result.sigma_du == pytest.approx(5, rel=0.2)
    bench.department.from_supervisor(DarkFrame(12), 0)
    bench.frame(2, level=300.0)
    assert not results(bench)[1].ok
    bench.panel.close()


def test_windows_measured_again_neither_answer_twice_nor_spoil_the_next_question() -> None:
    bench = Bench()
    bench.department.from_supervisor(DarkFrame(11), 0)
    bench.frame(0, level=100.0, flags=ring.FLAG_AFTER_IDLE)
    for k in (1, 2, 3):
        bench.frame(k, level=100.0)
        bench.department.tick(start_of(k) + 30 * MS)
    assert [(r.request_id, r.ok, r.detail) for r in results(bench)] == [(11, True, "")]
    assert bench.ears.of("live") == bench.ears.of("loss") == []
    assert bench.ears.verdicts() == []
    bench.department.from_supervisor(DarkFrame(12), start_of(40))
    bench.frame(40, level=300.0, flags=ring.FLAG_AFTER_IDLE)
    bench.department.tick(start_of(41))
    assert len(results(bench)) == 1, "a clearing frame is no answer while another may come"
    bench.frame(41, level=100.0)
    assert [(r.request_id, r.ok) for r in results(bench)] == [(11, True), (12, True)]
    bench.panel.close()


def test_the_first_frame_after_idle_is_used_only_if_alone() -> None:
    bench = Bench()
    bench.department.from_supervisor(DarkFrame(11), 0)
    bench.frame(0, level=300.0, flags=ring.FLAG_AFTER_IDLE)
    bench.department.tick(DARK_ALONE_NS - 1)
    assert results(bench) == []
    bench.frame(1, level=100.0)
    assert results(bench)[0].ok
    bench.department.from_supervisor(DarkFrame(12), 0)
    bench.frame(2, level=300.0, flags=ring.FLAG_AFTER_IDLE)
    bench.department.tick(DARK_ALONE_NS)
    assert not results(bench)[1].ok
    assert "after idle" in results(bench)[1].detail
    bench.panel.close()


def test_the_dark_frame_test_fails_without_a_frame_or_calibration() -> None:
    for calibrated, words in ((True, "no frame"), (False, "no calibration")):
        bench = Bench(calibrated=calibrated)
        bench.department.from_supervisor(DarkFrame(11), 0)
        if not calibrated:
            bench.frame(0)
        bench.department.tick(DARK_MAX_NS)
        assert [(r.ok, r.detail) for r in results(bench)] == [(False, words)]
        bench.panel.close()


def test_state_counts(bench: Bench) -> None:
    bench.shoot(0)
    bench.shoot(1, level=100.0)
    state = bench.department.state(9, panel=True, executive=False, detail="x")
    assert (state.frames_read, state.frames_published, state.frames_missing) == (2, 1, 1)
    assert state.last_verdict_n == 1
    assert (state.panel_link, state.executive_link, state.detail) == (True, False, "x")
