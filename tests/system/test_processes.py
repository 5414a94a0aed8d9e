"""Each process stopped, continued or killed at random phases: dark in its time, latched after.

realtime is struck in mid-pulse with the generator's preset disconnected, so that nothing but the
hardware's monostable can end the beam.
"""

from __future__ import annotations

import random
from typing import Final

import pytest

from controller.cli.launch import is_alive
from tests.system.machine import Machine

# Limits of the safety catalogue (F26, F29): dark after the end of each process.
REALTIME_MS: Final = 20.0
SUPERVISOR_MS: Final = 150.0
PULSES_WITHOUT_IMAGING: Final = 2
BACK_MAX_S: Final = 15.0
IN_PULSE: Final = (0.02, 0.85)


def strike(machine: Machine, process: str, signal: str, phase: float, phase_of: str) -> int:
    """Shine, then signal a process at a phase; when, in ns of the room."""
    machine.shine()
    kept = process != "realtime"
    machine.rig.wiring(preset=kept, backup=kept, window_gate=kept)
    word = {"KILL": "kill9", "STOP": "sigstop"}[signal]
    pid = machine.pid(process)
    return machine.act(f"signal {process} {pid} {signal}", phase, phase_of, "process", process,
                       word)  # fmt: skip


def assert_ended(machine: Machine, process: str, struck_ns: int) -> None:
    """Dark within the limit of that process, with the pedal still pressed."""
    if process == "imaging":
        machine.quiet()
        machine.quiet()
        assert len(machine.starts(struck_ns)) <= PULSES_WITHOUT_IMAGING
    else:
        limit_ms = REALTIME_MS if process == "realtime" else SUPERVISOR_MS
        machine.assert_dark(struck_ns, limit_ms, limit_ms)


def come_back(machine: Machine, process: str, old_pid: int, struck_ns: int) -> None:
    """Wait until the part answers again; with the pedal held all the time nothing shines."""
    machine.wait(f"{process} again", lambda: bool(machine.mode()), BACK_MAX_S)
    machine.quiet()
    limit_ns = struck_ns + 200_000_000
    assert [t_ns for t_ns in machine.starts(limit_ns) if t_ns > limit_ns] == []


def assert_latched(machine: Machine) -> None:
    """FAULT; neither `ready` nor a fresh press brings a pulse; `why` names the fault."""
    assert machine.mode() == "FAULT"
    machine.rest()
    refused = machine.local("ready")["error"]
    assert refused["code"].startswith("fault_")
    pressed_ns = machine.rig.do("press fluoro")
    machine.quiet()
    assert machine.starts(pressed_ns) == []
    codes = [reason["code"] for reason in machine.local("why")["reasons"]]
    assert any(code.startswith("fault_") for code in codes)


KILLS: Final = [
    ("realtime", "pulse"), ("realtime", "pulse"), ("realtime", "cycle"),
    ("supervisor", "pulse"), ("supervisor", "cycle"), ("imaging", "pulse"),
]  # fmt: skip


@pytest.mark.process
@pytest.mark.invariant(12)
@pytest.mark.parametrize(("process", "phase_of"), KILLS)
def test_killed_it_is_dark_and_comes_back_latched(
    machine: Machine, chance: random.Random, process: str, phase_of: str
) -> None:
    def occasion() -> None:
        phase = chance.uniform(*IN_PULSE) if phase_of == "pulse" else chance.uniform(0.35, 0.95)
        pid = machine.pid(process)
        struck_ns = strike(machine, process, "KILL", phase, phase_of)
        assert machine.shone_at(struck_ns) == (phase_of == "pulse")
        assert_ended(machine, process, struck_ns)
        machine.wait("its end", lambda: not is_alive(pid))
        come_back(machine, process, pid, struck_ns)
        if process == "imaging":
            assert machine.mode() == "STANDBY"
        else:
            assert_latched(machine)

    machine.play(occasion)
    machine.assert_shines()


STOPS: Final = [
    ("realtime", "pulse"), ("realtime", "pulse"), ("realtime", "cycle"),
    ("supervisor", "pulse"), ("supervisor", "cycle"), ("imaging", "cycle"),
]  # fmt: skip


@pytest.mark.process
@pytest.mark.invariant(12)
@pytest.mark.parametrize(("process", "phase_of"), STOPS)
def test_stopped_it_is_dark_and_going_on_fires_nothing(
    machine: Machine, chance: random.Random, process: str, phase_of: str
) -> None:
    def occasion() -> None:
        phase = chance.uniform(*IN_PULSE) if phase_of == "pulse" else chance.uniform(0.35, 0.95)
        pid = machine.pid(process)
        try:
            # A stop that came too late for its occasion has come all the same.
            struck_ns = strike(machine, process, "STOP", phase, phase_of)
            assert machine.shone_at(struck_ns) == (phase_of == "pulse")
            assert_ended(machine, process, struck_ns)
        finally:
            continued_ns = machine.rig.do(f"signal {process} {pid} CONT")
        machine.quiet()
        machine.quiet()
        assert machine.starts(continued_ns) == []
        machine.wait(f"{process} again", lambda: bool(machine.mode()), BACK_MAX_S)
        assert machine.pid(process) == pid, "nobody restarts what is only stopped"
        assert machine.starts(continued_ns) == []
        assert machine.mode() in ("FAULT", "STANDBY")

    machine.play(occasion)
    machine.assert_shines()
