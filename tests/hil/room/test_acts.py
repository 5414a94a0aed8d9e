"""The words of the room, and the page that lists them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hil.room.acts import ACTS, DROPS, ActError, read
from hil.room.faults import TABLE
from hil.room.parameters import MS
from tests.hil.room.bench import Bench

PAGE = (Path(__file__).parents[3] / "docs" / "room.md").read_text()


def cells(title: str) -> list[list[str]]:
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[1:]]


def test_the_page_lists_every_act_with_its_undoing() -> None:
    listed = [re.findall(r"`([^`]+)`", f"{row[0]} {row[1]}") for row in cells("Acts")]
    assert [act for pair in listed for act in pair] == sorted(
        ACTS, key=[act for pair in listed for act in pair].index
    )
    assert len([act for pair in listed for act in pair]) == len(ACTS)


def test_the_page_lists_every_fault_with_its_targets() -> None:
    rows = cells("Faults")
    assert [row[0] for row in rows] == list(TABLE)
    for name, targets, _, _ in rows:
        if targets != "the same":
            assert tuple(re.findall(r"`(\w+)`", targets)) == tuple(
                filter(None, TABLE[name].targets)
            )


@pytest.mark.parametrize(
    ("act", "undo"),
    [(row[0].strip("`"), row[1].strip("`")) for row in cells("Acts")],
)
def test_every_act_shows_on_the_wire_and_can_be_undone(act: str, undo: str) -> None:
    bench = Bench()
    rest = bench.room.inputs
    assert bench.act(act).ok
    assert bench.wait(100_000_000).room.inputs != rest
    assert bench.act(undo).ok
    assert bench.wait(100_000_000).room.inputs == rest


def test_blanks_do_not_matter_and_other_words_do() -> None:
    assert read("  press   fluoro ") is ACTS["press fluoro"]
    with pytest.raises(ActError) as refusal:
        read("press harder")
    assert refusal.value.code == "unknown_act"


@pytest.mark.parametrize("act", sorted(DROPS))
def test_what_an_act_drops_is_foreseen_to_the_bit(act: str) -> None:
    """The announced bank is the bank of the first edge at the instant of the act, no other."""
    bench = Bench().ready()
    if act.startswith("release"):
        bench.act(act.replace("release", "press"))
        bench.wait(80 * MS)
    bench.alive()
    bench.act(act, phase=0.5, phase_of="pulse")
    bench.open_window()
    bench.room.agenda.hv_rose(bench.room.t_ns, 8 * MS)
    act_ns = bench.room.next_act_ns()
    bench.wait(act_ns - 1 - bench.room.t_ns)
    foreseen = bench.room.foreseen(act_ns)
    assert foreseen == bench.room.inputs & ~DROPS[act] != bench.room.inputs
    bench.room.out.edges.clear()
    bench.wait(1)
    assert bench.room.out.edges[0].t_ns == act_ns
    assert bench.room.out.edges[0].levels == foreseen
