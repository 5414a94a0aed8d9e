"""What goes wrong with a frame after its window closed, and when frames are reported.

Lives here: the defect that frames get while a fault is on, and what each defect means for validity.
May not live here: pixels, or the panel's timing.
"""

from __future__ import annotations


class FrameFaults:
    """`defect` goes with every frame that is due while it is set; counters prove the effect."""

    def __init__(self) -> None:
        self.defect = ""
        self.delay_ns = 0
        self.spoiled = 0
        self.blind = 0

    def count(self, integrates: bool) -> None:
        """A frame became due under the present faults."""
        self.spoiled += bool(self.defect)
        self.blind += not integrates

    def reason(self, integrates: bool) -> str:
        """Why a frame that is due now is not valid; "" when it is.

        Late and duplicate frames carry their picture whole: they are valid, only not on time.
        """
        if not integrates:
            return "not_integrated"
        return "" if self.defect in ("", "late", "duplicate") else self.defect
