"""The parts of virtual time: clocks, order of events, journal, line bus, wires."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.room import commands
from hil.sim.chance import Stream
from hil.sim.clockwork import Clockwork, HostClock
from hil.sim.journal import Journal
from hil.sim.lines import AGE_NS, PERIOD_NS, LineBus
from hil.sim.wires import Wire
from hil.sim.world import MS
from tests.sim.bench import examination

SECOND = 1_000_000_000


@given(
    st.integers(0, 1 << 54), st.integers(-1000, 1000), st.integers(0, 10_000 * SECOND),
)  # fmt: skip
def test_the_hosts_clock_and_its_inverse_agree(offset: int, ppm: int, passed: int) -> None:
    clock = HostClock(SECOND, offset, ppm)
    host_ns = clock.of(SECOND + passed)
    t_ns = clock.when(host_ns)
    assert clock.of(t_ns) >= host_ns > clock.of(t_ns - 1)


def test_events_come_in_order_and_ties_are_seeded() -> None:
    orders = set()
    for seed in range(8):
        clockwork = Clockwork(seed, 0)
        seen: list[str] = []
        for name in "abc":
            clockwork.at(5, seen.append, name)
        clockwork.at(1, seen.append, "first")
        while clockwork.waiting:
            clockwork.turn()
        assert seen[0] == "first"
        orders.add("".join(seen[1:]))
    assert len(orders) > 1


def test_a_stream_depends_on_seed_and_name_only() -> None:
    draws = [Stream(1, "a").below(1 << 30), Stream(1, "a").below(1 << 30)]
    assert draws[0] == draws[1]
    assert Stream(2, "a").below(1 << 30) != draws[0] != Stream(1, "b").below(1 << 30)
    assert {Stream(seed, "x").between(3, 5) for seed in range(50)} == {3, 4, 5}


@dataclass(frozen=True)
class Thing:
    a: int
    b: str


def test_the_journal_notices_every_value() -> None:
    hashes = set()
    for thing in (Thing(1, "x"), Thing(2, "x"), Thing(1, "y")):
        journal = Journal()
        journal.note("step", journal.values(thing))
        hashes.add(journal.sha256)
    assert len(hashes) == 3
    journal = Journal()
    journal.note(object())
    with pytest.raises(TypeError):
        _ = journal.sha256


def bus() -> tuple[LineBus, int]:
    line_bus = LineBus(Clockwork(1, 0), HostClock(0, 0, 0), 1)
    return line_bus, line_bus.connect(SECOND)


def test_a_healthy_bus_stays_fresh_without_events() -> None:
    line_bus, arrival_ns = bus()
    assert line_bus.drain(arrival_ns, arrival_ns).link
    later_ns = arrival_ns + 1000 * SECOND
    assert line_bus.drain(later_ns, later_ns).link
    assert later_ns - line_bus.received_ns <= PERIOD_NS


def test_nothing_is_known_before_the_first_packet() -> None:
    line_bus, arrival_ns = bus()
    assert not line_bus.drain(arrival_ns - 1, arrival_ns - 1).link
    assert line_bus.drain(arrival_ns, arrival_ns).link


def test_a_silent_bus_grows_old() -> None:
    line_bus, arrival_ns = bus()
    line_bus.drain(arrival_ns, arrival_ns)
    old_ns = line_bus.silent_from(arrival_ns + 1)
    assert not line_bus.drain(old_ns, old_ns).link
    assert old_ns - arrival_ns <= AGE_NS + PERIOD_NS + 100_000


def test_a_lost_snapshot_is_a_gap_at_the_next_one() -> None:
    line_bus, arrival_ns = bus()
    before = line_bus.drain(arrival_ns, arrival_ns)
    assert line_bus.show(SECOND + 1_000_000, 5, lost=True) == 0
    next_ns = line_bus.repeat(line_bus.next_repeat_ns(SECOND + 1_000_000))
    after = line_bus.drain(next_ns, next_ns)
    assert (after.link, after.epoch) == (False, before.epoch + 1)
    assert line_bus.drain(next_ns + 1, next_ns + 1).link


def test_a_wire_keeps_order_and_loses_whole_messages() -> None:
    clockwork = Clockwork(1, 0)
    seen: list[object] = []
    wire = Wire(clockwork, 1, "w", (10, 1000), seen.append, lambda: None)
    wire.send("nobody")
    wire.connect()
    for number in range(20):
        wire.lose = int(number == 7)
        wire.send(number)
    while clockwork.waiting:
        clockwork.turn()
    assert seen == [number for number in range(20) if number != 7]
    wire.send("late")
    wire.cut()
    while clockwork.waiting:
        clockwork.turn()
    assert "late" not in seen


@pytest.mark.parametrize("offset_ns", [1 << 40, (1 << 53) + 1])
def test_an_offset_of_the_hosts_clock_changes_no_truth(offset_ns: int) -> None:
    plain, there = examination(4), examination(4, host_offset_ns=offset_ns)
    assert plain[1].kept == there[1].kept
    assert plain[1].violations() == []
    assert plain[0].room.generator.pulse_count > 10


def test_no_report_of_the_generator_overtakes_the_one_before() -> None:
    """Found by seed 2878 of a campaign: a late "rotor ready" started a pulse that could not be."""
    for seed in range(20):
        world, _ = examination(seed)
        for bits in (1, 0):
            world.command(commands.GeneratorFault(0, bits))
            world.bus.watch()
        world.command(commands.Prepare(0, False))
        world.bus.watch()
        world.run_until(world.clockwork.now_ns + 20 * MS)
        generator = world.room.generator
        assert generator.preparation.rotor == "braking"
        assert world.supervisor.core.generator.status == world.bus._now()
