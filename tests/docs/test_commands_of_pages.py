"""What a page tells somebody to type, to write or to look for is there, under this very name."""

import importlib
import re
import shlex
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main

from controller.cli import firstlight
from controller.cli.main import _install_judges, app
from controller.devices.generator import Generator
from controller.devices.panel import Panel
from realtime.drivers.port import LineDriver
from realtime.wire.config import load

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = ("commissioning.md", "bring-your-own.md", "upgrade.md")
TEXT = {page: (DOCS / page).read_text() for page in PAGES}
BENCH = load(ROOT / "controller" / "profiles" / "bench.toml")


def commands(page: str) -> list[str]:
    return sorted(set(re.findall(r"`carm ([a-z][^`]*)`", " ".join(TEXT[page].split()))))


def understood(words: list[str]) -> bool:
    """True when the command line parses it; raises what it would say otherwise."""
    _install_judges()
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"no command {words[0]}"
        command, words = found, words[1:]
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
    text = TEXT["commissioning.md"]
    assert text.index("export CARM_RUN_DIR=/run/carm") < text.index("`carm first-light")


def quoted(page: str, pattern: str) -> list[str]:
    """Everything of this form between back quotes, over line ends."""
    found = re.findall(rf"`({pattern})`", " ".join(TEXT[page].split()))
    return sorted(set(found))


@pytest.mark.parametrize("page", PAGES)
def test_every_name_of_our_code_is_there(page: str) -> None:
    for name in quoted(page, r"(?:controller|realtime|hil)\.[\w.]+"):
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(module), last), name


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_ours_is_there(page: str) -> None:
    for name in quoted(page, r"(?:docs|tests|realtime|controller|hil|systemd)/[\w./-]+"):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES)
def test_every_key_of_the_configuration_is_one(page: str) -> None:
    parts = "|".join(sorted({key.partition(".")[0] for key in BENCH.values if "." in key}))
    for name in quoted(page, rf"(?:{parts})\.[a-z_]+"):
        assert name in BENCH.values, name


@pytest.mark.parametrize(
    ("port", "begins", "ends"),
    [(Generator, "devices.generator.Generator`", "Each may"),
     (Panel, "devices.panel.Panel`", "of which"),
     (LineDriver, "port.LineDriver`", "lists every line")],
)  # fmt: skip
def test_whoever_writes_a_driver_is_told_all_of_its_port(
    port: type, begins: str, ends: str
) -> None:
    said = " ".join(TEXT["bring-your-own.md"].split()).partition(begins)[2].partition(ends)[0]
    told = set(re.findall(r"`([a-z_]+)`", said))
    members = {*vars(port), *getattr(port, "__annotations__", {})}
    wanted = {name for name in members if not name.startswith("_")} - {"layout"}
    assert told == wanted


def test_the_groups_of_entry_points_are_those_that_are_asked() -> None:
    told = set(re.findall(r"carm\.(?:generator|panel|lines)\b", TEXT["bring-your-own.md"]))
    assert told == {"carm.generator", "carm.panel"}
    assert all(entry_points(group=group) for group in told)


def test_every_step_of_first_light_is_on_the_page_and_no_other() -> None:
    told = set(re.findall(r"--step ([a-z-]+)", TEXT["commissioning.md"]))
    assert told == set(firstlight.STEPS)


def test_what_the_page_says_one_must_see_is_what_the_program_says() -> None:
    lines = TEXT["commissioning.md"].splitlines()
    rows = [line.split("|") for line in lines if re.match(r"\| \d", line)]
    words = [word for row in rows for word in re.findall(r'"([^"]+)"', row[3])]
    assert len(words) >= 3
    program = "".join(path.read_text() for path in (ROOT / "controller").rglob("*.py"))
    for word in words:
        assert word in program, word
