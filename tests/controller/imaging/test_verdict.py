"""The verdict: each fact alone spoils a frame, in a fixed order, and limits sit where they say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controller.imaging import verdict
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
