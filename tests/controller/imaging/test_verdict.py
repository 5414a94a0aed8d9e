"""The verdict: each fact alone spoils a frame, in a fixed order, and limits sit where they say."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controller.imaging import verdict
from hil.physics.panel import Panel, Shot
from realtime.wire.ring import FLAG_AFTER_IDLE, FLAG_OVERRUN

GOOD = verdict.Facts(
    whole=True, shape_ok=True, checksum_ok=True, zero=False, repeat=False, flags=0,
    calibrated=True, level_du=100.0, truncated=False,
)  # fmt: skip
SPOILERS: list[tuple[dict[str, Any], str]] = [
    ({"shape_ok": False}, "size"),
    ({"whole": False}, "torn"),
    ({"checksum_ok": False}, "checksum"),
    ({"flags": FLAG_AFTER_IDLE}, "after_idle"),
    ({"zero": True}, "zero"),
    ({"repeat": True}, "frozen"),
    ({"calibrated": False}, "no_calibration"),
    ({"level_du": 4.9}, "no_signal"),
    ({"level_du": float("nan")}, "no_signal"),
]


def test_a_driver_that_lost_other_frames_spoils_no_whole_one() -> None:
    assert verdict.judge(replace(GOOD, flags=FLAG_OVERRUN), 5.0) == verdict.OK


def test_a_good_frame_is_valid() -> None:
    assert verdict.judge(GOOD, 5.0) == verdict.OK
    assert verdict.is_valid(verdict.OK)


@pytest.mark.parametrize(("spoiled", "reason"), SPOILERS)
def test_each_fact_alone_spoils_a_frame(spoiled: dict[str, Any], reason: str) -> None:
    assert verdict.judge(replace(GOOD, **spoiled), 5.0) == reason
    assert not verdict.is_valid(reason)


def test_the_first_reason_is_the_one_told() -> None:
    facts = GOOD
    for spoiled, reason in reversed([row for row in SPOILERS if row[1] != "no_signal"]):
        facts = replace(facts, **spoiled)
        assert verdict.judge(facts, 5.0) == reason


def test_level_at_the_floor_is_a_picture() -> None:
    assert verdict.judge(replace(GOOD, level_du=5.0), 5.0) == verdict.OK


def test_a_truncated_pulse_is_not_asked_for_its_level() -> None:
    facts = replace(GOOD, truncated=True, level_du=0.0)
    assert verdict.judge(facts, 5.0) == verdict.TRUNCATED
    assert verdict.is_valid(verdict.TRUNCATED)
    assert verdict.judge(replace(facts, zero=True), 5.0) == "zero"


def test_the_floor_follows_the_last_valid_level_and_fades_from_run_to_run() -> None:
    floor = verdict.SignalFloor()
    assert floor.at(0) == verdict.SIGNAL_MIN_DU
    floor.valid(10_000.0, 1_000)
    part_du = 10_000.0 * verdict.SIGNAL_PART_MIN
    assert floor.at(1_000) == floor.at(99 * verdict.GHOST_FADE_NS) == part_du
    floor.valid(1.0, 2_000)
    assert floor.at(2_000) == verdict.SIGNAL_MIN_DU
    floor.valid(10_000.0, 3_000)
    floor.start_run()
    assert floor.at(0) == floor.at(3_000) == part_du
    later_du = floor.at(3_000 + verdict.GHOST_FADE_NS)
    assert later_du == pytest.approx(part_du / math.e)
    assert floor.at(3_000 + 20 * verdict.GHOST_FADE_NS) == verdict.SIGNAL_MIN_DU
    floor.valid(1_000.0, 4_000)
    assert floor.at(99 * verdict.GHOST_FADE_NS) == 1_000.0 * verdict.SIGNAL_PART_MIN


def test_the_ghost_of_a_long_run_is_no_picture() -> None:
    """F21: a panel that stops integrating shows what its traps still give back."""
    panel, raw = Panel(64, 64, 296), np.empty((64, 64), np.uint16)
    offset_du = verdict.sampled_mean(panel.makers().offset_du)
    floor, t_ns, picture_du = verdict.SignalFloor(), 0, 0.0

    def level_du(*shots: Shot) -> float:
        panel.frame(shots, None, raw, t_ns)
        return verdict.sampled_mean(raw) - offset_du

    for _ in range(75):
        t_ns += 66_666_667
        picture_du = level_du(Shot(70.0, "3Al+0.1Cu", 0.01, 0.0, t_ns))
        assert picture_du > floor.at(t_ns), "every picture of the run is one"
        floor.valid(picture_du, t_ns)
    t_ns += 66_666_667
    ghost_du = level_du()
    assert 0.02 * picture_du < ghost_du < floor.at(t_ns)
    floor.start_run()
    for _ in range(300):
        t_ns += 66_666_667
        assert level_du() < floor.at(t_ns), "nor at the start of the next run, however much later"


def test_zero_means_every_pixel() -> None:
    raw = np.zeros((16, 16), dtype=np.uint16)
    assert verdict.is_zero(raw)
    raw[15, 15] = 1
    assert not verdict.is_zero(raw)
    raw[0, 0] = 1
    assert not verdict.is_zero(raw)


def test_repeat_means_every_pixel() -> None:
    raw = np.arange(256, dtype=np.uint16).reshape(16, 16)
    assert verdict.is_repeat(raw, raw.copy())
    for pixel in ((0, 0), (15, 15)):
        other = raw.copy()
        other[pixel] ^= 1
        assert not verdict.is_repeat(raw, other)


def test_sampled_mean_sees_the_level() -> None:
    raw = np.full((64, 64), 300, dtype=np.uint16)
    assert verdict.sampled_mean(raw) == 300.0


def test_dark_level_leaves_bad_pixels_out() -> None:
    raw = np.full((4, 4), 110, dtype=np.uint16)
    raw[0, 0] = 60_000
    raw[1] = 114
    offset = np.full((4, 4), 100, dtype=np.float32)
    good = np.ones((4, 4), dtype=bool)
    good[0, 0] = False
    values = [10.0] * 11 + [14.0] * 4
    mean_du, sigma_du = verdict.dark_level_du(raw, offset, good)
    assert mean_du == pytest.approx(np.mean(values))
    assert sigma_du == pytest.approx(np.std(values))


@pytest.mark.parametrize(
    ("mean_du", "sigma_du", "ok"),
    [(0, 5, True), (30, 5, True), (30.1, 5, False), (-30.1, 5, False), (0, 0.05, False),
     (0, 101, False), (float("nan"), 5, False), (0, float("nan"), False)],
)  # fmt: skip
def test_dark_limits(mean_du: float, sigma_du: float, ok: bool) -> None:
    assert verdict.dark_ok(mean_du, sigma_du) is ok
