"""A serial CAN adapter, read as much at a time as there is.

python-can's `slcan` asks the kernel for every byte by itself: some fifty system calls for a frame.

Lives here: cutting what has come into lines.  May not live here: frames or CANopen.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import serial
from can.exceptions import error_check
from can.interfaces.slcan import slcanBus

# The longest line of the protocol has 31 bytes; what grows beyond this is no line.
LINE_BYTES_MAX: Final = 256


class SlcanBus(slcanBus):
    """python-can's bus in every other way."""

    def __init__(self, *words: Any, **options: Any) -> None:
        """As python-can's; raises can.CanError, OSError, ValueError."""
        self._lines: deque[bytes] = deque()
        self.overlong = 0
        super().__init__(*words, **options)

    def flush(self) -> None:
        """Forget what has come and was not taken yet."""
        self._lines.clear()
        super().flush()

    def _read(self, timeout: float | None) -> str | None:
        """The next line with its end, or None when none has come within `timeout` s."""
        left = serial.Timeout(timeout)  # type: ignore[arg-type]  # None: without end
        with error_check("Could not read from serial device"):
            while not self._lines:
                waiting = self.serialPortOrig.in_waiting
                self._sort(self.serialPortOrig.read(max(1, waiting)))
                if not self._lines and left.expired():
                    return None
        return self._lines.popleft().decode()

    def _sort(self, fresh: bytes) -> None:
        """Cut what has come into lines; the rest waits for its end."""
        for byte in fresh:
            self._buffer.append(byte)
            if byte in self._OK + self._ERROR:
                self._lines.append(bytes(self._buffer))
                self._buffer.clear()
        if len(self._buffer) > LINE_BYTES_MAX:
            self.overlong += 1
            self._buffer.clear()
