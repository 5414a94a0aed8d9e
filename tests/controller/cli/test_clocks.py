"""Scenarios in real time, without a machine: which steps, limits and cuts, and what counts."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from controller.cli.clocks import runner
from controller.cli.clocks.looks import latched
from controller.cli.clocks.player import (
    Played,
    at_board,
    judged_spans,
    late_edge_ns,
    rig_late_ns,
)
from controller.cli.clocks.processes import state_of
from controller.cli.clocks.runner import (
    ALLOWANCE_NS,
    Host,
    RealCases,
    allowing,
    apart,
    breakable,
    groups,
    step_of,
    unsupported,
    written,
)
from controller.cli.clocks.strikes import Strike
from controller.cli.clocks.truthlog import TruthLog, digest
from controller.cli.stage import StageError
from hil.referee.referee import Referee
from hil.referee.truth import read as read_truth
from hil.room.records import TruthRecord
from hil.sim.commands import all_files, run_scenarios
from hil.sim.installation import PROFILE
from hil.sim.judging import Reason, Ruling, judge
from hil.sim.observed import Observed
from hil.sim.scenario import Scenario, read
from realtime.trips import TripCode, to_bits
from realtime.wire.config import load
from realtime.wire.record import PAGE, Head, pack_head
from tests.hil.referee.story import exam
from tests.sim.bench import scenario

MS = 1_000_000


def test_twenty_repetitions_meet_every_phase_of_a_sweep() -> None:
    door = scenario("F08-door")
    assert {step_of(door, number) for number in range(20)} == set(range(20))
    assert step_of(scenario("F37-line-seq"), 7) == 0


def test_every_scenario_is_played_or_says_why_not() -> None:
    told = {path.stem: unsupported(read(path)) for path in all_files()}
    assert not told["F08-door"]
    assert "sockets hold less" in told["F30-full-queue"]
    assert "whole computer" in told["F36-far-on"]
    assert sum(bool(why) for why in told.values()) <= 11


def test_what_is_looked_at_from_outside_gets_an_allowance_and_the_beam_gets_none() -> None:
    dark, mode = allowing(scenario("F17-heartbeat")).expectations[::-1]
    assert dark.reaction == "dark"
    assert dark.limit_ns == 300 * MS
    assert mode.limit_ns == 300 * MS + ALLOWANCE_NS


def test_a_profile_with_keys_of_the_scenario(tmp_path: Path) -> None:
    overrides = {"panel.width": 256, "beam.run_max_s": 10.0, "panel.topology": "panel_master"}
    config = load(written(tmp_path / "a.toml", overrides))
    assert {name: config[name] for name in overrides} == overrides
    assert config["panel.height"] == load(PROFILE)["panel.height"]


def test_machines_are_shared_where_their_configuration_is_the_same() -> None:
    names = ("F08-door", "F01-stuck", "F21", "F37-pulse-counter", "F31-orders-lost")
    found = [[one.id for one in group] for group in groups([scenario(name) for name in names])]
    assert found == [["F08-door", "F21"], ["F01-stuck"], ["F37-pulse-counter"],
                     ["F31-orders-lost"]]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        ("press fluoro", None),
        ("reset estop", None),
        ("ready", {"do": "ready"}),
        ("self test", {"do": "selftest"}),
        ("reset timer", {"do": "reset_timer"}),
        ("open service", {"do": "service_open", "minutes": 5}),
        ("close service", {"do": "service_close"}),
        ("set kv 80", {"do": "set", "kv": 80.0}),
        ("select one_shot", {"do": "select", "cine_mode": "one_shot"}),
    ],
)
def test_acts_at_the_board_and_in_the_room(words: str, request_: dict[str, Any] | None) -> None:
    assert at_board(words) == request_


def played(door: Scenario, late_ns: int = 0, stalled: str = "", after_ns: int = 0) -> Played:
    return Played(Observed(), [], None, [], "", True, [], late_ns, after_ns, stalled=stalled)


def test_a_late_rig_sets_a_case_apart_even_when_it_would_pass() -> None:
    door = scenario("F08-door")
    late = apart(played(door, late_ns=3 * MS), spoiled=False)
    assert late is not None
    assert (late.reason, late.word) == (Reason.RIG_LATE, "waiting")


def test_a_rig_late_in_the_recovery_counts_only_where_the_recovery_is_in_doubt() -> None:
    late = played(scenario("F08-door"), after_ns=3 * MS)
    assert apart(late, spoiled=False) is None
    assert apart(late, spoiled=True) is not None


def test_a_stall_sets_a_case_apart_only_when_it_spoiled_it_and_came_from_outside() -> None:
    door = scenario("F08-door")
    starved = played(door, stalled="cpu_starved 23.1 ms")
    stalled = apart(starved, spoiled=True)
    assert stalled is not None
    assert stalled.reason is Reason.HOST_STALLED
    assert apart(starved, spoiled=False) is None
    assert apart(played(door, stalled="own_code 23.1 ms"), spoiled=True) is None
    assert apart(played(door), spoiled=True) is None


def test_a_window_that_the_computer_made_another_is_nobodys_failure() -> None:
    spoiled = replace(played(scenario("F08-door")), spoiled="a stop of 4.0 ms lasted 24.0 ms")
    assert apart(spoiled, spoiled=False) is None
    ruling = apart(spoiled, spoiled=True)
    assert ruling is not None
    assert ruling.reason is Reason.HOST_STALLED
    assert "lasted 24.0 ms" in ruling.detail


def test_a_late_edge_sets_a_case_apart_only_where_a_readback_tripped() -> None:
    edge = TruthRecord(1000 * MS, "process", "edge_late", MS, 0)
    rest = TruthRecord(1000 * MS, "process", "lateness", 3 * MS, 0)
    told = [(1060 * MS, "xray_without_pulse"), (5000 * MS, "stall")]
    assert late_edge_ns([edge, rest], told) == MS
    assert late_edge_ns([rest], told) == 0
    assert late_edge_ns([edge], [(1060 * MS, "stall")]) == 0
    assert late_edge_ns([edge], [(990 * MS, "xray_without_pulse")]) == 0
    assert late_edge_ns([edge], [(1400 * MS, "xray_without_pulse")]) == 0
    late = replace(played(scenario("F08-door")), late_edge_ns=MS)
    assert apart(late, spoiled=False) is None
    ruling = apart(late, spoiled=True)
    assert ruling is not None
    assert ruling.reason is Reason.RIG_LATE


class Replayed:
    """A machine whose timelines went as given, one after the other, some with a spent press."""

    def __init__(self, *timelines: Played | StageError, spent: frozenset[int] = frozenset()):
        self.player, self.left, self._spent, self._plays = self, list(timelines), spent, 0

    def play(self, _scenario: Scenario, _windows: object) -> Played:
        self._plays += 1
        went = self.left.pop(0)
        if isinstance(went, StageError):
            raise went
        return went

    def told(self) -> int:
        return self._plays

    def spent(self, told_to: int) -> bool:
        return told_to in self._spent


def test_a_control_that_the_computer_spoiled_is_played_again() -> None:
    door = scenario("F08-door")
    good = played(door)
    for spoiled in (
        replace(good, stalled="cpu_starved"), replace(good, late_edge_ns=MS),
        *(replace(good, ends=[end]) for end in ("no_image verdicts", "order expired", "link",
                                                "timeout no_order")),
    ):  # fmt: skip
        host = Replayed(spoiled, good)
        cases = RealCases(cast("Host", host))
        assert cases.control(door) is good
        assert cases.control(door) is good
    ended = replace(good, ends=["release", "interlock interlock_door", "trip estop"])
    assert RealCases(cast("Host", Replayed(ended))).control(door) is ended
    late = played(door, late_ns=3 * MS)
    assert RealCases(cast("Host", Replayed(late))).control(door) is late


@pytest.fixture
def bad(monkeypatch: pytest.MonkeyPatch) -> Played:
    """A timeline that is judged bad; every other is a pass."""
    bad = played(scenario("F08-door"))

    def judged(_scenario: Scenario, went: Played, _control: object) -> Ruling:
        return Ruling(Reason.REACTION if went is bad else Reason.NONE)

    monkeypatch.setattr(runner, "judge", judged)
    return bad


ALL_TRIES = frozenset(range(runner.TRIES_MAX))


def test_a_case_whose_press_was_spent_is_played_again(bad: Played) -> None:
    door, good = scenario("F08-door"), played(scenario("F08-door"))
    for first in (bad, StageError("a restart did not come")):
        host = Replayed(first, good, spent=frozenset({0}))
        line = RealCases(cast("Host", host)).case(door, 0)
        assert (line.verdict, line.set_apart) == ("pass", (runner.SPENT.detail,))


def test_what_no_spent_press_explains_counts(bad: Played) -> None:
    door, lines = scenario("F08-door"), scenario("F06-in-run")
    line = RealCases(cast("Host", Replayed(bad, spent=frozenset({1})))).case(door, 0)
    assert (line.verdict, line.set_apart) == ("fail", ())
    with pytest.raises(StageError):
        RealCases(cast("Host", Replayed(StageError("gone")))).case(door, 0)
    # Lines that a window has silenced spend a press as its effect.
    line = RealCases(cast("Host", Replayed(bad, spent=ALL_TRIES))).case(lines, 0)
    assert (line.verdict, line.set_apart) == ("fail", ())


def test_presses_that_are_spent_at_every_try_are_judged_by_nobody(bad: Played) -> None:
    door, gone = scenario("F08-door"), StageError("the beam did not come")
    cases = RealCases(cast("Host", Replayed(*[bad] * 4, spent=ALL_TRIES)))
    assert cases.case(door, 0).verdict == "waiting"
    with pytest.raises(StageError):
        RealCases(cast("Host", Replayed(*[gone] * 4, spent=ALL_TRIES))).case(door, 0)


def test_a_control_that_was_not_ready_proves_nothing() -> None:
    door = scenario("F08-door")
    struck = Strike.__new__(Strike)
    struck.effect_ns = struck.cleared_ns = 500 * MS
    struck.run_at_onset = True
    struck.window = door.windows[0]
    case = replace(played(door), observed=Observed(0, 1600 * MS, 66 * MS), injections=[struck])
    dark_alone = replace(door, expectations=door.expectations[:1])
    without = replace(case, injections=[], ready=False)
    ruling = judge(dark_alone, case, lambda: without)
    assert (ruling.reason, ruling.word) == (Reason.NOT_READY, "error")
    assert "control" in ruling.detail
    ruling = judge(dark_alone, case, lambda: replace(without, ready=True))
    assert ruling.reason is Reason.SHOWS_WITHOUT_FAULT
    assert "trips of the control: none; it drove 0 pulses" in ruling.detail


def test_the_rig_is_late_only_where_something_is_judged() -> None:
    late = TruthRecord(1000 * MS, "process", "lateness", 5 * MS, 0)
    for span, worst in (
        ((990, 2000), 5 * MS), ((0, 995), 5 * MS), ((0, 994), 0), ((1001, 2000), 0),
    ):  # fmt: skip
        assert rig_late_ns([late], [(0, 1), (span[0] * MS, span[1] * MS)]) == worst


def test_what_is_judged_lies_between_an_effect_and_the_end_of_its_reaction() -> None:
    door = scenario("F08-door")
    observed = Observed(t0_ns=0, end_ns=1600 * MS, period_ns=66 * MS)
    struck = Strike.__new__(Strike)
    struck.effect_ns = 500 * MS
    dark = door.expectations[0]

    def spans(**changed: Any) -> list[tuple[int, int]]:
        one = replace(door, expectations=(replace(dark, **changed),))
        return judged_spans(one, [struck], observed)

    assert spans() == [(500 * MS, 510 * MS)]
    assert spans(reaction="no_pulse", from_ns=300 * MS, to_ns=1200 * MS) == [(300 * MS, 1200 * MS)]
    assert spans(reaction="unaffected", to_ns=1000 * MS) == [(368 * MS, 1000 * MS)]
    assert spans(reaction="pulses_at_most", limit_ns=0) == [(500 * MS, 566 * MS)]
    alone = replace(door, expectations=(dark,))
    assert judged_spans(alone, [], observed) == [(0, 1600 * MS)]


def test_a_cut_of_the_truth_is_a_log_of_its_own(tmp_path: Path) -> None:
    path, out = tmp_path / "truth.jsonl", tmp_path / "cut.jsonl"
    lines = [text.rstrip("\n") for text in exam().lines()]
    half = next(n for n, text in enumerate(lines) if '"fluoro_no"' in text and n > 40)
    path.write_text("\n".join(lines[:half]) + "\n")
    log = TruthLog(path)
    log.begin(json.loads(lines[half])["t_ns"] - 100 * MS)
    with path.open("a") as file:
        file.write("\n".join(lines[half:]) + '\n{"t_ns": 1')
    cut = log.cut()
    assert cut[0].name == "rig"
    assert len({record.name for record in cut if record.t_ns == cut[0].t_ns}) > 20
    out.write_text("".join(
        json.dumps({"t_ns": r.t_ns, "kind": r.kind, "name": r.name, "value": r.value,
                    **({"pulse_id": r.pulse_id} if r.pulse_id else {})}) + "\n"
        for r in cut
    ))  # fmt: skip
    referee = Referee()
    for record in read_truth(out):
        referee.take(record)
    referee.finish()
    assert sum(row["violations"] for row in referee.verdict()["invariants"]) == 0
    assert len(digest(cut)) == 64


IDLE = "import signal; print('up', flush=True); signal.pause()"
TURNS = """
import asyncio
async def main():
    over = asyncio.Event()
    def told(loop, context):
        print(repr(context["exception"]), flush=True)
        over.set()
    asyncio.get_running_loop().set_exception_handler(told)
    print("up", flush=True)
    await over.wait()
asyncio.run(main())
"""


def struck(code: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a program that is struck once it is up."""
    command = [sys.executable, "-c", code]
    with breakable():
        started = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    with started as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        program.send_signal(signal.SIGUSR2)
        out, errors = program.communicate(timeout=20)
    return program.returncode, out, errors


def test_the_bench_raises_an_exception_where_a_process_happens_to_be() -> None:
    before = os.environ.get("PYTHONPATH")
    code, _, errors = struck(IDLE)
    assert (code, "RuntimeError: an exception, by the bench" in errors) == (1, True)
    assert os.environ.get("PYTHONPATH") == before


def test_under_asyncio_the_exception_is_one_of_a_callback() -> None:
    code, out, _ = struck(TURNS)
    assert (code, out) == (0, "RuntimeError('an exception, by the bench')\n")


def test_breakable_processes_keep_the_path_they_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    with breakable():
        assert os.environ["PYTHONPATH"].endswith(f"breakable{os.pathsep}/somewhere")
    assert os.environ["PYTHONPATH"] == "/somewhere"


def test_what_realtime_has_latched_is_told_from_its_file(tmp_path: Path) -> None:
    box = tmp_path / "blackbox.ring"
    assert latched(box) == []
    head = Head(1 << 15, 0, 0, 1, 1, to_bits([TripCode.CRASH, TripCode.STALL]), 1)
    box.write_bytes(pack_head(head).ljust(PAGE, b"\0"))
    assert set(latched(box)) == {"internal_error", "stall"}
    box.write_bytes(b"x" * 10_000)
    assert latched(box) == []


def test_a_process_that_is_gone_has_no_state() -> None:
    assert state_of(1 << 22) == ""
    assert state_of(1) != ""


def test_a_clock_that_nobody_has_is_refused() -> None:
    body, code = run_scenarios([], "sidereal", 1, lambda text: None)
    assert (code, body["error"]["allowed"]) == (2, "virtual, real")
