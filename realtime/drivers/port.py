"""The port of a line driver: what the loop asks of the hardware that carries the lines.

Lives here: the contract, as a Protocol.  May not live here: a driver.  The suite
`tests/realtime/test_line_contract.py` runs over every driver.
"""

from __future__ import annotations

from typing import Protocol

from realtime.inputs import Inputs


class LineDriver(Protocol):
    """A bank of lines.  No call blocks; no call raises for what the hardware does."""

    packet: bytes
    """Raw line packet of the newest snapshot, for the last gate (`docs/line-bus.md`)."""
    received_ns: int
    """When it arrived, host monotonic ns."""
    packets: int
    """How many have arrived so far, by the kernel's stamps."""

    def fileno(self) -> int:
        """A descriptor that becomes readable with news, or -1 while there is none."""
        ...

    def drain(self, now_ns: int) -> Inputs:
        """Take everything that has arrived; `now_ns` is the start of the turn."""
        ...

    def send(self, now_ns: int, levels: int) -> bool:
        """Put a bank on the outputs; False when it cannot be known to have arrived."""
        ...

    def close(self) -> None:
        """Let the hardware go."""
        ...
