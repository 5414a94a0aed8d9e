"""The line bus packet: round trip, and every damage is refused with a code."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.wire.linebus import (
    KIND_INPUTS,
    KIND_OUTPUTS,
    PACKET_BYTES,
    SEQ_MODULUS,
    LineBusError,
    Snapshot,
    decode,
    encode,
    follows,
    repeats,
)
from realtime.wire.lines import IN_ALL, OUT_ALL

SEQS = st.integers(0, SEQ_MODULUS - 1)
STAMPS = st.integers(0, (1 << 64) - 1)
GOOD = encode(KIND_INPUTS, 7, 8, 0b101)


def signed(body: bytes) -> bytes:
    """A packet whose checksum is right, whatever is in it."""
    return body + struct.pack("<I", zlib.crc32(body))


def refusal(packet: bytes, kind: int = KIND_INPUTS) -> str:
    with pytest.raises(LineBusError) as caught:
        decode(packet, kind)
    assert str(caught.value).startswith(caught.value.code)
    return caught.value.code


@given(SEQS, STAMPS, st.integers(0, IN_ALL))
def test_inputs_round_trip(seq: int, stamp_ns: int, levels: int) -> None:
    packet = encode(KIND_INPUTS, seq, stamp_ns, levels)
    assert len(packet) == PACKET_BYTES
    assert decode(packet, KIND_INPUTS) == Snapshot(KIND_INPUTS, seq, stamp_ns, levels)


@given(SEQS, STAMPS, st.integers(0, OUT_ALL))
def test_outputs_round_trip(seq: int, stamp_ns: int, levels: int) -> None:
    packet = encode(KIND_OUTPUTS, seq, stamp_ns, levels)
    assert decode(packet, KIND_OUTPUTS) == Snapshot(KIND_OUTPUTS, seq, stamp_ns, levels)


@given(st.integers(0, PACKET_BYTES - 1), st.integers(1, 255))
def test_any_spoiled_byte_is_refused(at: int, change: int) -> None:
    spoiled = bytearray(GOOD)
    spoiled[at] ^= change
    assert refusal(bytes(spoiled)) in {"magic", "version", "crc"}


@given(st.binary(max_size=64))
def test_noise_is_refused_with_a_code(noise: bytes) -> None:
    assert refusal(noise) in {"length", "magic", "version", "crc"}


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (b"", "length"),
        (GOOD[:-1], "length"),
        (GOOD + b"\0", "length"),
        (signed(b"CLB2" + GOOD[4:24]), "magic"),
        (signed(GOOD[:5] + b"\2" + GOOD[6:24]), "version"),
        (GOOD[:24] + b"\0\0\0\0", "crc"),
        (signed(GOOD[:4] + b"\2" + GOOD[5:24]), "kind"),
        (signed(GOOD[:6] + b"\1\0" + GOOD[8:24]), "kind"),
        (encode(KIND_INPUTS, 0, 0, IN_ALL + 1), "levels"),
    ],
)
def test_each_check_refuses_with_its_own_code(packet: bytes, code: str) -> None:
    assert refusal(packet) == code


def test_the_bank_of_the_other_direction_is_refused() -> None:
    assert refusal(encode(KIND_OUTPUTS, 0, 0, 0)) == "kind"
    assert refusal(encode(KIND_OUTPUTS, 0, 0, OUT_ALL + 1), KIND_OUTPUTS) == "levels"


@given(SEQS)
def test_only_the_direct_successor_follows(seq: int) -> None:
    assert follows(seq, (seq + 1) % SEQ_MODULUS)
    assert not follows(seq, seq)
    assert not follows(seq, (seq + 2) % SEQ_MODULUS)


def test_the_sequence_wraps() -> None:
    assert follows(SEQ_MODULUS - 1, 0)
    assert not follows(SEQ_MODULUS - 1, 1)


def test_a_value_out_of_range_is_our_own_bug() -> None:
    with pytest.raises(struct.error):
        encode(KIND_INPUTS, SEQ_MODULUS, 0, 0)


@given(SEQS, STAMPS, st.integers(0, IN_ALL))
def test_a_sound_packet_that_says_the_same_repeats(seq: int, stamp_ns: int, levels: int) -> None:
    packet = encode(KIND_INPUTS, seq, stamp_ns, levels)
    assert repeats(packet, seq, levels) is True
    assert not repeats(packet, (seq + 1) % SEQ_MODULUS, levels)
    assert not repeats(packet, seq, levels ^ 1)
    assert not repeats(packet[:-1], seq, levels)
    assert not repeats(encode(KIND_OUTPUTS, seq, stamp_ns, levels & OUT_ALL), seq, levels & OUT_ALL)


@given(st.integers(0, PACKET_BYTES - 1), st.integers(1, 255))
def test_a_spoiled_packet_repeats_nothing(at: int, change: int) -> None:
    spoiled = bytearray(GOOD)
    spoiled[at] ^= change
    assert not repeats(bytes(spoiled), 7, 0b101)


def test_the_first_bytes_of_a_packet_are_the_documented_ones() -> None:
    """docs/line-bus.md; both ends are ours, so a round trip alone would not notice."""
    for kind, byte in ((KIND_INPUTS, 1), (KIND_OUTPUTS, 2)):
        packet = encode(kind, 0x01020304, 0x05060708, 1)
        assert packet[:24] == bytes.fromhex(
            f"434c4231 0{byte} 01 0000 04030201 0807060500000000 01000000"
        )
        assert packet[24:] == zlib.crc32(packet[:24]).to_bytes(4, "little")
