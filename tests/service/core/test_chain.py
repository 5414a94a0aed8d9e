"""The audit chain: whatever is changed, left out, swapped or cut off is found."""

import json

from hypothesis import given
from hypothesis import strategies as st

from controller.service.core.chain import EMPTY, Head, entry, verify


def made(count: int) -> tuple[list[str], Head]:
    lines, head = [], EMPTY
    for number in range(count):
        line, head = entry(head, 1000 + number, "accepted", {"id": f"id-{number}", "µ": "é"})
        lines.append(line)
    return lines, head


def test_a_sound_log_holds() -> None:
    lines, head = made(5)
    assert verify(lines, EMPTY, head) == (head, None)
    assert json.loads(lines[2])["fields"]["id"] == "id-2"


@given(st.integers(0, 4), st.data())
def test_no_character_can_be_changed(at: int, data: st.DataObject) -> None:
    lines, head = made(5)
    where = data.draw(st.integers(0, len(lines[at]) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != lines[at][where]))
    lines[at] = lines[at][:where] + other + lines[at][where + 1 :]
    damage = verify(lines, EMPTY, head)[1]
    assert damage is not None
    assert damage.line in (at + 1, at + 2, 0)


@given(st.integers(0, 4), st.integers(0, 4))
def test_no_entry_can_go_or_move(first: int, second: int) -> None:
    lines, head = made(5)
    shorter = lines[:first] + lines[first + 1 :]
    assert verify(shorter, EMPTY, head)[1] is not None
    if first != second:
        lines[first], lines[second] = lines[second], lines[first]
        assert verify(lines, EMPTY, head)[1] is not None


def test_an_end_that_was_cut_off_is_found_by_the_head_and_more_than_it_is_sound() -> None:
    lines, head = made(5)
    assert verify(lines[:3], EMPTY, head)[1] is not None
    earlier = verify(lines[:3], EMPTY, None)[0]
    assert verify(lines, EMPTY, earlier) == (head, None)
