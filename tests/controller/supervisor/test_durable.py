"""The durable copy: nothing lost, nothing twice, torn tails cut, missing pulses added."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.reconcile import Account, Recorded
from controller.supervisor import durable
from controller.supervisor.durable import ENTRY_BYTES, Copier, PulseLog, settle
from realtime.blackbox import BlackBox
from realtime.wire.messages import EndReason
from realtime.wire.record import (
    FLAG_REPAIRED,
    REASONS,
    BlackBoxError,
    Record,
    RecordKind,
    RecordState,
    pack_record,
)
from tests.controller.core.scene import result


def record(pulse_id: int, **changes: int) -> Record:
    fields: dict[str, int] = {
        "mode": 0, "bank": 0, "end_reason": REASONS.index(EndReason.SET), "flags": 0,
        "pulse_n": 0, "technique_id": 7, "pulse_id": pulse_id, "run_id": 1, "order_seq": 1,
        "supervisor_epoch": 1, "due_ns": 1, "start_ns": 1000 + pulse_id, "end_ns": 2,
        "window_open_ns": 0, "window_close_ns": 0, "xray_on_ns": 5000 + pulse_id,
        "xray_off_ns": 9, "set_us": 8000,
    }  # fmt: skip
    return Record(RecordKind.PULSE, RecordState.CLOSED, *{**fields, **changes}.values())


def put(box: BlackBox, made: Record) -> None:
    box.intent(made._replace(state=RecordState.INTENT))
    box.close_pulse(made)


def opened(path: Path) -> PulseLog:
    log = PulseLog(path)
    log.open()
    return log


def ids(path: Path) -> list[int]:
    raw = path.read_bytes()
    assert len(raw) % ENTRY_BYTES == 0
    parts = (raw[at : at + ENTRY_BYTES] for at in range(0, len(raw), ENTRY_BYTES))
    return [durable.unpack_entry(part)[1].pulse_id for part in parts]


def test_records_are_copied_once_and_the_consumer_moves(tmp_path: Path) -> None:
    box = BlackBox(tmp_path / "ring")
    log = opened(tmp_path / "log")
    copier = Copier(tmp_path / "ring", log)
    for pulse_id in (1, 2, 3):
        put(box, record(pulse_id))
    assert box.store().unread == 3
    assert copier.copy() == 0
    assert box.store().unread == 0
    put(box, record(4))
    box.intent(record(5)._replace(state=RecordState.INTENT))
    assert copier.copy() == 1, "an open pulse is not copied"
    box.close_pulse(record(5))
    assert copier.copy() == 0
    assert (ids(log.path), log.lit, log.last_pulse_id) == ([1, 2, 3, 4, 5], 5, 5)
    copier.close()
    log.close()
    box.finish()


def test_a_lost_consumer_index_copies_nothing_twice(tmp_path: Path) -> None:
    box = BlackBox(tmp_path / "ring")
    log = opened(tmp_path / "log")
    for pulse_id in (1, 2):
        put(box, record(pulse_id))
    first = Copier(tmp_path / "ring", log)
    first.copy()
    first.close()
    log.close()
    with (tmp_path / "ring").open("r+b") as ring:
        ring.seek(128)
        ring.write(b"\xff" * 12)
    log = opened(tmp_path / "log")
    copier = Copier(tmp_path / "ring", log)
    put(box, record(3))
    copier.copy()
    assert ids(log.path) == [1, 2, 3]
    copier.close()
    log.close()
    box.finish()


def test_a_missing_or_damaged_ring_is_told(tmp_path: Path) -> None:
    log = opened(tmp_path / "log")
    copier = Copier(tmp_path / "ring", log)
    with pytest.raises(BlackBoxError, match="missing"):
        copier.copy()
    (tmp_path / "ring").write_bytes(b"short")
    with pytest.raises(BlackBoxError, match="length"):
        copier.copy()
    (tmp_path / "ring").write_bytes(b"\0" * 8192)
    with pytest.raises(BlackBoxError, match="magic"):
        copier.copy()
    copier.close()
    log.close()


def test_a_new_ring_after_power_loss_is_followed(tmp_path: Path) -> None:
    log = opened(tmp_path / "log")
    copier = Copier(tmp_path / "ring", log)
    for pulse_id in (1, 2):
        box = BlackBox(tmp_path / "ring")
        put(box, record(pulse_id))
        assert copier.copy() == 0
        box.finish()
        (tmp_path / "ring").unlink()
    assert ids(log.path) == [1, 2]
    copier.close()
    log.close()


@given(st.integers(0, 3 * ENTRY_BYTES - 1))
@pytest.mark.invariant(15)
def test_a_torn_tail_is_cut_and_kept_beside(tmp_path_factory: pytest.TempPathFactory,
                                            cut: int) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("torn")
    log = opened(folder / "pulses.log")
    log.append([(n, record(n)) for n in (1, 2, 3)])
    log.close()
    os.truncate(log.path, cut)
    again = opened(log.path)
    whole = cut // ENTRY_BYTES
    assert ids(log.path) == list(range(1, whole + 1))
    assert (again.lit, again.cut_bytes) == (whole, cut % ENTRY_BYTES)
    assert (folder / "pulses.torn").exists() == bool(again.cut_bytes)
    again.append([(9, record(9))])
    again.close()
    assert ids(log.path) == [*range(1, whole + 1), 9]


@pytest.mark.invariant(15)
def test_a_full_disk_leaves_no_half_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path / "log")
    log.append([(1, record(1))])
    real = os.write

    def short(fd: int, raw: bytes) -> int:
        return real(fd, raw[:50])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="space") as caught:
        log.append([(2, record(2))])
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    log.append([(2, record(2))])
    log.close()
    assert ids(log.path) == [1, 2]


def test_what_nobody_recorded_is_added_with_its_mark(tmp_path: Path) -> None:
    log = opened(tmp_path / "log")
    log.append([(0, record(1))])
    recent = (result(11, 7), result(12, 8), result(13, 8))
    finding, account = settle(log, Account(10, 0), 13, recent)
    assert [one.counter for one in finding.missing] == [12, 13]
    assert account == Account(13, 3)
    again, _ = settle(log, account, 13, ())
    assert again.missing == ()
    log.close()
    log = opened(log.path)
    assert log.lit == 3
    raw = log.path.read_bytes()
    added = durable.unpack_entry(raw[-ENTRY_BYTES:])
    assert added[0] == durable.INDEX_ADDED
    assert added[1].flags & FLAG_REPAIRED
    assert added[1].technique_id == 8
    log.close()


CRASH = REASONS.index(EndReason.CRASH)


@pytest.mark.invariant(10)
def test_what_a_crash_left_open_and_nobody_emitted_is_taken_back_for_good(tmp_path: Path) -> None:
    log = opened(tmp_path / "log")
    left_open = record(3, xray_on_ns=0, end_reason=CRASH, flags=FLAG_REPAIRED)
    log.append([(0, record(1)), (1, record(2)), (2, left_open)])
    assert log.lit == 3, "until the generator is asked"
    finding, account = settle(log, Account(10, 0), 12, (result(11, 7), result(12, 7)))
    assert (finding.taken_back, log.lit, account) == (1, 2, Account(12, 2))
    log.append([(2, left_open)])
    assert log.lit == 2, "read from the ring once more it is still the same record"
    log.append([(3, record(4))])
    log.close()
    log = opened(log.path)
    assert (log.lit, ids(log.path), log.since(2)) == (3, [1, 2, 3, 3, 4], [Recorded(7, True)])
    again, _ = settle(log, account, 13, (result(11, 7), result(12, 7), result(13, 7)))
    assert (again.missing, again.surplus, again.taken_back) == ((), 0, 0)
    log.close()


@pytest.mark.invariant(10)
def test_of_two_crashes_the_later_one_is_taken_back(tmp_path: Path) -> None:
    log = opened(tmp_path / "log")
    for pulse_id in (1, 2):
        log.append([(pulse_id, record(pulse_id, xray_on_ns=0, end_reason=CRASH))])
    log.append([(3, record(3))])
    finding, _ = settle(log, Account(10, 0), 12, (result(11, 7), result(12, 7)))
    assert (finding.taken_back, ids(log.path)) == (1, [1, 2, 3, 2])
    assert log.since(0) == [Recorded(7, True, sure=False), Recorded(7, True)]
    log.close()


def test_what_was_added_is_sure(tmp_path: Path) -> None:
    log = opened(tmp_path / "log")
    settle(log, Account(10, 0), 11, (result(11, 7),))
    assert log.since(0) == [Recorded(7, True)]
    log.close()


def test_dark_records_are_kept_but_not_expected_of_the_generator(tmp_path: Path) -> None:
    log = opened(tmp_path / "log")
    log.append([(0, record(1, xray_on_ns=0)), (1, record(2, xray_on_ns=0, end_reason=CRASH))])
    assert (log.lit, ids(log.path)) == (1, [1, 2])
    assert len(log.since(0)) == 1
    assert log.since(1) == []
    log.close()


def test_damage_is_told_by_its_kind() -> None:
    entry = bytearray(durable.pack_entry(3, pack_record(record(3))))
    assert durable.unpack_entry(bytes(entry))[0] == 3
    for at in (0, 8, 12, 20, 143):
        spoiled = bytearray(entry)
        spoiled[at] ^= 1
        with pytest.raises(BlackBoxError):
            durable.unpack_entry(bytes(spoiled))
    with pytest.raises(BlackBoxError, match="length"):
        durable.unpack_entry(bytes(entry[:-1]))
