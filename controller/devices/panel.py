"""The panel port: what imaging asks of a flat panel, whatever its make.

Lives here: the protocol and how a driver is found (entry point group `carm.panel`).  May not live
here: any driver, pixels' meaning, or pairing.

A driver completes frames into slots (`realtime.wire.ring.Slot`: times of the integration interval
on the host's monotonic clock, pixels `<u2`) and tells when one is whole.  It never blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from realtime.wire.ring import Layout, Slot

GROUP: Final = "carm.panel"


class PanelLost(ConnectionError):
    """The panel is gone or speaks nonsense; `code` is counted, the caller closes and reopens."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class Panel(Protocol):
    """One panel.  No call blocks; every call but `open` and `close` may raise PanelLost."""

    layout: Layout | None

    def open(self) -> bool:
        """Try to connect; True when a descriptor is there to wait on."""

    def fileno(self) -> int:
        """Descriptor that becomes readable when `arrivals` has something to return."""

    def arrivals(self) -> list[int]:
        """Numbers of the frames completed since the last call, ascending."""

    def header(self, seq: int) -> Slot | None:
        """Header of frame `seq`; None when the slot is torn or already holds another frame."""

    def read(self, seq: int, out: npt.NDArray[np.uint16]) -> Slot | None:
        """Copy the pixels of frame `seq` to `out` (height, width); None when torn on the way."""

    def close(self) -> None:
        """Give the connection and the memory back; `open` may follow."""


def find_driver(name: str) -> Callable[[Path], Panel]:
    """The driver `name` as a function of its socket or device path; raises LookupError."""
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        known = sorted(entry.name for entry in entry_points(group=GROUP))
        raise LookupError(f"no panel driver {name!r}; installed are {', '.join(known) or 'none'}")
    driver: Callable[[Path], Panel] = found[0].load()
    return driver
