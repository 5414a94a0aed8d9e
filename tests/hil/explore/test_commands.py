"""`carm explore` as a command: its record, its counterexample files, and their replay."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hil.explore import commands
from hil.explore.beam import Beam
from hil.explore.beam_acts import ACTS
from hil.explore.beam_room import BANKS
from hil.explore.beam_studies import LETTERS_STUDY, STUDIES
from hil.explore.modes import Modes
from hil.explore.rows import noting
from hil.explore.search import Broken, Graph, Search
from realtime.permit import Gate

ROOT = Path(__file__).resolve().parents[3]
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


def complaints(name: str, said: dict[str, Any]) -> list[str]:
    schema = json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text())
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(said)]


def test_the_studies_together_offer_everything_that_can_happen() -> None:
    used = {act for study in STUDIES for act in (*study.acts, *study.at_next)}
    assert set(ACTS) <= used
    letters = {kind for study in STUDIES for kind in (*study.letters, *study.direct)}
    assert letters >= {
        *BANKS, "verdict_valid", "verdict_invalid", "dark", "hello", "reset", "reset_timer",
        "select_cine", "select_one_shot", "supervisor_gone", "exercise monostable",
        "exercise chain", "exercise pedals", "exercise tone_lamp",
    }  # fmt: skip


def test_the_object_over_all_machines_keeps_its_schema() -> None:
    part = commands.explore_one((FIRST_LIGHT, 1, 100_000, False))
    broken = Graph(FIRST_LIGHT, 3, 4, True, [Broken("pulses keep their spacing", "always", ["a"])])
    said: dict[str, Any] = {}
    for graph, fired in (part, (broken, set[str]())):
        said = commands.summary([commands.report("executive", [(graph, fired)], False, 0.1)])
        assert complaints("explore", said) == []
        assert said["states"] == graph.states
    (found,) = [one for one in said["properties"] if not one["holds"]]
    assert (found["invariant"], found["path"]) == (5, ["a"])
    spoils: list[dict[str, Any]] = [
        {"states": -1}, {"schema": "x"}, {"more": 1}, {"dead_rows": [1]},
        {"properties": [found | {"kind": "never"}]}, {"properties": [found | {"invariant": 19}]},
    ]  # fmt: skip
    for spoiled in spoils:
        assert complaints("explore", said | spoiled), spoiled
    for key in said:
        assert complaints("explore", {k: v for k, v in said.items() if k != key}), key


def test_a_counterexample_keeps_its_schema(tmp_path: Path) -> None:
    graph = Graph(FIRST_LIGHT, 3, 4, True, [Broken("pulses keep their spacing", "always", ["a"])])
    record = commands.report("executive", [(graph, set())], whole=False, wall_s=0.0)
    (path,) = commands.write_paths([record], tmp_path)
    said = json.loads(path.read_text())
    assert complaints("explore-path", said) == []
    spoils: list[dict[str, Any]] = [
        {"events": []}, {"kind": "sometimes"}, {"invariant": 0}, {"more": 1}, {"replay": "rm"},
    ]  # fmt: skip
    for spoiled in spoils:
        assert complaints("explore-path", said | spoiled), spoiled


def mailbox_parts(*sizes: int) -> list[tuple[Graph, set[str]]]:
    """A few letters of the study, with so many under way."""
    few = replace(LETTERS_STUDY, letters=("order", "dark"))
    parts = []
    for size in sizes:
        with noting() as fired:
            graph = Search(Beam(replace(few, mailbox=size))).run(("beam pulse",))
        parts.append((graph, fired))
    return parts


def test_a_mailbox_one_larger_changes_no_verdict() -> None:
    parts = mailbox_parts(*commands.MAILBOXES)
    said = commands.mailboxes(commands.LETTERS, parts, 0.1)
    assert complaints("mailbox", said) == []
    assert said["equal"]
    one, two = said["mailboxes"]
    assert two["states"] > 2 * one["states"]
    assert one["broken"] == two["broken"] == []


@pytest.mark.parametrize("spoiled", ["broken", "marks", "rows", "complete"])
def test_mailboxes_that_differ_are_told(spoiled: str) -> None:
    graph = Graph(commands.LETTERS, 3, 4, True, [], {"beam pulse"})
    other = replace(
        graph, complete=spoiled != "complete",
        broken=[Broken("r", "always", ["a"])] if spoiled == "broken" else [],
        marks={"beam dark"} if spoiled == "marks" else {"beam pulse"},
    )  # fmt: skip
    rows = {"more"} if spoiled == "rows" else set[str]()
    assert commands.mailboxes("x", [(graph, set()), (graph, set())], 0.0)["equal"]
    assert not commands.mailboxes("x", [(graph, set()), (other, rows)], 0.0)["equal"]


def test_both_mailboxes_are_searched_side_by_side() -> None:
    said = commands.compare_mailboxes(FIRST_LIGHT)
    assert said["equal"]
    assert [row["letters"] for row in said["mailboxes"]] == [1, 2]


def test_what_never_comes_is_searched_for_again(tmp_path: Path) -> None:
    graph = Graph(FIRST_LIGHT, 3, 4, True, [Broken("from every state …", "eventually", ["wait"])])
    record = commands.report("executive", [(graph, set())], whole=False, wall_s=0.0)
    (path,) = commands.write_paths([record], tmp_path)
    assert json.loads(path.read_text())["invariant"] == 18
    assert commands.replay(path) == [], "it holds in what is shipped"


def test_first_findings_are_looked_for_nearby_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def explore(only: str, states_max: int, first_only: bool) -> list[dict[str, Any]]:
        asked.append(states_max)
        broken = [Broken("pulses keep their spacing", "always", ["a"])][: int(only == "bad")]
        graph = Graph(FIRST_LIGHT, 3, 4, False, broken)
        return [commands.report("executive", [(graph, set())], whole=False, wall_s=0.0)]

    monkeypatch.setattr(commands, "explore", explore)
    commands.first_findings("bad")
    assert asked == [1_500]
    commands.first_findings("good")
    assert asked == [1_500, 1_500, 20_000]
