"""Whether a frame's number can be its own (F22, wrong id).

Lives here: the panel's counter held against its clock.  May not live here: pairing, which is by
time alone, or pixels.  Between two windows of a panel lies at least one window's length, so after
a given time its counter can have grown by only so much; a number that stands still, goes back or
runs ahead of that belongs to another frame, and so may the picture.
"""

from __future__ import annotations

from realtime.wire.ring import Slot


class FrameCount:
    """Follows the counter from the first frame on; a number that cannot be is not followed."""

    def __init__(self) -> None:
        self._last: Slot | None = None

    def forget(self) -> None:
        """A new run, or the panel was away: its counter may begin anywhere."""
        self._last = None

    def possible(self, slot: Slot) -> bool:
        """True when the number can follow the last one that could."""
        if self._last is not None:
            ahead = slot.frame_no - self._last.frame_no
            passed_ns = slot.integration_open_ns - self._last.integration_open_ns
            if passed_ns <= 0:
                # Looked at again, or with stamps that are not its own: pairing tells these apart.
                return True
            window_ns = max(1, slot.integration_close_ns - slot.integration_open_ns)
            if not 1 <= ahead <= passed_ns // window_ns + 1:
                return False
        self._last = slot
        return True
