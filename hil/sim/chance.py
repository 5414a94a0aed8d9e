"""Chance with a seed: delays, costs and ties, the same on every machine.

Lives here: named streams of integers.  May not live here: what is drawn for.  Each stream is seeded
by text, which Python hashes by SHA-512, so no draw depends on PYTHONHASHSEED or on the order in
which other streams are used; only `getrandbits` is used, which is specified bit for bit.
"""

from __future__ import annotations

from random import Random
from typing import Final

TIE_BITS: Final = 16
# One draw in 4096 of a step's cost is unusual: ten times the ordinary one.
_RARE_BITS: Final = 12


class Stream:
    """Integers for one purpose; `bits(n)` is the source itself, for who draws most."""

    __slots__ = ("bits",)

    def __init__(self, seed: int, name: str) -> None:
        self.bits = Random(f"{seed} {name}").getrandbits

    def below(self, n: int) -> int:
        """An integer in 0 … n − 1, n < 2³¹; the bias of the multiplication is below 2⁻³²."""
        return (self.bits(32) * n) >> 32

    def between(self, low: int, high: int) -> int:
        """An integer in low … high."""
        return low + (self.bits(32) * (high - low + 1) >> 32)

    def cost(self, low: int, high: int) -> int:
        """A step's cost: low … high, and now and then up to ten times as much."""
        if self.bits(_RARE_BITS) == 0:
            low, high = high, 10 * high
        return low + (self.bits(32) * (high - low + 1) >> 32)

    def chance(self, per_mille: int) -> bool:
        """True in `per_mille` of 1000 draws."""
        return self.below(1000) < per_mille
