"""The words of the wires keep their spelling and, where the black box counts them, their place."""

from enum import StrEnum

import pytest

from realtime.wire import vocabulary
from realtime.wire.vocabulary import EndReason, Mode

CLASSES = [each for each in vars(vocabulary).values() if isinstance(each, type)]
ENUMS = [each for each in CLASSES if issubclass(each, StrEnum) and each is not StrEnum]


@pytest.mark.parametrize("words", ENUMS, ids=lambda words: words.__name__)
def test_every_word_is_its_own_name_in_lower_case(words: type[StrEnum]) -> None:
    assert list(words)
    assert all(member.value == member.name.lower() for member in words)
    assert words.__doc__


def test_the_places_that_the_black_box_stores_never_move() -> None:
    assert [m.value for m in Mode] == ["fluoro", "high_level", "one_shot", "cine", "dsa"]
    assert [r.value for r in EndReason][:13] == [
        "set", "release", "interlock", "link", "order", "trip", "dark", "window", "no_image",
        "complete", "timeout", "refused", "crash",
    ]  # fmt: skip
