"""The pixel thread: each frame from its own exposures, never early, spoilt only as told."""

import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from hil.physics.panel import OFFSET_DU, Panel
from hil.physics.patient import Patient
from hil.rig.pixels import QUEUE_MAX, STALE_NS, WRONG_ID_OFFSET, PixelThread, shot_of
from hil.rig.ringwriter import RingWriter
from hil.room.records import Exposure, FrameDue, ReadoutExposure
from realtime.wire import ring
from realtime.wire.ring import FLAG_AFTER_IDLE

WIDTH = HEIGHT = 64
PITCH_UM = 4000
MS = 1_000_000
LIMIT_S = 5.0


class Bench:
    """A thread with a small panel, and a log of what was committed when."""

    def __init__(self, run_dir: Path) -> None:
        self.writer = RingWriter(run_dir / "panel.sock", WIDTH, HEIGHT, PITCH_UM)
        self.bells: list[tuple[int, int]] = []
        self.late: list[tuple[int, int]] = []
        self.writer.ring_bells = self._bell  # type: ignore[method-assign]
        self.panel = Panel(HEIGHT, WIDTH, PITCH_UM)
        self.thread = PixelThread(
            self.panel, Patient(HEIGHT, WIDTH, PITCH_UM), self.writer,
            lambda t_ns, late_ns: self.late.append((t_ns, late_ns)),
        )  # fmt: skip
        self.thread.start()

    def _bell(self, seq: int) -> None:
        self.bells.append((seq, time.monotonic_ns()))

    def slot(self, seq: int) -> ring.Slot | None:
        return ring.read_slot(self.writer._view, self.writer.layout, seq)

    def mean(self, seq: int) -> float:
        pixels = self.writer.pixels_of(seq)
        return float((pixels - self.panel.offset_du)[~self.panel.defects].mean())

    def until(self, seen: Callable[[], object]) -> None:
        end = time.monotonic() + LIMIT_S
        while not seen():
            assert time.monotonic() < end, "nothing came"
            time.sleep(0.001)

    def make(self, due: FrameDue, bells: int = 1) -> None:
        wanted = len(self.bells) + bells
        self.thread.put(due)
        self.until(lambda: len(self.bells) >= wanted)

    def close(self) -> None:
        self.thread.close()
        self.writer.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def exposure(mas: float, close_ns: int, readout: float = 0.0) -> Exposure:
    on_ns = close_ns - 9 * MS
    return Exposure(1, 7, 70.0, 40.0, "3Al+0.1Cu", mas, readout, on_ns, on_ns + 8 * MS)


def due(
    number: int, mas: float | None = 0.0015, *, lead_ms: int = 30, after_idle: bool = False,
    integrates: bool = True, defect: str = "", delay_ms: int = 0,
) -> FrameDue:  # fmt: skip
    close_ns = time.monotonic_ns()
    exposures = [] if mas is None else [exposure(mas, close_ns)]
    return FrameDue(
        number, close_ns - 13 * MS, close_ns, close_ns + lead_ms * MS, after_idle, integrates,
        defect, delay_ms * MS, exposures,
    )  # fmt: skip


def test_a_frame_comes_at_the_end_of_its_readout_and_never_before(bench: Bench) -> None:
    for number in range(1, 6):
        frame = due(number)
        bench.make(frame)
        seq, at_ns = bench.bells[-1]
        assert at_ns >= frame.readout_end_ns
        slot = bench.slot(seq)
        assert slot is not None
        assert slot[1:5] == (
            number, frame.integration_open_ns, frame.integration_close_ns, frame.readout_end_ns
        )  # fmt: skip
        assert slot.crc32 == bench_crc(bench, seq)


def bench_crc(bench: Bench, seq: int) -> int:
    return zlib.crc32(bench.writer.pixels_of(seq).tobytes())


def test_half_the_charge_gives_half_the_mean_and_none_the_offset(bench: Bench) -> None:
    for number, mas in enumerate((0.002, 0.001, None), 1):
        bench.make(due(number, mas))
    whole, half, dark = (bench.mean(seq) for seq in (1, 2, 3))
    assert half / whole == pytest.approx(0.5, abs=0.04)
    assert abs(dark) < 0.02 * whole
    # What is left of the pictures before depends on how long ago they were; the offset does not.
    offset = bench.panel.offset_du[~bench.panel.defects]
    assert float(offset.mean()) == pytest.approx(OFFSET_DU, abs=1)


def test_a_panel_that_does_not_integrate_is_dark(bench: Bench) -> None:
    bench.make(due(1, 0.002, integrates=False))
    assert abs(bench.mean(1)) < 5


def test_the_first_after_idle_says_so(bench: Bench) -> None:
    bench.make(due(1, None, after_idle=True))
    slot = bench.slot(1)
    assert slot is not None and slot.flags == FLAG_AFTER_IDLE
    assert bench.writer.pixels_of(1).min() == 65535


def test_photons_in_the_readout_reach_the_rows_not_yet_read(bench: Bench) -> None:
    frame = due(1, None, lead_ms=120)
    close_ns, end_ns = frame.integration_close_ns, frame.readout_end_ns
    half_ns = (close_ns + end_ns) // 2
    more = Exposure(1, 7, 70.0, 40.0, "3Al+0.1Cu", 0.0, 0.002, half_ns, end_ns)
    bench.thread.put(frame)
    bench.thread.put(ReadoutExposure(1, [more]))
    bench.until(lambda: bench.bells)
    lifted = bench.writer.pixels_of(1) - bench.panel.offset_du
    assert np.median(lifted[-4:]) > 50
    assert abs(np.median(lifted[:20])) < 20
    slot = bench.slot(1)
    assert slot is not None and slot.crc32 == bench_crc(bench, 1)
    bench.make(due(2, None))
    assert bench.mean(2) > 50  # the rows that had been read see them in the next frame


def test_photons_after_the_frame_go_into_the_next(bench: Bench) -> None:
    bench.make(due(1, None))
    bench.thread.put(ReadoutExposure(1, [exposure(0.001, time.monotonic_ns(), 0.001)]))
    bench.make(due(2, None))
    bench.make(due(3, 0.002))
    assert bench.mean(2) == pytest.approx(bench.mean(3), rel=0.1)


@pytest.mark.parametrize("defect", ["zero", "frozen", "size", "wrong_id", "duplicate", "torn"])
def test_a_frame_is_spoilt_as_told(bench: Bench, defect: str) -> None:
    bench.make(due(1))
    bench.make(due(2, defect=defect), 2 if defect == "duplicate" else 1)
    slot = bench.slot(2)
    if defect == "torn":
        assert slot is None
        return
    assert slot is not None
    first, second = bench.writer.pixels_of(1), bench.writer.pixels_of(2)
    assert (defect == "zero") == (int(second.max()) == 0)
    assert (defect == "frozen") == np.array_equal(first, second)
    assert slot.frame_no == (2 + WRONG_ID_OFFSET if defect == "wrong_id" else 2)
    assert (slot.payload_bytes == WIDTH * HEIGHT) == (defect == "size")
    if defect == "duplicate":
        again = bench.slot(3)
        assert again is not None and again.frame_no == 2
        assert np.array_equal(second, bench.writer.pixels_of(3))


def test_a_foreign_frame_carries_later_stamps_and_its_own_picture(bench: Bench) -> None:
    frame = due(1, defect="foreign", delay_ms=66)
    bench.make(frame)
    slot = bench.slot(1)
    assert slot is not None
    assert slot.integration_open_ns == frame.integration_open_ns + 66 * MS
    assert slot.integration_close_ns == frame.integration_close_ns + 66 * MS
    assert bench.bells[0][1] < frame.readout_end_ns + 60 * MS, "it comes when it comes"


def test_a_missing_frame_leaves_a_gap_and_a_late_one_is_late(bench: Bench) -> None:
    bench.thread.put(due(1, defect="missing", lead_ms=5))
    frame = due(2, defect="late", delay_ms=40)
    bench.make(frame)
    slot = bench.slot(1)
    assert slot is not None and slot.frame_no == 2
    assert bench.bells[0][1] >= frame.readout_end_ns + 40 * MS
    assert bench.late == []


def test_a_frame_that_cannot_be_in_time_is_reported(bench: Bench) -> None:
    bench.make(due(1, lead_ms=-20))
    assert len(bench.late) == 1
    t_ns, late_ns = bench.late[0]
    assert late_ns > 20 * MS
    assert t_ns <= time.monotonic_ns()


def test_old_frames_are_not_made_up_and_too_many_are_lost_loudly(bench: Bench) -> None:
    frame = due(1, lead_ms=-STALE_NS // MS - 50)
    bench.thread.put(frame)
    assert bench.thread.stale == 1
    bench.thread.put(due(2, lead_ms=150))
    for number in range(3, 3 + QUEUE_MAX + 4):
        bench.thread.put(due(number, None, lead_ms=150))
    assert bench.thread.overruns >= 1
    assert bench.late
    bench.until(lambda: bench.thread.frames >= QUEUE_MAX)


def test_an_exposure_is_placed_on_the_rows_it_fell_on() -> None:
    def shot(on_ns: int, off_ns: int, kv: float = 70.0) -> tuple[float, float, float]:
        row = shot_of(Exposure(1, 7, kv, 40.0, "none", 1.0, 1.0, on_ns, off_ns), 1000, 2000)
        return row.from_row, row.to_row, row.kv

    assert shot(0, 900) == (0.0, 0.0, 70.0)
    assert shot(500, 1500) == (0.0, 0.5, 70.0)
    assert shot(1250, 1750) == (0.25, 0.75, 70.0)
    assert shot(1500, 9999, 120.1) == (0.5, 1.0, 120.0)
