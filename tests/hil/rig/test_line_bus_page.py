"""`docs/line-bus.md` is true: its layout, its line tables, and its controller, which is run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.wire import linebus
from realtime.wire.lines import In, Out
from tests.hil.rig.stranger import LIMIT_S, ROOT, Rig

PAGE = (ROOT / "docs" / "line-bus.md").read_text()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    running = Rig(tmp_path)
    yield running
    running.close()


def rows(heading: str) -> dict[str, str]:
    """Line name → bit column, of the table whose head starts with `| bit | heading`."""
    table = PAGE.split(f"| bit | {heading}")[1].split("\n\n")[0]
    cells = [row.split("|") for row in table.splitlines() if row.startswith("| ") or "`" in row]
    return {cell[2].strip(): cell[1].strip() for cell in cells if "`" in cell[2]}


@pytest.mark.parametrize(("heading", "lines"), [("input", In), ("output", Out)])
def test_the_tables_name_every_line_at_its_bit(heading: str, lines: type[In] | type[Out]) -> None:
    found = {}
    for names, bits in rows(heading).items():
        listed = re.findall(r"`(\w+)`", names)
        found.update(dict(zip(listed, map(int, bits.split(",")), strict=True)))
    assert found == {line.name: int(line) for line in lines}


def test_the_layout_is_the_one_in_the_code() -> None:
    offsets = {"magic": 0, "kind": 4, "version": 5, "reserved": 6, "seq": 8, "stamp_ns": 12,
               "levels": 20, "crc32": 24}  # fmt: skip
    for field, offset in offsets.items():
        assert re.search(rf"^\| {offset} \| [^|]+ \| {field} \|", PAGE, re.MULTILINE), field
    packet = linebus.encode(linebus.KIND_OUTPUTS, 0x01020304, 0x1122334455667788, 0x3F)
    assert len(packet) == 28
    assert packet[:4] == b"CLB1"
    assert (packet[4], packet[5]) == (2, 1)
    assert int.from_bytes(packet[8:12], "little") == 0x01020304
    assert int.from_bytes(packet[12:20], "little") == 0x1122334455667788
    assert int.from_bytes(packet[20:24], "little") == 0x3F


@pytest.mark.process
def test_the_controller_of_the_page_works_as_it_stands(rig: Rig) -> None:
    code = PAGE.split("```python\n")[1].split("```")[0]
    rig.lines.close()
    rig.until(lambda: any(r.value == "disconnected" for r in rig.of("process", "lines")))
    ended = subprocess.run(
        [sys.executable, "-c", code, str(rig.run_dir / "lines.sock")],
        capture_output=True, text=True, check=False, timeout=LIMIT_S,
    )  # fmt: skip
    lit = re.fullmatch(r"lamp lit in (\d+) turns\n", ended.stdout)
    assert lit is not None, ended.stderr
    assert int(lit[1]) > 100
