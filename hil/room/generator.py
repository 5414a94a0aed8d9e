"""The generator: two banks, the gate, preset, back-up timer, high voltage, counters.

Lives here: when a pulse starts and ends, and the generator's own account of it.  May not live here:
the bus node that reports it, the chain and the monostable themselves, or the dosimeter.

Theory of operation.  At a rise of PULSE the generator latches the technique of the selected bank;
the latched request is void when PULSE falls, the permit drops or the inverter loses its supply, and
only the next rise makes another.  While a request is latched, (PULSE and WINDOW) starts high
voltage: one pulse per rise.  The pulse ends at the first of: preset (`set` after kV passed 75 %),
fall of PULSE, close of WINDOW, permit, supply; and, when preset and gate fail, the back-up timer at
min(1.1·set + 1 ms, cap) of kV ≥ 75 %, its own tail taken into account.  XRAY_ON follows the voltage
alone.  The gate counter counts rises of (PULSE and WINDOW) with or without supply, so that the
window gate can be tested without a photon.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from hil.room.dosimeter import Dosimeter
from hil.room.outbox import Outbox
from hil.room.parameters import MS, US, Parameters
from hil.room.records import (
    FLAG_BACKUP,
    FLAG_CHAIN,
    FLAG_PERMIT,
    FLAG_TRUNCATED,
    FLAG_UNASKED,
    FLAG_WINDOW,
    NEVER,
    Exposure,
    GateCount,
    PulseResult,
    Technique,
)
from hil.room.rotor import Preparation
from hil.room.tube import Shape, tail_full_ns

NS: Final = 1e-9
KEPT_MAX: Final = 8
AGAIN_NS: Final = 1 * MS
XRAY_FRACTION: Final = 0.1
WIDTH_FRACTION: Final = 0.75


class Inputs(NamedTuple):
    """What the generator's connectors see."""

    pulse: int
    bank: int
    window: int
    permit: bool
    supply: bool


@dataclass(slots=True)
class Firing:
    """The pulse in progress; `off_ns` is NEVER until high voltage ends, `gone_ns` its tail."""

    count: int
    bank: int
    technique: Technique
    on_ns: int
    full_ns: int
    flags: int = 0
    off_ns: int = NEVER
    gone_ns: int = NEVER
    drained: bool = False

    def shape(self, rise_ns: int, t_ns: int) -> Shape:
        """Its shape, ended at `t_ns` if it still runs."""
        return Shape(self.on_ns, min(self.off_ns, max(t_ns, self.on_ns)), rise_ns, self.full_ns)


class Generator:
    """`settle` after every change of its inputs, `advance` for its own timers."""

    def __init__(self, parameters: Parameters, outbox: Outbox) -> None:
        self._p = parameters
        self._out = outbox
        self._inputs = Inputs(0, 0, 0, False, False)
        self._request: tuple[int, Technique] | None = None
        self._again_ns = NEVER
        self._gate = False
        self.banks: list[Technique | None] = [None, None]
        self.preparation = Preparation(
            parameters.rotor_up_ns, parameters.rotor_brake_ns, parameters.filament_ns
        )
        self.dosimeter = Dosimeter(parameters.rise_ns, parameters.capacitance_pf)
        self.fault_bits = 0
        self.pulse_count = 0
        self.gate_count = 0
        self.refused = 0
        self.xray_on = 0
        self.kept: deque[Firing] = deque(maxlen=KEPT_MAX)
        # Wiring switch and faults (F13, F14, F15).
        self.preset = True
        self.backup = True
        self.ignores_off = False
        self.overruns = False
        self.repeats = 0
        self.strays = 0
        self.ignored = 0
        self.overran = 0
        self.unasked = 0

    @property
    def firing(self) -> Firing | None:
        """The pulse whose high voltage is on."""
        return self.kept[-1] if self.kept and self.kept[-1].off_ns == NEVER else None

    def store(self, bank: int, technique: Technique | None) -> bool:
        """Put a technique into a bank, or empty it; False when that bank is firing now."""
        firing = self.firing
        if firing is not None and firing.bank == bank:
            return False
        self.banks[bank] = technique
        return True

    def obey_again(self) -> None:
        """F15 has ended: no pulse comes unasked any more, not even one that was due."""
        self.repeats = self.strays = 0
        self._again_ns = NEVER

    def settle(self, t_ns: int, inputs: Inputs) -> None:
        """Inputs are so from `t_ns` on."""
        before, self._inputs = self._inputs, inputs
        if inputs == before and self._request is None and not self.strays and not self.firing:
            return
        if inputs.pulse and not before.pulse:
            self._latch(inputs)
        if not (inputs.pulse and inputs.permit and inputs.supply):
            self._request = None
        gate = bool(inputs.pulse and inputs.window)
        if gate and not self._gate:
            self.gate_count += 1
            self._out.reports.append(GateCount(t_ns, self.gate_count))
        self._gate = gate
        self._end_if_gated(t_ns, inputs)
        if gate and self._request is not None and self.firing is None:
            bank, technique = self._request
            self._request = None
            self._start(t_ns, bank, technique, 0)
        self._stray(t_ns)

    def next_ns(self) -> int:
        """When a timer of its own is due, or NEVER."""
        due_ns = min(self.preparation.next_ns(), self._again_ns)
        if self.kept and not self.kept[-1].drained:
            return min(due_ns, *self._dues(self.kept[-1]))
        return due_ns

    def advance(self, t_ns: int) -> None:
        """Do what is due up to `t_ns`."""
        self.preparation.advance(t_ns)
        if self.kept and not self.kept[-1].drained:
            self._go_on(t_ns, self.kept[-1])
        if self._again_ns <= t_ns:
            self._again_ns = NEVER
            self.strays += 1
        self._stray(t_ns)

    def exposures(self, open_ns: int, close_ns: int, whole_ns: int, now_ns: int) -> list[Exposure]:
        """What fell into a frame's window [open, close] and readout [close, whole], up to now.

        A tail that has begun is known to its end; a pulse still driven counts up to `now_ns`.
        """
        found = []
        for firing in self.kept:
            if firing.drained and firing.gone_ns <= open_ns:
                continue
            shape = firing.shape(self._p.rise_ns, now_ns)
            known_ns = shape.end_ns if firing.off_ns != NEVER else now_ns
            inside = shape.output_ns(open_ns, min(close_ns, known_ns))
            after = shape.output_ns(close_ns, min(whole_ns, known_ns))
            if inside > 0 or after > 0:
                found.append(self._exposure(firing, inside, after, known_ns))
        return found

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _exposure(self, firing: Firing, inside: float, after: float, off_ns: int) -> Exposure:
        t = firing.technique
        return Exposure(
            firing.count, t.technique_id, t.kv, t.ma, t.filter,
            inside * t.ma * NS, after * t.ma * NS, firing.on_ns, off_ns,
        )  # fmt: skip

    def _latch(self, inputs: Inputs) -> None:
        technique = self.banks[inputs.bank]
        # A rise that comes while it drives already starts nothing, not even when that has ended.
        ready = self.preparation.ready and not self.fault_bits and self.firing is None
        if technique is None or not ready or not inputs.permit or not inputs.supply:
            self.refused += 1
            self._request = None
        else:
            self._request = (inputs.bank, technique)

    def _end_if_gated(self, t_ns: int, inputs: Inputs) -> None:
        firing = self.firing
        if firing is None:
            return
        unasked = firing.flags & FLAG_UNASKED
        deaf = self.ignores_off and not unasked
        if not inputs.supply:
            self._stop(t_ns, FLAG_CHAIN | FLAG_TRUNCATED)
        elif deaf:
            self.ignored += not (inputs.permit and inputs.pulse and inputs.window)
        elif not inputs.permit:
            self._stop(t_ns, FLAG_PERMIT | FLAG_TRUNCATED)
        elif unasked:
            return
        elif not inputs.window:
            self._stop(t_ns, FLAG_WINDOW | FLAG_TRUNCATED)
        elif not inputs.pulse and not self.overruns:
            self._stop(t_ns, FLAG_TRUNCATED if self.preset else 0)

    def _timer(self, firing: Firing) -> tuple[int, int]:
        """When the preset or the back-up timer ends this pulse, and the flags of that end."""
        if self.ignores_off and not firing.flags & FLAG_UNASKED:
            return NEVER, 0
        set_ns = firing.technique.set_us * US
        wide_ns = firing.on_ns + int(self._p.rise_ns * WIDTH_FRACTION)
        limit_ns = min(set_ns * 11 // 10 + MS, self._p.width_cap_us * US)
        fall_ns = int(firing.full_ns * (1 - WIDTH_FRACTION))
        backup_ns = wide_ns + max(0, limit_ns - fall_ns)
        if self.preset and not self.overruns and wide_ns + set_ns <= backup_ns:
            return wide_ns + set_ns, 0
        return (backup_ns, FLAG_BACKUP) if self.backup else (NEVER, 0)

    def _start(self, t_ns: int, bank: int, technique: Technique, flags: int) -> None:
        if self.kept and not self.kept[-1].drained:
            self._drain(self.kept[-1], t_ns)
        self.pulse_count += 1
        full_ns = tail_full_ns(self._p.capacitance_pf, technique)
        firing = Firing(self.pulse_count, bank, technique, t_ns, full_ns, flags)
        self.kept.append(firing)
        self.unasked += bool(flags & FLAG_UNASKED)
        self._out.record(t_ns, "hv", "generator", 1, firing.count)
        self._out.record(t_ns, "photons_on", "tube", _latched(firing), firing.count)
        if self.repeats and not flags:
            self.repeats -= 1
            self._again_ns = t_ns + technique.set_us * US + AGAIN_NS

    def _stop(self, t_ns: int, flags: int) -> None:
        firing = self.kept[-1]
        firing.off_ns = t_ns
        firing.flags |= flags
        self.overran += bool(flags & FLAG_BACKUP)
        self._out.record(t_ns, "hv", "generator", 0, firing.count)
        self._follow(t_ns)

    def _stray(self, t_ns: int) -> None:
        """F15: fire unasked as soon as permit and supply let it; these two do not fail with it."""
        if not self.strays:
            return
        technique = self.banks[self._inputs.bank] or self.banks[1 - self._inputs.bank]
        able = self._inputs.permit and self._inputs.supply and self.preparation.ready
        if able and technique is not None and self.firing is None:
            self.strays -= 1
            self._start(t_ns, self._inputs.bank, technique, FLAG_UNASKED)

    def _dues(self, last: Firing) -> list[int]:
        shape = last.shape(self._p.rise_ns, NEVER)
        if last.off_ns == NEVER:
            end_ns, _ = self._timer(last)
            up_ns = shape.up_ns(XRAY_FRACTION)
            return [end_ns] if self.xray_on else [end_ns, up_ns]
        return [shape.down_ns(XRAY_FRACTION), shape.end_ns] if self.xray_on else [shape.end_ns]

    def _go_on(self, t_ns: int, last: Firing) -> None:
        if last.off_ns == NEVER:
            end_ns, flags = self._timer(last)
            if end_ns <= t_ns:
                self._stop(end_ns, flags)
        self._follow(t_ns)

    def _follow(self, t_ns: int) -> None:
        """XRAY_ON and the end of the tail."""
        if not self.kept or self.kept[-1].drained:
            return
        last = self.kept[-1]
        shape = last.shape(self._p.rise_ns, t_ns)
        reached = shape.up_ns(XRAY_FRACTION) <= t_ns and shape.peak >= XRAY_FRACTION
        gone = last.off_ns != NEVER and shape.down_ns(XRAY_FRACTION) <= t_ns
        self.xray_on = int(reached and not gone)
        if last.off_ns != NEVER and shape.end_ns <= t_ns:
            self._drain(last, shape.end_ns)

    def _drain(self, firing: Firing, t_ns: int) -> None:
        firing.drained = True
        self.xray_on = 0
        shape = firing.shape(self._p.rise_ns, t_ns)
        firing.gone_ns = shape.end_ns
        t = firing.technique
        mas = shape.output_ns(firing.on_ns, t_ns) * t.ma * NS
        width_us = shape.width_ns // US
        self.dosimeter.pulse(firing.off_ns - firing.on_ns, t.kv, t.ma)
        end: dict[str, Any] = {
            "mas": round(mas, 9), "width_us": width_us, "tail_us": (t_ns - firing.off_ns) // US,
            "flags": firing.flags,
        }  # fmt: skip
        self._out.record(t_ns, "photons_off", "tube", _latched(firing) | end, firing.count)
        self._out.reports.append(
            PulseResult(
                firing.count, t.technique_id, firing.bank, t.kv, t.ma, width_us, mas,
                firing.on_ns, firing.off_ns, firing.flags,
            )
        )  # fmt: skip


def _latched(firing: Firing) -> dict[str, Any]:
    t = firing.technique
    return {
        "technique_id": t.technique_id, "bank": firing.bank, "kv": t.kv, "ma": t.ma,
        "set_us": t.set_us, "filter": t.filter, "unasked": bool(firing.flags & FLAG_UNASKED),
    }  # fmt: skip
