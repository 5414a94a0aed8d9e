"""What has happened in the miniature room: everything the executive said, and questions about it.

Lives here: the log and its readers.  May not live here: the room.
"""

from __future__ import annotations

from typing import Any

from realtime.inputs import Peer
from realtime.wire.messages import Message, Refused, RunEnd, Trip


class Logbook:
    """Every message the executive sent: when, to whom, what."""

    posts: list[tuple[int, Peer, Message]]

    def sent(self, kind: type[Message], peer: Peer = Peer.SUPERVISOR) -> list[Any]:
        """Messages of one class to one peer, oldest first."""
        return [m for _, to, m in self.posts if to is peer and isinstance(m, kind)]

    def ends(self) -> list[tuple[str, str]]:
        """(reason, code) of every run that ended."""
        return [(str(end.reason.value), end.code) for end in self.sent(RunEnd)]

    def trips(self) -> list[str]:
        """Codes of all trips, oldest first."""
        return [trip.code for trip in self.sent(Trip)]

    def refusals(self) -> list[tuple[str, str]]:
        """(what, code) of all refusals to the supervisor."""
        return [(m.what, m.code) for m in self.sent(Refused)]
