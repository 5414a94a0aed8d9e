"""A serial CAN adapter, read as much at a time as there is.

python-can's `slcan` asks the kernel for every byte by itself: some fifty system calls for a frame.

Lives here: cutting what has come into lines.  May not live here: frames or CANopen.
"""

from __future__ import annotations

import errno
import math
import os
import select
import time
from collections import deque
from typing import Any, Final

from can.exceptions import error_check
from can.interfaces.slcan import slcanBus

# The longest line of the protocol has 31 bytes; what grows beyond this is no line.
LINE_BYTES_MAX: Final = 256
READ_BYTES_MAX: Final = 4096


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
        until_s = math.inf if timeout is None else time.monotonic() + timeout
        with error_check("Could not read from serial device"):
            while not self._lines:
                self._sort(self._fresh())
                if not self._lines and time.monotonic() >= until_s:
                    return None
        return self._lines.popleft().decode()

    def _fresh(self) -> bytes:
        """What there is, as soon as there is something; nothing after the port's own time."""
        port = self.serialPortOrig.fileno()
        if not select.select([port], [], [], self.serialPortOrig.timeout)[0]:
            return b""
        try:
            fresh = os.read(port, READ_BYTES_MAX)
        except BlockingIOError:
            return b""
        if not fresh:
            raise OSError(errno.EIO, "the adapter is gone", self.channel_info)
        return fresh

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
