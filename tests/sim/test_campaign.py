"""Campaigns: nothing lost, nothing twice, equal in every process; and an hour of examinations."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from hil.sim import campaign
from hil.sim.campaign import Campaign, CampaignBusy, finished
from hil.sim.episode import (
    CALM,
    RESTART_MS,
    SIEGE,
    STARTS_ANEW,
    Episode,
    Tally,
    run_episode,
)
from hil.sim.operator import Operator, Press, Recovery
from hil.sim.pairs import pair_units, run_pair
from hil.sim.plan import (
    EPISODE_S,
    EPISODES_PER_HOUR,
    RERUNS_MAX,
    SIEGE_HOURS_MAX,
    Plan,
    Unit,
)
from hil.sim.totals import good, replay, sums
from tests.house.tree import ROOT

IN_PEACE = dataclasses.replace(SIEGE, faults_per_cent=0)
PRINT = "from hil.sim.episode import run_episode; print(run_episode(5, 12).sha256)"


def quick(unit: Unit) -> dict[str, Any]:
    text = hashlib.sha256(repr(unit[1:]).encode()).hexdigest()
    return {"unit": list(unit), "cpu_s": 1.0, "sim_ns": 3_600_000_000_000, "sha256": text,
            "violations": ["invariant 1: x"] if unit[1] == 12 else []}  # fmt: skip


def test_a_journal_is_equal_across_processes_and_hash_seeds() -> None:
    said = set()
    for hash_seed in ("0", "77"):
        done = subprocess.run(
            [sys.executable, "-c", PRINT], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )  # fmt: skip
        said.add(done.stdout.strip())
    assert said == {run_episode(5, 12).sha256}


def test_an_interrupted_campaign_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Unit] = []

    def interrupted(unit: Unit) -> dict[str, Any]:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(unit)
        return quick(unit)

    plan = Plan(first_seed=10, hours=8 * EPISODE_S / 3600, pairs=0, workers=1)
    monkeypatch.setattr(campaign, "do", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Campaign(tmp_path, plan).run()
    file = tmp_path / campaign.RESULTS
    with file.open("ab") as torn:
        torn.write(b'{"unit": ["episode", 14')

    def counted(unit: Unit) -> dict[str, Any]:
        done.append(unit)
        return quick(unit)

    monkeypatch.setattr(campaign, "do", counted)
    body = Campaign(tmp_path, plan).run()
    assert done == plan.units(), "each once, in order"
    assert len(finished(file)) == len(plan.units()) == 9
    assert (body["reruns"], body["reruns_identical"]) == (1, 1)
    assert [row["replay"] for row in body["violations"]] == ["carm campaign --replay 12"]


def _endless(out_dir: Path, plan: Plan) -> None:
    def hashed(unit: Unit) -> dict[str, Any]:
        rows = [quick(unit) for _ in range(2_000)]
        return rows[-1]

    campaign.do = hashed
    Campaign(out_dir, plan).run()


def test_a_campaign_that_is_killed_at_any_instant_loses_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(first_seed=1, hours=4, pairs=0, workers=1)
    file = tmp_path / campaign.RESULTS
    for kills in range(3):
        process = get_context("fork").Process(target=_endless, args=(tmp_path, plan))
        process.start()
        before = file.stat().st_size if file.exists() else 0
        while not file.exists() or file.stat().st_size < before + 400 * (kills + 1):
            assert process.is_alive()
        process.kill()
        process.join()
    kept = [tuple(row["unit"]) for row in finished(file)]
    assert 3 < len(kept) < len(plan.units())
    done: list[Unit] = []

    def counted(unit: Unit) -> dict[str, Any]:
        done.append(unit)
        return quick(unit)

    monkeypatch.setattr(campaign, "do", counted)
    Campaign(tmp_path, plan).run()
    assert [*kept, *done] == plan.units()


def test_two_campaigns_do_not_write_into_one_directory(tmp_path: Path) -> None:
    plan = Plan(1, EPISODE_S / 3600, 0, 1)
    with Campaign(tmp_path, plan)._opened(), pytest.raises(CampaignBusy):
        Campaign(tmp_path, plan).run()


def test_what_another_state_of_the_code_has_finished_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(1, 3 * EPISODE_S / 3600, 0, 1)
    monkeypatch.setattr(campaign, "do", quick)
    Campaign(tmp_path, plan).run()
    monkeypatch.setattr(campaign, "code_id", lambda: "another")
    said: list[tuple[int, int, str]] = []
    Campaign(tmp_path, plan).run(lambda done, of, text: said.append((done, of, text)))
    assert said == [(0, 3, ""), (1, 3, ""), (2, 3, ""), (3, 3, "")]
    assert [row["code"] for row in finished(tmp_path / campaign.RESULTS)][3:] == ["another"] * 3


def rows_of(plan: Plan, **changed: Any) -> list[dict[str, Any]]:
    whole = {"beam_ns": 10**12, "pulses": 400, "struck": True, "unseen": 0, "violations": []}
    return [{**quick(unit), **whole, **changed} for unit in plan.units()]


def test_an_hour_counts_only_with_beam_and_pulses() -> None:
    plan = Plan(1, 2.0, 0, 1)
    rows = rows_of(plan)
    assert len([row for row in rows if row["unit"][0] == "episode"]) == 2 * EPISODES_PER_HOUR
    assert (sums(rows, plan, 1.0)["hours_counted"], good(sums(rows, plan, 1.0))) == (2, True)
    for poor in ({"pulses": 333}, {"beam_ns": 7 * 10**11}):
        rows[0] = {**rows[0], "pulses": 399}
        spoiled = [*rows[:EPISODES_PER_HOUR], *rows_of(plan, **poor)[EPISODES_PER_HOUR:]]
        assert sums(spoiled, plan, 1.0)["hours_counted"] == 1
        assert not good(sums(spoiled, plan, 1.0))
    assert sums(rows[1:], plan, 1.0)["hours_counted"] == 1, "an hour is whole"


def test_a_pair_counts_only_with_every_phase_inside_the_first() -> None:
    plan = Plan(1, 0.0, 5, 1)
    rows = rows_of(plan)
    body = sums(rows, plan, 1.0)
    count = len(pair_units())
    assert (body["pairs_done"], body["pairs_planned"]) == (count, count)
    assert good(body)
    for wrong in ({"struck": False}, {"violations": ["x"]}, {"unseen": 1}):
        body = sums([{**rows[0], **wrong}, *rows[1:]], plan, 1.0)
        assert (body["pairs_done"], good(body)) == (count - 1, False)
    assert sums(rows[1:], plan, 1.0)["pairs_done"] == count - 1


def test_a_rerun_that_differs_is_counted() -> None:
    plan = Plan(10, EPISODE_S / 3600, 0, 1)
    rows = [quick(unit) for unit in plan.units()]
    rows[-1]["sha256"] = "other"
    assert (sums(rows, plan, 1.0)["reruns"], sums(rows, plan, 1.0)["reruns_identical"]) == (1, 0)
    assert not good(sums(rows, plan, 1.0))


def test_what_breaks_in_a_seed_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Episode) -> None:
        raise AssertionError("one way in")

    monkeypatch.setattr(Episode, "run", broken)
    row = campaign.do(("episode", 1, 0, 0))
    assert row["violations"] == ["crash: AssertionError: one way in"]


def test_where_nobody_can_be_struck_in_the_effect_the_recovery_is_taken() -> None:
    power_cut, blocked = 41, 28
    tally = run_pair(2, power_cut, blocked)
    assert (tally.inside, tally.struck, tally.unseen) == ("recovery", True, 0)
    assert run_pair(2, blocked, power_cut).inside == "effect"


def test_pairs_are_ordered_and_recover() -> None:
    units = pair_units()
    assert (8, 29) in units
    assert (29, 8) in units
    sample = units[:: len(units) // 24]
    for number, (first, second) in enumerate(sample):
        tally = run_pair(3 + number % 2, first, second)
        assert tally.violations == [], replay(("pair", 3 + number % 2, first, second))
        assert tally.struck, "the second did not strike inside the first one's effect"
        assert not tally.unseen, "both effects show"
        assert tally.inside == ("recovery", "effect")[number % 2]


@pytest.mark.invariant(18)
def test_presses_in_peace_are_all_answered_in_time() -> None:
    tally = run_episode(5, 20, IN_PEACE)
    assert (tally.violations, tally.false_trips, tally.faults) == ([], 0, 0)
    assert tally.calm > 3
    assert 40_000_000 < tally.first_ns_max <= 100_000_000 + 2 * 66_666_667, "debounce and more"


@pytest.mark.invariant(18)
@pytest.mark.parametrize(
    ("act", "words"),
    [("estop", "false trip: FAULT ['executive_trip']"), ("key off", "false trip: no pulse in")],
)
def test_what_trips_without_a_fault_is_counted(
    act: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An emergency stop in a run, and a key that is off before one, stand for a false alarm."""
    press = Operator.press_to_pulse

    def disturbed(operator: Operator) -> Press:
        if act == "key off":
            operator.act(act)
        found = press(operator)
        if act != "key off":
            operator.act(act)
        return found

    monkeypatch.setattr(Operator, "press_to_pulse", disturbed)
    tally = run_episode(5, 20, IN_PEACE)
    assert tally.false_trips == 1
    assert tally.violations[0].startswith(words)
    body = sums([{"unit": ["episode", 5, 0, 0], "cpu_s": 1.0, **tally.shown()}],
                Plan(5, 1.0, 0, 1), 1.0)  # fmt: skip
    assert body["false_trips"] == 1
    assert not good(body)


@pytest.mark.invariant(18)
def test_a_recovery_is_counted_with_its_times() -> None:
    tally = Tally(1)
    tally.recovered(Recovery(True, 900_000_000, 120_000_000, ""))
    tally.recovered(Recovery(False, -1, -1, "FAULT"))
    assert (tally.recoveries, tally.ready_ns_max, tally.first_ns_max) == (
        1, 900_000_000, 120_000_000,
    )  # fmt: skip
    row = {"unit": ["episode", 1, 0, 0], "cpu_s": 1.0, **tally.shown()}
    body = sums([row, row], Plan(1, 1.0, 0, 1), 1.0)
    assert (body["recoveries"], body["ready_ms_max"], body["first_pulse_ms_max"]) == (2, 900, 120)


def test_an_hour_of_examinations_with_faults_keeps_every_invariant() -> None:
    plan = Plan(first_seed=200, hours=1.0, pairs=0, workers=1)
    rows = [campaign.do(unit) for unit in plan.units() if unit[0] == "episode"]
    body = sums(rows, plan, 1.0)
    assert body["violations"] == []
    assert body["faults"] >= 500
    assert body["sim_hours"] >= 1
    assert body["hours_counted"] == 1, (body["beam_on_fraction"], body["pulses"])
    assert json.loads(json.dumps(body)) == body


def test_a_long_campaign_is_a_siege_and_then_examinations() -> None:
    kinds = [unit[0] for unit in Plan(1, SIEGE_HOURS_MAX + 2.0, 1, 1).units()]
    besieged = SIEGE_HOURS_MAX * EPISODES_PER_HOUR
    assert kinds[:besieged] == ["episode"] * besieged
    assert kinds[besieged:][: len(pair_units())] == ["pair"] * len(pair_units())
    assert kinds[-2 * EPISODES_PER_HOUR :] == ["examination"] * 2 * EPISODES_PER_HOUR
    assert set(kinds[besieged + len(pair_units()) : -2 * EPISODES_PER_HOUR]) == {
        "rerun", "examination rerun",
    }  # fmt: skip
    whole = [unit[0] for unit in Plan(1, 1000.0, 0, 1).units()]
    assert 0 < len(whole) - 1000 * EPISODES_PER_HOUR <= RERUNS_MAX


def test_an_examination_is_long_presses_and_rests_with_a_fault_now_and_then() -> None:
    rows = [campaign.do(("examination", seed, 0, 0)) for seed in (5003, 5009, 5027, 5030)]
    assert [row["violations"] for row in rows] == [[]] * 4
    beam, whole = sum(row["beam_ns"] for row in rows), sum(row["sim_ns"] for row in rows)
    assert 0.18 < beam / whole < 0.25
    assert sum(row["faults"] for row in rows) >= 3
    assert sum(row["rested"] for row in rows) >= 1, "the rotor stood still between two looks"
    assert 800_000_000 < max(row["rested_ns_max"] for row in rows) < 5_000_000_000
    assert max(row["first_ns_max"] for row in rows) < 100_000_000 + 2 * 66_666_667
    assert replay(("examination", 5003, 0, 0)) == "carm campaign --replay 5003 --examination"


@pytest.mark.invariant(18)
def test_a_trip_in_the_peace_of_an_examination_is_a_false_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    press = Operator.press_to_pulse

    def disturbed(operator: Operator) -> Press:
        found = press(operator)
        operator.act("estop")
        return found

    monkeypatch.setattr(Operator, "press_to_pulse", disturbed)
    tally = run_episode(5, 60, dataclasses.replace(CALM, faults_per_cent=0))
    assert (tally.false_trips, tally.violations) == (
        1, ["false trip: FAULT ['executive_trip']"],
    )  # fmt: skip


def test_no_process_of_a_campaign_is_back_sooner_than_systemd_brings_it() -> None:
    unit = (ROOT / "systemd" / "carm-realtime.service").read_text()
    assert f"RestartSec={RESTART_MS}ms\n" in unit
    drawn = [Episode(seed, 1)._window() for seed in range(400)]
    anew = [one for one in drawn if (one.component, one.type) in STARTS_ANEW]
    assert {(one.component, one.type) for one in anew} == STARTS_ANEW
    assert min(one.duration_ns for one in anew) == RESTART_MS * 1_000_000
    assert min(one.duration_ns for one in drawn) == 1_000_000


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()
    ]


def test_the_workers_of_a_killed_campaign_end_with_it(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "controller.cli.main", "campaign", "--workers", "2"]
    with subprocess.Popen([*words, "--out", str(tmp_path)], stderr=subprocess.DEVNULL) as killed:
        file = tmp_path / campaign.RESULTS
        while not file.exists() or not file.stat().st_size:
            assert killed.poll() is None
            time.sleep(0.05)
        workers = _children(killed.pid)
        killed.kill()
    assert len(workers) == 2
    ended_s = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < ended_s, "a worker lives on without its campaign"
        time.sleep(0.05)
