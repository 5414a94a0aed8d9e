"""Fixtures of the live tests: a plain mosquitto, and a room whose service speaks to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import rooms


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[rooms.Broker]:
    made = rooms.plain_broker(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def room(tmp_path: Path, broker: rooms.Broker) -> Iterator[rooms.Room]:
    with rooms.room(tmp_path, broker.port) as made:
        made.supervisor()
        made.service()
        yield made
