"""`carm explore` as a command: its record, its counterexample files, and their replay."""

from pathlib import Path

import pytest

from hil.explore import commands
from hil.explore.beam import Beam
from hil.explore.modes import Modes
from hil.explore.search import Broken, Graph
from realtime.permit import Gate

FIRST_LIGHT = "executive: latched at start, first light"


def test_a_study_that_holds_gives_a_record_without_findings() -> None:
    (record,) = commands.explore("first light", workers=1)
    assert record["machine"] == "executive"
    assert record["complete"]
    assert record["states"] > 100
    assert commands.holds([record])
    assert {"states", "transitions", "dead_rows", "properties"} <= set(record)


def test_a_row_that_never_fires_and_a_state_never_reached_are_findings() -> None:
    part = commands.explore_one((FIRST_LIGHT, 1, 100_000, False))
    record = commands.report("executive", [part], whole=True, wall_s=0.0)
    assert "beam: armed × fire" in record["dead_rows"]
    rules = [rule["rule"] for rule in record["properties"] if not rule["holds"]]
    assert "beam pulse is reached" in rules
    assert not commands.holds([record])


def test_a_search_that_is_cut_off_does_not_hold() -> None:
    part = commands.explore_one((FIRST_LIGHT, 1, 20, False))
    assert not commands.holds([commands.report("executive", [part], whole=False, wall_s=0.0)])


def test_a_counterexample_is_written_and_plays_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gate, "agree", lambda self, *given: "")
    graph, fired = commands.explore_one(("executive: five-minute signal", 1, 100_000, False))
    record = commands.report("executive", [(graph, fired)], whole=False, wall_s=0.0)
    (path, *_) = commands.write_paths([record], tmp_path)
    assert commands.replay(path) == ["PULSE only after the last gate has agreed on that turn"]
    monkeypatch.undo()
    assert commands.replay(path) == []


def test_every_study_has_a_name_of_its_own() -> None:
    names = commands.names()
    assert len(set(names)) == len(names) >= 12
    with pytest.raises(KeyError):
        commands.subject("executive: nothing")


def test_a_broken_rule_keeps_its_path() -> None:
    graph = Graph("modes: x", complete=True, broken=[Broken("r", "always", ["tick"])])
    record = commands.report("modes", [(graph, set())], whole=False, wall_s=0.0)
    assert [p["path"] for p in record["properties"] if not p["holds"]] == [["tick"]]


def test_every_rule_is_judged_and_belongs_to_an_invariant_or_a_fault() -> None:
    folder = Path(commands.__file__).parent
    source = "".join(path.read_text() for path in sorted(folder.glob("beam*.py")))
    for rule, invariant in Beam.always.items():
        assert source.count(f'"{rule}"') + source.count(f'f"{rule} (') >= 2, f"not judged: {rule}"
        assert invariant in range(1, 19) or invariant in ("F46", "F47")
    modes = (folder / "modes.py").read_text()
    for n, rule in enumerate(Modes.always):
        assert f"RULES[{n}]" in modes or f'f"{rule} (' in modes, f"not judged: {rule}"
