"""The flat panel: what was delivered becomes quanta, noise, charge and 16-bit pixels.

Lives here: the panel's own faults (gain, offset, defects, lag, saturation) and the frame that it
makes of a set of exposures.  May not live here: when a frame is due (`hil.room.panel_timing`),
where it goes (`hil.rig.ringwriter`), or the patient (`patient`).

Quanta first, electronics after.  In real time the noise is a random stretch of a bank of
unit-variance fields, scaled by √(quanta + electronics); with `exact` it is drawn as Poisson and
normal numbers instead.  Rows are read out one after the other: photons that fall into the readout
reach the rows not yet read in this frame, and the others in the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hil.physics.anatomy import Plane
from hil.physics.lag import LAG, LAG_AT_NS
from hil.physics.patient import BLOCK_ROWS, SID_MM, Patient
from hil.physics.spectra import beam, quanta_per_mm2

Pixels = NDArray[np.uint16]
NOISE_SAMPLES: Final = 6_000_011  # 24 MB of float32; no small common divisor with a row
DU_PER_QUANTUM: Final = 4.0  # at REFERENCE_KEV
REFERENCE_KEV: Final = 45.0
ELECTRONICS_QUANTA_SQ: Final = 4.0  # variance; 2 quanta rms = 8 du
OFFSET_DU: Final = 320.0
SATURATION_DU: Final = 65535.0


class Shot(NamedTuple):
    """One exposure of a frame.  mAs at set kV; `mid_ns` is when; readout share as row span 0…1.

    `mas_readout` falls evenly between the fractions `from_row` and `to_row` of the readout.
    """

    kv: float
    filter: str
    mas_window: float
    mas_readout: float
    mid_ns: int
    from_row: float = 0.0
    to_row: float = 1.0


class Makers(NamedTuple):
    """What the maker of the panel delivers with it: offset in du, gain factor, defect mask."""

    offset_du: Plane
    gain: Plane
    defects: NDArray[np.bool_]


def _smooth(chance: np.random.Generator, shape: tuple[int, int], cells: int) -> Plane:
    """A slowly varying field of about unit size."""
    knots = chance.standard_normal((cells + 1, cells + 1))
    rows = np.linspace(0, cells, shape[0])
    columns = np.linspace(0, cells, shape[1])
    across = np.stack([np.interp(columns, np.arange(cells + 1), line) for line in knots])
    at = np.minimum(rows.astype(int), cells - 1)
    share = (rows - at)[:, None]
    field: Plane = (across[at] * (1 - share) + across[at + 1] * share).astype(np.float32)
    return field


class Panel:
    """A panel of (height, width) pixels; its individual faults follow from `serial`."""

    def __init__(self, height: int, width: int, pitch_um: float, serial: int = 1) -> None:
        self.shape = (height, width)
        self._area_mm2 = (pitch_um / 1000.0) ** 2
        chance = np.random.default_rng(serial)
        self._chance = np.random.default_rng()
        self.offset_du = self._offsets(chance)
        self.gain = self._gains(chance, pitch_um)
        self.defects = self._defects(chance)
        self._noise = self._chance.standard_normal(NOISE_SAMPLES + height * width, np.float32)
        self._attenuation = np.zeros(self.shape, np.float32)
        self._lag = [np.zeros(self.shape, np.float32) for _ in LAG]
        self._lag_ns = 0
        self._carry: list[tuple[Shot, NDArray[np.float32]]] = []
        self._work = [np.empty((BLOCK_ROWS, width), np.float32) for _ in range(3)]

    def _offsets(self, chance: np.random.Generator) -> Plane:
        offset = OFFSET_DU + 12.0 * _smooth(chance, self.shape, 4)
        offset += 6.0 * chance.standard_normal((1, self.shape[1]))
        offset += 4.0 * chance.standard_normal(self.shape)
        return offset.astype(np.float32)

    def _gains(self, chance: np.random.Generator, pitch_um: float) -> Plane:
        """Pixel gain, column amplifiers, and the fall-off of the beam to the corners."""
        height, width = self.shape
        mm = pitch_um / 1000.0
        x = (np.arange(width)[None, :] - width / 2) * mm
        y = (np.arange(height)[:, None] - height / 2) * mm
        corner = (1.0 + (x * x + y * y) / SID_MM**2) ** -1.5
        gain = corner * (1.0 + 0.02 * _smooth(chance, self.shape, 6))
        gain *= 1.0 + 0.008 * chance.standard_normal((1, width))
        gain *= 1.0 + 0.012 * chance.standard_normal(self.shape)
        return gain.astype(np.float32)

    def _defects(self, chance: np.random.Generator) -> NDArray[np.bool_]:
        """Dead and hot pixels, one dead line, one cluster: written into gain and offset."""
        height, width = self.shape
        mask = np.zeros(self.shape, bool)
        count = max(height * width // 8000, 2)
        single = chance.integers(0, height * width, count)
        mask.reshape(-1)[single] = True
        self.gain.reshape(-1)[single] = 0.0
        self.offset_du.reshape(-1)[single[::3]] = 9000.0
        row, column = height * 5 // 8, width * 3 // 8
        mask[row, column:] = True
        self.gain[row, column:] = 0.0
        corner = (slice(height // 4, height // 4 + 3), slice(width // 3, width // 3 + 3))
        mask[corner] = True
        self.gain[corner] = 0.0
        return mask

    # ── quanta ───────────────────────────────────────────────────────────────────────────────

    def charge_quanta(self, kv: float, filter_name: str, mas: float) -> float:
        """Signal of one open pixel in quanta of REFERENCE_KEV, without patient."""
        absorbed = quanta_per_mm2(kv, filter_name, mas, SID_MM) * self._area_mm2
        return absorbed * beam(kv, filter_name).kev_per_quantum / REFERENCE_KEV

    def _row_shares(self, shot: Shot) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Charge in mAs that each row sees in this frame, and what is left for the next one."""
        read_at = (np.arange(self.shape[0]) + 0.5) / self.shape[0]
        span = max(shot.to_row - shot.from_row, 1e-6)
        before = np.clip((read_at - shot.from_row) / span, 0.0, 1.0)
        here = shot.mas_window + shot.mas_readout * before
        return here.astype(np.float32), (shot.mas_readout * (1.0 - before)).astype(np.float32)

    def _lit(self, shots: Sequence[Shot]) -> list[tuple[Shot, NDArray[np.float32]]]:
        lit, self._carry = self._carry, []
        for shot in shots:
            here, later = self._row_shares(shot)
            lit.append((shot, here))
            if shot.mas_readout > 0:
                self._carry.append((shot, later))
        return lit

    def _expected(self, shots: Sequence[Shot], patient: Patient | None) -> Plane | None:
        """Mean quanta per pixel for all exposures, or None for a dark frame."""
        lit = self._lit(shots)
        total: Plane | None = None
        for shot, mas_rows in lit:
            quanta = self._attenuation if total is None else np.empty(self.shape, np.float32)
            level = (
                np.float32(1.0)
                * mas_rows
                * np.float32(self.charge_quanta(shot.kv, shot.filter, 1.0))
            )
            if patient is not None:
                patient.attenuation(shot.mid_ns, beam(shot.kv, shot.filter), quanta)
            for rows in self._blocks():
                block = quanta[rows]
                if patient is None:
                    block[:] = level[rows, None]
                else:
                    np.negative(block, out=block)
                    np.exp(block, out=block)
                    np.multiply(block, level[rows, None], out=block)
            total = quanta if total is None else np.add(total, quanta, out=total)
        return total

    def _blocks(self) -> list[slice]:
        height = self.shape[0]
        return [slice(top, min(top + BLOCK_ROWS, height)) for top in range(0, height, BLOCK_ROWS)]

    # ── frames ───────────────────────────────────────────────────────────────────────────────

    def frame(
        self, shots: Sequence[Shot], patient: Patient | None, out: Pixels, t_ns: int,
        after_idle: bool = False, exact: bool = False,
    ) -> None:  # fmt: skip
        """Write the frame whose integration ends at `t_ns` into `out`, uint16 of the panel's shape.

        No shots: offset, electronics and what lag is left.  `after_idle`: the charge of the idle
        time saturates it.
        """
        quanta = self._expected(shots, patient)
        decay, gained = self._lag_factors(t_ns)
        noise = self._noise_field()
        bias = np.float32(SATURATION_DU if after_idle else 0.5)
        for rows in self._blocks():
            count = rows.stop - rows.start
            signal, spread, trace = (work[:count] for work in self._work)
            self._noisy(quanta, rows, noise[rows], exact, signal, spread)
            self._lagging(rows, quanta is not None, decay, gained, signal, trace)
            np.multiply(signal, self.gain[rows], out=signal)
            np.multiply(signal, np.float32(DU_PER_QUANTUM), out=signal)
            np.add(signal, self.offset_du[rows], out=signal)
            np.add(signal, bias, out=signal)
            np.clip(signal, 0.0, SATURATION_DU, out=signal)
            np.copyto(out[rows], signal, casting="unsafe")

    def warm(self, patient: Patient, out: Pixels) -> None:
        """Touch all memory that a frame needs, so that the first one is as fast as the others."""
        for mas in (0.1, 0.0):
            self.frame([Shot(70.0, "none", mas, mas, 0)], patient, out, 0)
        for state in self._lag:
            state.fill(0.0)
        self._carry = []

    def late(self, shots: Sequence[Shot], patient: Patient | None, out: Pixels) -> None:
        """Add photons that fell into the readout after `frame` and before the frame is sent."""
        carried, self._carry = self._carry, []
        quanta = self._expected(shots, patient)
        self._carry += carried
        if quanta is None:
            return
        noise = self._noise_field()
        for rows in self._blocks():
            block = quanta[rows]
            extra = (block + np.sqrt(block) * noise[rows]) * self.gain[rows] * DU_PER_QUANTUM
            np.copyto(out[rows], np.clip(out[rows] + extra, 0, SATURATION_DU), casting="unsafe")

    def afterglow(self, shot: Shot) -> None:
        """Photons that came when the last frame was already sent: all rows see them in the next."""
        rows = np.full(self.shape[0], shot.mas_window + shot.mas_readout, np.float32)
        self._carry.append((shot, rows))

    def _noise_field(self) -> Plane:
        """A random stretch of the bank, turned over at random."""
        size = self.shape[0] * self.shape[1]
        start = int(self._chance.integers(0, NOISE_SAMPLES))
        field = self._noise[start : start + size]
        turned = field[::-1] if self._chance.integers(0, 2) else field
        return turned.reshape(self.shape)

    def _noisy(
        self, quanta: Plane | None, rows: slice, noise: Plane, exact: bool, signal: Plane,
        spread: Plane,
    ) -> None:  # fmt: skip
        electronics = np.float32(np.sqrt(ELECTRONICS_QUANTA_SQ))
        if exact:
            drawn = 0.0 if quanta is None else self._chance.poisson(quanta[rows])
            np.add(drawn, electronics * self._chance.standard_normal(signal.shape), out=signal)
            return
        if quanta is None:
            np.multiply(noise, electronics, out=signal)
            return
        np.add(quanta[rows], np.float32(ELECTRONICS_QUANTA_SQ), out=spread)
        np.sqrt(spread, out=spread)
        np.multiply(spread, noise, out=spread)
        np.add(quanta[rows], spread, out=signal)

    def _lag_factors(self, t_ns: int) -> tuple[list[np.float32], list[np.float32]]:
        """What remains of each trap's charge since the last frame, and what is trapped of a new."""
        passed_ns = t_ns - self._lag_ns
        self._lag_ns = t_ns
        decay = [np.float32(np.exp(-passed_ns / tau_ns)) for _, tau_ns in LAG]
        gained = [np.float32(share * np.exp(LAG_AT_NS / tau_ns)) for share, tau_ns in LAG]
        return decay, gained

    def _lagging(
        self, rows: slice, lit: bool, decay: list[np.float32], gained: list[np.float32],
        signal: Plane, trace: Plane,
    ) -> None:  # fmt: skip
        for state, keep, gain in zip(self._lag, decay, gained, strict=True):
            left = state[rows]
            np.multiply(left, keep, out=left)
            if lit:
                # the trap fills from this frame's own signal and empties into the next ones
                np.multiply(signal, gain, out=trace)
                np.add(signal, left, out=signal)
                np.add(left, trace, out=left)
            else:
                np.add(signal, left, out=signal)

    # ── calibration ──────────────────────────────────────────────────────────────────────────

    def makers(self, frames: int = 64) -> Makers:
        """Calibrate as the maker does: means of `frames` dark and flat frames, drawn exactly.

        The sum of Poisson draws is a Poisson draw of the sum, so one draw stands for all frames.
        """
        chance = self._chance
        level = 2500.0
        noise_du = DU_PER_QUANTUM * np.sqrt(ELECTRONICS_QUANTA_SQ / frames)
        dark = self.offset_du + self.gain * noise_du * chance.standard_normal(
            self.shape, np.float32
        )
        flat: Any = chance.poisson(level * frames, self.shape) / frames * DU_PER_QUANTUM
        flat = flat * self.gain + noise_du * chance.standard_normal(self.shape, np.float32)
        usable = flat > 0.3 * level * DU_PER_QUANTUM
        centre = float(np.mean(flat[usable]))
        gain = np.where(usable, centre / np.where(usable, flat, 1.0), 1.0)
        return Makers(dark.astype(np.float32), gain.astype(np.float32), ~usable | (dark > 4000.0))
