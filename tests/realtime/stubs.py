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

    def withdraws(self, *_question: Any, **_named: Any) -> str:
        """Never."""
        return ""

    def agree_exercise(self, *_question: Any, **_named: Any) -> str:
        """Yes."""
        return ""


class Insistence(Executive):
    """An executive that asks for PULSE or a PERMIT edge by turns, whatever its state."""

    lease = b""
    odd = False
    refusals: tuple[str, ...] = ()

    def step(self, now_ns: int, inputs: Inputs, mail: list[Letter], store: Store) -> Outputs:
        """The lawful step, then energy on top, with a forged lease where a story gives one."""
        out = super().step(now_ns, inputs, mail, store)
        self.book.raw = self.lease or self.book.raw
        permit = self.outlines.sent & mask(Out.PERMIT)
        self.odd = not self.odd
        if self.odd:
            wanted = out.lines & ~mask(Out.PERMIT) | permit ^ mask(Out.PERMIT)
        else:
            wanted = out.lines & ~mask(Out.PERMIT) | permit | mask(Out.PULSE)
        return out._replace(lines=wanted, wake_ns=now_ns + 1_000_000)

    def veto(self, now_ns: int, lines: int, code: str) -> Outputs:
        """Give in for this turn."""
        self.refusals = (*self.refusals, code)
        dark = self.outlines.sent & mask(Out.PERMIT)
        return Outputs(dark, now_ns + 1_000_000, False, self.posts, None, self.closed, self.stray)
