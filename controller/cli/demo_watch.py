"""The demo's subscriber: a stranger to the project that counts frames and keeps some pictures.

Lives here: a thread around `controller.stream.subscriber`, and the choice of frames for the contact
sheet.  May not live here: anything that looks into another process.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from controller.stream.subscriber import Subscriber

KEEP_EVERY: Final = 12
KEEP_MAX: Final = 24
POLL_S: Final = 0.2

Picture = tuple[dict[str, Any], bytes]


class Watch(threading.Thread):
    """Receives until stopped.  `kept` are frames for the sheet, `held` the last held image."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(name="subscriber", daemon=True)
        self._subscriber = Subscriber(endpoint)
        self._over = threading.Event()
        self.kept: list[Picture] = []
        self.held: Picture | None = None
        self.pulse_ids: set[int] = set()
        self.report: dict[str, Any] = {}

    def run(self) -> None:
        """Receive, count, keep every KEEP_EVERYth whole frame until the sheet is full."""
        while not self._over.is_set():
            got = self._subscriber.receive(POLL_S)
            if got is not None and got[0] in ("live", "hold"):
                self._look(*got)
        self.report = self._subscriber.report()
        self._subscriber.close()

    def _look(self, topic: str, header: dict[str, Any]) -> None:
        assert self._subscriber.last is not None
        if topic == "hold":
            self.held = self._subscriber.last
            return
        self.pulse_ids.add(header["pulse_id"])
        due = len(self.pulse_ids) % KEEP_EVERY == 1 and len(self.kept) < KEEP_MAX
        if due and not header["truncated"] and not header["resend"]:
            self.kept.append(self._subscriber.last)

    def stop(self) -> dict[str, Any]:
        """End the thread; the final account (`carm.frames/1`)."""
        self._over.set()
        self.join()
        return self.report
