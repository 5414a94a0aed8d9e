"""The two datagrams of a ring's socket."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.wire import doorbell
from realtime.wire.doorbell import DoorbellError, unpack_doorbell, unpack_hello


@given(st.integers(1, (1 << 64) - 1))
def test_both_round_trip(number: int) -> None:
    assert unpack_hello(doorbell.pack_hello(number)) == number
    assert unpack_doorbell(doorbell.pack_doorbell(number)) == number


@pytest.mark.parametrize(
    ("datagram", "code"),
    [
        (b"", "length"),
        (bytes(17), "length"),
        (bytes(16), "magic"),
        (doorbell.pack_hello(1), "magic"),
        (doorbell.pack_doorbell(0), "value"),
        (struct.pack("<4sIQ", doorbell.DOORBELL_MAGIC, 1, 1), "value"),
    ],
)
def test_a_bad_doorbell_has_its_code(datagram: bytes, code: str) -> None:
    with pytest.raises(DoorbellError) as caught:
        unpack_doorbell(datagram)
    assert caught.value.code == code


def test_a_hello_of_another_layout_is_refused() -> None:
    with pytest.raises(DoorbellError, match="version"):
        unpack_hello(struct.pack("<4sIQ", doorbell.HELLO_MAGIC, 2, 1))
    with pytest.raises(DoorbellError, match="magic"):
        unpack_hello(doorbell.pack_doorbell(1))
