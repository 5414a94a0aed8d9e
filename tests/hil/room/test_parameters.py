"""The room of the bench profile is the room of these tests, and its header says what it is."""

from __future__ import annotations

from pathlib import Path

from hil.room.parameters import of_config
from realtime.wire.config import load
from tests.hil.room.bench import parameters

PROFILE = Path(__file__).parents[3] / "controller" / "profiles" / "bench.toml"


def test_the_bench_profile_gives_these_numbers() -> None:
    config = load(PROFILE)
    expected = {
        "window_ns": "panel.window_us", "readout_ns": "panel.readout_us",
        "trigger_delay_ns": "panel.trigger_delay_us", "rise_ns": "generator.rise_us",
    }  # fmt: skip
    room = of_config(config, seed=3)
    assert room.seed == 3
    for name, key in expected.items():
        assert getattr(room, name) == config[key] * 1000
    for name in ("guard_open_us", "guard_close_us", "width_cap_us", "spacing_min_us"):
        assert getattr(room, name) == config[f"beam.{name}"]
    assert room.signal_every_s == room.header({})["signal_every_s"] == 300.0


def test_the_header_names_the_topology_and_the_wiring() -> None:
    wiring = {"window_gate": True, "chain": False, "preset": True}
    header = parameters(panel_master=True).header(wiring)
    assert header["topology"] == "panel_master"
    assert header["wiring"] == wiring
    assert header["monostable_us"] == 12_000
    assert parameters().header(wiring)["topology"] == "controller_master"
