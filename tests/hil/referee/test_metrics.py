"""The meters against stories whose answer is known."""

import pytest

from hil.referee.metrics import measure, quantile, spread
from hil.referee.truth import ordered
from realtime.wire.record import Record, RecordKind, RecordState
from tests.hil.referee.story import MS, US, Story, exam


def figures(story: Story, records: list[Record] | None = None) -> dict:  # type: ignore[type-arg]
    return measure(ordered(story.lines()), records)


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.99, 99), (1.0, 100)]
)
def test_a_quantile_is_a_sample(fraction: float, expected: int) -> None:
    assert quantile(list(range(1, 101)), fraction) == expected


def test_no_sample_gives_nulls_and_never_zero() -> None:
    assert spread([], 1000, 0.5, 0.999) == {
        "n": 0, "min": None, "p50": None, "p99_9": None, "max": None
    }  # fmt: skip


def test_a_release_under_high_voltage_is_measured_and_others_are_counted_apart() -> None:
    story = Story()
    for k in range(3):
        at_ns = (2_000 + 1_000 * k) * MS
        story.press(at_ns)
        story.train(at_ns + 200 * MS, 2)
        story.pulse(at_ns + 400 * MS, 3_000 + 100 * k)
        story.release(at_ns + 403 * MS)
    told = figures(story)
    assert told["release_to_dark_us"] == {
        "n": 2, "min": 100.0, "p50": 100.0, "p99": 200.0, "max": 200.0
    }  # fmt: skip
    assert (told["releases_between_pulses"], told["pulses_after_release"]) == (1, 0)
    assert told["pulses_emitted"] == 9


def test_a_pulse_after_the_release_is_counted() -> None:
    story = Story()
    story.press(2_000 * MS)
    story.train(2_200 * MS, 2)
    story.release(2_280 * MS)
    story.pulse(2_330 * MS)
    assert figures(story)["pulses_after_release"] == 1


def test_a_contact_that_chatters_is_one_release() -> None:
    story = Story()
    story.press(2_000 * MS)
    story.pulse(2_200 * MS, 4_000)
    for k in range(8):
        story.add(2_203 * MS + k * MS, "contact", "fluoro_no", k % 2)
    story.release(2_212 * MS)
    told = figures(story)
    assert told["release_to_dark_us"]["n"] == 1
    assert told["release_to_dark_us"]["max"] == 1000.0
    assert told["releases_between_pulses"] == 0
    assert [row["pulses"] for row in told["presses"]] == [1]


def test_a_press_that_chatters_is_one_press() -> None:
    story = Story()
    for k in range(8):
        story.add(2_000 * MS + k * MS, "contact", "fluoro_no", k % 2)
    story.press(2_010 * MS)
    story.pulse(2_200 * MS)
    told = figures(story)
    assert [row["pulses"] for row in told["presses"]] == [1]
    assert told["releases_between_pulses"] == 0


def test_a_permit_that_died_with_its_process_is_not_a_gap() -> None:
    story = Story()
    story.press(2_000 * MS)
    story.pulse(2_200 * MS)
    for record in story.records:
        if record["name"] == "pulse" and record["t_ns"] > 2_200 * MS:
            record["t_ns"] = 3_000 * MS
    story.add(2_204 * MS, "process", "lines", "disconnected")
    assert figures(story)["permit_toggle_gap_ms"]["n"] == 0


@pytest.mark.parametrize("signal", ["kill9", "sigstop"])
def test_a_death_in_mid_pulse_and_one_between_pulses(signal: str) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.pulse(2_200 * MS)
    story.add(2_203 * MS, "process", "realtime", signal)
    story.release(2_500 * MS)
    story.add(2_600 * MS, "process", "realtime", "started")
    story.press(3_000 * MS)
    story.pulse(3_200 * MS)
    story.add(3_230 * MS, "process", "realtime", signal)
    row = figures(story)["dark_after"][0]
    assert (row["process"], row["signal"], row["n"], row["mid_pulse_n"]) == (
        "realtime", signal, 2, 1
    )  # fmt: skip
    assert row["dark_ms"]["n"] == 1
    assert row["dark_ms"]["max"] == 5.3
    assert row["pulses_after_max"] == 0


def test_pulses_after_a_death_are_counted_until_something_begins_anew() -> None:
    story = Story()
    story.press(2_000 * MS)
    story.train(2_200 * MS, 4, 40 * MS)
    story.add(2_245 * MS, "process", "imaging", "kill9")
    row = figures(story)["dark_after"][0]
    assert row["pulses_after_max"] == 2
    assert row["dark_ms"]["max"] == pytest.approx(2_328.3 - 2_245)


def test_permit_gaps_cover_the_time_from_lead_to_fall() -> None:
    story = Story()
    story.press(2_000 * MS)
    story.pulse(2_200 * MS)
    gaps = figures(story)["permit_toggle_gap_ms"]
    assert (gaps["n"], gaps["max"]) == (6, 3.0)


def test_each_press_with_its_rate_and_delay() -> None:
    told = figures(exam())
    assert [row["pulses"] for row in told["presses"]] == [8, 4, 4, 3, 0, 5]
    assert told["presses"][0]["rate_hz"] == pytest.approx(15.0)
    assert told["press_to_first_pulse_cold_ms"] == 200.0
    assert told["press_to_first_pulse_ms"]["n"] == 4


def test_pulses_outside_the_window_are_counted_without_guards() -> None:
    story = Story()
    story.press(2_000 * MS)
    story.pulse(2_200 * MS)
    for record in story.records:
        if record["kind"] == "window_close":
            record["t_ns"] = 2_205 * MS
    assert figures(story)["pulses_outside_window"] == 1
    assert figures(exam())["pulses_outside_window"] == 0


def test_lateness_is_against_the_due_time_of_the_black_box() -> None:
    story = Story()
    story.press(2_000 * MS)
    story.train(2_200 * MS, 2, 40 * MS)
    due = [2_200 * MS - 30 * US, 2_240 * MS - 50 * US]
    records = [
        Record(
            RecordKind.PULSE, RecordState.CLOSED, 0, 0, 0, 0, n, 1, n, 1, 1, 1,
            due_ns, due_ns + 5 * US, due_ns + 9 * MS, 0, 0, 0, 0, 8_000,
        )
        for n, due_ns in enumerate(due)
    ]  # fmt: skip
    late = figures(story, records)["pulse_lateness_us"]
    assert (late["n"], late["min"], late["max"]) == (2, 30.0, 50.0)
