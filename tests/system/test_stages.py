"""Each stage proved alone: software without the hardware's gates, the chain without software, the
executive under a supervisor that always orders, the supervisor before a generator that lies.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.system.machine import MS, Machine
from tests.system.strangers import Room, always_ordered, always_pulsed

PULSES: Final = 60
LONG_MAX_S: Final = 6.0
HARDWARE_MS: Final = 50.0
ACTS: Final = (
    ("release fluoro", "contact", "fluoro_no"), ("open door", "interlock", "door"),
    ("estop", "interlock", "estop"),
)  # fmt: skip


@pytest.fixture
def software_alone(machine: Machine) -> Iterator[Machine]:
    """The machine with neither window gate nor chain in its generator's wires."""
    machine.switches = {"preset": True, "backup": True, "chain": False, "window_gate": False}
    yield machine
    machine.switches = dict.fromkeys(machine.switches, True)
    machine.rest()


@pytest.mark.process
@pytest.mark.invariant(7)
def test_without_the_window_gate_software_misses_no_window(software_alone: Machine) -> None:
    machine = software_alone

    def occasion() -> None:
        machine.shine()
        begun_ns = machine.starts(0)[-1]
        try:
            machine.wait("pulses", lambda: len(machine.starts(begun_ns)) > PULSES, LONG_MAX_S)
        finally:
            machine.blame("the beam did not last")

    machine.play(occasion)
    machine.rest()
    window = next(row for row in machine.verdict()["invariants"] if row["n"] == 7)
    assert window["violations"] == 0, window["examples"]
    assert window["exercised"] >= PULSES - window["set_apart"]


@pytest.mark.process
@pytest.mark.invariant(13)
@pytest.mark.parametrize(("act", "kind", "name"), ACTS)
def test_without_the_chain_software_alone_ends_the_beam(
    software_alone: Machine, chance: random.Random, act: str, kind: str, name: str
) -> None:
    machine = software_alone
    limit_ms = 20.0 if kind == "contact" else 10.0

    def occasion() -> None:
        machine.shine()
        struck_ns = machine.act(act, chance.uniform(0.05, 0.6), "pulse", kind, name, 0)
        assert machine.shone_at(struck_ns)
        machine.assert_dark(struck_ns, limit_ms, 10.0)

    machine.play(occasion)


@pytest.mark.process
@pytest.mark.invariant(13)
def test_with_every_process_stopped_the_hardware_ends_the_beam(machine: Machine) -> None:
    names = ("imaging", "supervisor", "realtime")

    def occasion() -> None:
        machine.shine()
        pids = {name: machine.pid(name) for name in names}
        machine.rig.wiring(preset=False)
        for name in names[:-1]:
            machine.rig.do(f"signal {name} {pids[name]} STOP", phase=0.2, phase_of="pulse")
        continued_ns = 0
        try:
            struck_ns = machine.act(f"signal realtime {pids['realtime']} STOP", 0.3, "pulse",
                                    "process", "realtime", "sigstop")  # fmt: skip
            machine.assert_dark(struck_ns, 20.0, 20.0)
            released_ns = machine.rig.do("release fluoro")
            machine.quiet()
            assert list(machine.seen(released_ns, "line", "chain_ok", 0))
        finally:
            for name, pid in pids.items():
                continued_ns = machine.rig.do(f"signal {name} {pid} CONT")
        pressed_ns = machine.rig.do("press fluoro")
        machine.quiet()
        assert machine.starts(continued_ns) == []
        assert pressed_ns > continued_ns

    machine.play(occasion)
    machine.assert_shines()


@pytest.mark.process
@pytest.mark.invariant(6)
def test_what_a_generator_stored_otherwise_is_never_ordered(machine: Machine) -> None:
    machine.rest()
    machine.make_ready()
    machine.rig.inject("F16", target="stores_lsb")
    assert machine.local("set", kv=71.0)["ok"]
    wanted = machine.local("status")["technique"]["technique_id"]
    machine.local("ready")
    machine.wait("its fault", lambda: machine.mode() == "FAULT")
    pressed_ns = machine.rig.do("press fluoro")
    machine.quiet()
    faults = {one["id"]: one["detail"] for one in machine.local("status")["faults"]}
    assert "kv_tenths 711 instead of 710" in faults["commit_failed"]
    assert machine.starts(pressed_ns) == []
    fired = [r.value["technique_id"] for r in machine.truth() if r.kind == "photons_on"]
    assert wanted not in fired
    machine.rest()
    machine.assert_shines()


@pytest.mark.process
@pytest.mark.invariant(6)
def test_the_self_test_finds_a_generator_that_stores_otherwise(machine: Machine) -> None:
    machine.rest()
    machine.make_ready()
    assert machine.local("set", kv=70.0)["mode"] == "STANDBY"
    machine.rig.inject("F16", target="stores_lsb")
    error = machine.local("selftest")["error"]
    assert "generator_banks" in str(error["value"])
    assert machine.mode() == "FAULT"
    machine.rest()
    machine.assert_shines()


@pytest.fixture(scope="module")
def ordered(small: Path) -> Iterator[Room]:
    """The executive under a supervisor that always orders."""
    with always_ordered(small) as room:
        yield room


@pytest.mark.process
@pytest.mark.invariant(1)
@pytest.mark.parametrize(("act", "kind", "name"), ACTS)
def test_a_supervisor_that_always_orders_is_not_obeyed_against_the_room(
    ordered: Room, chance: random.Random, act: str, kind: str, name: str
) -> None:
    ordered.switches = {"preset": True, "backup": True, "chain": False, "window_gate": False}
    limit_ms = 20.0 if kind == "contact" else 10.0

    def occasion() -> None:
        ordered.shine()
        struck_ns = ordered.act(act, chance.uniform(0.05, 0.6), "pulse", kind, name, 0)
        assert ordered.shone_at(struck_ns)
        ordered.assert_dark(struck_ns, limit_ms, 10.0)

    ordered.play(occasion)
    ordered.rest()
    unpressed_ns = ordered.truth()[-1].t_ns
    ordered.quiet()
    assert ordered.starts(unpressed_ns) == []
    verdict = ordered.verdict()
    held = {row["n"]: row["violations"] for row in verdict["invariants"] if row["n"] in (1, 2, 3)}
    assert held == {1: 0, 2: 0, 3: 0}, verdict["invariants"]


@pytest.mark.process
@pytest.mark.invariant(13)
def test_the_chain_alone_ends_what_nothing_else_would(small: Path) -> None:
    with always_pulsed(small) as room:
        room.switches = {"preset": False, "chain": True, "window_gate": False}
        for act, _, _ in ACTS:
            room.play(partial(chain_opens, room, act))
        assert len(room.starts(0)) >= len(ACTS), "each act met a beam of its own"


def chain_opens(room: Room, act: str) -> None:
    """The generator heeds nothing, the monostable is stuck, the controller pulses for ever."""
    room.rest()
    room.rig.inject("F46", target="monostable")
    pressed_ns = room.rig.do("press fluoro")
    room.wait("the beam", lambda: bool(room.starts(pressed_ns)))
    room.rig.inject("F13")
    room.wait("a beam without end", lambda: endless(room))
    struck_ns = room.rig.do(act)
    room.assert_dark(struck_ns, HARDWARE_MS, HARDWARE_MS)
    assert room.shone_at(struck_ns)


def endless(room: Room) -> bool:
    """High voltage has been on for longer than any pulse may last."""
    starts = room.starts(0)
    now_ns = room.rig.do("close door")
    return bool(starts) and room.shone_at(now_ns) and now_ns - starts[-1] > 60 * MS
