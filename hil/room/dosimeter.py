"""The dosimeter in the beam: it integrates for itself.

Lives here: a numerical integral of kV²·mA over each pulse, from start, stop, rise and capacitance
alone.  May not live here: anything of the generator's own account (`tube`, `generator`): the two
are compared, so they share no formula.
"""

from __future__ import annotations

from typing import Final

STEPS: Final = 64
# The mean of the square of a straight line from 0 to 1, by as many steps as the instrument takes.
RAMP: Final = sum(((step + 0.5) / STEPS) ** 2 for step in range(STEPS)) / STEPS


class Dosimeter:
    """`reading` is the integral since start in kV²·mA·s; it never decreases."""

    def __init__(self, rise_ns: int, capacitance_pf: int) -> None:
        self._rise_s = rise_ns * 1e-9
        self._capacitance_nf = capacitance_pf * 1e-3
        self.reading = 0.0

    def pulse(self, hv_ns: int, kv: float, ma: float) -> None:
        """A pulse whose high voltage was driven for `hv_ns` at set kV and mA."""
        duration_s = hv_ns * 1e-9
        climb_s = min(duration_s, self._rise_s)
        top_kv = kv * climb_s / self._rise_s
        # nF · kV / mA = 1e-9 · 1e3 / 1e-3 s = 1e-3 s
        drain_s = self._capacitance_nf * top_kv / ma * 1e-3
        flat = (duration_s - climb_s) * top_kv**2
        self.reading += ma * (RAMP * top_kv**2 * (climb_s + drain_s) + flat)
