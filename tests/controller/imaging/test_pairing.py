"""Pairing by overlap: examples for every branch, and any pattern of loss."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from controller.imaging.pairing import (
    PENDING_MAX,
    WAITING_MAX,
    Outcome,
    Pairing,
    believable,
    holds,
    overlap_ns,
    touches,
)
from realtime.wire.messages import PulseReport
from realtime.wire.ring import Slot
from tests.controller.imaging.peers import MS, pulse_report

PERIOD = 33 * MS
NOW = 100_000 * MS


def slot(n: int, shift_ns: int = 0, seq: int = 0) -> Slot:
    """The slot whose window holds pulse `n` of `pulse` below."""
    open_ns = 1000 * MS + n * PERIOD - MS + shift_ns
    return Slot(seq or n + 1, n + 1, open_ns, open_ns + 13 * MS, open_ns + 31 * MS,
                4, 4, 0, 32, 0, 0)  # fmt: skip


def pulse(n: int) -> PulseReport:
    return pulse_report(5, n, 1000 * MS + n * PERIOD)


def test_overlap_of_half_open_intervals() -> None:
    assert overlap_ns(0, 10, 5, 20) == 5
    assert overlap_ns(0, 10, 10, 20) == 0
    assert overlap_ns(0, 30, 5, 20) == 15
    assert overlap_ns(40, 50, 5, 20) == 0


def test_more_than_half_belongs_and_exactly_half_does_not() -> None:
    one = pulse_report(5, 0, 1000, end_ns=2000)
    half = slot(0)._replace(integration_open_ns=1500, integration_close_ns=9000)
    assert not holds(half, one)
    assert touches(half, one)
    assert holds(half._replace(integration_open_ns=1499), one)
    assert not touches(half._replace(integration_open_ns=2000), one)


def test_a_pulse_cut_at_once_still_has_its_frame() -> None:
    cut = replace(pulse(0), end_ns=pulse(0).start_ns)
    assert holds(slot(0), cut)
    assert touches(slot(0), cut)
    assert not holds(slot(1), cut)


def test_a_frame_finds_its_pulse() -> None:
    pairing = Pairing()
    assert pairing.pulse(pulse(0), 1) == (None, [])
    match = pairing.frame(slot(0), NOW)
    assert match.outcome is Outcome.PAIRED
    assert match.pulse == pulse(0)
    assert match.overtaken == ()
    assert pairing.pending == 0


def test_stamps_of_a_pulse_that_is_still_to_come_are_refused_and_do_not_wait() -> None:
    pairing = Pairing()
    pairing.pulse(pulse(0), 1)
    arrived_ns = slot(0).readout_end_ns
    foreign = slot(1)._replace(readout_end_ns=arrived_ns)
    for stamps in (foreign, slot(1)):
        assert pairing.frame(stamps, arrived_ns).outcome is Outcome.FOREIGN
    assert pairing.pulse(pulse(1), 2) == (None, []), "nothing waited for it"
    assert pairing.frame(slot(0), slot(0).integration_close_ns).outcome is Outcome.PAIRED


def test_an_interval_that_is_none_is_refused() -> None:
    empty = slot(0)._replace(integration_close_ns=slot(0).integration_open_ns)
    assert not believable(empty, NOW)
    assert believable(slot(0), slot(0).integration_close_ns)
    assert not believable(slot(0), slot(0).integration_close_ns - 1)


def test_a_later_frame_overtakes_pulses_that_lost_theirs() -> None:
    pairing = Pairing()
    for n in range(3):
        pairing.pulse(pulse(n), n)
    match = pairing.frame(slot(2), NOW)
    assert match.pulse == pulse(2)
    assert match.overtaken == (pulse(0), pulse(1))


def test_the_same_window_twice_is_a_duplicate() -> None:
    pairing = Pairing()
    pairing.pulse(pulse(0), 1)
    pairing.frame(slot(0), NOW)
    assert pairing.frame(slot(0, seq=9), NOW).outcome is Outcome.DUPLICATE


def test_a_window_that_holds_less_than_half_leaves_the_pulse_waiting() -> None:
    pairing = Pairing()
    pairing.pulse(pulse(0), 1)
    assert pairing.frame(slot(0, shift_ns=8 * MS), NOW).outcome is Outcome.PARTIAL
    assert pairing.pending == 1
    assert pairing.frame(slot(0), NOW).outcome is Outcome.PAIRED


def test_metadata_of_another_pulse_does_not_pair() -> None:
    pairing = Pairing()
    pairing.pulse(pulse(5), 1)
    assert pairing.frame(slot(3), NOW).outcome is Outcome.UNPULSED
    assert pairing.pending == 1


def test_a_report_that_comes_after_its_frame_claims_it() -> None:
    pairing = Pairing()
    assert pairing.frame(slot(0), NOW).outcome is Outcome.UNPULSED
    claimed, dropped = pairing.pulse(pulse(0), 1)
    assert claimed == slot(0)
    assert dropped == []
    assert pairing.frame(slot(0), NOW).pulse == pulse(0)
    assert pairing.pulse(pulse(1), 1)[0] is None


def test_waiting_slots_are_bounded() -> None:
    pairing = Pairing()
    for n in range(WAITING_MAX + 1):
        pairing.frame(slot(n), NOW)
    assert pairing.pulse(pulse(0), 1)[0] is None
    assert pairing.pulse(pulse(1), 1)[0] == slot(1)


def test_pending_pulses_are_bounded_and_the_oldest_gives_way() -> None:
    pairing = Pairing()
    for n in range(PENDING_MAX):
        assert pairing.pulse(pulse(n), n) == (None, [])
    assert pairing.pulse(pulse(PENDING_MAX), 1) == (None, [pulse(0)])
    assert pairing.pending == PENDING_MAX


def test_deadlines() -> None:
    pairing = Pairing()
    assert pairing.next_deadline_ns() is None
    pairing.pulse(pulse(0), 100)
    pairing.pulse(pulse(1), 200)
    assert pairing.next_deadline_ns() == 100
    assert pairing.expire(99) == []
    assert pairing.expire(100) == [pulse(0)]
    assert pairing.next_deadline_ns() == 200


def test_drop_all_forgets_pulses_and_slots() -> None:
    pairing = Pairing()
    pairing.pulse(pulse(0), 1)
    pairing.frame(slot(7), NOW)
    assert pairing.drop_all() == [pulse(0)]
    assert pairing.pulse(pulse(7), 1)[0] is None


@given(
    st.lists(st.sampled_from(["frame", "lost", "twice", "late_report"]), max_size=24),
    st.integers(-MS, 2 * MS),
)
def test_any_pattern_of_loss_pairs_each_frame_with_its_own_pulse(
    fates: list[str], shift_ns: int
) -> None:
    pairing = Pairing()
    paired: list[int] = []
    lost: list[int] = []
    for n, fate in enumerate(fates):
        if fate == "late_report":
            match = pairing.frame(slot(n, shift_ns), NOW)
            assert match.outcome is Outcome.UNPULSED
            claimed, _ = pairing.pulse(pulse(n), n)
            assert claimed is not None
            match = pairing.frame(claimed, NOW)
        else:
            pairing.pulse(pulse(n), n)
            if fate == "lost":
                continue
            match = pairing.frame(slot(n, shift_ns), NOW)
        assert match.pulse == pulse(n)
        paired.append(n)
        lost += [report.pulse_n for report in match.overtaken]
        if fate == "twice":
            assert pairing.frame(slot(n, shift_ns), NOW).outcome is Outcome.DUPLICATE
    lost += [report.pulse_n for report in pairing.expire(len(fates))]
    assert paired == [n for n, fate in enumerate(fates) if fate != "lost"]
    assert lost == [n for n, fate in enumerate(fates) if fate == "lost"]
