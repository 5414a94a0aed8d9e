"""A subscriber of the frame stream, written from `docs/frame-stream.md` and from nothing else.

Lives here: receiving and checking; the account of what came and what was lost stands beside it
(`account`).  May not live here: any other import of this project: if this file needs more than the
page says, the page is wrong.  pyzmq and msgpack are needed; numpy and Pillow only for `write_png`.
"""

from __future__ import annotations

import time
import zlib
from pathlib import Path
from typing import Any, Final

import msgpack
import zmq

from controller.stream.account import Account, Header

# Frames this process may fall behind before the publisher's queue begins to fill.
RECEIVE_QUEUE_FRAMES: Final = 64
LATENCIES_MAX: Final = 1_000_000
FOREVER_S: Final = 86_400.0


def percentile(values: list[float], part: float) -> float | None:
    """The value below which `part` (0 … 1) of the values lie; None of nothing."""
    if not values:
        return None
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(part * len(ranked)))]


class Subscriber:
    """A connected SUB socket with its account; the last frame is kept as it came."""

    def __init__(self, endpoint: str) -> None:
        """Connect; a publisher need not be there yet.  Raises ValueError on a bad endpoint."""
        self.account = Account()
        self.latencies_ms: list[float] = []
        self.last: tuple[Header, bytes] | None = None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, RECEIVE_QUEUE_FRAMES)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ValueError(f"{endpoint}: {error}; give ipc://FILE or tcp://HOST:PORT") from None

    def receive(self, timeout_s: float) -> tuple[str, Header] | None:
        """The next message, checked and counted; None after `timeout_s` of silence."""
        if not self._socket.poll(max(0, int(timeout_s * 1000)), zmq.POLLIN):
            return None
        topic, packed, payload = self._socket.recv_multipart()
        now_ns = time.monotonic_ns()
        header: Header = msgpack.unpackb(packed)
        name = topic.decode()
        fresh = self.account.take(name, header)
        if name in ("live", "hold"):
            self.account.crc_bad += zlib.crc32(payload) != header["crc32"]
            self.last = (header, payload)
        if fresh and not header["resend"] and len(self.latencies_ms) < LATENCIES_MAX:
            self.latencies_ms.append((now_ns - header["readout_end_ns"]) / 1e6)
        return name, header

    def collect(self, count: int, timeout_s: float = FOREVER_S, tail_s: float = 0.0) -> Header:
        """Receive until `count` live frames, or `timeout_s` from now; then the report.

        With `tail_s` it then waits that long for a final tail, which closes the account.
        """
        until_s = time.monotonic() + timeout_s
        while self.account.received < count and (left_s := until_s - time.monotonic()) > 0:
            self.receive(left_s)
        until_s = time.monotonic() + tail_s
        while not self.account.tail_complete and (left_s := until_s - time.monotonic()) > 0:
            self.receive(left_s)
        return self.report()

    def report(self) -> Header:
        """The account with `latency_ms`: end of readout to here, on the publisher's machine."""
        values = self.latencies_ms
        return {
            **self.account.statement(),
            "latency_ms": {
                "n": len(values),
                "p50": percentile(values, 0.5),
                "p99": percentile(values, 0.99),
                "max": max(values, default=None),
            },
        }

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(linger=0)
        self._context.term()


def to_grey(header: Header, payload: bytes) -> Any:
    """The frame as (height, width) uint8 through the window in its header."""
    import numpy as np

    pixels = np.frombuffer(payload, dtype=header["dtype"]).reshape(header["shape"])
    low, high = np.log1p(header["window_du"])
    return (np.clip((np.log1p(pixels) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def write_png(path: Path, header: Header, payload: bytes) -> None:
    """Write the frame as a PNG whose title says whether it is held or live."""
    from PIL import Image, PngImagePlugin

    about = PngImagePlugin.PngInfo()
    about.add_text("Title", f"{header['kind']} {header['series']} frame {header['seq']}")
    Image.fromarray(to_grey(header, payload)).save(path, format="PNG", pnginfo=about)
