"""What every judge is: it watches records and pulses and reports occasions.

Lives here: the base class with its three hooks.  May not live here: an invariant.
"""

from __future__ import annotations

from collections.abc import Set
from typing import ClassVar

from hil.referee.scene import Pulse, Scene
from hil.referee.score import Score
from hil.referee.truth import KINDS, Truth


class Judge:
    """Base of the judges.  `scene` already contains what a hook is told about.

    `watches` are the kinds of records by which the judge can learn something; one that waits for
    time to pass watches them all.
    """

    n: ClassVar[int] = 0
    watches: ClassVar[Set[str]] = KINDS

    def __init__(self, scene: Scene, score: Score) -> None:
        self.scene = scene
        self.score = score

    def record(self, record: Truth) -> None:
        """A record of a kind that is watched, in the order of stamps."""

    def pulse(self, pulse: Pulse) -> None:
        """A pulse whose tail has ended (or that the log's end has cut)."""

    def finish(self) -> None:
        """The log has ended."""

    def saw(self, start_ns: int, end_ns: int, wrong: str | None = None) -> None:
        """Report one occasion."""
        self.score.saw(self.n, start_ns, end_ns, wrong)
