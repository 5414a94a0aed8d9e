"""The pages made from tables are current, and say everything the tables hold."""

from pathlib import Path

import pytest

from docs import generate
from realtime.beam import BeamState
from realtime.wire.config import KEYS
from realtime.wire.lines import INPUTS, OUTPUTS
from realtime.wire.messages import CATALOGUE


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_page_is_what_its_table_says(name: str) -> None:
    made = generate.PAGES[name]()
    assert (generate.FOLDER / name).read_text(encoding="utf-8") == made, "run `make docs`"
    assert generate.MADE in made


def test_no_row_of_a_table_is_missing() -> None:
    lines, messages = generate.lines_page(), generate.messages_page()
    assert all(f"`{row.bit.name}`" in lines and row.meaning in lines for row in INPUTS + OUTPUTS)
    assert all(f"## `{name}`" in messages for name in CATALOGUE)
    assert all(f"`{key.name}`" in generate.configuration_page() for key in KEYS)
    assert all(state.value in generate.state_diagrams_page() for state in BeamState)


def test_a_changed_table_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    generate.main()
    assert {path.name for path in tmp_path.iterdir()} == set(generate.PAGES)
    written = (tmp_path / "lines.md").read_text(encoding="utf-8")
    monkeypatch.setattr(generate, "INPUTS", INPUTS[:-1])
    assert generate.lines_page() != written
