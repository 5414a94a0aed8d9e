"""A department on a bench: a real ring in this process, and ears that remember what it says.

Lives here: the panel port over private memory, the outlets and peers, and the times of pulses.  May
not live here: assertions, sockets, clocks.
"""

from __future__ import annotations

import mmap
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.imaging.chain import FrameChain, Picture
from controller.imaging.corrections import Calibration
from controller.imaging.department import Department
from controller.imaging.outgoing import Outgoing
from controller.stream.header import Publication
from realtime.wire import ring
from realtime.wire.messages import (
    Committed,
    Delivered,
    EndReason,
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
