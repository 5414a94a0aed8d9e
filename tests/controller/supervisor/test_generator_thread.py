"""The generator's thread: a session that stands still is given up by the main step's beat."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from controller.core.events import Event, GeneratorDown, GeneratorSeen, GeneratorUp, Prepare
from controller.core.order import TICK_NS
from controller.supervisor.generator_thread import (
    BEATS_STILL_MAX,
    REPEAT_NS,
    TURN_MAX_S,
    TURN_REST_MAX_S,
    GeneratorThread,
    History,
    ToInbox,
)
from tests.controller.core.scene import IDLE, PREPARED
from tests.controller.supervisor.peers import ObjectGenerator, until


class Hanging(ObjectGenerator):
    """A driver whose calls do not come back while `free` is not set."""

    def __init__(self, listener: Any) -> None:
        super().__init__(listener)
        self.free, self.inside = threading.Event(), threading.Event()

    def prepare(self, on: bool) -> None:
        self._hang()

    def counter(self) -> int:
        if self.opened and self.inside.is_set():
            self._hang()
        return super().counter()

    def _hang(self) -> None:
        self.inside.set()
        self.free.wait(20)


def played(story: Callable[[GeneratorThread, Hanging, list[Event]], None]) -> None:
    heard: list[Event] = []
    failures: list[BaseException] = []
    driver = Hanging(None)
    thread = GeneratorThread(driver, 100, heard.append, failures.append)
    thread.start()
    try:
        until("up", lambda: any(isinstance(event, GeneratorUp) for event in heard))
        story(thread, driver, heard)
    finally:
        driver.free.set()
        thread.stop(5)
    assert failures == []


def downs(heard: list[Event]) -> list[str]:
    return [event.code for event in heard if isinstance(event, GeneratorDown)]


def test_a_session_that_stands_still_is_told_once_and_begun_anew() -> None:
    def story(thread: GeneratorThread, driver: Hanging, heard: list[Event]) -> None:
        thread.ask(Prepare(True))
        assert driver.inside.wait(5)
        thread.beat()
        for _ in range(BEATS_STILL_MAX - 1):
            thread.beat()
        assert downs(heard) == []
        for _ in range(3 * BEATS_STILL_MAX):
            thread.beat()
        assert downs(heard) == ["hang"]
        driver.free.set()
        until("a new session", lambda: sum(isinstance(e, GeneratorUp) for e in heard) == 2)
        assert downs(heard) == ["hang", "hang"]

    played(story)


def test_a_thread_that_moves_is_left_alone() -> None:
    def story(thread: GeneratorThread, driver: Hanging, heard: list[Event]) -> None:
        for _ in range(3):
            turns = thread.turns
            until("turns", lambda turns=turns: thread.turns > turns)  # type: ignore[misc]
            for _ in range(BEATS_STILL_MAX - 1):
                thread.beat()
                turns = thread.turns
        assert downs(heard) == []

    played(story)


def test_reading_the_history_may_take_its_time() -> None:
    def story(thread: GeneratorThread, driver: Hanging, heard: list[Event]) -> None:
        driver.inside.set()
        thread.ask(History(None, lambda counter, recent: None))
        until("taken", lambda: not thread._serving)
        for _ in range(3 * BEATS_STILL_MAX):
            thread.beat()
        assert downs(heard) == []

    played(story)


def test_at_rest_it_turns_less_often_and_looks_at_a_silence_as_early_as_ever() -> None:
    driver = Hanging(None)
    thread = GeneratorThread(driver, 100, print, print)
    now_ns = 10_000_000_000
    heard = [now_ns]
    driver.heartbeat_ns = lambda: heard[0]  # type: ignore[method-assign]
    assert thread._wait_s(now_ns) == TURN_MAX_S
    thread.resting = True
    assert thread._wait_s(now_ns) == TURN_REST_MAX_S
    heard[0] = now_ns - 250_000_000
    assert thread._wait_s(now_ns) == 0.05
    assert BEATS_STILL_MAX * TICK_NS / 1e9 > TURN_REST_MAX_S


def test_at_rest_a_status_that_repeats_itself_waits_and_news_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[Event] = []
    inbox, now_ns = ToInbox(heard.append), [50 * REPEAT_NS]
    monkeypatch.setattr(
        "controller.supervisor.generator_thread.time.monotonic_ns", lambda: now_ns[0]
    )

    def said(status: Any, after_ns: int) -> int:
        now_ns[0] += after_ns
        heard.clear()
        inbox.status(status)
        return len(heard)

    fifth = REPEAT_NS // 5
    assert [said(IDLE, fifth) for _ in range(3)] == [1, 1, 1], "in a run every word counts"
    inbox.resting = True
    assert [said(IDLE, fifth) for _ in range(11)] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
    assert said(PREPARED, 1) == 1
    assert heard == [GeneratorSeen(PREPARED)]
    assert [said(IDLE, 1), said(IDLE, 1)] == [1, 0]
    inbox.resting = False
    assert said(IDLE, 1) == 1
