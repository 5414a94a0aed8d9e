"""The numbers of the room: what the configuration fixes and what the room itself is made of.

Lives here: `Parameters`, read from a checked configuration, and the header of the truth log.  May
not live here: anything that changes while the room runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from realtime.wire.config import Config

US: Final = 1000
MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
TRUTH_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Parameters:
    """Times of panel, generator and hardware.  `kv`, `ma`, `ms` are (low, high) accepted."""

    panel_master: bool
    window_ns: int
    readout_ns: int
    trigger_delay_ns: int
    base_rate_hz: float
    guard_open_us: int
    guard_close_us: int
    width_cap_us: int
    spacing_min_us: int
    rise_ns: int
    capacitance_pf: int
    kv: tuple[float, float]
    ma: tuple[float, float]
    ms: tuple[float, float]
    signal_every_s: float = 300.0
    resets_told: bool = False
    seed: int = 1
    hold_ns: int = 12 * MS
    apart_ns: int = 2 * MS
    chain_pick_up_ns: int = 8 * MS
    chain_drop_out_ns: int = 5 * MS
    rotor_up_ns: int = 1200 * MS
    rotor_brake_ns: int = 5 * SECOND
    filament_ns: int = 300 * MS
    panel_idle_ns: int = 2500 * MS

    def header(self, wiring: dict[str, bool]) -> dict[str, Any]:
        """Value of the `process rig` record: what a judge must know of this room."""
        return {
            "version": TRUTH_VERSION,
            "topology": "panel_master" if self.panel_master else "controller_master",
            "window_us": self.window_ns // US,
            "readout_us": self.readout_ns // US,
            "guard_open_us": self.guard_open_us,
            "guard_close_us": self.guard_close_us,
            "width_cap_us": self.width_cap_us,
            "spacing_min_us": self.spacing_min_us,
            "rise_us": self.rise_ns // US,
            "capacitance_pf": self.capacitance_pf,
            "monostable_us": self.hold_ns // US,
            "kv": list(self.kv),
            "ma": list(self.ma),
            "ms": list(self.ms),
            "signal_every_s": self.signal_every_s,
            "resets_told": self.resets_told,
            "wiring": wiring,
            "seed": self.seed,
        }


def of_config(config: Config, seed: int = 1) -> Parameters:
    """The room that a configuration describes; the seed decides bounce and travel of contacts."""
    return Parameters(
        panel_master=config["panel.topology"] == "panel_master",
        window_ns=config["panel.window_us"] * US,
        readout_ns=config["panel.readout_us"] * US,
        trigger_delay_ns=config["panel.trigger_delay_us"] * US,
        base_rate_hz=config["panel.base_rate_hz"],
        guard_open_us=config["beam.guard_open_us"],
        guard_close_us=config["beam.guard_close_us"],
        width_cap_us=config["beam.width_cap_us"],
        spacing_min_us=config["beam.spacing_min_us"],
        rise_ns=config["generator.rise_us"] * US,
        capacitance_pf=config["generator.capacitance_pf"],
        kv=config["generator.kv"],
        ma=config["generator.ma"],
        ms=config["generator.ms"],
        signal_every_s=config["beam.signal_every_s"],
        seed=seed,
    )
