"""The referee names exactly the broken invariant of every doctored log, and leaves good ones."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.referee.commands import run_referee, table
from hil.referee.referee import judge, violated
from hil.referee.truth import ordered
from tests.hil.referee.doctors import CASES, Case
from tests.hil.referee.story import MS, Story, exam

NAMES = [f"{case.n}: {case.name}" for case in CASES]


def test_the_exam_exercises_every_invariant_and_breaks_none(tmp_path: Path) -> None:
    verdict, code = run_referee(exam().write(tmp_path / "truth.jsonl"))
    assert code == 0
    status = {row["n"]: row["status"] for row in verdict["invariants"]}
    assert status == {**dict.fromkeys(range(1, 9), "holds"), 11: "not_exercised",
                      12: "not_exercised"}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_doctored_log(case: Case, tmp_path: Path) -> None:
    story = exam()
    case.doctor(story)
    verdict, code = run_referee(story.write(tmp_path / "truth.jsonl"))
    assert violated(verdict) == ([] if case.legal else [case.n]), table(verdict)
    assert code == (0 if case.legal else 1)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_doctor_changes_the_log(case: Case) -> None:
    story = exam()
    case.doctor(story)
    assert story.lines() != exam().lines()


def test_every_invariant_has_a_gross_and_a_hair_s_breadth_case() -> None:
    counts = Counter((case.n, case.legal) for case in CASES)
    assert all(counts[n, False] >= 2 and counts[n, True] >= 1 for n in range(1, 9))


def test_nothing_happened_is_not_exercised() -> None:
    verdict = judge(ordered(Story().lines()))
    assert {row["status"] for row in verdict["invariants"]} == {"not_exercised"}


def test_what_the_rig_s_own_lateness_covers_is_set_apart() -> None:
    story = exam()
    late = [case for case in CASES if case.name == "start 10.001 ms after the release"]
    late[0].doctor(story)
    on_ns = story.records[-1]["value"]["integration_open_ns"]
    story.add(on_ns + 5 * MS, "process", "lateness", 6 * MS)
    verdict = judge(ordered(story.lines()))
    first = verdict["invariants"][0]
    assert (first["violations"], first["set_apart"]) == (0, 1)
    assert verdict["rig_late"] == {"intervals": 1, "worst_ms": 6.0, "total_ms": 6.0}


def test_lateness_elsewhere_hides_nothing() -> None:
    story = exam()
    CASES[0].doctor(story)
    story.add(3_500 * MS, "process", "lateness", 3 * MS)
    assert violated(judge(ordered(story.lines()))) == [1]


def test_a_longer_limit_of_an_active_fault_stands(tmp_path: Path) -> None:
    story = exam()
    doctor = next(case.doctor for case in CASES if case.name.startswith("drives 20.001 ms"))
    doctor(story)
    story.add(12_005 * MS, "fault_on", "F05", {})
    story.add(12_040 * MS, "fault_off", "F05", None)
    verdict, code = run_referee(story.write(tmp_path / "truth.jsonl"))
    assert (violated(verdict), code) == ([], 0)


@pytest.mark.parametrize(("target", "expected"), [("fluoro", [2]), ("high", [])])
def test_only_the_pressed_pedal_that_is_unplugged_ends_the_run(
    target: str, expected: list[int]
) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.train(2_200 * MS, 1)
    story.add(2_300 * MS, "contact", f"{target}_no", 0)
    story.add(2_300 * MS, "fault_on", "F05", {"target": target, "amount": 0.0})
    story.add(2_310 * MS, "contact", f"{target}_no", int(target == "fluoro"))
    story.train(2_400 * MS, 1)
    assert [n for n in violated(judge(ordered(story.lines()))) if n == 2] == expected


@pytest.mark.parametrize(("silent_ms", "expected"), [(10, []), (16, [2])])
def test_a_short_silence_need_not_end_the_run(silent_ms: int, expected: list[int]) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.train(2_200 * MS, 1)
    story.add(2_300 * MS, "fault_on", "F10", {})
    story.add((2_300 + silent_ms) * MS, "fault_off", "F10", None)
    story.train(2_400 * MS, 1)
    assert violated(judge(ordered(story.lines()))) == expected


@pytest.mark.parametrize(("lamp", "expected"), [(1, [2]), (0, [])])
def test_a_loop_that_is_away_while_nothing_is_armed_need_not_stop_a_press(
    lamp: int, expected: list[int]
) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.add(2_010 * MS, "line", "lamp", lamp)
    story.add(2_020 * MS, "fault_on", "F28", {})
    story.add(2_050 * MS, "fault_off", "F28", None)
    story.train(2_200 * MS, 1)
    assert violated(judge(ordered(story.lines()))) == expected


@pytest.mark.parametrize(("name", "expected"), [("barrier", False), ("door", True)])
def test_a_deaf_generator_is_judged_by_what_the_chain_knows(name: str, expected: bool) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.add(2_300 * MS, "fault_on", "F13", {})
    story.add(2_310 * MS, "interlock", name, 0)
    story.pulse(2_400 * MS)
    assert (3 in violated(judge(ordered(story.lines())))) == expected


@pytest.mark.parametrize(("open_ms", "fault", "expected"), [
    (1, "F13", False), (9, "F13", False), (10, "F13", True), (30, "F13", True), (1, "F16", True),
])  # fmt: skip
def test_a_deaf_generator_does_not_hear_what_is_too_short_for_the_chain(
    open_ms: int, fault: str, expected: bool
) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.add(2_300 * MS, "fault_on", fault, {})
    story.add(2_395 * MS, "interlock", "estop", 0)
    story.add((2_395 + open_ms) * MS, "interlock", "estop", 1)
    story.pulse(2_400 * MS, 70_000)
    assert (3 in violated(judge(ordered(story.lines())))) == expected


@pytest.mark.parametrize(("fault", "expected"), [("F13", False), ("F16", True)])
def test_a_deaf_generator_does_not_hear_whoever_reads_the_lines(fault: str, expected: bool) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.add(2_300 * MS, "fault_on", fault, {})
    story.add(2_310 * MS, "process", "lines", "disconnected")
    story.pulse(2_400 * MS)
    assert (3 in violated(judge(ordered(story.lines())))) == expected


@pytest.mark.parametrize(("contact", "level", "expected"), [("nc", 1, []), ("no", 0, [1])])
def test_a_deaf_generator_shines_while_the_chain_sees_a_pedal(
    contact: str, level: int, expected: list[int]
) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.add(2_195 * MS, "fault_on", "F13", {})
    story.add(2_201 * MS, "contact", f"fluoro_{contact}", level)
    story.pulse(2_200 * MS, 70_000)
    assert violated(judge(ordered(story.lines()))) == expected


def test_one_stray_pulse_is_the_fault_s_and_a_second_is_ours() -> None:
    story = Story()
    story.press(2_000 * MS)
    story.pulse(2_188 * MS)
    story.add(2_190 * MS, "fault_on", "F15", {})
    story.pulse(2_200 * MS, rise=False)
    assert violated(judge(ordered(story.lines()))) == []
    story.pulse(2_300 * MS, rise=False)
    assert violated(judge(ordered(story.lines()))) == [5]


def test_a_stray_pulse_needs_no_press_and_hears_no_interlock_but_those_of_the_chain() -> None:
    def verdict(fault: str, name: str) -> list[int]:
        story = Story()
        story.press(2_000 * MS)
        story.add(2_100 * MS, "interlock", name, 0)
        story.add(2_190 * MS, "fault_on", fault, {})
        story.add(2_195 * MS, "interlock", name, 1)
        story.add(2_196 * MS, "process", "lines", "disconnected")
        story.pulse(2_201 * MS, rise=False)
        return violated(judge(ordered(story.lines())))

    assert verdict("F15", "key") == []
    assert verdict("F16", "key") == [2, 3, 5]
    assert verdict("F15", "door") == [3]


def test_a_stray_pulse_may_be_what_first_shows_the_fault() -> None:
    story = Story()
    story.press(2_000 * MS)
    story.pulse(2_200 * MS, rise=False)
    story.add(2_200 * MS, "fault_on", "F15", {})
    assert violated(judge(ordered(story.lines()))) == []
    story.pulse(2_300 * MS, rise=False)
    assert violated(judge(ordered(story.lines()))) == [5]


@pytest.mark.parametrize(("fault", "judged"), [("F13", False), ("F15", False), ("F23", True)])
def test_only_a_pulse_that_is_the_fault_itself_knows_no_window(fault: str, judged: bool) -> None:
    story = exam()
    doctor = next(case.doctor for case in CASES if "window" in case.name)
    doctor(story)
    story.add(2_100 * MS, "fault_on", fault, {})
    assert (7 in violated(judge(ordered(story.lines())))) == judged


@pytest.mark.parametrize(
    ("name", "grace_ms", "expected"), [("realtime", 20, [2, 12]), ("supervisor", 150, [2])]
)
def test_a_process_that_was_killed_needs_a_fresh_press(
    name: str, grace_ms: int, expected: list[int]
) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.train(2_200 * MS, 2)
    story.add(2_300 * MS, "process", name, "kill9")
    story.train(2_300 * MS + (grace_ms - 1) * MS, 1)
    assert violated(judge(ordered(story.lines()))) == []
    story.train(2_300 * MS + (grace_ms + 40) * MS, 1)
    assert violated(judge(ordered(story.lines()))) == expected


@pytest.mark.parametrize(("stopped_ms", "expected"), [(10, []), (21, [2])])
def test_a_stop_longer_than_its_limit_needs_a_fresh_press(
    stopped_ms: int, expected: list[int]
) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.add(2_050 * MS, "line", "lamp", 1)
    story.train(2_200 * MS, 1)
    story.add(2_300 * MS, "process", "realtime", "sigstop")
    story.add((2_300 + stopped_ms) * MS, "process", "realtime", "sigcont")
    story.train(2_400 * MS, 1)
    assert violated(judge(ordered(story.lines()))) == expected


@pytest.mark.parametrize(
    ("name", "lamp", "for_ms", "expected"),
    [
        ("supervisor", 0, 170, []), ("supervisor", 1, 170, [2]), ("realtime", 0, 99, []),
        ("realtime", 0, 101, [2]), ("realtime", 1, 99, [2]),
    ],
)  # fmt: skip
def test_who_stands_still_with_no_run_armed_has_nothing_to_end(
    name: str, lamp: int, for_ms: int, expected: list[int]
) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.add(2_010 * MS, "line", "lamp", lamp)
    story.add(2_020 * MS, "process", name, "sigstop")
    story.add((2_020 + for_ms) * MS, "process", name, "sigcont")
    story.train(2_300 * MS, 1)
    assert violated(judge(ordered(story.lines()))) == expected


@pytest.mark.parametrize(
    ("name", "pressed_ms", "expected"),
    [("door", 44, []), ("door", -10, [2]), ("estop", 44, [2]), ("estop", 60, [])],
)
def test_an_inhibiting_interlock_that_flickers_at_rest_asks_only_for_a_later_press(
    name: str, pressed_ms: int, expected: list[int]
) -> None:
    story = Story()
    story.press(2_000 * MS + pressed_ms * MS)
    story.add(2_000 * MS, "interlock", name, 0)
    story.add(2_000 * MS, "fault_on", "F09", {"target": name, "amount": 0.0})
    story.add(2_001 * MS, "interlock", name, 1)
    story.add(2_001 * MS, "fault_off", "F09", {"target": name, "amount": 0.0})
    story.train(2_200 * MS, 1)
    assert violated(judge(ordered(story.lines()))) == expected


def test_a_beam_that_never_ends_is_judged_where_the_log_ends() -> None:
    story = Story()
    story.press(2_000 * MS)
    story.pulse(2_200 * MS)
    story.release(2_201 * MS)
    kept = [r for r in story.records if r["kind"] != "photons_off" and r["t_ns"] < 2_208 * MS]
    story.records = kept
    story.add(2_230 * MS, "line", "lamp", 0)
    assert 1 in violated(judge(ordered(story.lines())))


def test_millions_of_lines_need_the_memory_of_seconds() -> None:
    """The state the referee keeps does not grow with a log forty times as long."""

    def kept(presses: int) -> int:
        from hil.referee.referee import Referee

        story = Story()
        for k in range(presses):
            at_ns = (2_000 + k * 1_000) * MS
            story.press(at_ns)
            story.train(at_ns + 200 * MS, 5)
            story.release(at_ns + 600 * MS)
        referee = Referee()
        for record in ordered(story.lines()):
            referee.take(record)
        return len(referee.score._held) + len(referee.scene.pulses)

    assert kept(40) <= kept(10) * 2


@st.composite
def legal_stories(draw: st.DrawFn) -> Story:
    """Presses of any pedal, any rate, any release phase; nothing that is not allowed."""
    story = Story()
    t_ns = 2_000 * MS
    for _ in range(draw(st.integers(1, 4))):
        pedal = draw(st.sampled_from(["fluoro", "high", "cine"]))
        period_ns = draw(st.integers(34 * MS, 500 * MS))
        count = draw(st.integers(0, 6))
        cut_us = draw(st.floats(400, 8_299))
        story.press(t_ns, pedal)
        starts = story.train(t_ns + draw(st.integers(45 * MS, 300 * MS)), count, period_ns)
        end_ns = (starts[-1] if starts else t_ns) + 40 * MS
        if draw(st.booleans()):
            story.pulse(end_ns, cut_us, valid=draw(st.booleans()))
        story.release(end_ns + int(draw(st.floats(0, cut_us)) * 1000), pedal)
        t_ns = end_ns + draw(st.integers(60 * MS, 2_000 * MS))
    return story


@settings(max_examples=80, deadline=None)
@given(legal_stories())
def test_a_legal_log_never_violates(story: Story) -> None:
    assert violated(judge(ordered(story.lines()))) == []


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hil.referee", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_program_exits_0_1_and_2(tmp_path: Path) -> None:
    good = exam().write(tmp_path / "good.jsonl")
    story = exam()
    CASES[0].doctor(story)
    bad = story.write(tmp_path / "bad.jsonl")
    torn = tmp_path / "torn.jsonl"
    torn.write_text(good.read_text()[:-40])
    codes = [run_program(str(path), "--json").returncode for path in (good, bad, torn)]
    assert codes == [0, 1, 2]
    refused = json.loads(run_program(str(torn), "--json").stdout)
    assert refused["error"]["line"] == len(exam().lines())
    assert "violated" in run_program(str(bad)).stdout


@pytest.mark.parametrize("n", [5, 7])
def test_without_the_backup_timer_width_and_window_are_not_judged(n: int) -> None:
    """The rig took the timer away to prove the monostable; everything else is judged as ever."""
    cases = [case for case in CASES if case.n == n and not case.legal]
    spared = [case.name for case in cases if not _broken_without_backup(case)]
    assert spared
    assert all("ms" in name or "window" in name or "guard" in name for name in spared), spared
    others = [case for case in CASES if case.n in (1, 3) and not case.legal]
    assert all(case.n in _broken_without_backup(case) for case in others)


def _broken_without_backup(case: Case) -> list[int]:
    story = exam()
    case.doctor(story)
    head = story.records[0]["value"]
    story.records[0]["value"] = {**head, "wiring": {**head["wiring"], "backup": False}}
    return violated(judge(ordered(story.lines())))


@pytest.mark.parametrize(
    ("on_ms", "off_ms", "expected"),
    [
        (-10.0, -9.9, []),  # moves again before the pulse begins
        (-14.9, 0.1, []),  # hv is off when the reading is too old
        (-14.0, 4.0, [3]),  # hv is on when it has been still for 15 ms
        (-40.0, -1.0, []),  # fresh again when the pulse begins
        (-40.0, None, [3]),
    ],
)
def test_a_reading_that_froze_is_stale_after_its_age_and_fresh_when_it_moves_again(
    on_ms: float, off_ms: float | None, expected: list[int]
) -> None:
    story = Story()
    story.press(2_000 * MS)
    at_ns = 2_400 * MS
    story.add(at_ns + round(on_ms * MS), "fault_on", "F10", {})
    if off_ms is not None:
        story.add(at_ns + round(off_ms * MS), "fault_off", "F10", None)
    story.train(at_ns, 1)
    found = violated(judge(ordered(story.lines())))
    assert [n for n in found if n == 3] == expected
