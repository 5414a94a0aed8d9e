"""The patient moves as patients do, and what lies in the beam follows."""

import numpy as np
import pytest

from hil.physics.anatomy import Plane
from hil.physics.patient import BEAT_NS, BREATH_NS, CATHETER_NS, Patient, posture
from hil.physics.spectra import beam

BEAM = beam(70.0, "3Al+0.1Cu")


@pytest.fixture(scope="module")
def patient() -> Patient:
    return Patient(512, 512, 592)  # fine enough for the coarse grid that is enlarged


def attenuation(patient: Patient, t_ns: int, tube_kv: float = 70.0) -> Plane:
    out = np.empty(patient.shape, np.float32)
    patient.attenuation(t_ns, beam(tube_kv, "3Al+0.1Cu"), out)
    return out


def test_breath_beat_and_catheter_have_their_periods() -> None:
    assert posture(0).inhaled == 0.0
    assert posture(BREATH_NS // 2).inhaled == pytest.approx(1.0)
    assert posture(BREATH_NS).inhaled == pytest.approx(0.0, abs=1e-6)
    assert max(posture(BEAT_NS * k // 50).contracted for k in range(50)) > 0.98
    low, high = posture(0).catheter_mm, posture(CATHETER_NS // 2).catheter_mm
    assert high - low > 50.0


def test_transmission_lies_between_air_and_lead(patient: Patient) -> None:
    plane = attenuation(patient, 0)
    assert plane.min() > 0.5
    assert plane.max() < 14.0
    assert np.isfinite(plane).all()


def test_breathing_moves_the_diaphragm(patient: Patient) -> None:
    out, full = attenuation(patient, 0), attenuation(patient, BREATH_NS // 2)
    # the right dome, a hand's breadth beside the spine
    column = slice(90, 110)
    edge = [int(np.argmax(np.diff(plane[250:, column].mean(axis=1)))) for plane in (out, full)]
    travel_mm = (edge[1] - edge[0]) * 0.592 * 760 / 1020
    assert travel_mm == pytest.approx(24.0, abs=3.0)


def test_the_catheter_advances(patient: Patient) -> None:
    # same breath, same beat, other reach of the catheter
    step_ns = BREATH_NS * 22  # 92.4 s: 105 beats and 3.85 ways of the catheter
    assert step_ns % BEAT_NS == 0
    instants = [step_ns * k for k in range(8)]
    reach = [posture(t_ns).catheter_mm for t_ns in instants]
    short, far = instants[int(np.argmin(reach))], instants[int(np.argmax(reach))]
    assert max(reach) - min(reach) > 40.0
    changed = np.abs(attenuation(patient, far) - attenuation(patient, short)) > 0.2
    assert 60 < np.count_nonzero(changed) < 5000
    length_rows = np.flatnonzero(changed.any(axis=1))
    assert length_rows[-1] - length_rows[0] > 30


def test_a_harder_beam_is_attenuated_less(patient: Patient) -> None:
    assert attenuation(patient, 0, 100.0).mean() < 0.95 * attenuation(patient, 0, 60.0).mean()


@pytest.mark.parametrize("shape", [(64, 64), (130, 67), (513, 700)])
def test_every_panel_size_is_served(shape: tuple[int, int]) -> None:
    small = Patient(*shape, pitch_um=600)
    for t_ns in (0, BREATH_NS // 2, BEAT_NS // 5, CATHETER_NS // 2):
        assert np.isfinite(attenuation(small, t_ns)).all()
