"""Bytes to messages and back: round trip, and nothing but BadMessage for anything else."""

import math
from enum import StrEnum
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.wire.codec import LIST_MAX, TEXT_MAX, BadMessage, pack, unpack
from realtime.wire.messages import (
    CATALOGUE,
    MESSAGE_BYTES_MAX,
    Delivered,
    Hello,
    Message,
    ResetTimer,
    State,
    Verdict,
)
from tests.realtime.wire.examples import ANY_MESSAGE, messages_of

CODES = {"length", "msgpack", "name", "version", "fields", "value"}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def refusal(datagram: bytes) -> str:
    with pytest.raises(BadMessage) as caught:
        unpack(datagram)
    assert caught.value.code in CODES
    return caught.value.code


def decoded_if_valid(datagram: bytes) -> Message | None:
    """The message, or None for a refusal with a known code; anything else raises."""
    try:
        return unpack(datagram)
    except BadMessage as error:
        return None if error.code in CODES else pytest.fail(f"unknown code {error.code}")


def body_of(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = msgpack.unpackb(pack(message))
    return body


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
def test_every_message_survives_the_wire(kind: type[Message]) -> None:
    @settings(max_examples=20)
    @given(messages_of(kind))
    def survives(message: Message) -> None:
        assert unpack(pack(message)) == message

    survives()
    assert kind in CATALOGUE.values()


@given(ANY_MESSAGE, st.data())
def test_a_spoiled_field_is_refused_or_still_a_valid_message(
    message: Message, choice: st.DataObject
) -> None:
    body = body_of(message)
    name = choice.draw(st.sampled_from(sorted(body)))
    body[name] = choice.draw(JUNK)
    datagram = msgpack.packb(body)
    decoded = decoded_if_valid(datagram)
    assert decoded is None or unpack(pack(decoded)) == decoded


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_noise_raises_nothing_but_bad_message(noise: bytes) -> None:
    assert refusal(noise) in CODES


@given(ANY_MESSAGE, st.data())
def test_a_cut_or_lengthened_datagram_is_refused(message: Message, choice: st.DataObject) -> None:
    datagram = pack(message)
    cut = choice.draw(st.integers(0, len(datagram) - 1))
    assert refusal(datagram[:cut]) in {"length", "msgpack"}
    assert refusal(datagram + b"\0") == "msgpack"


@given(ANY_MESSAGE, st.integers(0), st.integers(1, 255))
def test_a_spoiled_byte_never_raises_anything_else(message: Message, at: int, by: int) -> None:
    datagram = bytearray(pack(message))
    datagram[at % len(datagram)] ^= by
    decoded = decoded_if_valid(bytes(datagram))
    assert decoded is None or type(decoded) in CATALOGUE.values()


@given(ANY_MESSAGE, st.data())
def test_a_missing_and_an_additional_field_are_refused(
    message: Message, choice: st.DataObject
) -> None:
    body = body_of(message)
    name = choice.draw(st.sampled_from(sorted(set(body) - {"m", "v"})))
    without = {key: value for key, value in body.items() if key != name}
    assert refusal(msgpack.packb(without)) == "fields"
    assert refusal(msgpack.packb(body | {"extra": 1})) == "fields"
    assert refusal(msgpack.packb(without | {"other": body[name]})) == "fields"


@pytest.mark.parametrize("name", ["no_such", "", None, 3, ["order"]])
def test_an_unknown_name_is_refused(name: object) -> None:
    assert refusal(msgpack.packb({"m": name, "v": 1})) == "name"


def test_only_a_map_is_a_message() -> None:
    assert refusal(msgpack.packb([1, 2])) == "name"
    assert refusal(msgpack.packb({})) == "name"


@pytest.mark.parametrize("version", [0, 2, "1", 1.0, True, None])
def test_another_version_is_refused(version: object) -> None:
    body = body_of(ResetTimer(1)) | {"v": version}
    assert refusal(msgpack.packb(body)) == "version"


def test_a_message_without_version_is_refused() -> None:
    body = body_of(ResetTimer(1))
    del body["v"]
    assert refusal(msgpack.packb(body)) == "version"


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, 1 << 63])
def test_an_integer_is_an_integer_in_its_range(value: object) -> None:
    body = body_of(ResetTimer(1)) | {"supervisor_epoch": value}
    assert refusal(msgpack.packb(body)) == "value"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "1", None])
def test_a_number_is_finite(value: object) -> None:
    body = body_of(Delivered(1, 2, 3, 70.0, 40.0, 8.0, 0.3)) | {"kv": value}
    assert refusal(msgpack.packb(body)) == "value"


def test_a_whole_number_may_stand_for_a_float() -> None:
    body = body_of(Delivered(1, 2, 3, 70.0, 40.0, 8.0, 0.3)) | {"kv": 71}
    decoded = unpack(msgpack.packb(body))
    assert isinstance(decoded, Delivered)
    assert type(decoded.kv) is float
    assert decoded.kv == 71.0


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_a_boolean_is_a_boolean(value: object) -> None:
    body = body_of(Verdict(1, 2, 3, True, "")) | {"valid": value}
    assert refusal(msgpack.packb(body)) == "value"


@pytest.mark.parametrize("value", ["x" * (TEXT_MAX + 1), b"x", 1, None])
def test_text_is_text_and_short(value: object) -> None:
    body = body_of(Hello("supervisor", 1, 2, 3, "")) | {"detail": value}
    assert refusal(msgpack.packb(body)) == "value"


STATE = State(1, 2, "dark", 0, 0, 0, True, [], [], 0, 0, 0, 0, 0, 0, "", 0, 1)


@pytest.mark.parametrize("value", ["trip", [1], ["x" * 201], None, {}])
def test_a_list_of_codes_holds_short_texts(value: object) -> None:
    assert refusal(msgpack.packb(body_of(STATE) | {"trips": value})) == "value"


def test_a_list_is_bounded() -> None:
    long = msgpack.packb(body_of(STATE) | {"trips": [""] * (LIST_MAX + 1)})
    assert refusal(long) == "msgpack"
    whole = unpack(msgpack.packb(body_of(STATE) | {"trips": [""] * LIST_MAX}))
    assert isinstance(whole, State)
    assert len(whole.trips) == LIST_MAX


@pytest.mark.parametrize("value", ["warm", 1, [], None])
def test_an_enumeration_holds_its_members_only(value: object) -> None:
    body = {"m": "select", "v": 1, "supervisor_epoch": 1, "cine_mode": value}
    assert refusal(msgpack.packb(body)) == "value"


def test_empty_and_oversized_datagrams_are_refused() -> None:
    assert refusal(b"") == "length"
    assert refusal(b"\xc0" * (MESSAGE_BYTES_MAX + 1)) == "length"


def test_a_message_that_does_not_fit_is_our_own_bug() -> None:
    with pytest.raises(AssertionError):
        pack(Hello("x" * MESSAGE_BYTES_MAX, 1, 2, 3, ""))


def test_enumerations_travel_as_their_words() -> None:
    body = body_of(unpack(msgpack.packb({
        "m": "select", "v": 1, "supervisor_epoch": 1, "cine_mode": "dsa",
    })))  # fmt: skip
    assert body["cine_mode"] == "dsa"
    assert not isinstance(body["cine_mode"], StrEnum)
