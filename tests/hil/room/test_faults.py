"""Each fault the room can make: its effect is there, is logged when it is there, and ends."""

from __future__ import annotations

import pytest

from hil.room import faults
from hil.room.commands import Inject
from hil.room.parameters import MS
from realtime.wire.lines import In
from tests.hil.room.bench import Bench


def logged(bench: Bench, fault: str) -> tuple[list[int], list[int]]:
    """Times of fault_on and of fault_off."""
    return (
        [r.t_ns for r in bench.truth("fault_on", fault)],
        [r.t_ns for r in bench.truth("fault_off", fault)],
    )


@pytest.mark.parametrize(
    ("fault", "levels"), [("F01", (True, False)), ("F05", (False, False)), ("F07", (True, True))]
)
def test_forced_contacts(fault: str, levels: tuple[bool, bool]) -> None:
    bench = Bench()
    bench.inject(fault)
    assert (bench.high(In.FLUORO_NO), bench.high(In.FLUORO_NC)) == levels
    bench.wait(5 * MS).clear(fault)
    assert (bench.high(In.FLUORO_NO), bench.high(In.FLUORO_NC)) == (False, True)
    assert logged(bench, fault) == ([0], [5 * MS])


@pytest.mark.parametrize("target", faults.CONTACTS)
def test_an_interlock_opens_for_a_while(target: str) -> None:
    bench = Bench()
    bench.inject("F08", target, for_ns=7 * MS)
    assert not bench.high(In[target.upper()])
    bench.wait(10 * MS)
    assert bench.high(In[target.upper()])
    assert [(r.t_ns, r.value) for r in bench.truth("interlock", target)] == [
        (0, 1), (0, 0), (7 * MS, 1),
    ]  # fmt: skip
    assert logged(bench, "F08") == ([0], [7 * MS])


def test_a_flicker_lasts_one_millisecond_and_is_two_edges() -> None:
    bench = Bench().wait(MS)
    before = len(bench.room.out.edges)
    bench.inject("F09", "door")
    bench.wait(10 * MS)
    assert [e.t_ns for e in bench.room.out.edges[before:]] == [MS, 2 * MS]


def test_an_interlock_that_people_opened_stays_open_when_the_fault_ends() -> None:
    bench = Bench()
    bench.inject("F08", "door")
    bench.act("open door")
    bench.clear()
    assert not bench.high(In.DOOR)


def test_bounce_as_long_as_asked() -> None:
    bench = Bench()
    bench.inject("F04", "fluoro", 30.0)
    bench.act("press fluoro")
    bench.wait(100 * MS)
    edges = [r.t_ns for r in bench.truth("contact", "fluoro_nc")[1:]]
    assert 15 * MS < edges[-1] - edges[0] <= 30 * MS
    assert len(logged(bench, "F04")[0]) == 1


def test_a_lost_snapshot_uses_up_its_turn_and_only_an_edge_is_lost() -> None:
    bench = Bench()
    bench.inject("F06")
    wire = bench.room.wire
    assert wire.may_send(edge=False)
    assert not wire.may_send(edge=True)
    assert wire.may_send(edge=True)
    bench.wait(1)
    bench.act("open door")
    assert len(logged(bench, "F06")[0]) == 1


def test_a_silent_bus_sends_nothing_until_it_is_cleared() -> None:
    bench = Bench()
    bench.inject("F10")
    assert not bench.room.wire.may_send(edge=False)
    assert not bench.room.wire.may_send(edge=True)
    bench.act("open door")
    bench.clear("F10")
    assert bench.room.wire.may_send(edge=False)
    assert tuple(map(len, logged(bench, "F10"))) == (1, 1)


def test_a_generator_that_ignores_off_is_ended_by_the_chain_alone() -> None:
    bench = Bench().ready()
    bench.inject("F13")
    bench.pulse()
    assert bench.room.generator.firing is not None
    bench.act("release fluoro")
    bench.wait(60 * MS)
    (result,) = bench.results()
    assert result.flags & 8
    assert len(logged(bench, "F13")[0]) == 1


def test_a_pulse_that_overruns_is_ended_by_the_backup_timer() -> None:
    bench = Bench().ready()
    bench.inject("F14")
    bench.pulse()
    (result,) = bench.results()
    assert result.width_us <= 1.1 * 8000 + 1000
    assert result.width_us > 9500
    assert len(logged(bench, "F14")[0]) == 1


def test_fired_twice_is_two_pulses_for_one_rise() -> None:
    bench = Bench().ready()
    bench.inject("F15", "twice")
    bench.pulse()
    assert [r.flags & 32 for r in bench.results()] == [0, 32]
    assert len([r for r in bench.truth("line", "pulse") if r.value]) == 1
    assert len(logged(bench, "F15")[0]) == 1


def test_a_second_pulse_that_was_due_does_not_outlive_its_fault() -> None:
    bench = Bench().ready().alive().open_window()
    bench.inject("F15", "twice")
    bench.drive(pulse=1)
    bench.keep_alive(4 * MS)
    bench.clear("F15")
    bench.keep_alive(10 * MS)
    assert bench.room.generator.pulse_count == 1
    assert logged(bench, "F15") == ([], [])


def test_an_untriggered_pulse_still_needs_permit_and_supply() -> None:
    bench = Bench().ready()
    bench.inject("F15", "untriggered")
    bench.wait(50 * MS)
    assert bench.results() == []
    assert logged(bench, "F15") == ([], [])
    bench.alive().wait(20 * MS)
    assert [r.flags & 32 for r in bench.results()] == [32]
    assert len(logged(bench, "F15")[0]) == 1


def test_a_rise_during_an_untriggered_pulse_starts_nothing_after_it() -> None:
    bench = Bench().ready().alive().open_window()
    bench.inject("F15", "untriggered")
    assert bench.room.generator.firing is not None
    bench.drive(pulse=1)
    bench.keep_alive(12 * MS)
    assert [r.flags & 32 for r in bench.results()] == [32]
    assert (bench.room.generator.pulse_count, bench.room.generator.refused) == (1, 1)


def test_a_panel_that_does_not_integrate_gives_a_frame_of_nothing() -> None:
    bench = Bench().ready()
    bench.inject("F21")
    bench.pulse()
    (frame,) = bench.frames()
    assert (frame.integrates, frame.exposures) == (False, [])
    (record,) = bench.truth("frame")
    assert (record.value["valid"], record.value["reason"]) == (False, "not_integrated")
    assert record.value["pulse_ids"] == [1]
    assert len(logged(bench, "F21")[0]) == 1


@pytest.mark.parametrize(
    ("fault", "defect", "valid"),
    [
        ("F22", "missing", False), ("F22", "late", True), ("F22", "duplicate", True),
        ("F22", "wrong_id", False), ("F24", "torn", False), ("F24", "size", False),
        ("F24", "zero", False), ("F24", "frozen", False), ("F27", "foreign", False),
    ],
)  # fmt: skip
def test_a_spoiled_frame_says_so(fault: str, defect: str, valid: bool) -> None:
    bench = Bench().ready()
    bench.inject(fault, defect)
    bench.pulse()
    (frame,) = bench.frames()
    assert frame.defect == defect
    assert (frame.delay_ns > 0) == (defect in ("late", "foreign"))
    (record,) = bench.truth("frame")
    assert record.value["valid"] is valid
    bench.clear()
    bench.pulse()
    assert bench.frames()[1].defect == ""
    assert tuple(map(len, logged(bench, fault))) == (1, 1)


def test_a_drifting_window_comes_later_and_later() -> None:
    bench = Bench().ready()
    bench.inject("F23", "", 200.0)
    bench.pulse().pulse()
    opened = [r.t_ns for r in bench.truth("window_open")]
    triggers = [r.t_ns for r in bench.truth("line", "panel_trigger") if r.value]
    assert [o - t for o, t in zip(opened, triggers, strict=True)] == [300_000, 500_000]
    assert len(logged(bench, "F23")[0]) == 1


@pytest.mark.parametrize("target", ["tone", "lamp"])
def test_a_dead_signal_is_on_only_when_it_should_sound(target: str) -> None:
    bench = Bench()
    bench.inject("F38", target)
    assert logged(bench, "F38") == ([], [])
    bench.wait(MS).drive(**{target: 1})
    assert not bench.high(In[f"{target.upper()}_READBACK"])
    assert logged(bench, "F38")[0] == [MS]
    bench.clear()
    assert bench.high(In[f"{target.upper()}_READBACK"])


@pytest.mark.parametrize(("target", "line"), [("monostable", "PERMIT_OK"), ("chain", "CHAIN_OK")])
def test_hardware_stuck_closed(target: str, line: str) -> None:
    bench = Bench()
    bench.inject("F46", target)
    assert bench.high(In[line])
    assert len(logged(bench, "F46")[0]) == 1
    bench.clear()
    assert not bench.high(In[line])


@pytest.mark.parametrize(
    ("fault", "target", "code"), [("F99", "", "unknown_fault"), ("F08", "roof", "unknown_target")]
)
def test_what_the_room_cannot_make_is_refused(fault: str, target: str, code: str) -> None:
    reply = Bench().inject(fault, target)
    assert (reply.ok, reply.code) == (False, code)


def test_a_fault_at_a_phase_begins_there() -> None:
    bench = Bench().ready()
    bench.obey(Inject(1, "F08", "door", 0.0, 0, 2 * MS, 0.3, "pulse"))
    bench.pulse()
    on = bench.truth("hv")[0].t_ns
    assert logged(bench, "F08") == ([on + 2_400_000], [on + 4_400_000])


def test_a_fault_after_a_while_begins_then() -> None:
    bench = Bench()
    bench.obey(Inject(1, "F08", "door", 0.0, 3 * MS, 0, -1.0, ""))
    bench.wait(10 * MS)
    assert logged(bench, "F08") == ([3 * MS], [])


def test_a_new_injection_of_the_same_fault_ends_the_old_one_and_its_end() -> None:
    bench = Bench()
    bench.inject("F08", "door", for_ns=5 * MS)
    bench.wait(MS).inject("F08", "estop", for_ns=20 * MS)
    assert bench.high(In.DOOR)
    bench.wait(10 * MS)
    assert not bench.high(In.ESTOP)
    assert bench.room.injector.active == ["F08"]


def test_every_row_names_a_target_and_a_unit_for_its_amount() -> None:
    for name, fault in faults.TABLE.items():
        assert fault.targets, name
        assert bool(fault.unit) or fault.amount == 0.0, name
