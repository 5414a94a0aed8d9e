"""Pictures: the curve, the labels, the files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from controller.imaging.display import (
    Labelled,
    draw,
    to_grey,
    window,
    write_contact_sheet,
    write_png,
)


def ramp() -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    return np.tile(np.linspace(100, 4000, 128, dtype=np.uint16), (128, 1))


def test_the_window_leaves_outliers_out() -> None:
    pixels = ramp()
    pixels[0, 0] = 65535
    low_du, high_du = window(pixels)
    assert 100 <= low_du < 300
    assert 3500 < high_du < 65535


def test_a_flat_frame_has_a_window_too() -> None:
    flat = np.full((64, 64), 7, dtype=np.uint16)
    low_du, high_du = window(flat)
    assert low_du < high_du
    assert to_grey(flat).shape == (64, 64)


def test_more_x_rays_are_brighter_and_equal_ratios_make_equal_steps() -> None:
    columns = np.repeat(np.array([200, 400, 800, 1600], dtype=np.uint16), 32)
    grey = to_grey(np.tile(columns, (64, 1)), (100.0, 3200.0)).astype(int)
    levels = grey[32, 16::32]
    steps = np.diff(levels)
    assert (steps > 0).all()
    assert np.ptp(steps) <= 1


def test_pixels_outside_the_window_clip() -> None:
    grey = to_grey(np.array([[0] * 8 + [65535] * 8] * 16, dtype=np.uint16), (100.0, 3000.0))
    assert grey[8, 2] == 0
    assert grey[8, 13] == 255


def test_a_held_picture_says_so_and_differs_from_a_live_one() -> None:
    live = np.asarray(draw(Labelled(ramp(), "live", "15/s")))
    hold = np.asarray(draw(Labelled(ramp(), "hold", "15/s")))
    assert not np.array_equal(live, hold)
    with pytest.raises(AssertionError):
        draw(Labelled(ramp(), "raw", ""))


def test_png_and_contact_sheet(tmp_path: Path) -> None:
    frame = Labelled(ramp(), "hold", "chest")
    write_png(tmp_path / "one.png", frame)
    write_contact_sheet(tmp_path / "sheet.png", [frame] * 5, columns=4)
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "sheet.png") as tiles:
        assert one.size == (128, 128)
        sheet = np.asarray(tiles)
    assert sheet.shape == (768, 1536)
    assert sheet[400:700, 100:300].std() > 0
    assert sheet[384:, 384:].max() == 0
    with pytest.raises(AssertionError):
        write_contact_sheet(tmp_path / "none.png", [])
