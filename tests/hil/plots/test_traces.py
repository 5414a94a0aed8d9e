"""Signals out of the log: levels, cuts, landmarks."""

from hil.plots.traces import cut, landmarks
from hil.referee.truth import ordered
from tests.hil.referee.story import MS, Story, exam


def one_pulse() -> Story:
    story = Story()
    story.press(2_000 * MS)
    story.pulse(2_200 * MS)
    story.release(2_300 * MS)
    return story


def test_a_cut_knows_the_level_it_begins_with() -> None:
    told = cut(ordered(one_pulse().lines()), [(2_202 * MS, 2_215 * MS)])[0]
    assert (told.first["pedal"], told.first["window"], told.first["photons"]) == (1, 1, 2)
    assert told.spans("photons", 2) == [(2_202 * MS, 2_208_300_000)]
    assert told.spans("photons", 1) == [(2_202 * MS, 2_208_562_500)]
    assert told.spans("frame") == [(2_212_600_000, 2_215 * MS)]


def test_a_cut_after_the_log_keeps_the_last_levels() -> None:
    told = cut(ordered(one_pulse().lines()), [(9_000 * MS, 9_001 * MS)])[0]
    assert told.first["interlock"] == 1
    assert told.first["pedal"] == 0
    assert all(not changes for changes in told.changes.values())


def test_steps_begin_and_end_at_the_edges_of_the_cut() -> None:
    told = cut(ordered(one_pulse().lines()), [(2_199 * MS, 2_230 * MS)])[0]
    stamps, levels = told.steps("window")
    assert (stamps[0], stamps[-1]) == (2_199 * MS, 2_230 * MS)
    assert levels == [0, 1, 0, 0]


def test_landmarks_are_the_train_the_release_and_the_kill() -> None:
    story = exam()
    story.press(13_000 * MS)
    story.pulse(13_200 * MS)
    story.add(13_203 * MS, "process", "realtime", "kill9")
    marks = landmarks(ordered(story.lines()))
    assert marks.train_ns == 2_200 * MS
    assert marks.period_ns == 66_666_667
    assert marks.release_ns is not None
    assert marks.release_dark_ns == marks.release_ns + 200_000
    assert (marks.kill_ns, marks.kill_dark_ns) == (13_203 * MS, 13_208_300_000)
    assert marks.kill_name == "kill9 of realtime"


def test_a_kill_in_the_dark_is_no_landmark() -> None:
    story = one_pulse()
    story.add(2_250 * MS, "process", "realtime", "kill9")
    assert landmarks(ordered(story.lines())).kill_ns is None
