"""What a command needs, and who may: levels and roles.

Lives here: the two scales.  May not live here: the commands (`commands`), or any package outside
the standard library: virtual time judges with these as well.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """What a command needs.  Each level needs everything of the levels below it."""

    ASK = 0  # nothing: a question, answered at any time
    FETCH = 1  # a signature, the beam dark and pedals up
    CHANGE = 2  # also a session opened at the board


class Role(IntEnum):
    """Who may; a role may everything of those below it.  0 is nobody in particular."""

    ANYBODY = 0
    OBSERVER = 1
    ENGINEER = 2
    ADMINISTRATOR = 3


ROLES: Final = {role.name.lower(): role for role in Role if role is not Role.ANYBODY}
