"""One scenario file, both clocks: the same verdict, and the same order of beam events."""

import pytest

from controller.cli.clocks.runner import compare_clocks
from hil.sim.commands import SCENARIOS
from hil.sim.scenario import read
from tests.plugins.verdict import left_out

NAMES = ("F08-in-pulse", "F21")


@pytest.mark.process
def test_both_clocks_agree() -> None:
    said: list[str] = []
    found = [read(SCENARIOS / f"{name}.toml") for name in NAMES]
    body = compare_clocks(found, 1, said.append)
    assert body["agree"], body["rows"]
    assert [row["id"] for row in body["rows"]] == list(NAMES)
    for row in body["rows"]:
        assert row["virtual"] == "pass"
        if row["real"] == "waiting":
            left_out(f"{row['id']}: {row['set_apart'][-1]}, {len(row['set_apart'])} times in a row")
        assert (row["real"], row["agree"]) == ("pass", True), row
