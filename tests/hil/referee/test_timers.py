"""Invariants 11 and 12: a good log holds, and every doctored one is red by a hair."""

from typing import Any

import pytest

from hil.referee.elsewhere import ELSEWHERE, WAITING_FOR, status
from hil.referee.elsewhere import rows as rows_elsewhere
from hil.referee.referee import JUDGES, judge, violated
from hil.referee.truth import ordered
from tests.hil.referee.story import MS, US, Story, exam, long_exam

SIGNAL_NS = 320_100 * MS
GONE_NS = 380_001 * MS


def rows(story: Story) -> dict[int, Any]:
    return {row["n"]: row for row in judge(ordered(story.lines()))["invariants"]}


def tone_at(story: Story, t_ns: int) -> None:
    rise, fall = (r for r in story.records if r["name"] == "tone" and r["t_ns"] > 10_000 * MS)
    rise["t_ns"], fall["t_ns"] = t_ns, t_ns + 2_000 * MS


def test_a_good_log_exercises_both() -> None:
    found = rows(long_exam())
    assert {row["status"] for row in found.values()} == {"holds"}
    assert found[11]["exercised"] == found[12]["exercised"] == 1
    assert {rows(exam())[n]["status"] for n in (11, 12)} == {"not_exercised"}


@pytest.mark.parametrize(
    ("off_ns", "wrong"),
    [
        (0, False), (100 * MS, False), (-100 * MS, False), (100 * MS + US, True),
        (-2_100 * MS - US, True), (5_000 * MS, True),
    ],
)  # fmt: skip
def test_the_signal_within_a_tenth_of_a_second(off_ns: int, wrong: bool) -> None:
    story = long_exam()
    tone_at(story, SIGNAL_NS + off_ns)
    assert violated(judge(ordered(story.lines()))) == ([11] if wrong else [])


def test_a_signal_that_never_comes() -> None:
    story = long_exam()
    story.records = [r for r in story.records if r["name"] != "tone"]
    found = rows(story)[11]
    assert (found["violations"], found["first_t_ns"]) == (1, SIGNAL_NS)


@pytest.mark.parametrize(
    ("said", "marks", "first_s"),
    [
        (300.0, 1, 300), (150.0, 2, 150), (60, 6, 60), (None, 1, 300), (9.9, 1, 300),
        (600.0, 1, 300), (1e300, 1, 300), (-60, 1, 300),
        ("60", 1, 300), (True, 1, 300),
    ],
)  # fmt: skip
def test_a_log_can_make_the_interval_shorter_and_never_longer(
    said: Any, marks: int, first_s: int
) -> None:
    story = long_exam()
    (head,) = (r for r in story.records if (r["kind"], r["name"]) == ("process", "rig"))
    head["value"]["signal_every_s"] = said
    story.records = [r for r in story.records if r["name"] != "tone"]
    found = rows(story)[11]
    assert (found["violations"], found["exercised"]) == (marks, marks)
    assert found["first_t_ns"] == SIGNAL_NS - (300 - first_s) * 1_000 * MS


@pytest.mark.parametrize("mark", [("realtime", "started"), ("timer", "reset")])
def test_what_starts_the_count_anew(mark: tuple[str, str]) -> None:
    story = long_exam()
    story.records = [r for r in story.records if r["name"] != "tone"]
    story.add(200_000 * MS, "process", *mark)
    assert rows(story)[11]["status"] == "not_exercised"


def test_only_the_time_of_the_lamp_counts() -> None:
    story = long_exam()
    story.add(100_000 * MS, "line", "lamp", 0)
    story.add(110_000 * MS, "line", "lamp", 1)
    assert violated(judge(ordered(story.lines()))) == [11]
    tone_at(story, SIGNAL_NS + 10_000 * MS)
    assert violated(judge(ordered(story.lines()))) == []


@pytest.mark.parametrize("how", ["kill9", "crash", "sigstop"])
@pytest.mark.parametrize(("after_ns", "wrong"), [(50 * MS, False), (50 * MS + US, True)])
def test_dark_within_50_ms_of_its_end(how: str, after_ns: int, wrong: bool) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.train(2_200 * MS, 1)
    story.add(2_300 * MS, "process", "realtime", how)
    width_us = 8_300
    story.pulse(2_300 * MS + after_ns - width_us * US, width_us)
    assert (12 in violated(judge(ordered(story.lines())))) == wrong


@pytest.mark.parametrize(("back", "wrong"), [("lines", False), ("supervisor", True)])
def test_it_is_back_when_it_was_started_or_its_lines_are(back: str, wrong: bool) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.add(2_100 * MS, "process", "realtime", "kill9")
    word = "connected" if back == "lines" else "started"
    story.add(2_300 * MS, "process", back, word)
    story.pulse(2_400 * MS)
    assert (12 in violated(judge(ordered(story.lines())))) == wrong


def test_a_beam_before_it_was_back_is_judged_afterwards_too() -> None:
    story = Story()
    story.press(2_000 * MS)
    story.add(2_100 * MS, "process", "realtime", "kill9")
    story.pulse(2_200 * MS)
    story.add(2_203 * MS, "process", "realtime", "started")
    assert 12 in violated(judge(ordered(story.lines())))


def killed_and_back(name: str, how: str = "kill9", told: bool = True) -> Story:
    """Killed at 2 s, back at 2.2 s, a press and a pulse at 3 s."""
    story = Story(resets_told=told)
    story.add(2_000 * MS, "process", name, how)
    story.add(2_200 * MS, "process", name, "started")
    story.press(2_800 * MS)
    story.pulse(3_000 * MS)
    return story


@pytest.mark.parametrize("name", ["realtime", "supervisor"])
@pytest.mark.parametrize("how", ["kill9", "crash"])
@pytest.mark.parametrize(
    ("reset_ns", "wrong"),
    [(None, True), (1_900 * MS, True), (2_100 * MS, True), (2_300 * MS, False)],
)
def test_who_was_killed_needs_a_reset_after_its_start(
    name: str, how: str, reset_ns: int | None, wrong: bool
) -> None:
    story = killed_and_back(name, how)
    if reset_ns is not None:
        story.add(reset_ns, "process", "board", "reset")
    found = rows(story)[12]
    assert found["violations"] == wrong
    assert found["exercised"] == 1, "the pulse that was wrong, or the reset that was waited for"


@pytest.mark.parametrize(
    ("name", "how", "told"),
    [("realtime", "kill9", False), ("imaging", "kill9", True), ("supervisor", "ended", True),
     ("supervisor", "sigstop", True)],
)  # fmt: skip
def test_no_reset_is_asked_for_where_nothing_latches_or_nobody_tells(
    name: str, how: str, told: bool
) -> None:
    assert rows(killed_and_back(name, how, told))[12]["violations"] == 0


def test_what_was_on_its_way_when_the_supervisor_died_is_no_new_start() -> None:
    for at_ns, wrong in ((2_349 * MS, 0), (2_351 * MS, 1)):
        early = killed_and_back("supervisor")
        early.press(2_250 * MS)
        early.pulse(at_ns)
        early.records = [r for r in early.records if r["t_ns"] < 2_700 * MS]
        assert rows(early)[12]["violations"] == wrong


@pytest.mark.parametrize("fault", ["F13", "F15"])
def test_what_the_generator_does_by_itself_is_not_the_executive_s(fault: str) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.add(2_100 * MS, "process", "realtime", "kill9")
    story.add(2_190 * MS, "fault_on", fault, {})
    story.pulse(2_200 * MS, rise=fault == "F13")
    assert 12 not in violated(judge(ordered(story.lines())))


def test_every_invariant_is_a_judge_s_or_is_judged_elsewhere() -> None:
    here = [judge.n for judge in JUDGES]
    assert sorted([*here, *(row.n for row in ELSEWHERE)]) == list(range(1, 19))
    assert rows_elsewhere()[0]["waiting_for"]
    assert all(row["by"] for row in rows_elsewhere())
    assert set(WAITING_FOR) <= set(range(1, 19))


def test_each_invariant_says_what_is_judged_and_what_waits() -> None:
    assert (status(1), status(16)) == ("judged", "judged elsewhere")
    assert status(11) == "judged; waits in part for displays of time and kerma: the viewer"
    assert status(9).startswith("judged elsewhere; waits in part for the viewer")
