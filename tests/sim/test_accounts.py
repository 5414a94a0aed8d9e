"""Invariant 10 in virtual time: what is recorded is what was emitted, also across a power cut."""

import pytest

from controller.core.reconcile import Recorded
from hil.sim.accounts import unaccounted
from hil.sim.box import BlackBox
from hil.sim.case import Judged, configuration, run, windows_at
from hil.sim.circumstances import Circumstances
from hil.sim.operator import Operator
from hil.sim.removed import taken_out
from hil.sim.world import MS, World
from realtime.firing import stray_record
from realtime.inputs import Inputs
from realtime.wire.record import Record
from tests.sim.bench import examination, scenario

pytestmark = pytest.mark.invariant(10)


def exposed() -> World:
    world, _ = examination(1)
    assert unaccounted(world) == []
    assert world.box.lit == world.room.generator.pulse_count > 5
    return world


def test_a_record_too_many_is_told() -> None:
    world = exposed()
    world.box.add([Recorded(1, True)])
    (wrong,) = unaccounted(world)
    assert wrong.endswith("0 unknown, 1 too many")


def test_a_pulse_that_is_neither_recorded_nor_remembered_is_told() -> None:
    world = exposed()
    world.box._records.pop()
    assert unaccounted(world) == [], "the generator remembers it"
    world.bus._recent.clear()
    (wrong,) = unaccounted(world)
    assert wrong.endswith("1 unknown, 0 too many")


def test_a_pulse_that_was_put_aside_without_a_record_is_told() -> None:
    world = exposed()
    world.room.generator.pulse_count += 1
    world.bus._offset -= 1
    (wrong,) = unaccounted(world)
    assert wrong.startswith("invariant 10: ")


def test_of_a_power_cut_only_the_copy_and_the_account_survive() -> None:
    box = exposed().box
    copied, account, floor = box.copied, box.account, box.pulse_id_floor
    box.add([Recorded(1, True)])
    box.copied = copied
    box.lose_power()
    assert (box.lit, box.account, box.store().unread) == (copied, account, 0)
    assert (box.latched, box.running, box.pulse_id_next) == ([], False, 1)
    assert box.pulse_id_floor == floor > 5


@pytest.mark.parametrize("step", [0, 3, 16])
def test_without_the_reconciliation_a_power_cut_loses_a_pulse(step: int) -> None:
    cut = scenario("F41")
    assert run(cut, 1, windows_at(cut, step)).violations == []
    with taken_out("reconciliation"):
        lost = [run(cut, 1, windows_at(cut, each)).violations for each in (0, 3)]
    assert all(violations[0].startswith("invariant 10: ") for violations in lost)


def test_only_what_shone_when_a_process_began_may_be_recorded_twice() -> None:
    world = exposed()
    record = stray_record(Inputs(), world.clockwork.now_ns, None)
    world.box.stray(record)
    (wrong,) = unaccounted(world)
    assert wrong.endswith("1 too many"), "a process that has fired knows its own pulses"
    world = exposed()
    world.box.start()
    world.box.stray(record)
    assert unaccounted(world) == []
    world.box.add([Recorded(1, True)])
    (wrong,) = unaccounted(world)
    assert wrong.endswith("2 too many")


def in_run(rate: float) -> tuple[World, Operator]:
    """READY at some rate, the foot down."""
    world = World(configuration({}), 3, Judged().take, Circumstances())
    operator = Operator(world)
    world.power_on()
    assert operator.boot()
    assert operator.make_ready(rate)
    operator.act("press fluoro")
    return world, operator


def test_a_process_that_dies_before_its_pulse_rises_leaves_no_pulse_in_the_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The intent is written, then nothing: 11 µs that a kill has to meet."""
    world, operator = in_run(15.0)
    world.run_until(world.clockwork.now_ns + 800 * MS)
    intent = BlackBox.intent

    def killed(box: BlackBox, record: Record) -> None:
        intent(box, record)
        for name in ("realtime", "supervisor"):
            world.kill(name)
        raise EndOfTurn

    monkeypatch.setattr(BlackBox, "intent", killed)
    with pytest.raises(EndOfTurn):
        world.run_until(world.clockwork.now_ns + 100 * MS)
    monkeypatch.undo()
    assert world.box.in_pulse
    recovery = operator.recover()
    assert recovery.alive, recovery.detail
    assert world.box.lit == world.room.generator.pulse_count > 10
    assert unaccounted(world) == []


def test_of_a_run_longer_than_the_generators_memory_a_lost_record_is_added() -> None:
    world, operator = in_run(30.0)
    world.run_until(world.clockwork.now_ns + 12_000 * MS)
    operator.act("release fluoro")
    world.run_until(world.clockwork.now_ns + 3 * MS)
    assert world.room.generator.pulse_count > 300
    world.box._records.pop()
    world.run_until(world.clockwork.now_ns + 3_000 * MS)
    assert world.box.lit == world.room.generator.pulse_count
    assert unaccounted(world) == []


class EndOfTurn(Exception):
    """The process is gone in the middle of its turn."""
