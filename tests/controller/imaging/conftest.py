"""The room around imaging, and the bench under it, made and cleared away for each test.

Lives here: the fixtures.  May not live here: peers (`peers`) or assertions.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controller.imaging.bench import Bench
from tests.controller.imaging.peers import Room, make_room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """Peers and files of a 256 × 256 panel; imaging is not started yet."""
    made = make_room(tmp_path)
    yield made
    made.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    made.begin()
    yield made
    made.panel.close()
