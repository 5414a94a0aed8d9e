"""Faults of the generator's bus, by their number in the catalogue: what can be set wrong.

Lives here: the table, which of them is active until when, and the record of the first effect.  May
not live here: the effects themselves (`generator_node` asks), or faults of lines (`hil.room`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# id: what it is, targets (the first is the default), default amount
TABLE: Final[dict[str, tuple[str, tuple[str, ...], float]]] = {
    "F16": ("read-back off or missing", ("kv", "width", "missing", "stores_lsb"), 10.0),
    "F17": ("heartbeat lost, emergency, bus off", ("heartbeat", "emcy", "bus_off"), 0.0),
    "F18": ("frames wrong", ("duplicate", "reorder", "length", "babble"), 0.0),
}
Log = Callable[[str, str, dict[str, object]], None]


@dataclass(slots=True)
class _Active:
    target: str
    amount: float
    on_ns: int
    until_ns: int
    seen: bool = False


class BusFaults:
    """What is wrong with the bus now.  `log(kind, fault, value)` gets fault_on and fault_off."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._active: dict[str, _Active] = {}
        self._lock = threading.Lock()

    def inject(
        self, fault: str, target: str, amount: float, now_ns: int, after_ns: int, for_ns: int
    ) -> str:
        """Set a fault; returns "" or why it is refused."""
        _, targets, usual = TABLE[fault]
        chosen = target or targets[0]
        if chosen not in targets:
            return f"{fault} has no target {target!r}: allowed is one of {', '.join(targets)}"
        on_ns = now_ns + after_ns
        until_ns = on_ns + for_ns if for_ns else 1 << 62
        self.clear(fault)
        with self._lock:
            self._active[fault] = _Active(chosen, amount or usual, on_ns, until_ns)
        return ""

    def clear(self, fault: str) -> None:
        """End one fault, or all when `fault` is empty."""
        with self._lock:
            ended = [name for name in self._active if fault in ("", name)]
            rows = [(name, self._active.pop(name)) for name in ended]
        for name, row in rows:
            if row.seen:
                self._log("fault_off", name, {"target": row.target, "amount": row.amount})

    def expire(self, now_ns: int) -> None:
        """End what has lasted long enough."""
        with self._lock:
            over = [name for name, row in self._active.items() if now_ns >= row.until_ns]
        for name in over:
            self.clear(name)

    def wants(self, fault: str, target: str, now_ns: int) -> float | None:
        """The amount when this fault is active on this target now, else None."""
        with self._lock:
            row = self._active.get(fault)
            if row is None or row.target != target or not row.on_ns <= now_ns < row.until_ns:
                return None
            return row.amount

    def seen(self, fault: str) -> None:
        """The effect is on the wire: written once to the truth log."""
        with self._lock:
            row = self._active.get(fault)
            if row is None or row.seen:
                return
            row.seen = True
        self._log("fault_on", fault, {"target": row.target, "amount": row.amount})

    def names(self) -> list[str]:
        """Active faults as `F16 kv`."""
        with self._lock:
            return sorted(f"{name} {row.target}" for name, row in self._active.items())
