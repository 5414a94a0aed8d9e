"""What somebody outside the machine can be told, in words that a scenario may expect.

Lives here: the words.  May not live here: who says them (`audience`, `network`).
"""

from __future__ import annotations

from typing import Final

TOLD: Final = ("frames_lost", "late_joiner")
