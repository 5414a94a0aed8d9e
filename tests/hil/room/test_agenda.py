"""Entries come due when they should, once, and there are never too many."""

from __future__ import annotations

from hil.room.agenda import CYCLE, ENTRIES_MAX, PULSE, Agenda
from hil.room.records import NEVER


def test_earliest_first_each_at_its_own_instant() -> None:
    agenda, done = Agenda(), list[int]()
    for due in (30, 10, 20):
        agenda.at(due, done.append)
    agenda.advance(25)
    assert done == [10, 20]
    assert agenda.next_ns() == 30


def test_what_an_entry_adds_waits_for_its_own_time() -> None:
    agenda, done = Agenda(), list[int]()
    agenda.at(10, lambda t_ns: done.append(int(agenda.at(t_ns + 5, done.append))))
    agenda.advance(10)
    assert (done, agenda.next_ns()) == ([1], 15)


def test_the_cycle_is_known_from_the_second_rise_on() -> None:
    agenda, done = Agenda(), list[int]()
    agenda.at_phase(0, 0.25, CYCLE, done.append)
    agenda.pulse_rose(1000)
    assert agenda.next_ns() == NEVER
    agenda.pulse_rose(1100)
    agenda.advance(1124)
    assert done == []
    agenda.advance(1125)
    assert done == [1125]


def test_a_rise_after_a_long_rest_is_no_cycle() -> None:
    agenda = Agenda()
    agenda.at_phase(0, 0.5, CYCLE, lambda _: None)
    agenda.pulse_rose(0)
    agenda.pulse_rose(3_000_000_000)
    assert agenda.next_ns() == NEVER


def test_a_phase_of_the_pulse_counts_its_set_width_and_waits_its_turn() -> None:
    agenda, done = Agenda(), list[int]()
    agenda.at_phase(500, 0.5, PULSE, done.append)
    agenda.hv_rose(400, 80)
    assert agenda.next_ns() == NEVER
    agenda.hv_rose(600, 80)
    agenda.hv_rose(620, 80)
    agenda.advance(1000)
    assert done == [640]


def test_it_is_bounded() -> None:
    agenda = Agenda()
    assert all(agenda.at_phase(0, 0.5, CYCLE, lambda _: None) for _ in range(ENTRIES_MAX))
    assert not agenda.at(1, lambda _: None)
    agenda.forget()
    assert agenda.at_phase(0, 0.5, PULSE, lambda _: None)


def test_what_waits_for_a_phase_can_be_forgotten_and_what_waits_for_a_time_stays() -> None:
    agenda, done = Agenda(), list[str]()
    agenda.at(900, lambda _: done.append("time"))
    agenda.at_phase(0, 0.5, PULSE, lambda _: done.append("pulse"))
    agenda.at_phase(0, 0.5, CYCLE, lambda _: done.append("cycle"))
    agenda.hv_rose(600, 80)
    assert agenda.next_ns() == 640
    agenda.forget()
    assert agenda.next_ns() == 900
    for rise_ns in (700, 780):
        agenda.pulse_rose(rise_ns)
    agenda.advance(1000)
    assert done == ["time"]
