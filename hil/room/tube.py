"""High voltage at the tube: linear rise, flat top, linear tail; and what it gives.

Lives here: the shape of one pulse and its integrals, in closed form.  May not live here: when a
pulse starts or ends, or the dosimeter, which integrates for itself.

`fraction(t)` is kV(t) over set kV.  The tail is C·V/I: the stored charge drains at the tube current
(domain §4).  Output counts by (kV/set)²: K at 1 m grows about as kV² (domain §6).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from hil.room.records import Technique


def tail_full_ns(capacitance_pf: int, technique: Technique) -> int:
    """Tail from full set voltage: C·V/I, rounded up to whole ns."""
    # pF · kV / mA = µs
    return math.ceil(capacitance_pf * technique.kv * 1000 / technique.ma)


class Shape(NamedTuple):
    """One pulse: hv from `on_ns` to `off_ns`, then its tail; the rise takes `rise_ns`."""

    on_ns: int
    off_ns: int
    rise_ns: int
    full_ns: int

    @property
    def peak(self) -> float:
        """Highest fraction reached."""
        return min(1.0, (self.off_ns - self.on_ns) / self.rise_ns)

    @property
    def tail_ns(self) -> int:
        """Duration of the tail from where the voltage stood."""
        return math.ceil(self.full_ns * self.peak)

    @property
    def end_ns(self) -> int:
        """The tail has drained."""
        return self.off_ns + self.tail_ns

    def up_ns(self, fraction: float) -> int:
        """When the rise passes `fraction` of set kV (reached or not)."""
        return self.on_ns + math.ceil(self.rise_ns * fraction)

    def down_ns(self, fraction: float) -> int:
        """When the tail passes `fraction` of set kV; `off_ns` if the peak was below."""
        return self.off_ns + math.floor(self.full_ns * max(0.0, self.peak - fraction))

    @property
    def width_ns(self) -> int:
        """Time at or above 75 % of the pulse's own peak."""
        level = 0.75 * self.peak
        return self.down_ns(level) - self.up_ns(level)

    def output_ns(self, from_ns: int, to_ns: int) -> float:
        """∫ fraction² dt over the part of the pulse inside [from, to], in ns."""
        top_ns = min(self.off_ns, self.on_ns + self.rise_ns)
        rise = _square(from_ns, to_ns, self.on_ns, top_ns, 0.0, self.peak)
        flat = max(0, min(to_ns, self.off_ns) - max(from_ns, top_ns)) * self.peak**2
        return rise + flat + _square(from_ns, to_ns, self.off_ns, self.end_ns, self.peak, 0.0)


def _square(from_ns: int, to_ns: int, a_ns: int, b_ns: int, start: float, end: float) -> float:
    """∫ of the square of a line from (a, start) to (b, end), over [from, to] ∩ [a, b]."""
    low, high = max(from_ns, a_ns), min(to_ns, b_ns)
    if high <= low:
        return 0.0
    slope = (end - start) / (b_ns - a_ns)
    at_low, at_high = start + slope * (low - a_ns), start + slope * (high - a_ns)
    return (high - low) * (at_low**2 + at_low * at_high + at_high**2) / 3
