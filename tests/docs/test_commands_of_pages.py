"""Commands that a page tells somebody to type at the board are commands that there are."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from controller.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("commissioning.md", "upgrade.md")


def commands(page: str) -> list[str]:
    return sorted(set(re.findall(r"`carm ([a-z][^`]*)`", (DOCS / page).read_text())))


def understood(words: list[str]) -> bool:
    """True when the command line parses it; raises what it would say otherwise."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words[0]]
        words = words[1:]
    return bool(command.make_context("carm", list(words)).command is command)


@pytest.mark.parametrize(("page", "words"), [(p, words) for p in PAGES for words in commands(p)])
def test_a_command_of_a_page_is_understood(
    monkeypatch: pytest.MonkeyPatch, page: str, words: str
) -> None:
    monkeypatch.setenv("CARM_RUN_DIR", "/run/carm")
    assert understood(shlex.split(words))


def test_a_wrong_command_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARM_RUN_DIR", "/run/carm")
    for words in ("set --kilovolt 40", "nonsense"):
        with pytest.raises(Exception, match=r"kilovolt|nonsense"):
            understood(shlex.split(words))


def test_the_page_says_where_the_machine_lives_before_its_first_command() -> None:
    text = (DOCS / "commissioning.md").read_text()
    assert text.index("export CARM_RUN_DIR=/run/carm") < text.index("`carm first-light")
