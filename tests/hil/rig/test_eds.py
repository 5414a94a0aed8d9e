"""The EDS that is packaged, the one in docs and the table say the same, and canopen reads it."""

from pathlib import Path
from typing import Any

import canopen
import pytest

from hil.rig import eds


@pytest.mark.parametrize("path", eds.FILES, ids=lambda path: path.parent.name)
def test_both_files_are_the_table(path: Path) -> None:
    assert path.read_text(encoding="ascii") == eds.text(), "run python -m hil.rig.eds"


def test_canopen_reads_what_the_table_says() -> None:
    node = canopen.RemoteNode(16, str(eds.FILES[0]))
    for thing in eds.OBJECTS:
        read: Any = node.object_dictionary[thing.address]
        if len(thing.entries) == 1:
            assert read.name == thing.entries[0].name
            assert read.data_type == thing.entries[0].kind
            continue
        assert len(read) == len(thing.entries) + 1
        for sub, entry in enumerate(thing.entries, 1):
            assert (read[sub].name, read[sub].data_type) == (entry.name, entry.kind)
            assert read[sub].access_type == entry.access
    first: Any = node.object_dictionary[0x1800]
    assert first[1].default == 0x180 + 16


def test_mapped_objects_exist_and_fill_eight_bytes() -> None:
    things = {thing.address: thing for thing in eds.OBJECTS}
    bits_of = {eds.U8: 8, eds.U16: 16, eds.U32: 32}
    for address in (0x1A00, 0x1A01, 0x1A02):
        total = 0
        for entry in things[address].entries:
            word = int(entry.default, 16)
            mapped = things[word >> 16].entries[(word >> 8 & 0xFF) - 1]
            assert bits_of[mapped.kind] == word & 0xFF
            total += word & 0xFF
        assert total == 64
