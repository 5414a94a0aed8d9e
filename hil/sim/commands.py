"""`carm scenario`, `carm campaign` and the coverage of the fault catalogue, as functions.

Lives here: files and options in, one object and an exit code out.  May not live here: printing, or
anything that judges.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any, Final

import hil
from hil.room.records import TruthRecord
from hil.sim.campaign import Campaign, CampaignBusy, Progress
from hil.sim.case import Cases, Run, run, windows_at
from hil.sim.catalogue import coverage
from hil.sim.episode import CALM, SIEGE, run_episode
from hil.sim.hashes import compared
from hil.sim.judging import Verdict
from hil.sim.means import REAL_TIME_SET
from hil.sim.pairs import run_pair
from hil.sim.plan import EPISODE_S, Plan
from hil.sim.reading import ScenarioError
from hil.sim.scenario import Scenario, read
from hil.sim.totals import good
from realtime.wire.config import ConfigError

SCENARIOS: Final = Path(hil.__file__).parent / "scenarios"
SCENARIO_SCHEMA: Final = "carm.scenario/1"
REPORT: Final = "report.json"
COVERAGE_SCHEMA: Final = "carm.coverage/1"
GOOD: Final = 0
JUDGED_BAD: Final = 1
REFUSED: Final = 2
Outcome = tuple[dict[str, Any], int]
Say = Callable[[str], None]
PlotReal = Callable[[Scenario, int, Path, bool], dict[str, Any]]
Real = Callable[[list[Scenario], Say], list[dict[str, Any]]]


def all_files() -> list[Path]:
    """Every scenario that comes with the project."""
    return sorted(SCENARIOS.glob("*.toml"))


def _refusal(code: str, key: str, value: str, allowed: str, remedy: str) -> Outcome:
    error = {"code": code, "blame": "input", "key": key, "value": value, "allowed": allowed,
             "remedy": remedy}  # fmt: skip
    return {"error": error}, REFUSED


def steps_of(scenario: Scenario, phases: int) -> list[int]:
    """The steps of its sweep that are run: all (0), or so many spread over it."""
    steps = scenario.sweep.steps
    if phases <= 0 or phases >= steps:
        return list(range(steps))
    return [number * steps // phases for number in range(phases)]


def verdicts(scenario: Scenario, phases: int) -> Iterable[Verdict]:
    """All cases of one scenario."""
    cases = Cases(scenario)
    for seed in scenario.seeds:
        for step in steps_of(scenario, phases):
            yield cases.case(seed, step)


def with_scenarios(
    files: list[Path], judged: Callable[[list[Scenario]], dict[str, Any]], usual: str = "set"
) -> Outcome:
    """Read files and judge them; exit 1 where `agree` is false or a case is not a pass."""
    names = [SCENARIOS / f"{name}.toml" for name in REAL_TIME_SET]
    try:
        body = judged([read(path) for path in files or (names if usual == "set" else all_files())])
    except ScenarioError as error:
        return error.body, REFUSED
    except ConfigError as error:
        return _refusal("config", error.key, repr(error.value), error.allowed, error.remedy)
    bad = any(row["verdict"] != "pass" for row in body.get("cases", []))
    return body, JUDGED_BAD if bad or not body.get("agree", True) else GOOD


def run_scenarios(
    files: list[Path], clock: str, phases: int, said: Say, real: Real | None = None
) -> Outcome:
    """Run files; exit 1 when any case is not a pass, 2 when a file is refused.

    `real` plays them on a running machine where the clock is real.
    """
    if clock == "virtual":
        return with_scenarios(files, lambda found: _virtual(found, phases, said), "all")
    if clock == "real" and real is not None:
        return with_scenarios(
            files, lambda found: {"schema": SCENARIO_SCHEMA, "cases": real(found, said)}, "all"
        )
    return _refusal("clock", "--clock", clock, "virtual, real", "run it with --clock virtual")


def _virtual(scenarios: list[Scenario], phases: int, said: Say) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for scenario in scenarios:
        mine = [each.shown() for each in verdicts(scenario, phases)]
        rows += mine
        good = sum(row["verdict"] == "pass" for row in mine)
        beam = sum(row["beam_at_onset"] for row in mine)
        said(f"{scenario.id}: {good} of {len(mine)} pass, {beam} with the beam on")
    return {"schema": SCENARIO_SCHEMA, "cases": rows}


def write_truth(records: Iterable[TruthRecord], path: Path) -> None:
    """The truth of a run as `docs/truth.md` has it."""
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            line: dict[str, Any] = {"t_ns": record.t_ns, "kind": record.kind, "name": record.name,
                                    "value": record.value}  # fmt: skip
            if record.pulse_id:
                line["pulse_id"] = record.pulse_id
            file.write(json.dumps(line) + "\n")


def truth_of(path: Path, seed: int | None, step: int, out: Path, without_fault: bool) -> Outcome:
    """One case with its truth log written, to look at or to judge again."""
    try:
        scenario = read(path)
    except ScenarioError as error:
        return error.body, REFUSED
    windows = [] if without_fault else windows_at(scenario, step)
    played: Run = run(scenario, scenario.seeds[0] if seed is None else seed, windows, keep=True)
    write_truth(played.truth, out)
    body = {"schema": "carm.scenario-truth/1", "id": scenario.id, "truth": str(out),
            "journal_sha256": played.sha256, "pulses": played.pulses,
            "violations": played.violations}  # fmt: skip
    return body, JUDGED_BAD if played.violations else GOOD


def plot_of(
    path: Path, clock: str, seed: int | None, step: int, out: Path, without_fault: bool,
    real: PlotReal,
) -> Outcome:  # fmt: skip
    """One case as a picture; `real` plays it on a running machine where the clock is real."""
    from hil.sim.picture import plot_virtual

    if clock not in ("virtual", "real"):
        return _refusal("clock", "--clock", clock, "virtual, real", "choose one of them")
    try:
        scenario = read(path)
        if step >= scenario.sweep.steps:
            return _refusal("step", "--step", str(step), f"0 … {scenario.sweep.steps - 1}",
                            "choose a step of its sweep")  # fmt: skip
        if clock == "real":
            body = real(scenario, step, out, without_fault)
        else:
            first = scenario.seeds[0] if seed is None else seed
            body = plot_virtual(scenario, first, step, out, without_fault)
    except ScenarioError as error:
        return error.body, REFUSED
    except OSError as error:
        return _refusal("unwritable", "--out", str(out), "a file that can be written", str(error))
    return body, GOOD


def _by_number() -> list[tuple[str, str]]:
    scenarios = [read(path) for path in all_files()]
    return [(scenario.fault, scenario.id) for scenario in scenarios]


def fault_coverage() -> Outcome:
    """The 48 numbers, each with its scenarios or what it waits for."""
    try:
        return {"schema": COVERAGE_SCHEMA, "faults": coverage(_by_number())}, GOOD
    except ScenarioError as error:
        return error.body, REFUSED


def proved_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the supervisor's catalogue with the scenarios of the numbers that each answers.

    `covered` is a row for which there is a scenario; a row without one waits for it.
    """
    known = _by_number()
    filled = []
    for row in rows:
        names = sorted(name for number, name in known if number in row["covers"])
        status = "covered" if names else "waiting_for"
        filled.append({**row, "status": status, "scenarios": names})
    return filled


def run_campaign(out_dir: Path, plan: Plan, said: Progress) -> Outcome:
    """Go on with a campaign; exit 1 when anything was violated, differed or did not count."""
    try:
        body = Campaign(out_dir, plan).run(said)
    except CampaignBusy as error:
        return _refusal("busy", "--out", str(error), "a directory nobody else writes to",
                        "wait for the other campaign, or give another --out")  # fmt: skip
    report = out_dir / REPORT
    report.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    return body, GOOD if good(body) else JUDGED_BAD


def compare_pythons(count: int, pythons: list[str]) -> Outcome:
    """Journals of a few seeds, here and in other interpreters; exit 1 when any differs."""
    try:
        body = compared(count, pythons)
    except (OSError, TimeoutExpired) as error:
        return _refusal("python", "--python", ", ".join(pythons), "Python 3.11 or later",
                        str(error))  # fmt: skip
    return body, GOOD if body["equal"] else JUDGED_BAD


def replay(seed: int, pair: str, examination: bool = False) -> Outcome:
    """One seed of a campaign again."""
    if pair and examination:
        return _refusal("pair", "--pair", pair, "a pair or an examination", "leave one away")
    if pair:
        words = pair.split(",")
        if len(words) != 2 or not all(word.isdigit() for word in words):
            return _refusal("pair", "--pair", pair, "FIRST,SECOND as numbers", "for example 8,29")
        tally = run_pair(seed, int(words[0]), int(words[1]))
    else:
        tally = run_episode(seed, EPISODE_S, CALM if examination else SIEGE)
    return {"schema": "carm.replay/1", **tally.shown()}, JUDGED_BAD if tally.violations else GOOD
