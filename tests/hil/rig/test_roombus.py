"""The room bus: what goes in comes out; what is not a message is refused, never guessed."""

from __future__ import annotations

from typing import Any, get_args

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.rig import roombus
from hil.rig.roombus import RoomBusError, RoomMessage, pack, unpack
from hil.room.records import TruthRecord

texts = st.text(max_size=40)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(int, st.integers(-(1 << 62), 1 << 62))
levels = st.one_of(st.integers(0, 1), texts, st.none(), st.dictionaries(texts, st.integers(0, 9)))
records = st.builds(TruthRecord, value=levels)
messages = st.one_of(
    st.builds(roombus.Truth, records=st.lists(records, max_size=5)),
    *(
        st.from_type(kind)
        for kind in (*get_args(roombus.Report), roombus.Hello, *get_args(roombus.Command))
        if kind is not roombus.Truth
    ),
)


@given(messages)
def test_every_message_comes_out_as_it_went_in(message: RoomMessage) -> None:
    assert unpack(pack(message)) == message


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused(datagram: bytes) -> None:
    with pytest.raises(RoomBusError):
        unpack(datagram)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"m": "Prepare", "request_id": 1}, "fields"),
        ({"m": "Prepare", "request_id": 1, "on": True, "more": 1}, "fields"),
        ({"m": "Prepare", "request_id": "1", "on": True}, "value"),
        ({"m": "Prepare", "request_id": True, "on": True}, "value"),
        ({"m": "BankSet", "request_id": 1, "bank": 0, "technique": [1, 70.0, 40.0]}, "fields"),
        ({"m": "Truth", "records": 7}, "value"),
        ({"m": "Party"}, "name"),
        ([1, 2], "name"),
    ],
)
def test_a_spoiled_message_names_what_is_wrong(body: Any, code: str) -> None:
    with pytest.raises(RoomBusError) as refusal:
        unpack(msgpack.packb(body))
    assert refusal.value.code == code
