"""Who listens outside in real time: a struck subscriber tells its losses; the event log is read."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.cli.clocks.ears import Events, Frames, Told, event_word
from controller.cli.clocks.listener import CONNECTED
from controller.cli.clocks.looks import Looks
from controller.cli.clocks.outsiders import OnSubscriber
from controller.cli.stage import StageError
from controller.service.department import FOLDER
from controller.service.journal import EVENTS
from controller.stream.publisher import Publisher
from hil.sim.injection import Window
from tests.controller.stream.test_subscriber import header, live

WAIT_S = 15.0


class Place:
    """As much of a stage as an ear needs."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.endpoints = {"frames": f"ipc://{run_dir / 'frames.ipc'}"}

    def wait(self, what: str, is_so: Callable[[], bool], most_s: float = WAIT_S) -> None:
        until_s = time.monotonic() + most_s
        while not is_so():
            if time.monotonic() > until_s:
                raise StageError(what)
            time.sleep(0.005)


@pytest.fixture
def place(tmp_path: Path) -> Any:
    return Place(tmp_path)


@pytest.fixture
def publisher(place: Any) -> Iterator[Publisher]:
    opened = Publisher(place.endpoints["frames"])
    yield opened
    opened.close()


def test_a_subscriber_tells_what_did_not_reach_it(place: Any, publisher: Publisher) -> None:
    told: Told = deque()
    ear = Frames(place, told)
    ear.start()
    try:
        place.wait("a subscription", publisher.subscribed)
        publisher.send("series", header(seq_first=1))
        for seq in (1, 2, 5):
            publisher.send("live", live(seq), b"")
        place.wait("what was lost", lambda: bool(told))
        ear.say("slow 1")
        ear.wait_for("slow")
    finally:
        ear.stop()
    assert [word for _, word in told] == ["frames_lost"]
    assert ear.said(CONNECTED) < told[0][0] < time.monotonic_ns()


@pytest.mark.parametrize("kind", ["stopped", "slow", "dead"])
def test_a_window_strikes_the_subscriber_and_ends(
    place: Any, publisher: Publisher, kind: str
) -> None:
    looks = Looks(place.run_dir / "local.sock")
    looks.listen(place, {"subscriber", "interlock"})
    try:
        window = Window("F25", "subscriber", kind, "", 0.0, 0, 50_000_000)
        strike = OnSubscriber(place, looks, window, time.monotonic_ns(), 0)
        strike.begin(time.monotonic_ns())
        until_s = time.monotonic() + WAIT_S
        while not strike.cleared_ns and time.monotonic() < until_s:
            strike.act(time.monotonic_ns())
            time.sleep(0.002)
        strike.reckon([])
        assert 0 < strike.effect_ns < strike.cleared_ns
        strike.end()
        ear = looks.ears["subscriber"]
        assert isinstance(ear, Frames)
        ear.wait_for("quick" if kind == "slow" else CONNECTED)
    finally:
        looks.deafen()


def test_the_event_log_is_heard_from_where_it_was(place: Any) -> None:
    log = place.run_dir / FOLDER / EVENTS
    told: Told = deque()
    with pytest.raises(StageError, match="broker is off"):
        Events(place, told).start()
    log.parent.mkdir(parents=True)
    old = {"event": "security", "reason": "expired"}
    new = {"event": "security", "reason": "replayed"}
    log.write_text(json.dumps(old) + "\n")
    ear = Events(place, told)
    ear.start()
    with log.open("a") as file:
        file.write(json.dumps(new) + "\n" + json.dumps(new)[:10])
    place.wait("an event", lambda: bool(told))
    ear.stop()
    assert [word for _, word in told] == ["replayed"]


def test_words_of_events() -> None:
    assert event_word(b'{"event":"broker","change":"connected"}') == "broker_connected"
    assert event_word(b'{"event":"broker","change":"duplicate_client_id"}') == ""
    assert event_word(b'{"event":"mode","change":"READY"}') == ""
