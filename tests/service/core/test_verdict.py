"""Every hostile message is a valid command with exactly one thing wrong, and gets that reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.service.core.envelope import read, readable_id
from controller.service.core.limits import COMMANDS_PER_S, NS, PICTURE_AGE_NS_MAX
from controller.service.core.reasons import Reason, Refused
from controller.service.core.verdict import Judge
from controller.service.signing import signed
from tests.service import bench_folder as bench

WHO = bench.people()


def reason_of(judge: Judge, *args: object, **kwargs: object) -> Reason | None:
    try:
        judge.judge(*args, **kwargs)  # type: ignore[arg-type]
    except Refused as refused:
        return refused.reason
    return None


def judged(content: bytes, judge: Judge | None = None, **situation: object) -> Reason | None:
    return reason_of(judge or Judge(read), bench.arrival(content), WHO.ring,
                     bench.situation(**situation))  # fmt: skip


def good() -> bytes:
    return bench.payload(WHO.private["emil"])


def test_a_right_command_is_accepted_once() -> None:
    judge, content = Judge(read), good()
    assert judged(content, judge) is None
    assert judged(content, judge) is Reason.DUPLICATE
    assert len(judge.window.ids) == 1


@pytest.mark.parametrize("reason", bench.SPOILED)
def test_one_thing_wrong_is_that_reason(reason: str) -> None:
    judge = Judge(read)
    assert judged(bench.SPOILED[reason](WHO, bench.NOW_MS), judge) is Reason(reason)
    assert not judge.window.ids


def test_retained_is_refused_whatever_else_it_is() -> None:
    arrival = bench.arrival(good(), retained=True)
    assert reason_of(Judge(read), arrival, WHO.ring, bench.situation()) is Reason.RETAINED


def test_an_id_that_was_used_is_a_replay_later_or_with_other_bytes() -> None:
    judge, first = Judge(read), bench.body()
    key = WHO.private["emil"]
    content = signed(json.dumps(first), key)
    assert judged(content, judge) is None
    other = signed(json.dumps(first | {"arguments": {"reason": "else"}}), key)
    assert judged(other, judge) is Reason.REPLAYED
    later = bench.arrival(content, now_ms=bench.NOW_MS + 5_001)
    assert reason_of(judge, later, WHO.ring, bench.situation()) is Reason.REPLAYED


def test_two_people_may_use_the_same_id() -> None:
    judge = Judge(read)
    assert judged(bench.payload(WHO.private["emil"], id="the-same-id"), judge) is None
    anna = bench.payload(WHO.private["anna"], id="the-same-id", by="anna")
    assert judged(anna, judge) is None


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        ({"dark": False}, Reason.BEAM_ON),
        ({"pedals_up": False}, Reason.PEDAL_DOWN),
        ({"pedals_up": None}, Reason.PEDAL_DOWN),
        ({"session": False}, Reason.NO_SESSION),
        ({"seen_ns": bench.NOW_NS - PICTURE_AGE_NS_MAX - 1}, Reason.UNAVAILABLE),
    ],
)
def test_the_machine_must_allow_it(situation: dict[str, object], reason: Reason) -> None:
    judge = Judge(read)
    content = good()
    assert judged(content, judge, **situation) is reason
    assert judged(content, judge) is None, "a refused command was not used up"


def fetch() -> bytes:
    return bench.payload(WHO.private["olga"], command="log_download", by="olga")


def test_fetching_needs_dark_and_no_pedal_but_no_session() -> None:
    def asked(**situation: object) -> Reason | None:
        arrival = bench.arrival(fetch(), "log_download")
        return reason_of(Judge(read), arrival, WHO.ring, bench.situation(**situation))

    assert asked(session=False, pedals_up=None) is None
    assert asked(dark=False) is Reason.BEAM_ON
    assert asked(pedals_up=False) is Reason.PEDAL_DOWN


def test_a_question_needs_nothing_but_a_signature_that_is_there_must_be_right() -> None:
    def asked(content: bytes) -> Reason | None:
        lit = bench.situation(dark=False, pedals_up=False, session=False)
        return reason_of(Judge(read), bench.arrival(content, "why"), WHO.ring, lit)

    assert asked(bench.payload(None, command="why", by=None)) is None
    right = bench.payload(WHO.private["emil"], command="why")
    assert asked(right) is None
    assert asked(bench.flipped(right)) is Reason.SIGNATURE
    assert asked(bench.payload(None, command="why", by="emil")) is Reason.SIGNATURE


def test_a_key_that_is_not_known_signs_nothing() -> None:
    stranger = bench.people().private["emil"]
    assert judged(bench.payload(stranger)) is Reason.SIGNATURE
    assert judged(bench.payload(stranger, by="nobody")) is Reason.SIGNATURE


def test_the_signature_covers_the_very_bytes() -> None:
    text = json.dumps(bench.body())
    whole = json.loads(signed(text, WHO.private["emil"]))
    respaced = json.dumps({**whole, "body": text.replace(": ", ":")}).encode()
    assert judged(respaced) is Reason.SIGNATURE


def test_more_than_twenty_in_a_second_are_refused_and_not_used_up() -> None:
    judge = Judge(read)
    contents = [good() for _ in range(COMMANDS_PER_S + 5)]
    found = [judged(content, judge) for content in contents]
    assert found.count(None) == COMMANDS_PER_S
    assert found[-1] is Reason.RATE
    later = bench.arrival(contents[-1], now_ns=bench.NOW_NS + NS)
    situation = bench.situation(seen_ns=bench.NOW_NS + NS)
    assert reason_of(judge, later, WHO.ring, situation) is None


def test_strangers_cannot_use_up_the_budget_of_those_with_keys() -> None:
    judge = Judge(read)
    for _ in range(300):
        judged(bench.flipped(bench.payload(WHO.private["emil"], by="nobody")), judge)
        arrival = bench.arrival(bench.payload(None, command="why", by=None), "why")
        reason_of(judge, arrival, WHO.ring, bench.situation())
    assert judged(good(), judge) is None


def test_a_cheque_for_tomorrow_is_refused() -> None:
    tomorrow = bench.payload(WHO.private["emil"], expires_ms=bench.NOW_MS + 86_400_000)
    assert judged(tomorrow) is Reason.MALFORMED


def test_a_key_that_appears_twice_is_refused() -> None:
    text = json.dumps(bench.body())
    twice = text[:-1] + ', "epoch": 7}'
    assert judged(signed(twice, WHO.private["emil"])) is Reason.MALFORMED


@given(st.binary(max_size=400))
def test_noise_is_malformed_and_has_a_reply_topic(noise: bytes) -> None:
    assert judged(noise) is Reason.MALFORMED
    assert 8 <= len(readable_id(noise)) <= 64


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["body", "sig", "id", "x"]), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_no_json_gets_past_the_form(value: object) -> None:
    assert judged(json.dumps(value).encode()) in (Reason.MALFORMED, Reason.SIGNATURE)


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_no_bit_of_what_is_signed_can_be_turned_over(at: int, bit: int) -> None:
    content = good()
    spoiled = bytearray(content)
    spoiled[at % len(content)] ^= 1 << bit
    if judged(bytes(spoiled)) is None:
        # Only a blank between the two strings may change without changing what was said.
        assert json.loads(bytes(spoiled)) == json.loads(content)
