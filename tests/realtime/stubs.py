"""Stages that are wrong on purpose, so that the other stage is proved alone.

Lives here: a gate that always agrees, an executive that always asks.  May not live here: any rule.
"""

from typing import Any

from realtime.executive import Executive
from realtime.inputs import Inputs, Letter, Outputs, Store
from realtime.permit import Gate
from realtime.wire.lines import Out, mask


class Generosity(Gate):
    """A last gate that always agrees."""

    def agree(self, *_question: Any, **_named: Any) -> str:
        """Yes."""
        return ""

    def agree_exercise(self, *_question: Any, **_named: Any) -> str:
        """Yes."""
        return ""


class Insistence(Executive):
    """An executive that asks for PULSE and a PERMIT edge on every turn, whatever its state."""

    def step(self, now_ns: int, inputs: Inputs, mail: list[Letter], store: Store) -> Outputs:
        """The lawful step, then energy on top."""
        out = super().step(now_ns, inputs, mail, store)
        self.run_before = self.run
        wanted = out.lines | mask(Out.PULSE) | (self.outlines.sent ^ mask(Out.PERMIT)) & 1
        return out._replace(lines=wanted)

    def veto(self, now_ns: int, lines: int, code: str) -> Outputs:
        """Give in for this turn."""
        self.refusals = [*getattr(self, "refusals", []), code]
        dark = self.outlines.sent & mask(Out.PERMIT)
        return Outputs(dark, now_ns + 1_000_000, self.posts, None, self.closed, self.stray)
