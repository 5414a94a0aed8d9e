"""Campaigns: nothing lost, nothing twice, equal in every process; and an hour of examinations."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hil.sim import campaign
from hil.sim.campaign import Campaign, Plan, finished, sums
from hil.sim.episode import Episode, run_episode
from hil.sim.pairs import pair_units, run_pair

PRINT = "from hil.sim.episode import run_episode; print(run_episode(5, 12).sha256)"


def quick(unit: campaign.Unit) -> dict[str, Any]:
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
    done: list[campaign.Unit] = []

    def interrupted(unit: campaign.Unit) -> dict[str, Any]:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(unit)
        return quick(unit)

    plan = Plan(first_seed=10, hours=8 * campaign.EPISODE_S / 3600, pairs=0, workers=1)
    monkeypatch.setattr(campaign, "do", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Campaign(tmp_path, plan).run()
    file = tmp_path / campaign.RESULTS
    with file.open("ab") as torn:
        torn.write(b'{"unit": ["episode", 14')

    def counted(unit: campaign.Unit) -> dict[str, Any]:
        done.append(unit)
        return quick(unit)

    monkeypatch.setattr(campaign, "do", counted)
    body = Campaign(tmp_path, plan).run()
    assert done == plan.units(), "each once, in order"
    assert len(finished(file)) == len(plan.units()) == 9
    assert (body["reruns"], body["reruns_identical"]) == (1, 1)
    assert [row["replay"] for row in body["violations"]] == ["carm campaign --replay 12"]


def test_a_rerun_that_differs_is_counted() -> None:
    plan = Plan(10, campaign.EPISODE_S / 3600, 0, 1)
    rows = [quick(unit) for unit in plan.units()]
    rows[-1]["sha256"] = "other"
    assert (sums(rows, plan, 1.0)["reruns"], sums(rows, plan, 1.0)["reruns_identical"]) == (1, 0)


def test_what_breaks_in_a_seed_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Episode) -> None:
        raise AssertionError("one way in")

    monkeypatch.setattr(Episode, "run", broken)
    row = campaign.do(("episode", 1, 0, 0))
    assert row["violations"] == ["crash: AssertionError: one way in"]


def test_pairs_are_ordered_and_recover() -> None:
    units = pair_units()
    assert (8, 29) in units
    assert (29, 8) in units
    for first, second in units[:: len(units) // 24]:
        assert run_pair(3, first, second).violations == [], (first, second)


def test_examinations_with_faults_keep_every_invariant() -> None:
    faults = pulses = sim_ns = beam_ns = 0
    shown: list[dict[str, Any]] = []
    for seed in range(200, 206):
        tally = run_episode(seed, 120)
        assert tally.violations == [], f"carm campaign --replay {seed}"
        faults, pulses = faults + tally.faults, pulses + tally.pulses
        sim_ns, beam_ns = sim_ns + tally.sim_ns, beam_ns + tally.beam_ns
        shown.append(tally.shown())
    assert faults >= 80
    assert beam_ns / sim_ns >= 0.2
    assert pulses * 3_600_000_000_000 / sim_ns >= 10_000
    assert json.loads(json.dumps(shown)) == shown
