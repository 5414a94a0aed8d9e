"""What a picture shows, what only moves in it, and that nothing is made anew of the same."""

from typing import Any

import pytest

from controller.core.service import picture
from controller.service.core.picture import STATE_OF, TELEMETRY_OF, essence
from controller.service.publisher import RATES_HZ, Publisher, dumped
from tests.controller.core.scene import Scene


class Told:
    """Outbox and logs that write down what they are given."""

    def __init__(self) -> None:
        self.states: dict[str, bytes] = {}
        self.topics: list[str] = []

    def state(self, topic: str, payload: bytes) -> None:
        self.states[topic] = payload
        self.topics.append(topic)

    def put(self, message: Any) -> None:
        self.topics.append(message.topic)

    def add(self, topic: str, _words: str) -> None:
        self.topics.append(topic)


@pytest.fixture
def scene() -> Scene:
    return Scene().ready()


def shown(scene: Scene, later_ms: int = 0) -> dict[str, Any]:
    return picture(scene.core, scene.now_ns + later_ms * 1_000_000)


def test_time_alone_is_no_news_and_moves_no_state(scene: Scene) -> None:
    before, after = shown(scene), shown(scene, 90)
    assert before != after
    assert essence(before) == essence(after)
    assert [dumped(make(before)) for make in STATE_OF.values()] == [
        dumped(make(after)) for make in STATE_OF.values()
    ]


def test_what_a_state_or_event_is_made_of_is_never_left_out(scene: Scene) -> None:
    first = shown(scene)
    for path in ("executive", "imaging"):
        for key, value in first["status"][path].items():
            other = {**first["status"], path: {**first["status"][path], key: _else(value)}}
            changed = {**first, "status": other}
            if essence(changed) == essence(first):
                assert all(dumped(m(changed)) == dumped(m(first)) for m in STATE_OF.values())
    assert essence({**first, "session_left_ms": 9}) != essence(first)
    assert essence({**first, "session_left_ms": 9}) == essence({**first, "session_left_ms": 5})


def _else(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return {} if isinstance(value, dict) else "else" if isinstance(value, str) else ["else"]


def test_states_are_made_of_news_alone_and_events_of_changes(scene: Scene) -> None:
    told = Told()
    seam: Any = told
    publisher = Publisher(seam, seam, seam)
    assert publisher.picture(shown(scene), 1)
    whole = dict(told.states)
    told.topics.clear()
    assert not publisher.picture(shown(scene, 90), 2)
    assert told.topics == ["state/session"]
    assert told.states == whole
    scene.core.session_until_ns = scene.now_ns + 60_000_000_000
    assert publisher.picture(shown(scene), 3)
    assert "event/session" in told.topics
    assert "state/mode" in told.topics


def test_the_fastest_rate_is_that_of_the_quickest_telemetry() -> None:
    seam: Any = Told()
    publisher = Publisher(seam, seam, seam)
    assert publisher.fastest_hz == max(RATES_HZ.values())
    assert set(TELEMETRY_OF) < set(RATES_HZ)
    publisher.rates_hz["beam"] = 10.0
    assert publisher.fastest_hz == 10.0
