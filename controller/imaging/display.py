"""How a corrected frame is shown: 16 bit to 8 bit, and the pictures that are written to disk.

Lives here: window, curve, gentle edge enhancement, labels, PNG.  May not live here: anything that
changes the published pixels, or the stream.

The curve is logarithmic, because attenuation is: equal thickness then makes equal steps.  More
X-rays are brighter, as on a fluoroscope: lungs bright, bone and catheter dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint16]
Grey = npt.NDArray[np.uint8]

# Collimator edges and metal take a few thousandths of the field; they may clip.
LOW_PART: Final = 0.5
HIGH_PART: Final = 99.7
SAMPLE_STEP: Final = 8
EDGE_GAIN: Final = 0.6
LABEL_PART: Final = 28


class Labelled(NamedTuple):
    """A frame with what must be said about it: `live` or `hold`, and a line of text."""

    pixels: Pixels
    kind: str
    text: str


def window(pixels: Pixels) -> tuple[float, float]:
    """Low and high end of the display window, digital units, low < high."""
    sample = pixels[::SAMPLE_STEP, ::SAMPLE_STEP]
    low, high = np.percentile(sample, (LOW_PART, HIGH_PART))
    return float(low), float(max(high, low + 1.0))


def _lookup(low_du: float, high_du: float) -> npt.NDArray[np.float32]:
    levels = np.arange(65536, dtype=np.float32)
    base = np.log1p(np.float32(low_du))
    span = np.log1p(np.float32(high_du)) - base
    return np.asarray(np.clip((np.log1p(levels) - base) / span, 0.0, 1.0), dtype=np.float32)


def _box3(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    padded = np.pad(image, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    total = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return np.asarray(total / np.float32(9), dtype=np.float32)


def to_grey(pixels: Pixels, window_du: tuple[float, float] | None = None) -> Grey:
    """Map a frame to 8 bit: logarithmic window, then edges raised by `EDGE_GAIN` (unsharp)."""
    low_du, high_du = window(pixels) if window_du is None else window_du
    shown = _lookup(low_du, high_du)[pixels]
    smooth = _box3(shown)
    sharp = smooth + np.float32(EDGE_GAIN) * (smooth - _box3(_box3(smooth)))
    return np.asarray(np.clip(sharp, 0.0, 1.0) * 255.0 + 0.5, dtype=np.uint8)


def _label(kind: str) -> str:
    assert kind in ("live", "hold"), kind
    return "LIVE" if kind == "live" else "LAST IMAGE HOLD"


def draw(frame: Labelled) -> Image.Image:
    """The frame as a grey picture that says whether it is held or live."""
    picture = Image.fromarray(to_grey(frame.pixels))
    size = max(10, picture.height // LABEL_PART)
    brush = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size)
    margin = size // 2
    for text, y in ((_label(frame.kind), margin), (frame.text, picture.height - 2 * size)):
        brush.text((margin, y), text, fill=255, font=font, stroke_width=2, stroke_fill=0)
    return picture


def write_png(path: Path, frame: Labelled) -> None:
    """Write one labelled picture."""
    draw(frame).save(path, format="PNG")


def write_contact_sheet(path: Path, frames: Sequence[Labelled], columns: int = 4) -> None:
    """Write the frames as a sheet of thumbnails, `columns` wide; needs at least one frame."""
    assert frames
    assert columns > 0
    tiles = [draw(frame).resize((384, 384), Image.Resampling.LANCZOS) for frame in frames]
    rows = (len(tiles) + columns - 1) // columns
    sheet = Image.new("L", (384 * columns, 384 * rows))
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (384 * (index % columns), 384 * (index // columns)))
    sheet.save(path, format="PNG")
