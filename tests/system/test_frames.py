"""Raw frames of the running room: each is what its own pulse delivered, and only that."""

from __future__ import annotations

import math
import random
import select
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from controller.devices.ring_panel import RingPanel
from hil.physics.lag import LAG, LAG_AT_NS
from realtime.wire.ring import Slot
from tests.system.machine import Machine

Pixels = npt.NDArray[np.float64]
PROPORTION: Final = 0.05
CORRELATION_MAX: Final = 0.05
OFFSET_TOLERANCE_DU: Final = 0.5
FRAME_MAX_S: Final = 5.0
WHOLE: Final = 8
REMEMBERED_NS: Final = 10_000_000_000


class Frame(NamedTuple):
    """A raw frame and where it was in the ring."""

    slot: Slot
    pixels: Pixels


class Frames:
    """Everything the raw ring brings from now on."""

    def __init__(self, machine: Machine) -> None:
        self.kept: list[Frame] = []
        self._panel = RingPanel(machine.run_dir / "panel.sock")
        assert self._panel.open()
        self.hear(0.2)

    def hear(self, seconds: float) -> None:
        """Take what comes for so long."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            if select.select([self._panel], [], [], left_s)[0]:
                for seq in self._panel.arrivals():
                    self._keep(seq)

    def _keep(self, seq: int) -> None:
        assert self._panel.layout is not None
        out = np.empty((self._panel.layout.height, self._panel.layout.width), np.uint16)
        slot = self._panel.read(seq, out)
        assert slot is not None, "torn while it was read"
        self.kept.append(Frame(slot, out.astype(np.float64)))

    def close(self) -> None:
        """Let the ring go."""
        self._panel.close()


@pytest.fixture
def frames(machine: Machine) -> Iterator[Frames]:
    """The raw ring of the machine."""
    heard = Frames(machine)
    yield heard
    heard.close()


def delivered_mas(machine: Machine, frame: Frame) -> float:
    """What shone while the panel integrated this frame, by the room's truth; mAs."""
    begin_ns, end_ns = frame.slot.integration_open_ns, frame.slot.integration_close_ns
    return float(
        sum(r.value["mas"] for r in machine.truth(begin_ns)
            if r.kind == "photons_off" and r.t_ns <= end_ns)
    )  # fmt: skip


def with_lag_mas(machine: Machine, frame: Frame) -> float:
    """The same, and what the panel's traps give back of every pulse before it; mAs.

    A foot that presses again and again lights frames that still hold some percent of the former
    ones: a third of a pulse is then no longer a third of the light.
    """
    own_ns = frame.slot.integration_open_ns
    traps: float = sum(
        r.value["mas"] * share * math.exp((LAG_AT_NS - (own_ns - r.t_ns)) / tau_ns)
        for r in machine.truth(own_ns - REMEMBERED_NS)
        for share, tau_ns in LAG
        if r.kind == "photons_off" and r.t_ns < own_ns
    )
    return delivered_mas(machine, frame) + traps


def good(machine: Machine) -> npt.NDArray[np.bool_]:
    """The pixels that are no defects."""
    with np.load(machine.run_dir / "calibration.npz") as calibration:
        defects: npt.NDArray[np.bool_] = calibration["defects"].astype(bool)
    return ~defects


def offset(machine: Machine) -> Any:
    """The panel's offset as imaging is told it; du."""
    with np.load(machine.run_dir / "calibration.npz") as calibration:
        return calibration["offset"].astype(np.float64)


@pytest.mark.process
@pytest.mark.invariant(8)
@pytest.mark.parametrize("_", range(3))
def test_a_pulse_cut_short_darkens_its_frame_in_proportion(
    machine: Machine, frames: Frames, chance: random.Random, _: int
) -> None:
    found: dict[str, Any] = {}

    def occasion() -> None:
        frames.kept.clear()
        machine.shine()
        struck_ns = machine.act("release fluoro", chance.uniform(0.3, 0.7), "pulse",
                                "contact", "fluoro_no", 0)  # fmt: skip
        frames.hear(0.3)
        machine.blame("it ended otherwise")
        found.update(struck_ns=struck_ns)

    machine.play(occasion)
    pixels, zero = good(machine), offset(machine)
    pulsed = [(f, mas) for f in frames.kept if (mas := delivered_mas(machine, f)) > 0]
    (cut, cut_mas), whole = pulsed[-1], pulsed[:-1]
    assert cut.slot.integration_open_ns < found["struck_ns"] < cut.slot.integration_close_ns
    (last, full_mas) = whole[-1]
    assert cut_mas < 0.85 * full_mas
    full = float((last.pixels - zero)[pixels].mean())
    short = float((cut.pixels - zero)[pixels].mean())
    expected = with_lag_mas(machine, cut) / with_lag_mas(machine, last)
    assert short / full == pytest.approx(expected, rel=PROPORTION)


@pytest.mark.process
def test_a_frame_without_a_pulse_holds_its_offset_and_what_the_traps_give_back(
    machine: Machine, frames: Frames
) -> None:
    machine.rest()
    machine.make_ready()
    machine.local("set", kv=70.0)

    def occasion() -> None:
        frames.kept.clear()
        machine.shine()
        machine.blame("the beam did not last")
        machine.rest()
        time.sleep(1.0)
        frames.hear(0.2)

    machine.play(occasion)
    pixels, zero = good(machine), offset(machine)
    lit = [frame for frame in frames.kept if delivered_mas(machine, frame) > 0][1]
    du_per_mas = float((lit.pixels - zero)[pixels].mean()) / with_lag_mas(machine, lit)
    frames.kept.clear()
    assert "error" not in machine.local("selftest")
    frames.hear(0.2)
    assert len(frames.kept) >= 2
    for frame in frames.kept:
        assert delivered_mas(machine, frame) == 0
    last = frames.kept[-1]
    left_du = float((last.pixels - zero)[pixels].mean())
    assert abs(left_du - du_per_mas * with_lag_mas(machine, last)) < OFFSET_TOLERANCE_DU
    machine.make_ready()


@pytest.mark.process
def test_the_noise_of_successive_frames_is_their_own(machine: Machine, frames: Frames) -> None:
    def occasion() -> None:
        frames.kept.clear()
        machine.shine()
        frames.hear(WHOLE / 30 + 0.3)
        machine.blame("the beam did not last")
        machine.rest()

    machine.play(occasion)
    whole = [f for f in frames.kept if delivered_mas(machine, f) > 0.3][2:]
    assert len(whole) >= WHOLE - 2
    pixels = good(machine)
    both = pixels[:, 1:] & pixels[:, :-1]
    # Neighbours and frames subtracted: the patient moves slowly and is smooth over a pixel, and
    # what is fixed to the panel goes away; quanta do neither.
    fine = [np.diff(later.pixels - earlier.pixels, axis=1) for earlier, later in pairwise(whole)]
    for first in range(len(fine) - 2):
        # Frames 0, 1 and 2, 3: half the sum of four correlations, and what still moves.
        one, two = fine[first][both], fine[first + 2][both]
        assert abs(float(np.corrcoef(one, two)[0, 1])) < CORRELATION_MAX
