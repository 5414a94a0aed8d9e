"""The floor of a picture: it stands within a run, fades from run to run, and tells a ghost."""

import math

import numpy as np
import pytest

from controller.imaging import signal_floor, verdict
from hil.physics.panel import Panel, Shot


def test_the_floor_follows_the_last_valid_level_and_fades_from_run_to_run() -> None:
    floor = signal_floor.SignalFloor()
    assert floor.at(0) == signal_floor.SIGNAL_MIN_DU
    floor.valid(10_000.0, 1_000)
    part_du = 10_000.0 * signal_floor.SIGNAL_PART_MIN
    assert floor.at(1_000) == floor.at(99 * signal_floor.GHOST_FADE_NS) == part_du
    floor.valid(1.0, 2_000)
    assert floor.at(2_000) == signal_floor.SIGNAL_MIN_DU
    floor.valid(10_000.0, 3_000)
    floor.start_run()
    assert floor.at(0) == floor.at(3_000) == part_du
    later_du = floor.at(3_000 + signal_floor.GHOST_FADE_NS)
    assert later_du == pytest.approx(part_du / math.e)
    assert floor.at(3_000 + 20 * signal_floor.GHOST_FADE_NS) == signal_floor.SIGNAL_MIN_DU
    floor.valid(1_000.0, 4_000)
    assert floor.at(99 * signal_floor.GHOST_FADE_NS) == 1_000.0 * signal_floor.SIGNAL_PART_MIN


def test_the_ghost_of_a_long_run_is_no_picture() -> None:
    """F21: a panel that stops integrating shows what its traps still give back."""
    panel, raw = Panel(64, 64, 296), np.empty((64, 64), np.uint16)
    offset_du = verdict.sampled_mean(panel.makers().offset_du)
    floor, t_ns, picture_du = signal_floor.SignalFloor(), 0, 0.0

    def level_du(*shots: Shot) -> float:
        panel.frame(shots, None, raw, t_ns)
        return verdict.sampled_mean(raw) - offset_du

    for _ in range(75):
        t_ns += 66_666_667
        picture_du = level_du(Shot(70.0, "3Al+0.1Cu", 0.01, 0.0, t_ns))
        assert picture_du > floor.at(t_ns), "every picture of the run is one"
        floor.valid(picture_du, t_ns)
    t_ns += 66_666_667
    ghost_du = level_du()
    assert 0.02 * picture_du < ghost_du < floor.at(t_ns)
    floor.start_run()
    for _ in range(300):
        t_ns += 66_666_667
        assert level_du() < floor.at(t_ns), "nor at the start of the next run, however much later"


def test_without_a_picture_yet_one_stands_above_the_dark_frame_of_the_self_test() -> None:
    floor = signal_floor.SignalFloor()
    floor.dark(40.0)
    floor.start_run()
    assert floor.at(0) == floor.at(10**12) == pytest.approx(60.0)
    floor.dark(-3.0)
    assert floor.at(0) == signal_floor.SIGNAL_MIN_DU
    floor.valid(1_000.0, 5)
    floor.dark(900.0)
    assert floor.at(5) == 1_000.0 * signal_floor.SIGNAL_PART_MIN
