"""Preparation of the tube: the anode's rotor and the filament's boost.

Lives here: rotor speed as a line between rest and full, and the filament's boost time.  May not
live here: whether a pulse may start (`generator`).  Braking takes `brake_ns` from full speed, so a
rotor that still turns is ready sooner (domain §4).
"""

from __future__ import annotations

from hil.room.records import NEVER


class Preparation:
    """Rotor and filament; both are ready only while preparation is on."""

    def __init__(self, rotor_up_ns: int, brake_ns: int, filament_ns: int) -> None:
        self._up_ns = rotor_up_ns
        self._brake_ns = brake_ns
        self._filament_ns = filament_ns
        self._since_ns = 0
        self._speed_then = 0.0
        self._now_ns = 0
        self._due_ns = NEVER
        self.on = False
        self._find_due()

    def prepare(self, t_ns: int, on: bool) -> None:
        """Start or stop preparing at `t_ns`."""
        if on == self.on:
            return
        self._speed_then = self.speed(t_ns)
        self._since_ns = self._now_ns = t_ns
        self.on = on
        self._find_due()

    def speed(self, t_ns: int) -> float:
        """Rotor speed at `t_ns`, 0 … 1."""
        passed = t_ns - self._since_ns
        if self.on:
            return min(1.0, self._speed_then + passed / self._up_ns)
        return max(0.0, self._speed_then - passed / self._brake_ns)

    def _rotor_due_ns(self) -> int:
        if self.on:
            return self._since_ns + round((1.0 - self._speed_then) * self._up_ns)
        return self._since_ns + round(self._speed_then * self._brake_ns)

    def next_ns(self) -> int:
        """When rotor or filament changes its state, or NEVER."""
        return self._due_ns

    def _find_due(self) -> None:
        dues = [self._rotor_due_ns()]
        if self.on:
            dues.append(self._since_ns + self._filament_ns)
        self._due_ns = min((due for due in dues if due > self._now_ns), default=NEVER)

    def advance(self, t_ns: int) -> None:
        """Time has come to `t_ns`."""
        self._now_ns = max(self._now_ns, t_ns)
        if self._due_ns <= self._now_ns:
            self._find_due()

    @property
    def rotor(self) -> str:
        """rest, run_up, ready or braking."""
        reached = self._now_ns >= self._rotor_due_ns()
        if self.on:
            return "ready" if reached else "run_up"
        return "rest" if reached else "braking"

    @property
    def filament(self) -> str:
        """standby, boost or ready."""
        if not self.on:
            return "standby"
        return "ready" if self._now_ns >= self._since_ns + self._filament_ns else "boost"

    @property
    def ready(self) -> bool:
        """Rotor at speed and filament hot."""
        return self.rotor == "ready" and self.filament == "ready"
