"""The black box: intents, repair after a crash, latches that persist, the wrap of the ring."""

import os
import signal
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.blackbox import BlackBox
from realtime.trips import TripCode
from realtime.wire.messages import EndReason
from realtime.wire.record import (
    CAPACITY_MIN,
    FLAG_REPAIRED,
    FLAG_TRUNCATED,
    PAGE,
    REASONS,
    RECORD_BYTES,
    Head,
    Record,
    RecordKind,
    RecordState,
    file_bytes,
    read_consumer,
    record_offset,
    unpack_head,
    unpack_record,
    write_consumer,
)
from tests.house.tree import ROOT
from tests.realtime.peers import eventually


def record(pulse_id: int, state: RecordState, kind: RecordKind = RecordKind.PULSE) -> Record:
    return Record(kind, state, 0, 1, REASONS.index(EndReason.SET), 0, pulse_id, 9, pulse_id, 77,
                  1, 3, 10, 11, 0, 5, 20, 0, 0, 8000)  # fmt: skip


def intent(pulse_id: int) -> Record:
    return record(pulse_id, RecordState.INTENT)


def closed(pulse_id: int) -> Record:
    return record(pulse_id, RecordState.CLOSED)._replace(end_ns=20)


@pytest.fixture
def path(run_dir: Path) -> Path:
    return run_dir / "blackbox.ring"


@pytest.fixture
def box(path: Path) -> Iterator[BlackBox]:
    made = BlackBox(path)
    yield made
    made.finish()


def records(path: Path) -> list[Record]:
    """Every record of a file, oldest first."""
    raw = path.read_bytes()
    head = unpack_head(raw)
    places = range(max(0, head.written - head.capacity), head.written)
    offsets = [record_offset(index, head.capacity) for index in places]
    return [unpack_record(raw[at : at + RECORD_BYTES]) for at in offsets]


def consume(path: Path, count: int) -> None:
    """The durable copy has read so far."""
    with path.open("r+b") as file:
        page = bytearray(file.read(PAGE))
        write_consumer(memoryview(page), count)
        file.seek(0)
        file.write(page)


def test_a_new_box_is_empty_and_not_latched(box: BlackBox, path: Path) -> None:
    assert box.latched == []
    assert box.store() == (0, CAPACITY_MIN)
    assert box.pulse_id_next == 1
    assert path.stat().st_size == file_bytes(CAPACITY_MIN)
    assert unpack_head(path.read_bytes()).running == 1


def test_an_intent_stands_before_the_pulse_and_is_closed_in_place(
    box: BlackBox, path: Path
) -> None:
    box.intent(intent(1))
    assert records(path) == [intent(1)]
    box.close_pulse(closed(1))
    assert records(path) == [closed(1)]
    box.intent(intent(2))
    assert records(path) == [closed(1), intent(2)]
    box.close_pulse(closed(2))
    assert box.store().unread == 2
    assert box.pulse_id_next == 3


def test_strays_stand_beside_an_open_pulse(box: BlackBox, path: Path) -> None:
    box.intent(intent(1))
    stray = record(0, RecordState.CLOSED, RecordKind.STRAY)
    box.stray(stray)
    box.close_pulse(closed(1))
    assert records(path) == [closed(1), stray]


def test_a_pulse_is_opened_and_closed_once(box: BlackBox) -> None:
    with pytest.raises(AssertionError):
        box.close_pulse(closed(1))
    box.intent(intent(1))
    with pytest.raises(AssertionError):
        box.intent(intent(2))
    box.close_pulse(closed(1))


def test_a_rehearsal_writes_nothing(box: BlackBox, path: Path) -> None:
    before = path.read_bytes()
    box.rehearse(intent(1))
    assert path.read_bytes() == before


def test_the_consumer_lowers_what_is_unread(box: BlackBox, path: Path) -> None:
    for pulse_id in (1, 2, 3):
        box.intent(intent(pulse_id))
        box.close_pulse(closed(pulse_id))
    consume(path, 2)
    assert box.store().unread == 1
    consume(path, 9)
    assert box.store().unread == 0


def test_a_clean_stop_is_no_latch_and_numbers_go_on(path: Path) -> None:
    first = BlackBox(path)
    first.intent(intent(1))
    first.close_pulse(closed(1))
    first.finish()
    epoch = unpack_head(path.read_bytes()).realtime_epoch
    second = BlackBox(path)
    assert second.latched == []
    assert second.pulse_id_next == 2
    assert second.store().unread == 1
    assert second.repaired == 0
    second.finish()
    assert unpack_head(path.read_bytes()).realtime_epoch == epoch + 1


def test_an_unclean_stop_latches_until_it_is_cleared(path: Path) -> None:
    BlackBox(path)
    second = BlackBox(path)
    assert second.latched == [TripCode.UNCLEAN]
    second.finish()
    third = BlackBox(path)
    assert third.latched == [TripCode.UNCLEAN], "a clean stop clears no latch"
    third.latch([])
    third.finish()
    fourth = BlackBox(path)
    assert fourth.latched == []
    fourth.finish()


@pytest.mark.parametrize("trips", [[code] for code in TripCode] + [list(TripCode)])
def test_trips_survive_a_restart(path: Path, trips: list[TripCode]) -> None:
    first = BlackBox(path)
    first.latch(trips)
    first.latch(trips)
    first.finish()
    second = BlackBox(path)
    assert second.latched == trips
    second.finish()


def test_an_intent_without_an_end_is_closed_as_a_crash(path: Path) -> None:
    first = BlackBox(path)
    for pulse_id in (1, 2):
        first.intent(intent(pulse_id))
        first.close_pulse(closed(pulse_id))
    first.intent(intent(3))
    second = BlackBox(path)
    assert second.repaired == 1
    assert second.pulse_id_next == 4
    repaired = records(path)[2]
    assert repaired.state is RecordState.CLOSED
    assert REASONS[repaired.end_reason] is EndReason.CRASH
    assert repaired.flags & FLAG_REPAIRED
    assert not repaired.flags & FLAG_TRUNCATED
    assert records(path)[:2] == [closed(1), closed(2)]
    second.finish()


@pytest.mark.parametrize("written", [0, CAPACITY_MIN - 1, CAPACITY_MIN])
def test_the_very_first_and_every_other_place_is_repaired(path: Path, written: int) -> None:
    first = BlackBox(path)
    first._update(written=written)
    first.intent(intent(1))
    second = BlackBox(path)
    assert second.repaired == 1
    second.finish()


def test_the_oldest_place_of_a_full_ring_is_repaired(path: Path) -> None:
    first = BlackBox(path)
    first.intent(intent(1))
    first._update(written=CAPACITY_MIN)
    second = BlackBox(path)
    assert second.repaired == 1
    second.finish()


def test_a_damaged_record_is_left_as_it_is(path: Path) -> None:
    first = BlackBox(path)
    first.intent(intent(1))
    first.close_pulse(closed(1))
    first.finish()
    with path.open("r+b") as file:
        file.seek(record_offset(0, CAPACITY_MIN) + 50)
        file.write(b"\xff")
    before = path.read_bytes()[PAGE:]
    second = BlackBox(path)
    assert second.repaired == 0
    assert path.read_bytes()[PAGE:] == before
    second.finish()


@pytest.mark.parametrize("at", [0, 20, 64])
def test_a_damaged_header_comes_up_latched_and_empty(path: Path, at: int) -> None:
    first = BlackBox(path)
    first.intent(intent(1))
    first.close_pulse(closed(1))
    first.finish()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0xFF]))
    second = BlackBox(path)
    assert second.latched == [TripCode.UNCLEAN]
    assert second.store().unread == 0
    second.finish()


@pytest.mark.parametrize("size", [0, 100, PAGE, file_bytes(CAPACITY_MIN) + 1])
def test_a_file_of_another_size_comes_up_latched_and_empty(path: Path, size: int) -> None:
    path.write_bytes(b"x" * size)
    made = BlackBox(path)
    assert made.latched == [TripCode.UNCLEAN]
    assert made.store().unread == 0
    made.finish()
    assert path.stat().st_size == file_bytes(CAPACITY_MIN)


def test_the_ring_wraps_and_keeps_the_newest(path: Path) -> None:
    made = BlackBox(path)
    made._update(written=CAPACITY_MIN - 1)
    for pulse_id in (1, 2, 3):
        made.intent(intent(pulse_id))
        made.close_pulse(closed(pulse_id))
    made.intent(intent(4))
    assert made.store().unread == CAPACITY_MIN + 3
    again = BlackBox(path)
    assert again.repaired == 1
    raw = path.read_bytes()
    for pulse_id, index in ((1, CAPACITY_MIN - 1), (2, 0), (3, 1), (4, 2)):
        at = record_offset(index, CAPACITY_MIN)
        assert unpack_record(raw[at : at + RECORD_BYTES]).pulse_id == pulse_id
    again.finish()


def test_a_folder_that_cannot_be_written_is_an_error_of_the_world(run_dir: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        BlackBox(run_dir / "missing" / "blackbox.ring")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_file_is_its_owner_s_and_its_group_s(path: Path) -> None:
    before = os.umask(0)
    try:
        made = BlackBox(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    made.finish()


def test_one_file_stays_open_until_the_end(path: Path) -> None:
    before = open_files()
    made = BlackBox(path)
    assert open_files() == before + 1, "the map's own"
    made.finish()
    assert open_files() == before


def test_the_head_of_a_new_file(box: BlackBox, path: Path) -> None:
    assert unpack_head(path.read_bytes()) == Head(CAPACITY_MIN, 1, 0, 1, 1, 0, 0)


def test_a_damaged_header_forgets_how_far_the_copy_was(path: Path) -> None:
    """Otherwise the new records would count as read, and the box as emptier than it is."""
    first = BlackBox(path)
    for pulse_id in (1, 2, 3):
        first.intent(intent(pulse_id))
        first.close_pulse(closed(pulse_id))
    first.finish()
    consume(path, 3)
    with path.open("r+b") as file:
        file.write(b"\xff")
    second = BlackBox(path)
    assert second.store().unread == 0
    second.intent(intent(1))
    second.close_pulse(closed(1))
    assert second.store().unread == 1
    second.finish()


def test_what_was_never_written_is_not_repaired(path: Path) -> None:
    """An intent of a file before this one stands in its place, unread and unchanged."""
    first = BlackBox(path)
    first._update(written=CAPACITY_MIN - 1)
    first.intent(intent(1))
    first._update(written=3)
    second = BlackBox(path)
    assert second.repaired == 0
    second.finish()


def test_a_rehearsal_finds_what_cannot_be_written(box: BlackBox) -> None:
    with pytest.raises(struct.error):
        box.rehearse(intent(1)._replace(set_us=-1))


WRITER = """
import sys
from pathlib import Path
from realtime.blackbox import BlackBox
from tests.realtime.test_blackbox import closed, intent
box = BlackBox(Path(sys.argv[1]))
pulse_id = box.pulse_id_next
while True:
    box.intent(intent(pulse_id))
    box.close_pulse(closed(pulse_id))
    pulse_id += 1
"""


@pytest.mark.process
def test_killed_in_the_middle_of_writing_nothing_is_lost_and_the_next_start_is_latched(
    path: Path,
) -> None:
    last = 0
    for round_n in range(3):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT)
        wanted = last + 500 + 37 * round_n
        eventually(lambda: path.exists() and written(path) > wanted, "it writes")  # noqa: B023
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        box = BlackBox(path)
        assert box.latched == [TripCode.UNCLEAN]
        assert box.repaired <= 1
        last = box.store().unread
        found = records(path)
        assert [r.pulse_id for r in found] == list(range(1, len(found) + 1))[-CAPACITY_MIN:]
        assert all(r.state is RecordState.CLOSED for r in found)
        assert box.pulse_id_next == found[-1].pulse_id + 1
        box.finish()


def written(path: Path) -> int:
    try:
        return unpack_head(path.read_bytes()[:PAGE]).written
    except ValueError:
        return 0


def test_the_consumer_of_a_fresh_file_is_zero(box: BlackBox, path: Path) -> None:
    assert box.store().unread == 0
    assert read_consumer(path.read_bytes()[:PAGE]) == 0
