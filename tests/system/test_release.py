"""Released, or an interlock opened, at any phase: dark, and dark until a fresh press.

Each occasion is judged twice: by its own stamps here, and with all others by the referee when the
module is over.
"""

from __future__ import annotations

import random
import time
from typing import Final

import pytest

from tests.system.machine import Machine

# Limits of the safety catalogue: release 20 ms, interlocks 10 ms.
RELEASE_MS: Final = 20.0
INTERLOCK_MS: Final = 10.0
# act, undone by, name of its contact, latched until a local reset
INTERLOCKS: Final = (
    ("open door", "close door", "door", False),
    ("estop", "reset estop", "estop", True),
    ("collision", "clear collision", "collision", True),
    ("remove barrier", "restore barrier", "barrier", True),
    ("stop cooling", "start cooling", "cooling", False),
    ("key off", "key on", "key", False),
    ("panel off", "panel on", "panel_ready", False),
)


def release(machine: Machine, phase: float, phase_of: str) -> bool:
    """One release; whether it found the beam on."""
    machine.shine()
    struck_ns = machine.act("release fluoro", phase, phase_of, "contact", "fluoro_no", 0)
    machine.assert_dark(struck_ns, RELEASE_MS, 10.0)
    machine.blame("it ended otherwise")
    assert machine.mode() == "HOLD"
    return machine.shone_at(struck_ns)


@pytest.mark.process
@pytest.mark.invariant(1)
def test_a_release_in_mid_pulse_ends_it(machine: Machine, chance: random.Random) -> None:
    hits = []
    for _ in range(5):
        machine.play(lambda: hits.append(release(machine, chance.uniform(0.05, 0.9), "pulse")))
    assert hits == [True] * 5


@pytest.mark.process
@pytest.mark.invariant(1)
def test_a_release_between_pulses_lets_no_other_begin(
    machine: Machine, chance: random.Random
) -> None:
    def occasion() -> None:
        hit = release(machine, chance.uniform(0.45, 0.9), "cycle")
        machine.blame_skips()
        assert not hit

    for _ in range(3):
        machine.play(occasion)


@pytest.mark.process
@pytest.mark.invariant(3)
@pytest.mark.parametrize(("act", "undo", "name", "latches"), INTERLOCKS, ids=str)
def test_an_interlock_that_opens_makes_it_dark_until_a_fresh_press(
    machine: Machine, chance: random.Random, act: str, undo: str, name: str, latches: bool
) -> None:
    def occasion() -> None:
        machine.shine()
        phase, phase_of = chance.choice([(0.05, "pulse"), (0.5, "pulse"), (0.9, "pulse"),
                                         (0.6, "cycle"), (0.97, "cycle")])  # fmt: skip
        struck_ns = machine.act(act, phase, phase_of, "interlock", name, 0)
        machine.assert_dark(struck_ns, INTERLOCK_MS, INTERLOCK_MS)
        undone_ns = machine.rig.do(undo)
        machine.quiet()
        assert machine.starts(undone_ns) == []
        machine.blame("it ended otherwise")
        assert (machine.mode() == "FAULT") == latches

    machine.play(occasion)
    machine.assert_shines()


@pytest.mark.process
@pytest.mark.invariant(3)
@pytest.mark.parametrize(("phase", "phase_of"), [(0.4, "pulse"), (0.8, "cycle")])
def test_a_door_that_flickers_for_1_ms_is_believed(
    machine: Machine, phase: float, phase_of: str
) -> None:
    def occasion() -> None:
        machine.shine()
        asked_ns = time.monotonic_ns()
        machine.rig.inject("F09", target="door", phase=phase, phase_of=phase_of)
        machine.wait("the flicker", lambda: bool([*machine.seen(asked_ns, "interlock", "door", 1)]))
        struck_ns = next(machine.seen(asked_ns, "interlock", "door", 0))
        machine.assert_dark(struck_ns, INTERLOCK_MS, INTERLOCK_MS)
        machine.quiet()
        machine.assert_dark(struck_ns, INTERLOCK_MS, INTERLOCK_MS)

    machine.play(occasion)
    machine.assert_shines()


@pytest.mark.process
@pytest.mark.invariant(3)
@pytest.mark.parametrize(("act", "undo", "name", "latches"), INTERLOCKS, ids=str)
def test_a_press_with_an_open_interlock_is_refused_and_why_names_it(
    machine: Machine, act: str, undo: str, name: str, latches: bool
) -> None:
    machine.rest()
    machine.make_ready()
    machine.rig.do(act)
    machine.wait(f"{name} in why", lambda: name in str(machine.local("why")["reasons"]))
    pressed_ns = machine.rig.do("press fluoro")
    machine.quiet()
    assert machine.starts(pressed_ns) == []
    reasons = machine.local("why")["reasons"]
    assert any(name in reason["code"] and reason["remedy"] for reason in reasons), reasons
    machine.rig.do(undo)
    machine.quiet()
    assert machine.starts(pressed_ns) == []
