"""The truth log holds whole lines in order, the room's own line first."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hil.rig.truthfile import BUFFER_LINES_MAX, HELD_MAX, TruthFile, line_of
from hil.room.records import TruthRecord

HEAD = TruthRecord(1, "process", "rig", {"version": 1}, 0)


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_own_records_wait_for_the_rooms_first_line(tmp_path: Path) -> None:
    log = TruthFile(tmp_path / "t")
    for number in range(HELD_MAX + 10):
        log.own(number, "fault_on", "F16", None)
    assert log.flush() == 0
    log.room([HEAD])
    log.own(5, "fault_off", "F16", None)
    log.close()
    written = rows(tmp_path / "t")
    assert written[0]["name"] == "rig"
    assert len(written) == 1 + HELD_MAX + 1
    assert written[-1]["kind"] == "fault_off"


def test_lines_are_written_when_flushed_or_many(tmp_path: Path) -> None:
    log = TruthFile(tmp_path / "t")
    log.room([HEAD])
    assert (tmp_path / "t").read_bytes() == b""
    assert log.flush() == 1
    log.room([HEAD] * (BUFFER_LINES_MAX + 1))
    assert len(rows(tmp_path / "t")) == BUFFER_LINES_MAX + 2
    log.close()


def test_a_half_line_of_a_killed_rig_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(b'{"a":1}\n' * 20_000 + b'{"t_ns": 12')
    log = TruthFile(path)
    log.room([HEAD])
    log.close()
    assert len(rows(path)) == 20_001


def test_a_file_without_a_whole_line_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(b"x" * 70_000)
    log = TruthFile(path)
    log.room([HEAD])
    log.close()
    assert len(rows(path)) == 1


@given(st.text(max_size=20), st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_a_line_is_one_line(name: str, t_ns: int, pulse_id: int) -> None:
    line = line_of(TruthRecord(t_ns, "process", name, {"x": [1.5, None]}, pulse_id))
    assert line.endswith("\n") and line.count("\n") == 1
    row = json.loads(line)
    assert (row["t_ns"], row["name"]) == (t_ns, name)
    assert row.get("pulse_id", 0) == pulse_id
