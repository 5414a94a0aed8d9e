"""Walking a black box: order, wrap, damage, the record beyond the count, the page's own reader."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from realtime.wire import recordfile
from realtime.wire.record import (
    CAPACITY_MIN,
    FLAG_REPAIRED,
    FLAG_TRUNCATED,
    PAGE,
    REASONS,
    RECORD_BYTES,
    BlackBoxError,
    Head,
    Record,
    RecordKind,
    RecordState,
    file_bytes,
    pack_head,
    pack_record,
    record_offset,
)

PAGE_OF_DOCS = Path(__file__).resolve().parents[3] / "docs" / "black-box.md"


def record(pulse_id: int, **changed: object) -> Record:
    base = Record(
        RecordKind.PULSE, RecordState.CLOSED, 0, 1, 0, 0, pulse_id, 7, pulse_id, 3, 11, 5,
        990, 1_000, 9_000, 400, 13_000, 1_100, 8_600, 8_000,
    )  # fmt: skip
    return base._replace(**changed)  # type: ignore[arg-type]


def image_of(records: list[Record], written: int | None = None) -> bytearray:
    count = len(records) if written is None else written
    image = bytearray(file_bytes(CAPACITY_MIN))
    head = pack_head(Head(CAPACITY_MIN, 1, count, 1, 1, 0, 0))
    image[: len(head)] = head
    for index, one in enumerate(records):
        at = record_offset(index, CAPACITY_MIN)
        image[at : at + RECORD_BYTES] = pack_record(one)
    return image


def ids(image: bytearray) -> list[int | None]:
    return [e.record.pulse_id if e.record else None for e in recordfile.walk(bytes(image))]


def test_an_empty_box_has_no_entries() -> None:
    assert ids(image_of([])) == []


def test_records_come_oldest_first() -> None:
    assert ids(image_of([record(n) for n in range(1, 6)])) == [1, 2, 3, 4, 5]


def test_a_ring_that_went_round_begins_with_the_oldest_it_still_holds() -> None:
    many = [record(n) for n in range(CAPACITY_MIN + 3)]
    found = ids(image_of(many))
    assert len(found) == CAPACITY_MIN
    assert (found[0], found[-1]) == (3, CAPACITY_MIN + 2)


def test_a_damaged_record_is_reported_in_its_place() -> None:
    image = image_of([record(n) for n in range(1, 4)])
    image[PAGE + RECORD_BYTES + 20] ^= 1
    assert ids(image) == [1, None, 3]
    damaged = list(recordfile.walk(bytes(image)))[1]
    assert recordfile.row(damaged) == {
        "index": 1, "kind": "damaged", "damage": "crc: record checksum differs"
    }  # fmt: skip


def test_a_record_written_before_its_count_is_found() -> None:
    assert ids(image_of([record(n) for n in range(1, 4)], written=2)) == [1, 2, 3]


def test_an_old_record_beyond_the_count_is_not_taken_for_a_new_one() -> None:
    assert ids(image_of([record(8), record(9), record(3)], written=2)) == [8, 9]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [(lambda image: image[:PAGE], "length"), (lambda image: b"\1" * len(image), "magic")],
)
def test_what_is_not_a_black_box_is_refused(spoil: object, code: str) -> None:
    assert callable(spoil)
    with pytest.raises(BlackBoxError) as refused:
        list(recordfile.walk(spoil(bytes(image_of([])))))
    assert refused.value.code == code


def test_the_row_of_a_closed_pulse() -> None:
    row = recordfile.row(recordfile.Entry(4, record(21, flags=FLAG_TRUNCATED), ""))
    assert row["kind"] == "pulse"
    assert row["order_id"] == "5.11"
    assert row["window_margins_ns"] == {"open": 600, "close": 4_000}
    assert (row["end_reason"], row["truncated"], row["repaired"]) == ("set", True, False)


def test_the_row_of_a_stray_intent_without_times() -> None:
    bare = record(
        2, kind=RecordKind.STRAY, state=RecordState.INTENT, start_ns=0, end_ns=0,
        window_open_ns=0, window_close_ns=0, flags=FLAG_REPAIRED,
    )  # fmt: skip
    row = recordfile.row(recordfile.Entry(0, bare, ""))
    assert (row["kind"], row["state"], row["end_reason"]) == ("stray", "intent", None)
    assert row["window_margins_ns"] == {"open": None, "close": None}
    assert (row["start_ns"], row["repaired"]) == (None, True)


def test_numbers_of_a_later_version_are_named_as_unknown() -> None:
    later = recordfile.row(recordfile.Entry(0, record(1, end_reason=200, mode=9), ""))
    assert (later["end_reason"], later["mode"]) == ("unknown 200", "unknown 9")


def test_the_reader_printed_in_the_page_reads_the_file(tmp_path: Path) -> None:
    reader = re.search(r"```python\n(.*?)```", PAGE_OF_DOCS.read_text(), re.DOTALL)
    assert reader is not None
    image = image_of([record(n) for n in range(1, 4)])
    image[PAGE + RECORD_BYTES + 20] ^= 1
    (tmp_path / "box").write_bytes(image)
    command = [sys.executable, "-c", reader[1], str(tmp_path / "box")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = done.stdout.splitlines()
    assert told[1] == "1 damaged"
    assert told[2].split() == ["2", *(str(int(v)) for v in record(3))]


def test_the_page_lists_the_end_reasons_in_their_order() -> None:
    text = " ".join(PAGE_OF_DOCS.read_text().split())
    listed = re.search(r"End reasons: (.*?)\.", text)
    assert listed is not None
    plain = re.sub(r"\(.*?\)", "", listed[1])
    assert [part.split()[1] for part in plain.split(",")] == [str(reason) for reason in REASONS]
