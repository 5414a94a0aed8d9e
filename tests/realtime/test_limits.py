"""Times and bounds: units, and what follows from the configuration."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime import limits
from realtime.limits import MS, US, S, Timing
from realtime.wire.config import Config, load
from realtime.wire.messages import Topology
from tests.house.tree import ROOT
from tests.realtime.roomparts import PANEL_MASTER, TIMING


def test_the_bench_profile_in_nanoseconds() -> None:
    assert Timing.from_config(load(Path(ROOT / "controller/profiles/bench.toml"))) == TIMING


def test_the_signal_of_a_configuration() -> None:
    config = load(Path(ROOT / "controller/profiles/bench.toml"))
    sooner = Config({**config.values, "beam.signal_every_s": 10.5})
    assert Timing.from_config(sooner).signal_every_ns == 10_500 * MS


def test_units() -> None:
    assert (US, MS, S) == (1_000, 1_000_000, 1_000_000_000)


def test_what_the_requirements_fix() -> None:
    assert limits.MONOSTABLE_NS == 12 * MS
    assert limits.PERMIT_LEAD_NS == 8 * MS
    assert limits.PERMIT_GAP_MAX_NS == 4 * MS
    assert limits.RELEASED_MIN_NS == 50 * MS
    assert limits.BANK_SETTLE_NS == 1 * MS
    assert limits.PULSE_OVERHANG_NS == 1 * MS
    assert limits.STALL_NS == 20 * MS
    assert limits.SIGNAL_EVERY_NS == 300 * S
    assert limits.READBACK_MAX_NS < 100 * MS
    assert limits.INVALID_MAX == 2


def test_the_arithmetic_of_a_window() -> None:
    assert TIMING.window_to_due_ns == 800 * US
    assert TIMING.trigger_lead_ns == 900 * US
    assert TIMING.cycle_ns == 31_100 * US
    assert TIMING.needed_ns(300 * US, 8 * MS, 263 * US) == (800 + 300 + 8000 + 263 + 300) * US


@pytest.mark.parametrize(
    ("num_ns", "den", "fits"),
    [(31_100_000, 1, True), (31_099_999, 1, False), (62_200_000, 2, True), (62_199_998, 2, False)],
)
def test_a_period_is_no_shorter_than_the_cycle(num_ns: int, den: int, fits: bool) -> None:
    assert TIMING.fits_period(num_ns, den) is fits


@given(st.integers(1, 60), st.integers(-3_000_000, 3_000_000))
def test_a_free_running_panel_is_followed_in_whole_windows(windows: int, off_ns: int) -> None:
    num_ns = windows * PANEL_MASTER.base_period_ns + off_ns
    fits = abs(off_ns) <= windows * US
    assert PANEL_MASTER.fits_period(num_ns, 1) is (fits and num_ns >= PANEL_MASTER.cycle_ns)


def test_panel_master_refuses_less_than_one_window() -> None:
    from dataclasses import replace

    slow = replace(PANEL_MASTER, base_period_ns=S, topology=Topology.PANEL_MASTER)
    assert not slow.fits_period(40 * MS, 1)


def test_what_we_chose_and_why_is_written_beside_it() -> None:
    """A change of one of these is a decision, never an accident."""
    chosen = {
        "PRESS_DEBOUNCE_NS": 40 * MS, "DISAGREE_MAX_NS": 50 * MS, "PERMIT_PERIOD_NS": 3 * MS,
        "PERMIT_REARM_NS": 2 * MS, "BANK_LEAD_NS": 2 * MS, "LATE_MAX_NS": 500 * US,
        "SPIN_NS": 300 * US, "TURN_MAX_NS": 5 * MS, "REST_TURN_NS": 14 * MS, "AWAY_NS": 100 * MS,
        "XRAY_SLACK_NS": 1 * MS, "WINDOW_SLACK_NS": 500 * US, "READBACK_MAX_NS": 80 * MS,
        "SIGNAL_MIN_NS": 2 * S, "WINDOW_LATE_NS": 2 * MS, "STATE_PERIOD_NS": 50 * MS,
        "STATE_REST_PERIOD_NS": 100 * MS,
    }  # fmt: skip
    assert {name: getattr(limits, name) for name in chosen} == chosen


@pytest.mark.parametrize("windows", [1, 2, 15])
def test_a_window_may_be_off_by_a_microsecond_and_no_more(windows: int) -> None:
    for off_ns, fits in ((0, True), (windows * US, True), (windows * US + 1, False)):
        for sign in (1, -1):
            num_ns = windows * PANEL_MASTER.base_period_ns + sign * off_ns
            assert PANEL_MASTER.fits_period(num_ns, 1) is fits


def test_a_period_of_no_window_at_all_is_refused_however_near_it_is() -> None:
    from dataclasses import replace

    tiny = replace(PANEL_MASTER, window_ns=0, readout_ns=0, trigger_delay_ns=0, spacing_min_ns=0)
    assert not tiny.fits_period(0, 1)
