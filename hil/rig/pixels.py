"""The thread that turns due frames into pixels and commits them on time.

Lives here: the queue from the main loop, the wait for the end of the readout, and the ways in which
a frame can go wrong on its way.  May not live here: physics (`hil.physics`) or the ring's layout.

Work begins when the window closes and must be done when the readout ends; the frame is committed
at that instant, never before.  numpy gives the interpreter away while it computes, so that results
on the bus do not wait behind a frame.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

from hil.physics.panel import Panel, Pixels, Shot
from hil.physics.patient import Patient
from hil.physics.spectra import KV_MAX, KV_MIN
from hil.rig.ringwriter import RingWriter
from hil.room.records import Exposure, FrameDue, ReadoutExposure
from realtime.wire.ring import FLAG_AFTER_IDLE, FLAG_OVERRUN

QUEUE_MAX: Final = 8
LATE_NS_MAX: Final = 2_000_000
STALE_NS: Final = 200_000_000
WRONG_ID_OFFSET: Final = 1000
log = logging.getLogger("rig.pixels")
Due = FrameDue | ReadoutExposure | None
Late = Callable[[int, int], None]


def shot_of(exposure: Exposure, close_ns: int, readout_end_ns: int) -> Shot:
    """An exposure as the panel sees it, with the rows that its readout part fell on."""
    readout_ns = max(readout_end_ns - close_ns, 1)
    first = (max(exposure.on_ns, close_ns) - close_ns) / readout_ns
    last = (exposure.off_ns - close_ns) / readout_ns
    return Shot(
        # a bank that stores one step beside its range must not stop the picture
        min(max(exposure.kv, KV_MIN), KV_MAX),
        exposure.filter,
        exposure.mas_window,
        exposure.mas_readout,
        (exposure.on_ns + exposure.off_ns) // 2,
        min(max(first, 0.0), 1.0),
        min(max(last, 0.0), 1.0),
    )


class PixelThread:
    """Makes frames in order.  `late(t_ns, late_ns)` is told of frames more than 2 ms late."""

    def __init__(self, panel: Panel, patient: Patient, writer: RingWriter, late: Late) -> None:
        self._panel, self._patient, self._writer, self._late = panel, patient, writer, late
        self._due: queue.Queue[Due] = queue.Queue(QUEUE_MAX)
        self._next: Due = None
        self._last: Pixels = writer.open().copy()
        panel.warm(patient, self._last)
        self._thread = threading.Thread(target=self._run, name="pixels")
        self.frames = self.overruns = self.stale = 0
        self.late_ns_max = self.render_ns_max = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Finish the frame in progress and end the thread."""
        if self._thread.is_alive():
            self._due.put(None)
            self._thread.join()

    def put(self, due: FrameDue | ReadoutExposure) -> None:
        """Hand over work; what does not fit into the queue is lost, counted and said loudly.

        Frames that became due while this process was away are not made up.
        """
        if isinstance(due, FrameDue) and time.monotonic_ns() - due.readout_end_ns > STALE_NS:
            self.stale += 1
            return
        try:
            self._due.put_nowait(due)
        except queue.Full:
            self.overruns += 1
            log.error("rig-world is too slow: frame %d is lost", due.frame_no)
            self._late(time.monotonic_ns(), LATE_NS_MAX + 1)

    def _run(self) -> None:
        while True:
            due = self._next if self._next is not None else self._due.get()
            self._next = None
            if due is None:
                return
            if isinstance(due, FrameDue):
                self._frame(due)
            else:
                self._afterglow(due)

    def _afterglow(self, late: ReadoutExposure) -> None:
        for exposure in late.exposures:
            self._panel.afterglow(shot_of(exposure, exposure.on_ns, exposure.off_ns))

    def _shots(self, due: FrameDue | ReadoutExposure, frame: FrameDue) -> list[Shot]:
        return [shot_of(e, frame.integration_close_ns, frame.readout_end_ns) for e in due.exposures]

    def _frame(self, due: FrameDue) -> None:
        began_ns = time.monotonic_ns()
        pixels = self._writer.open()
        shots = self._shots(due, due) if due.integrates else []
        self._panel.frame(shots, self._patient, pixels, due.integration_close_ns, due.after_idle)
        self._spoil(due, pixels)
        crc32 = self._writer.crc32()
        self.render_ns_max = max(self.render_ns_max, time.monotonic_ns() - began_ns)
        if self._wait(due, pixels):
            crc32 = self._writer.crc32()
        self._commit(due, crc32)
        if due.defect != "frozen":
            self._last[:] = pixels

    def _wait(self, due: FrameDue, pixels: Pixels) -> bool:
        """Until the readout ends; True when photons that fell into it changed the pixels."""
        end_ns = due.readout_end_ns + (due.delay_ns if due.defect == "late" else 0)
        changed = False
        while (left_ns := end_ns - time.monotonic_ns()) > 0:
            if self._next is not None:
                time.sleep(left_ns / 1e9)
                continue
            try:
                more = self._due.get(timeout=left_ns / 1e9)
            except queue.Empty:
                continue
            if isinstance(more, ReadoutExposure) and more.frame_no == due.frame_no:
                self._panel.late(self._shots(more, due), self._patient, pixels)
                changed = True
            elif more is None:
                self._due.put(None)
                break
            else:
                self._next = more
        return changed

    def _spoil(self, due: FrameDue, pixels: Pixels) -> None:
        if due.defect == "zero":
            pixels[:] = 0
        elif due.defect == "frozen":
            pixels[:] = self._last

    def _commit(self, due: FrameDue, crc32: int) -> None:
        flags = FLAG_AFTER_IDLE if due.after_idle else 0
        if self.overruns:
            flags |= FLAG_OVERRUN
        if due.defect == "missing":
            return
        if due.defect == "torn":
            self._writer.tear()
            return
        number = due.frame_no + (WRONG_ID_OFFSET if due.defect == "wrong_id" else 0)
        size = self._writer.layout.payload_bytes // 2 if due.defect == "size" else -1
        shift_ns = due.delay_ns if due.defect == "foreign" else 0
        stamps = (due.integration_open_ns + shift_ns, due.integration_close_ns + shift_ns,
                  due.readout_end_ns + shift_ns)  # fmt: skip
        self._writer.commit(number, *stamps, crc32, flags, size)
        self.frames += 1
        late_ns = time.monotonic_ns() - due.readout_end_ns
        self.late_ns_max = max(self.late_ns_max, late_ns)
        if late_ns > LATE_NS_MAX and due.defect != "late":
            self._late(due.readout_end_ns + late_ns, late_ns)
        if due.defect == "duplicate":
            self._twice(number, stamps, crc32, flags)

    def _twice(self, number: int, stamps: tuple[int, int, int], crc32: int, flags: int) -> None:
        original = self._writer.pixels_of(self._writer.seq)
        self._writer.open()[:] = original
        self._writer.commit(number, *stamps, crc32, flags)
