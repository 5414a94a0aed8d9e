"""Pages for people: what they point at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "systemd/README.md"]
TOPS = "|".join(["bench", "controller", "docs", "hil", "realtime", "systemd", "tests"])
NAMED = re.compile(rf"`((?:{TOPS})/[\w./-]+\.(?:py|md|toml|json|eds|yaml|service))`")
LINKED = re.compile(r"\]\(([^)#]+)")
# Written by runs and builds; not in the tree.
MADE = ("out/",)


def pointed_at(page: Path) -> list[Path]:
    """Files that a page names in full, and those its links lead to."""
    text = page.read_text()
    named = [ROOT / name for name in NAMED.findall(text)]
    links = [target for target in LINKED.findall(text) if "://" not in target]
    return named + [page.parent / target for target in links if not target.startswith(MADE)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_points_at_is_there(page: Path) -> None:
    assert [str(path) for path in pointed_at(page) if not path.exists()] == []


def test_a_page_that_points_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("See `hil/sim/gone.py`, `hil/sim/world.py` and [this](gone.md).")
    assert [path.exists() for path in pointed_at(page)] == [False, True, False]


def test_the_pages_do_point_at_files() -> None:
    assert sum(len(pointed_at(page)) for page in PAGES) > 50
