"""Imaging's decisions over a real ring, without sockets: what is told, published, lost."""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from controller.imaging.chain import FrameChain, Picture
from controller.imaging.corrections import Calibration
from controller.imaging.department import DARK_ALONE_NS, DARK_MAX_NS, Department
from controller.imaging.outgoing import DELIVERED_WAIT_NS, TAIL_PERIOD_NS, Outgoing
from controller.stream.header import Publication
from realtime.wire import ring
from realtime.wire.messages import (
    Committed,
    DarkFrame,
    DarkFrameResult,
    Delivered,
    EndReason,
    Hello,
    Message,
    RunEnd,
    Series,
    Verdict,
)
from tests.controller.imaging.peers import MS, pulse_report, run_start

SIZE = 32
PERIOD = 33 * MS
RUN = 5


class MemoryPanel:
    """A panel port over a ring in this process."""

    def __init__(self) -> None:
        self.layout: ring.Layout | None = ring.Layout(4, SIZE, SIZE, 296)
        self._memory = mmap.mmap(-1, self.layout.total_bytes)
        self.view = memoryview(self._memory)
        ring.write_head(self.view, self.layout)
        self.seq = 0
        self.torn_while_read = False
        self._random = np.random.default_rng(3)

    def open(self) -> bool:
        return True

    def fileno(self) -> int:
        return -1

    def arrivals(self) -> list[int]:
        return []

    def close(self) -> None:
        self.view.release()
        self._memory.close()

    def header(self, seq: int) -> ring.Slot | None:
        assert self.layout is not None
        return ring.read_slot(self.view, self.layout, seq)

    def read(self, seq: int, out: npt.NDArray[np.uint16]) -> ring.Slot | None:
        assert self.layout is not None
        pixels = np.frombuffer(ring.payload_at(self.view, self.layout, seq), dtype=np.uint16)
        out[:] = pixels.reshape(SIZE, SIZE)
        return None if self.torn_while_read else self.header(seq)

    def write(self, n: int, level: float = 600.0, **changes: Any) -> int:
        """The frame of pulse `n`; returns its number."""
        assert self.layout is not None
        self.seq += 1
        noise = self._random.normal(0, 5, (SIZE, SIZE))
        pixels = changes.pop("pixels", np.clip(level + noise, 0, 65535).astype(np.uint16))
        ring.begin(self.view, self.layout, self.seq)[:] = pixels.tobytes()
        open_ns = start_of(n) - MS
        fields = {
            "seq": self.seq, "frame_no": 100 + self.seq, "integration_open_ns": open_ns,
            "integration_close_ns": open_ns + 13 * MS, "readout_end_ns": open_ns + 31 * MS,
            "width": SIZE, "height": SIZE, "flags": 0, "payload_bytes": pixels.nbytes,
            "crc32": zlib.crc32(pixels.tobytes()), "meta_bytes": 0,
        }  # fmt: skip
        ring.commit(self.view, self.layout, ring.Slot(**{**fields, **changes}))
        return self.seq


def start_of(n: int) -> int:
    return 1000 * MS + n * PERIOD


class Ears:
    """Outlets and peers that remember."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.stream: list[tuple[str, dict[str, Any], Any]] = []
        self.frames: list[Picture] = []

    def tell_executive(self, message: Message) -> None:
        self.told.append(message)

    def tell_supervisor(self, message: Message) -> None:
        self.told.append(message)

    def publish(self, topic: str, header: dict[str, Any], payload: Any = None) -> None:
        self.stream.append((topic, header, payload))

    def publish_frame(
        self, topic: str, header: dict[str, Any], picture: Picture, slot: ring.Slot
    ) -> None:
        self.stream.append((topic, header, picture.pixels))
        self.frames.append(picture)

    def topics(self) -> list[str]:
        return [topic for topic, _, _ in self.stream]

    def of(self, topic: str) -> list[dict[str, Any]]:
        return [header for name, header, _ in self.stream if name == topic]

    def verdicts(self) -> list[tuple[int, bool, str]]:
        return [(v.pulse_n, v.valid, v.reason) for v in self.told if isinstance(v, Verdict)]


class Bench:
    """A department with one panel; times are those of the pulses."""

    def __init__(self, *, calibrated: bool = True) -> None:
        self.ears = Ears()
        self.panel = MemoryPanel()
        self.chain = FrameChain(SIZE, SIZE)
        if calibrated:
            shape = (SIZE, SIZE)
            self.chain.calibrate(
                Calibration(
                    np.full(shape, 100, dtype=np.float32),
                    np.ones(shape, dtype=np.float32),
                    np.zeros(shape, dtype=bool),
                )
            )
        self.outgoing = Outgoing(Publication("c", 9), 296, self.ears)
        self.department = Department(self.chain, self.outgoing, self.ears)

    def hear(self, message: Message, now_ns: int = 0) -> None:
        self.department.from_executive(message, self.panel, now_ns)

    def begin(self) -> None:
        self.department.from_supervisor(Series(RUN, "S", "chest", "HFS", 30.0), 0)
        self.department.from_supervisor(Committed(7, 70.0, 40.0, 8.0, "none", 300.0, 300), 0)
        self.hear(run_start(RUN, 30))

    def pulse(self, n: int, **changes: Any) -> None:
        self.hear(pulse_report(RUN, n, start_of(n), **changes), start_of(n) + 9 * MS)

    def frame(self, n: int, **changes: Any) -> None:
        seq = self.panel.write(n, **changes)
        self.department.frames(self.panel, [seq], start_of(n) + 31 * MS)

    def shoot(self, n: int, **changes: Any) -> None:
        self.pulse(n)
        self.deliver(n)
        self.frame(n, **changes)

    def deliver(self, n: int, now_ns: int = 0) -> None:
        self.department.from_supervisor(Delivered(RUN, n, 7, 70.1, 39.9, 8.0, 0.32), now_ns)

    def end(self, pulses: int, now_ns: int = 0) -> None:
        self.hear(RunEnd(RUN, 1, EndReason.RELEASE, "release", pulses, 0), now_ns)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    made.begin()
    yield made
    made.panel.close()


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
    bench.pulse(0)
    assert bench.ears.verdicts() == [(0, True, "ok")]


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


def test_pulses_that_only_the_run_end_knows_are_no_report(bench: Bench) -> None:
    bench.shoot(0)
    bench.end(3)
    counters = bench.ears.of("tail")[-1]["counters"]
    assert counters["missing"] == {"no_report": 2}
    assert counters["pulses"] == 3
    assert bench.outgoing.missing == 2


def test_a_run_without_any_picture_leaves_the_last_one_held(bench: Bench) -> None:
    bench.shoot(0)
    bench.end(1)
    bench.hear(run_start(6, 30))
    bench.hear(RunEnd(6, 2, EndReason.RELEASE, "release", 0, 0))
    assert len(bench.ears.of("hold")) == 1
    assert bench.ears.of("series")[1]["series"] == "run-6"


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


def test_state_counts(bench: Bench) -> None:
    bench.shoot(0)
    bench.shoot(1, level=100.0)
    state = bench.department.state(9, panel=True, executive=False, detail="x")
    assert (state.frames_read, state.frames_published, state.frames_missing) == (2, 1, 1)
    assert state.last_verdict_n == 1
    assert (state.panel_link, state.executive_link, state.detail) == (True, False, "x")
