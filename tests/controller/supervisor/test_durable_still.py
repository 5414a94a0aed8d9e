"""A copier that stands still is told of within a second, and believed again when it moves (F40)."""

from pathlib import Path
from typing import Any

import pytest

from controller.core.events import DurableSeen, Event
from controller.supervisor.durable import Copier, PulseLog
from controller.supervisor.durable_thread import DurableThread
from realtime.limits import MS, S


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def thread(tmp_path: Path, told: list[Event]) -> DurableThread:
    log = PulseLog(tmp_path / "pulses.log")
    state: Any = None
    return DurableThread(Copier(tmp_path / "ring", log), state, told.append, _never)


def _never(error: BaseException) -> None:
    raise error


def beats(thread: DurableThread, from_ns: int, ms: int, every_ms: int = 20) -> int:
    for at_ms in range(0, ms, every_ms):
        thread.beat(from_ns + at_ms * MS)
    return from_ns + ms * MS


def test_one_that_stands_still_is_told_once_and_within_a_second(
    thread: DurableThread, told: list[Event]
) -> None:
    at_ns = beats(thread, S, 800)
    assert told == []
    beats(thread, at_ns, 5000)
    assert told == [DurableSeen(False, 0, 0, "the copier stands still")]


@pytest.mark.parametrize("every_ms", [20, 70])
def test_both_paces_of_the_beat_find_it_in_time(
    thread: DurableThread, told: list[Event], every_ms: int
) -> None:
    beats(thread, S, 1000, every_ms)
    assert len(told) == 1


def test_one_that_moves_again_says_how_it_stands(thread: DurableThread, told: list[Event]) -> None:
    thread._tell(True, "")
    at_ns = beats(thread, S, 2000)
    thread.turns += 1
    beats(thread, at_ns, 100)
    thread._tell(True, "")
    assert [event.ok for event in told if isinstance(event, DurableSeen)] == [True, False, True]


def test_a_main_step_that_was_away_blames_nobody(thread: DurableThread, told: list[Event]) -> None:
    at_ns = beats(thread, S, 200)
    for _ in range(3):
        at_ns += 60 * S
        thread.beat(at_ns)
    assert told == []
