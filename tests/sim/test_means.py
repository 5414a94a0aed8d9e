"""What real time can make of the table of faults, and the comparison of the two clocks."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hil.rig import busfaults
from hil.room import faults as room_faults
from hil.sim.agreement import Side, agreed, compare, order
from hil.sim.case import Cases
from hil.sim.commands import SCENARIOS, all_files, plot_of
from hil.sim.faults import TABLE
from hil.sim.injection import Window
from hil.sim.judging import WORD_OF, Reason, Verdict
from hil.sim.means import MEANS, REAL_TIME_SET, By, means_of
from hil.sim.observed import Beam, Observed
from hil.sim.scenario import read
from tests.sim.bench import scenario

PLACES = [(component, kind, name) for (component, kind), row in TABLE.items()
          for name in row.instances]  # fmt: skip


def window(component: str, kind: str, instance: str) -> Window:
    return Window("F01", component, kind, instance, 0.0, 0, 0)


@pytest.mark.parametrize(("component", "kind", "instance"), PLACES)
def test_every_fault_has_its_means_or_says_why_not(
    component: str, kind: str, instance: str
) -> None:
    means = means_of(window(component, kind, instance))
    assert means.supported != bool(means.why_not)
    assert means.words()
    if means.by is By.ROOM:
        targets = room_faults.TABLE[means.name].targets
        assert instance in targets or (not instance and len(targets) == 1)
    if means.by is By.BUS:
        assert means.target in busfaults.TABLE[means.name][1]


def test_no_fault_of_the_room_is_told_twice() -> None:
    assert not {place for place, row in TABLE.items() if row.room} & set(MEANS)
    assert set(MEANS) <= set(TABLE)


def test_what_nobody_knows_is_refused() -> None:
    assert not means_of(window("coffee", "cold", "")).supported


def test_the_real_time_set_is_twelve_scenarios_that_can_be_played() -> None:
    assert len(set(REAL_TIME_SET)) == 12
    assert set(REAL_TIME_SET) <= {path.stem for path in all_files()}
    found = [read(SCENARIOS / f"{name}.toml") for name in REAL_TIME_SET]
    made = {means_of(one).by for each in found for one in each.windows}
    assert made >= {By.ROOM, By.BUS, By.BOARD, By.SIGNAL, By.PAUSE}
    assert all(means_of(one).supported for each in found for one in each.windows)


def test_order_has_acts_effects_and_pulses_between_them_and_no_time() -> None:
    door = scenario("F08-door")
    _, played = Cases(door).played(1, 5)
    assert order(door, played) == ("press fluoro", "pulses", "F08 interlock")
    missing = scenario("F22-one")
    _, played = Cases(missing).played(1, 5)
    assert order(missing, played)[:4] == ("press fluoro", "pulses", "F22 panel", "pulses")


def test_a_pulse_about_the_time_of_an_act_counts_before_it() -> None:
    door = scenario("F08-door")
    _, played = Cases(door).played(1, 5)
    act_ns = played.observed.t0_ns + door.stimuli[0].at_ns
    for late_ms, words in ((19, ("pulses", "press fluoro")), (21, ("press fluoro", "pulses"))):
        observed = Observed(t0_ns=played.observed.t0_ns, end_ns=played.observed.end_ns)
        observed.beams.append(Beam(1, act_ns + late_ms * 1_000_000))
        calm = dataclasses.replace(played, observed=observed, injections=[])
        assert order(door, calm) == words


def line(word: str, reason: Reason = Reason.NONE) -> Verdict:
    verdict, _ = Cases(scenario("F08-door")).played(1, 5)
    return dataclasses.replace(verdict, verdict=word, reason=reason.value)


@pytest.mark.parametrize(
    ("real", "seen", "agree", "differs"),
    [
        (line("pass"), ("a", "b"), True, []),
        (line("fail", Reason.REACTION), ("a", "b"), False, ["verdict"]),
        (line("pass"), ("b", "a"), False, ["order"]),
        (line("waiting", Reason.RIG_LATE), ("b",), None, []),
        (line("error", Reason.UNSUPPORTED), (), None, []),
        (line("error", Reason.NO_RUN), ("a", "b"), False, ["verdict"]),
    ],
)
def test_clocks_agree_on_verdict_and_order_or_have_no_verdict(
    real: Verdict, seen: tuple[str, ...], agree: bool | None, differs: list[str]
) -> None:
    row = compare(Side(line("pass"), ("a", "b")), Side(real, seen))
    assert (row["agree"], row["differs"]) == (agree, differs)
    assert agreed([row]) is (agree is not False)


def test_every_reason_is_a_word() -> None:
    assert {WORD_OF[reason] for reason in Reason} == {"pass", "fail", "error", "waiting"}


def test_a_case_as_a_picture(tmp_path: Path) -> None:
    out = tmp_path / "case.png"
    path = SCENARIOS / "F08-in-pulse.toml"
    body, code = plot_of(path, "virtual", None, 7, out, False, never)
    assert (code, body["verdict"], len(body["panels"])) == (0, "pass", 2)
    assert out.read_bytes().startswith(b"\x89PNG")
    for clock, step, place, key in (
        ("sidereal", 0, out, "--clock"), ("virtual", 20, out, "--step"),
        ("virtual", 0, tmp_path / "no" / "case.png", "--out"),
    ):  # fmt: skip
        body, code = plot_of(path, clock, None, step, place, True, never)
        assert (code, body["error"]["key"]) == (2, key)


def never(*_given: object) -> dict[str, Any]:
    raise AssertionError("nobody asked for the real clock")
