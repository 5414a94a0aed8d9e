"""`carm explore` and `carm mutants`: every state, and every change of a deciding line.

Lives here: their options and how the verdict reads.  May not live here: searching or mutating.
"""

from __future__ import annotations

import json as jsonlib
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.main import Json, leave
from controller.cli.natively import Native, go_on_natively


def explore(
    only: Annotated[str, typer.Option(help="studies whose name contains this")] = "",
    mailbox: Annotated[int, typer.Option(min=1, max=3, help="letters under way at once")] = 1,
    first: Annotated[bool, typer.Option("--first", help="each study ends at its finding")] = False,
    compare: Annotated[
        bool, typer.Option("--compare-mailbox", help="one letter under way against two")
    ] = False,
    replay: Annotated[Path | None, typer.Option(help="play a counterexample again")] = None,
    out: Annotated[Path, typer.Option(help="where counterexamples go")] = Path("out/explore"),
    native: Native = False,
    json: Json = False,
) -> None:
    """The shipped executive and mode machine in every state; exit 1 when a property breaks."""
    from hil.explore import commands

    go_on_natively(native)
    if replay is not None:
        broken = commands.replay(replay)
        said = {"schema": "carm.replay/1", "broken": broken}
        print(jsonlib.dumps(said, ensure_ascii=False) if json else
              "\n".join(broken) or "nothing breaks")  # fmt: skip
        leave(int(bool(broken)))
    if compare:
        said = commands.compare_mailboxes()
        print(jsonlib.dumps(said, ensure_ascii=False) if json else _compared(said))
        leave(int(not said["equal"]))
    records = commands.first_findings(only) if first else commands.explore(only, mailbox)
    paths = commands.write_paths(records, out)
    if json:
        print(jsonlib.dumps(commands.summary(records), ensure_ascii=False))
    else:
        for one in records:
            _show(one)
        for path in paths:
            print(f"shortest path: {path}   carm explore --replay {path}")
    leave(int(not commands.holds(records)))


def _compared(said: dict[str, Any]) -> str:
    sizes = "; ".join(
        f"{row['letters']} under way: {row['states']} states, {len(row['broken'])} rules broken"
        for row in said["mailboxes"]
    )
    verdict = "no verdict differs" if said["equal"] else "VERDICTS DIFFER"
    return f"{said['study']}: {sizes}; {verdict}, {said['wall_s']} s"


def _show(one: dict[str, Any]) -> None:
    whole = "complete" if one["complete"] else "NOT COMPLETE"
    print(f"{one['machine']}: {one['states']} states, {one['transitions']} transitions, {whole}, "
          f"{one['wall_s']} s")  # fmt: skip
    for row in one["dead_rows"]:
        print(f"  dead row: {row}")
    for rule in one["properties"]:
        if not rule["holds"]:
            print(f"  BROKEN ({rule['study']}): {rule['rule']}\n    " + " · ".join(rule["path"]))


def mutants(
    patch: Annotated[Path | None, typer.Option(help="judge the lines this diff adds")] = None,
    sample: Annotated[int, typer.Option(help="so many, drawn by the commit")] = 0,
    json: Json = False,
) -> None:
    """Change deciding lines one by one; exit 1 when a change survives without an argument."""
    given = [*(["--patch", str(patch)] if patch else []), *(["--json"] if json else []),
             *(["--sample", str(sample)] if sample else [])]  # fmt: skip
    leave(subprocess.run([sys.executable, "-m", "tests.mutants", *given], check=False).returncode)


def install(app: typer.Typer, with_mutants: bool) -> None:
    """Add both commands; mutants need the tests beside the code."""
    app.command()(explore)
    if with_mutants:
        app.command()(mutants)
