"""The publisher's account: every pulse is settled once, and one subscriber can prove it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.imaging.series import (
    NO_REPORT,
    PULSES_MAX,
    RANGES_IN_HEADER,
    AccountFull,
    RunAccount,
)
from controller.stream.account import Account

FATES = st.lists(st.sampled_from(["publish", "torn", "missing", "silent"]), max_size=60)


def test_published_and_lost_pulses_add_up() -> None:
    account = RunAccount(5, seq_first=1)
    account.publish(0)
    account.lose(1, "torn")
    account.lose(2, "torn")
    account.lose(3, "missing")
    account.publish(4)
    counters = account.counters(every_range=True)
    assert counters["pulses"] == counters["settled"] == 5
    assert counters["published"] == 2
    assert counters["missing"] == {"torn": 2, "missing": 1}
    assert counters["ranges"] == [[1, 2, "torn"], [3, 3, "missing"]]
    assert account.is_settled(4)
    assert not account.is_settled(5)


def test_pulses_nobody_reported_are_lost_with_their_own_reason() -> None:
    account = RunAccount(5, seq_first=1)
    account.publish(2)
    account.lose(4, "torn")
    account.finish(8)
    assert account.missing == {NO_REPORT: 6, "torn": 1}
    assert account.ranges == [
        [0, 1, NO_REPORT], [3, 3, NO_REPORT], [4, 4, "torn"], [5, 7, NO_REPORT],
    ]  # fmt: skip


def test_a_reported_pulse_counts_before_it_is_settled() -> None:
    account = RunAccount(5, seq_first=1)
    account.reported(3)
    account.reported(1)
    counters = account.counters(every_range=False)
    assert (counters["pulses"], counters["settled"]) == (4, 0)


def test_finish_with_fewer_pulses_than_reported_believes_the_reports() -> None:
    account = RunAccount(5, seq_first=1)
    account.reported(3)
    account.finish(0)
    assert account.missing == {NO_REPORT: 4}


def test_settling_twice_is_our_bug() -> None:
    account = RunAccount(5, seq_first=1)
    account.publish(0)
    with pytest.raises(AssertionError):
        account.publish(0)
    with pytest.raises(AssertionError):
        account.lose(0, "torn")


def test_headers_show_the_newest_ranges_and_say_how_many_are_left_off() -> None:
    account = RunAccount(5, seq_first=1)
    for n in range(2 * (RANGES_IN_HEADER + 3)):
        account.lose(n, "torn" if n % 2 else "zero")
    counters = account.counters(every_range=False)
    assert len(counters["ranges"]) == RANGES_IN_HEADER
    assert counters["ranges"][-1] == account.ranges[-1]
    assert counters["ranges_left_off"] == len(account.ranges) - RANGES_IN_HEADER
    assert account.counters(every_range=True)["ranges_left_off"] == 0


def test_an_endless_run_is_refused() -> None:
    account = RunAccount(5, seq_first=1)
    with pytest.raises(AccountFull):
        account.finish(PULSES_MAX + 1)


def header(run_id: int, **fields: Any) -> dict[str, Any]:
    return {"epoch": 9, "device": "c", "series": f"s{run_id}", "run_id": run_id,
            "resend": False, **fields}  # fmt: skip


class Story:
    """Runs as the publisher tells them: messages, and the truth of every pulse."""

    def __init__(self, runs: list[list[str]]) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.truth: dict[tuple[int, int], str | int] = {}
        self.seq = 0
        for run_id, fates in enumerate(runs):
            self._tell(run_id, fates)

    def _tell(self, run_id: int, fates: list[str]) -> None:
        account = RunAccount(run_id, self.seq + 1)
        self.messages.append(("series", header(run_id, seq_first=self.seq + 1)))
        for n, fate in enumerate(fates):
            if fate == "publish":
                account.publish(n)
                self.seq += 1
                counters = account.counters(every_range=False)
                self.messages.append(("live", header(run_id, seq=self.seq, counters=counters)))
                self.truth[run_id, n] = self.seq
            elif fate == "silent":
                self.truth[run_id, n] = NO_REPORT
            else:
                account.lose(n, fate)
                self.messages.append(("loss", header(run_id, pulse_n=n)))
                self.truth[run_id, n] = fate
        account.finish(len(fates))
        counters = account.counters(every_range=True)
        self.tail = header(run_id, seq_last=self.seq, final=True, counters=counters)
        self.messages.append(("tail", self.tail))


def published_pulses(account: Account, run_id: int) -> list[int]:
    """By the rule of the page: the pulses of a run that are in no range, in order."""
    run = account.epochs[9].runs[run_id]
    missing = {
        n for first, (last, _) in run.ranges.items() for n in range(first, last + 1)
    }  # fmt: skip
    return [n for n in range(run.counters["pulses"]) if n not in missing]


@given(st.lists(FATES, min_size=1, max_size=3), st.data())
def test_one_subscriber_alone_states_the_truth_whatever_it_lost(
    runs: list[list[str]], data: st.DataObject
) -> None:
    story = Story(runs)
    live = [message["seq"] for topic, message in story.messages if topic == "live"]
    dropped = set(data.draw(st.lists(st.sampled_from(live), unique=True))) if live else set()
    account = Account()
    for topic, message in story.messages:
        if topic != "live" or message["seq"] not in dropped:
            account.take(topic, message)
    lost = {seq for _, first, last in account.lost_ranges() for seq in range(first, last + 1)}
    assert lost == dropped
    assert account.received == len(live) - len(dropped)
    assert account.before_join() == 0
    assert account.tail_complete
    told: dict[tuple[int, int], str | int] = {}
    for run_id, fates in enumerate(runs):
        run = account.epochs[9].runs[run_id]
        for first_n, (last_n, reason) in run.ranges.items():
            told.update({(run_id, n): reason for n in range(first_n, last_n + 1)})
        seq_first = run.counters["seq_first"]
        for k, n in enumerate(published_pulses(account, run_id)):
            told[run_id, n] = seq_first + k
        assert run.counters["pulses"] == len(fates)
    assert told == story.truth


@given(FATES, st.integers(0, 60))
def test_a_late_joiner_is_owed_only_what_followed(fates: list[str], joined: int) -> None:
    story = Story([fates])
    account = Account()
    for topic, message in story.messages[joined:]:
        account.take(topic, message)
    assert account.statement()["lost"] == 0
    if joined < len(story.messages):
        assert account.tail_complete
        assert account.received + account.before_join() == story.seq
