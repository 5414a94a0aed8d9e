"""What somebody outside the machine can be told, in words that a scenario may expect.

Lives here: the words.  May not live here: who says them (`audience`, `network`).
"""

from __future__ import annotations

from typing import Final

from controller.service.core.reasons import Reason

# A security event names the reason of its refusal; the others come with frames and connections.
CONNECTED: Final = "broker_connected"
# Who refuses a configuration names the key.
NAMED: Final = "names_the_key"
TOLD: Final = ("frames_lost", "late_joiner", NAMED, CONNECTED, *(reason.value for reason in Reason))
