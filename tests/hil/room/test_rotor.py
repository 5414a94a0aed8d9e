"""Rotor and filament take their time, and a turning rotor takes less."""

from __future__ import annotations

from hil.room.records import NEVER
from hil.room.rotor import Preparation


def at(preparation: Preparation, t: int) -> tuple[str, str, bool]:
    preparation.advance(t)
    return preparation.rotor, preparation.filament, preparation.ready


def test_from_rest_to_ready() -> None:
    preparation = Preparation(1200, 5000, 300)
    assert at(preparation, 5) == ("rest", "standby", False)
    preparation.prepare(10, True)
    assert preparation.next_ns() == 310
    assert at(preparation, 309) == ("run_up", "boost", False)
    assert at(preparation, 310) == ("run_up", "ready", False)
    assert preparation.next_ns() == 1210
    assert at(preparation, 1210) == ("ready", "ready", True)
    assert preparation.next_ns() == NEVER


def test_it_is_not_ready_from_the_moment_it_is_told_to_stop() -> None:
    preparation = Preparation(1200, 5000, 300)
    preparation.prepare(0, True)
    preparation.advance(2000)
    preparation.prepare(2000, False)
    assert at(preparation, 2000) == ("braking", "standby", False)
    assert preparation.next_ns() == 7000
    assert at(preparation, 7000) == ("rest", "standby", False)


def test_a_rotor_that_still_turns_is_ready_sooner() -> None:
    preparation = Preparation(1200, 5000, 300)
    preparation.prepare(0, True)
    preparation.advance(2000)
    preparation.prepare(2000, False)
    preparation.advance(4500)
    preparation.prepare(4500, True)
    assert preparation.speed(4500) == 0.5
    assert at(preparation, 5099)[0] == "run_up"
    assert at(preparation, 5100)[0] == "ready"
