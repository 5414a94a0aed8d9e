"""The last gate: every reason to refuse, from raw bytes alone."""

from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.limits import MS, US, S
from realtime.permit import Gate
from realtime.wire.codec import pack
from realtime.wire.linebus import KIND_INPUTS, KIND_OUTPUTS, encode
from realtime.wire.lines import IN_ALL, INTERLOCKS, NC_CONTACTS, In, Out, mask
from realtime.wire.messages import Mode, Order, Topology

pytestmark = pytest.mark.invariant(13)

NOW = 20 * S
SPACING = 30 * MS
LIT = (INTERLOCKS | NC_CONTACTS & ~mask(In.FLUORO_NC)
       | mask(In.FLUORO_NO, In.WINDOW, In.PERMIT_OK, In.CHAIN_OK))  # fmt: skip
ORDER = Order(3, 1, 77, Mode.FLUORO, 0, 9, 1, 1, NOW + 90 * MS, Topology.CONTROLLER_MASTER,
              33_333_333, 1, 8000, 300, 263)  # fmt: skip
PERMIT, PULSE, BANK = mask(Out.PERMIT), mask(Out.PULSE), mask(Out.BANK)
PEDAL = {
    Mode.FLUORO: (In.FLUORO_NO, In.FLUORO_NC), Mode.HIGH_LEVEL: (In.HIGH_NO, In.HIGH_NC),
    Mode.ONE_SHOT: (In.CINE_NO, In.CINE_NC), Mode.CINE: (In.CINE_NO, In.CINE_NC),
    Mode.DSA: (In.CINE_NO, In.CINE_NC),
}  # fmt: skip


def gate() -> Gate:
    return Gate(SPACING, 50_000)


def ask(of: Gate, order: Order | bytes = ORDER, levels: int = LIT, wanted: int = PULSE | BANK,
        before: int = 0, now_ns: int = NOW, age_ns: int = 0) -> str:  # fmt: skip
    raw = order if isinstance(order, bytes) else pack(order)
    packet = encode(KIND_INPUTS, 1, 0, levels)
    return of.agree(now_ns, packet, now_ns - age_ns, raw, before, wanted)


def test_all_well_is_agreed() -> None:
    assert ask(gate()) == ""
    assert ask(gate(), wanted=PERMIT) == ""


@pytest.mark.parametrize("mode", Mode)
def test_each_mode_needs_its_own_pedal_both_contacts(mode: Mode) -> None:
    no, nc = PEDAL[mode]
    order = replace(ORDER, mode=mode)
    tone = mask(In.TONE_READBACK)
    good = (LIT & ~mask(In.FLUORO_NO) | mask(In.FLUORO_NC, no)) & ~(1 << nc) | tone
    assert ask(gate(), order, good) == ""
    assert ask(gate(), order, good & ~(1 << no)) == "pedal"
    assert ask(gate(), order, good | 1 << nc) == "pedal"
    assert ask(gate(), order, good, wanted=PERMIT) == ""
    assert ask(gate(), order, NC_CONTACTS | INTERLOCKS, wanted=PERMIT) == "pedal"


def test_high_level_needs_its_tone() -> None:
    levels = LIT & ~mask(In.FLUORO_NO, In.HIGH_NC) | mask(In.FLUORO_NC, In.HIGH_NO)
    order = replace(ORDER, mode=Mode.HIGH_LEVEL, level=1)
    assert ask(gate(), order, levels) == "tone"
    assert ask(gate(), order, levels | mask(In.TONE_READBACK)) == ""


@pytest.mark.parametrize("line", [line for line in In if INTERLOCKS >> line & 1])
@pytest.mark.parametrize("wanted", [PULSE | BANK, PERMIT])
def test_every_interlock_is_asked(line: In, wanted: int) -> None:
    assert ask(gate(), levels=LIT & ~(1 << line), wanted=wanted) == "interlock"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"levels": LIT & ~mask(In.WINDOW)}, "window"),
        ({"levels": LIT & ~mask(In.PERMIT_OK)}, "permit_ok"),
        ({"levels": LIT & ~mask(In.CHAIN_OK)}, "chain"),
        ({"levels": LIT | mask(In.XRAY_ON)}, "xray"),
        ({"order": replace(ORDER, set_us=50_001)}, "width"),
        ({"order": replace(ORDER, expires_ns=NOW + 8563 * US)}, "lease"),
        ({"order": replace(ORDER, expires_ns=NOW)}, "expired"),
        ({"order": replace(ORDER, expires_ns=NOW + 100 * MS + 1)}, "expired"),
        ({"order": replace(ORDER, last_pulse_n=-1)}, "credit"),
        ({"order": replace(ORDER, bank=0)}, "bank"),
        ({"wanted": PULSE}, "bank"),
        ({"order": b""}, "order"),
        ({"age_ns": 15 * MS + 1}, "lines"),
        ({"age_ns": -1}, "lines"),
    ],
)
def test_each_reason_refuses_with_its_code(changed: dict[str, Any], code: str) -> None:
    assert ask(gate(), **changed) == code


def test_just_inside_the_limits_is_agreed() -> None:
    assert ask(gate(), age_ns=15 * MS) == ""
    assert ask(gate(), replace(ORDER, expires_ns=NOW + 8563 * US + 1)) == ""
    assert ask(gate(), replace(ORDER, expires_ns=NOW + 100 * MS)) == ""


def test_a_toggle_asks_for_less_than_a_pulse() -> None:
    resting = LIT & ~mask(In.WINDOW, In.PERMIT_OK, In.CHAIN_OK)
    assert ask(gate(), levels=resting, wanted=PERMIT) == ""
    assert ask(gate(), levels=resting, wanted=PULSE | BANK, before=PULSE) == ""


def test_credit_is_counted_by_the_gate_itself() -> None:
    of = gate()
    for n in range(2):
        at = NOW + n * SPACING
        assert ask(of, replace(ORDER, expires_ns=at + 90 * MS, order_seq=n), now_ns=at) == ""
    at = NOW + 2 * SPACING
    refilled = replace(ORDER, expires_ns=at + 90 * MS, order_seq=9)
    assert ask(of, refilled, now_ns=at) == "credit"
    assert ask(of, replace(refilled, last_pulse_n=2), now_ns=at) == ""


def test_spacing_is_kept_across_runs() -> None:
    of = gate()
    assert ask(of) == ""
    soon, late = NOW + 28_999_999, NOW + 29 * MS
    order = replace(ORDER, run_id=78)
    assert ask(of, order, now_ns=soon) == "spacing"
    assert ask(of, order, now_ns=late) == ""


def test_a_refused_pulse_costs_neither_credit_nor_spacing() -> None:
    of = gate()
    for _ in range(5):
        assert ask(of, levels=LIT & ~mask(In.WINDOW)) == "window"
    assert ask(of) == ""


def test_runs_and_epochs_only_grow() -> None:
    of = gate()
    assert ask(of, replace(ORDER, run_id=80)) == ""
    assert ask(of, replace(ORDER, run_id=79), now_ns=NOW + 40 * MS) == "run"
    assert ask(of, replace(ORDER, supervisor_epoch=4), wanted=PERMIT) == ""
    assert ask(of, wanted=PERMIT) == "epoch"


def quick(of: Gate, levels: int, age_ns: int = 0) -> str:
    return of.withdraws(NOW, encode(KIND_INPUTS, 1, 0, levels), NOW - age_ns)


def test_while_pulse_is_high_it_withdraws_on_pedal_interlock_and_age() -> None:
    of = gate()
    assert ask(of) == ""
    assert quick(of, LIT) == ""
    assert quick(of, LIT & ~mask(In.WINDOW, In.PERMIT_OK) | mask(In.XRAY_ON)) == ""
    assert quick(of, LIT & ~mask(In.FLUORO_NO)) == "pedal"
    assert quick(of, LIT | mask(In.FLUORO_NC)) == "pedal"
    assert quick(of, LIT, age_ns=15 * MS + 1) == "lines"
    for line in In:
        if INTERLOCKS >> line & 1:
            assert quick(of, LIT & ~(1 << line)) == "interlock"


def test_it_withdraws_by_the_pedal_of_the_pulse_it_granted() -> None:
    of = gate()
    levels = LIT & ~mask(In.FLUORO_NO, In.CINE_NC) | mask(In.FLUORO_NC, In.CINE_NO)
    assert ask(of, replace(ORDER, mode=Mode.CINE), levels) == ""
    assert quick(of, levels) == ""
    assert quick(of, LIT) == "pedal"


def test_a_rehearsal_grants_nothing() -> None:
    of = gate()
    packet = encode(KIND_INPUTS, 1, 0, LIT)
    for _ in range(5):
        assert of.rehearse(NOW, packet, NOW, pack(ORDER), PULSE | BANK) == ""
    assert of.rehearse(NOW, b"", NOW, pack(ORDER), PULSE | BANK) == "lines or order"
    assert of.rehearse(NOW, packet, NOW, b"", PULSE | BANK) == "lines or order"
    assert of.rehearse(NOW, packet, NOW, pack(ORDER), PULSE) == "bank"
    assert ask(of) == ""
    assert ask(of, now_ns=NOW + SPACING) == ""


def test_first_light_agrees_to_nothing() -> None:
    inhibited = Gate(SPACING, 50_000, inhibited=True)
    assert ask(inhibited) == "inhibited"
    assert ask(inhibited, wanted=PERMIT) == "inhibited"


@pytest.mark.parametrize(
    "packet",
    [
        b"", b"x" * 28, encode(KIND_OUTPUTS, 1, 0, 0), encode(KIND_INPUTS, 1, 0, LIT)[:-1],
        encode(KIND_INPUTS, 1, 0, LIT)[:-1] + b"\0",
    ],
)  # fmt: skip
def test_a_damaged_packet_is_no_permission(packet: bytes) -> None:
    assert gate().agree(NOW, packet, NOW, pack(ORDER), 0, PULSE | BANK) == "lines"
    assert gate().agree_exercise(NOW, packet, NOW, PERMIT) == "lines"


@given(st.integers(0, 27), st.integers(1, 255))
def test_any_spoiled_byte_of_the_lines_is_no_permission(at: int, by: int) -> None:
    packet = bytearray(encode(KIND_INPUTS, 1, 0, LIT))
    packet[at] ^= by
    assert gate().agree(NOW, bytes(packet), NOW, pack(ORDER), 0, PULSE | BANK) == "lines"


def body(**changed: object) -> bytes:
    packed: bytes = msgpack.packb(msgpack.unpackb(pack(ORDER)) | changed)
    return packed


@pytest.mark.parametrize(
    "raw",
    [
        msgpack.packb([1]), b"\xc1", body(m="dark"), body(v=2), body(mode="x"), body(mode=[]),
        body(mode=None), *(body(**{name: value}) for name in
        ("supervisor_epoch", "run_id", "last_pulse_n", "expires_ns", "set_us", "rise_us",
         "tail_us", "bank") for value in ("1", 1.5, True, None)),
    ],
)  # fmt: skip
def test_bytes_that_are_no_order_are_no_permission(raw: bytes) -> None:
    assert ask(gate(), raw) == "order"


@given(st.binary(max_size=200))
def test_noise_is_no_order(noise: bytes) -> None:
    assert ask(gate(), noise) == "order"


def test_the_same_bytes_are_read_once_and_judged_every_time() -> None:
    of = gate()
    assert ask(of, wanted=PERMIT) == ""
    assert ask(of, wanted=PERMIT, now_ns=ORDER.expires_ns) == "expired"
    assert ask(of, b"", wanted=PERMIT) == "order"


@pytest.mark.parametrize(
    ("levels", "wanted", "code"),
    [
        (NC_CONTACTS, PERMIT, ""),
        (NC_CONTACTS, PULSE, ""),
        (NC_CONTACTS | mask(In.FLUORO_NO), PERMIT, "pedals"),
        (NC_CONTACTS & ~mask(In.CINE_NC), PERMIT, "pedals"),
        (NC_CONTACTS | mask(In.CHAIN_OK), PERMIT, "chain"),
        (NC_CONTACTS | mask(In.XRAY_ON), PERMIT, "xray"),
        (NC_CONTACTS | mask(In.PERMIT_OK), PERMIT, ""),
        (NC_CONTACTS | mask(In.PERMIT_OK), PULSE, "permit_ok"),
    ],
)
def test_an_exercise_is_agreed_only_where_nothing_can_shine(
    levels: int, wanted: int, code: str
) -> None:
    packet = encode(KIND_INPUTS, 1, 0, levels)
    assert gate().agree_exercise(NOW, packet, NOW, wanted) == code


def test_first_light_never_lets_permit_rise_not_even_in_an_exercise() -> None:
    packet = encode(KIND_INPUTS, 1, 0, NC_CONTACTS)
    inhibited = Gate(SPACING, 50_000, inhibited=True)
    assert inhibited.agree_exercise(NOW, packet, NOW, PERMIT) == "inhibited"
    assert inhibited.agree_exercise(NOW, packet, NOW, PERMIT | PULSE) == "inhibited"
    assert inhibited.agree_exercise(NOW, packet, NOW, PULSE) == ""


@given(st.integers(0, IN_ALL), st.booleans())
def test_a_pulse_is_agreed_on_exactly_one_picture_of_the_lines(levels: int, exact: bool) -> None:
    if exact:
        levels |= LIT
        levels &= ~mask(In.FLUORO_NC, In.XRAY_ON)
    needed, forbidden = (
        INTERLOCKS | mask(In.FLUORO_NO, In.WINDOW, In.PERMIT_OK, In.CHAIN_OK),
        mask(In.FLUORO_NC, In.XRAY_ON),
    )
    well = levels & needed == needed and not levels & forbidden
    assert (ask(gate(), levels=levels) == "") == well


def test_a_gate_begins_without_run_pulse_or_epoch() -> None:
    fresh = gate()
    assert (fresh._run_id, fresh._granted, fresh._epoch) == (0, 0, 0)


def test_a_bank_in_which_every_line_is_low_is_a_bank() -> None:
    packet = encode(KIND_INPUTS, 1, 0, 0)
    assert ask(gate(), levels=0) == "interlock"
    assert gate().withdraws(NOW, packet, NOW) == "interlock"
    assert gate().rehearse(NOW, packet, NOW, pack(ORDER), PULSE) == "interlock"
    assert gate().agree_exercise(NOW, packet, NOW, PERMIT) == "pedals"


@pytest.mark.invariant(5)
@pytest.mark.parametrize(("set_us", "code"), [(0, "width"), (1, ""), (50_000, ""), (-1, "width")])
def test_a_width_is_more_than_nothing_and_at_most_the_cap(set_us: int, code: str) -> None:
    assert ask(gate(), body(set_us=set_us)) == code


def test_a_rehearsal_walks_the_way_of_the_withdrawal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = []
    monkeypatch.setattr(Gate, "withdraws", lambda self, *given: walked.append(given))
    packet = encode(KIND_INPUTS, 1, 0, LIT)
    gate().rehearse(NOW, packet, NOW, pack(ORDER), PULSE | BANK)
    assert walked == [(NOW, packet, NOW)]
