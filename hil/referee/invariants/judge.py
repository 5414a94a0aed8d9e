"""What every judge is: it watches records and pulses and reports occasions.

Lives here: the base class with its three hooks.  May not live here: an invariant.
"""

from __future__ import annotations

from typing import ClassVar

from hil.referee.scene import Pulse, Scene
from hil.referee.score import Score
from hil.referee.truth import Truth


class Judge:
    """Base of the judges.  `scene` already contains what a hook is told about."""

    n: ClassVar[int] = 0

    def __init__(self, scene: Scene, score: Score) -> None:
        self.scene = scene
        self.score = score

    def record(self, record: Truth) -> None:
        """A record, in the order of stamps."""

    def pulse(self, pulse: Pulse) -> None:
        """A pulse whose tail has ended (or that the log's end has cut)."""

    def finish(self) -> None:
        """The log has ended."""

    def saw(self, start_ns: int, end_ns: int, wrong: str | None = None) -> None:
        """Report one occasion."""
        self.score.saw(self.n, start_ns, end_ns, wrong)
