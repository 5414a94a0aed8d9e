"""One frame through the chain: look at it, judge it, then correct it.

Lives here: the order of the steps and the buffers they share, allocated once per panel.  May not
live here: sockets, pairing, accounts.  `inspect` is everything the verdict needs and nothing more;
`correct` is the expensive rest and runs after the verdict has been sent.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from controller.devices.panel import Panel
from controller.imaging import verdict
from controller.imaging.corrections import Calibration, Corrections, FieldStatistics, measure
from controller.imaging.display import window
from controller.imaging.signal_floor import SignalFloor
from realtime.wire.ring import Layout, Slot

Pixels = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Picture:
    """A corrected frame, uint16 (height, width), owned by nobody else; never written again."""

    pixels: Pixels
    statistics: FieldStatistics
    window_du: tuple[float, float]
    crc32: int


class FrameChain:
    """The chain for one panel of `height` × `width` pixels; not reentrant."""

    def __init__(self, width: int, height: int) -> None:
        self.shape = (height, width)
        self._raw: Pixels = np.zeros(self.shape, dtype=np.uint16)
        self._previous: Pixels = np.zeros(self.shape, dtype=np.uint16)
        self._corrections: Corrections | None = None
        self._offset_du = 0.0
        self._floor = SignalFloor()

    @property
    def calibrated(self) -> bool:
        """True when a calibration of this panel is loaded."""
        return self._corrections is not None

    @property
    def applied(self) -> list[str]:
        """Names of the corrections applied, in order."""
        return [] if self._corrections is None else list(self._corrections.applied)

    def calibrate(self, calibration: Calibration | None) -> None:
        """Use this calibration from the next frame on; None withdraws it."""
        self._corrections = None if calibration is None else Corrections(calibration)
        self._offset_du = 0.0 if calibration is None else verdict.sampled_mean(calibration.offset)

    def fits(self, layout: Layout) -> bool:
        """True when the ring's frames have the configured shape."""
        return (layout.height, layout.width) == self.shape

    def start_run(self) -> None:
        """A new run: the level of the last one counts no more than its ghost."""
        self._floor.start_run()

    def inspect(self, panel: Panel, slot: Slot, *, truncated: bool) -> str:
        """Copy the frame out of the ring and judge it; returns the reason (`ok`, …)."""
        shape_ok = (slot.height, slot.width) == self.shape
        shape_ok = shape_ok and slot.payload_bytes == self._raw.nbytes
        self._raw, self._previous = self._previous, self._raw
        whole = shape_ok and panel.read(slot.seq, self._raw) == slot
        level_du = verdict.sampled_mean(self._raw) - self._offset_du
        reason = verdict.judge(
            verdict.Facts(
                whole=whole,
                shape_ok=shape_ok,
                checksum_ok=slot.crc32 == 0 or zlib.crc32(self._raw.data) == slot.crc32,
                zero=verdict.is_zero(self._raw),
                repeat=verdict.is_repeat(self._raw, self._previous),
                flags=slot.flags,
                calibrated=self.calibrated,
                level_du=level_du,
                truncated=truncated,
            ),
            self._floor.at(slot.integration_close_ns),
        )
        if reason == verdict.OK:
            self._floor.valid(level_du, slot.integration_close_ns)
        return reason

    def correct(self) -> Picture:
        """Correct the frame inspected last into fresh memory."""
        assert self._corrections is not None, "an uncalibrated frame is never valid"
        pixels: Pixels = np.empty(self.shape, dtype=np.uint16)
        self._corrections.apply(self._raw, pixels)
        return Picture(pixels, measure(pixels), window(pixels), zlib.crc32(pixels.data))

    def dark_level(self, panel: Panel, slot: Slot) -> tuple[float, float] | None:
        """Mean and spread after offset of a frame of the self-test, or None when it cannot be told.

        No run is possible then, so what it shows is an offset that drifted and a ghost.
        """
        if self._corrections is None or (slot.height, slot.width) != self.shape:
            return None
        if panel.read(slot.seq, self._raw) != slot:
            return None
        calibration = self._corrections.calibration
        level = verdict.dark_level_du(self._raw, calibration.offset, ~calibration.defects)
        self._floor.dark(level[0])
        return level
