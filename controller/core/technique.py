"""A technique: what one pulse is made of, and whether it fits the panel's window.

Lives here: the immutable `Technique`, its range checks, the fit arithmetic for both topologies with
its words, the pulse period as integers, and the check sum that a bank carries.  May not live here:
which bank is idle (`controller.core.machine`) or how a bank is written (`controller.devices`).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from controller.core.refusal import Blame, Refusal
from realtime.limits import US, WINDOW_SLACK_NS
from realtime.wire.config import Config, tail_us
from realtime.wire.messages import Committed, Topology

FILTERS: Final = {"none": 0, "3Al+0.1Cu": 1}
EDITABLE: Final = ("kv", "ma", "ms", "rate")
ID_MAX: Final = (1 << 32) - 1
_CHECKED: Final = struct.Struct("<IHIIB")
_SLACK_US: Final = WINDOW_SLACK_NS // US


@dataclass(frozen=True, slots=True)
class Technique:
    """One committed set of exposure factors; `tail_us` is its worst-case high-voltage tail.

    `kv_tenths` is in 0.1 kV, `ma_hundredths` in 0.01 mA: the generator's own steps, so that what
    is read back is compared exactly.
    """

    technique_id: int
    kv_tenths: int
    ma_hundredths: int
    set_us: int
    filter_name: str
    field_mm: float
    rise_us: int
    tail_us: int
    pulses_per_s: float

    @property
    def tube_kv(self) -> float:
        """Tube voltage, kV."""
        return self.kv_tenths / 10

    @property
    def tube_ma(self) -> float:
        """Tube current, mA."""
        return self.ma_hundredths / 100

    @property
    def width_ms(self) -> float:
        """Pulse width, ms."""
        return self.set_us / 1000

    @property
    def filter_code(self) -> int:
        """The generator's number of the added filter."""
        return FILTERS[self.filter_name]

    @property
    def check(self) -> int:
        """CRC-32 over the five stored values: a bank without the right one is not valid."""
        return bank_check(
            self.technique_id, self.kv_tenths, self.ma_hundredths, self.set_us, self.filter_code
        )

    def numbered(self, technique_id: int) -> Technique:
        """The same factors under another id (1 … 2³²−1)."""
        assert 1 <= technique_id <= ID_MAX
        return replace(self, technique_id=technique_id)

    def announcement(self) -> Committed:
        """What imaging is told once the bank was read back."""
        return Committed(
            self.technique_id, self.tube_kv, self.tube_ma, self.width_ms,
            self.filter_name, self.field_mm, self.tail_us,
        )  # fmt: skip

    def shown(self) -> dict[str, Any]:
        """The factors for people, JSON-able."""
        return {
            "technique_id": self.technique_id, "kv": self.tube_kv, "ma": self.tube_ma,
            "ms": self.width_ms, "filter": self.filter_name, "field_mm": self.field_mm,
            "tail_us": self.tail_us, "pulses_per_s": self.pulses_per_s,
        }  # fmt: skip


def bank_check(
    technique_id: int, kv_tenths: int, ma_hundredths: int, set_us: int, filter_code: int
) -> int:
    """CRC-32 of the five values as the generator stores them."""
    return zlib.crc32(_CHECKED.pack(technique_id, kv_tenths, ma_hundredths, set_us, filter_code))


def id_of(supervisor_epoch: int, count: int) -> int:
    """A technique id that no earlier supervisor used within 65,535 epochs; count 1 … 65,535."""
    assert 1 <= count <= 0xFFFF, "one epoch commits at most 65,535 techniques"
    return (supervisor_epoch & 0xFFFF) << 16 | count


@lru_cache(maxsize=64)
def period(pulses_per_s: float) -> tuple[int, int]:
    """Pulse period as (num_ns, den): exact for rates that are fractions with den ≤ 1000."""
    rate = Fraction(pulses_per_s).limit_denominator(1000)
    exact = Fraction(1_000_000_000) / rate
    return exact.numerator, exact.denominator


def from_config(config: Config) -> Technique:
    """The fixed technique of the configuration, checked; raises Refusal when it does not fit."""
    wanted = {
        "kv": config["technique.kv"], "ma": config["technique.ma"],
        "ms": config["technique.ms"], "rate": config["technique.pulses_per_s"],
    }  # fmt: skip
    return checked(wanted, config)


def edited(current: Technique, edit: Mapping[str, Any], config: Config) -> Technique:
    """`current` with kv, ma, ms or rate replaced, checked whole; raises Refusal."""
    for key in edit:
        if key not in EDITABLE:
            raise Refusal("unknown_key", Blame.INPUT, key, edit[key], ", ".join(EDITABLE),
                          f"remove {key}")  # fmt: skip
    wanted: dict[str, Any] = {
        "kv": current.tube_kv, "ma": current.tube_ma,
        "ms": current.width_ms, "rate": current.pulses_per_s,
    }  # fmt: skip
    return checked({**wanted, **edit}, config)


def checked(wanted: Mapping[str, Any], config: Config) -> Technique:
    """Build a technique (id 1) from kv, ma, ms, rate; raises Refusal on range or fit."""
    for key in ("kv", "ma", "ms"):
        _in_range(key, wanted[key], *config[f"generator.{key}"])
    rate = wanted["rate"]
    if type(rate) not in (int, float) or float(rate) not in config["technique.rates"]:
        allowed = ", ".join(f"{r:g}" for r in config["technique.rates"])
        raise Refusal("rate_not_offered", Blame.INPUT, "rate", rate, f"one of {allowed} per s",
                      "choose one of technique.rates")  # fmt: skip
    technique = Technique(
        technique_id=1,
        kv_tenths=round(wanted["kv"] * 10),
        ma_hundredths=round(wanted["ma"] * 100),
        set_us=round(wanted["ms"] * 1000),
        filter_name=config["technique.filter"],
        field_mm=config["technique.field_mm"],
        rise_us=config["generator.rise_us"],
        tail_us=tail_us(config["generator.capacitance_pf"], wanted["kv"], wanted["ma"]),
        pulses_per_s=float(rate),
    )
    refuse_misfit(technique, config)
    return technique


def _in_range(key: str, value: Any, low: float, high: float) -> None:
    if type(value) not in (int, float) or not low <= value <= high:
        raise Refusal("out_of_range", Blame.INPUT, key, _plain(value), f"{low:g} … {high:g}",
                      f"choose {key} between {low:g} and {high:g}")  # fmt: skip


def _plain(value: Any) -> Any:
    # NaN and infinities are not JSON.
    return repr(value) if isinstance(value, float) and value - value != 0 else value


def refuse_misfit(technique: Technique, config: Config) -> None:
    """Raise Refusal, with the arithmetic in words, when the pulse or its period does not fit."""
    if technique.set_us > config["beam.width_cap_us"]:
        raise _misfit("width_over_cap", "ms", technique.width_ms,
                      f"width {technique.set_us} µs ≤ cap {config['beam.width_cap_us']} µs",
                      "shorten the pulse")  # fmt: skip
    parts = (
        ("opening guard", config["beam.guard_open_us"]), ("start slack", _SLACK_US),
        ("rise", technique.rise_us), ("width", technique.set_us), ("tail", technique.tail_us),
        ("closing guard", config["beam.guard_close_us"]),
    )  # fmt: skip
    needed, window = sum(us for _, us in parts), config["panel.window_us"]
    if needed > window:
        words = " + ".join(f"{name} {us}" for name, us in parts)
        raise _misfit(
            "does_not_fit_window",
            "ms",
            technique.width_ms,
            f"{words} = {needed} µs ≤ window {window} µs; {needed - window} µs too long",
            "shorten the pulse, raise mA (shorter tail) or widen panel.window_us",
        )
    _refuse_period(technique, config)


def _refuse_period(technique: Technique, config: Config) -> None:
    num_ns, den = period(technique.pulses_per_s)
    period_us = Fraction(num_ns, den * 1000)
    master = config["panel.topology"] == Topology.CONTROLLER_MASTER
    trigger = config["panel.trigger_delay_us"] if master else 0
    cycle = trigger + config["panel.window_us"] + config["panel.readout_us"]
    least = max(cycle, config["beam.spacing_min_us"])
    if period_us < least:
        raise _misfit("does_not_fit_period", "rate", technique.pulses_per_s,
                      f"max(trigger {trigger} + window {config['panel.window_us']} + readout "
                      f"{config['panel.readout_us']} = {cycle}, spacing "
                      f"{config['beam.spacing_min_us']}) µs ≤ period {float(period_us):.0f} µs",
                      "choose a lower rate")  # fmt: skip
    if not master and (Fraction(config["panel.base_rate_hz"]) / Fraction(technique.pulses_per_s)
                       ).denominator != 1:  # fmt: skip
        raise _misfit("not_a_divisor", "rate", technique.pulses_per_s,
                      f"base rate {config['panel.base_rate_hz']:g}/s divided by a whole number",
                      "choose a rate that uses every k-th window of the panel")  # fmt: skip


def _misfit(code: str, where: str, value: float, allowed: str, remedy: str) -> Refusal:
    return Refusal(code, Blame.INPUT, where, value, allowed, remedy)
