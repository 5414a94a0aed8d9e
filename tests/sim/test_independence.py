"""Invariant 13 in virtual time: software alone, and the hard-wired chain alone."""

from dataclasses import replace

import pytest

from hil.sim.case import run, windows_at
from hil.sim.judging import judge, outcome_of
from hil.sim.removed import taken_out
from tests.sim.bench import scenario

pytestmark = pytest.mark.invariant(13)

BARE = {"window_gate": False, "chain": False}
SOFTWARE = (
    "F01-stuck", "F03-high", "F04-release", "F05", "F06-in-run", "F07", "F08-collision", "F08-door",
    "F08-estop", "F09-door", "F10", "F16-missing", "F21", "F22-missing", "F23", "F28-realtime-100",
    "F29-supervisor-killed", "F31-orders-lost", "F45",
)  # fmt: skip
CHAIN_NS = 50_000_000


@pytest.mark.parametrize("name", SOFTWARE)
def test_software_alone_needs_neither_the_chain_nor_the_window_gate(name: str) -> None:
    # A self-test would find the hardware gone, and there would be no READY: as it must be.
    bare = replace(scenario(name), wiring=BARE, recovers=False)
    played = run(bare, 1, windows_at(bare, 2))
    ruling = judge(bare, played, lambda: run(bare, 1, []))
    assert (ruling.word, ruling.detail) == ("pass", "")


@pytest.mark.parametrize("name", ["F08-door", "F08-estop"])
@pytest.mark.parametrize("step", [0, 2, 10])
def test_the_chain_alone_is_dark_at_door_and_e_stop(name: str, step: int) -> None:
    found = scenario(name)
    with taken_out("the_door"):
        played = run(found, 1, windows_at(found, step))
    dark = replace(found.expectations[0], limit_ns=CHAIN_NS)
    assert dark.reaction == "dark"
    assert outcome_of(played, dark, played).shows, "the chain drops the supply by itself"
    bare = replace(found, wiring=BARE)
    with taken_out("the_door"):
        blind = run(bare, 1, windows_at(bare, step))
    assert not outcome_of(blind, dark, blind).shows, "without both nothing would end it"
