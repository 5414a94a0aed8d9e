"""How much the frame stream holds for those who do not take it.

Lives here: the two bounds of the publisher, with the reason for each.  May not live here: a socket
(`publisher`).
"""

from __future__ import annotations

from typing import Final

# Half a second at 30/s: longer than any pause of a healthy subscriber, 32 MB at 1024².
QUEUE_FRAMES: Final = 16
# Four subscribers that stopped at different moments, each holding a full queue of its own.
IN_FLIGHT_MAX: Final = 4 * QUEUE_FRAMES

assert IN_FLIGHT_MAX > QUEUE_FRAMES
