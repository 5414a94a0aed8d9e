"""`carm scenario`, `carm campaign`: proofs in both clocks.

Lives here: their options and words for people.  May not live here: the simulation (`hil.sim`) or a
running machine (`controller.cli.clocks`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.answer import refuse, show
from controller.cli.main import Json, leave
from controller.cli.natively import Native, go_on_natively

if TYPE_CHECKING:
    from hil.sim.scenario import Scenario

app = typer.Typer(no_args_is_help=True, help="Scenarios: stimuli, faults, expected reactions.")


def install(into: typer.Typer) -> None:
    """Add the commands."""
    into.add_typer(app, name="scenario")
    into.command()(campaign)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _answer(outcome: tuple[dict[str, Any], int], json: bool, words: str = "") -> None:
    body, code = outcome
    if "error" in body:
        refuse(body, json)
    show(body, json, words)
    leave(code)


@app.command("run")
def run_(
    files: Annotated[list[Path] | None, typer.Argument(help="default: all of the project")] = None,
    clock: Annotated[str, typer.Option(help="virtual or real")] = "virtual",
    phases: Annotated[int, typer.Option(help="steps of each sweep; 0: all")] = 0,
    repeat: Annotated[int, typer.Option(min=1, max=1000, help="real time: how often")] = 1,
    json: Json = False,
) -> None:
    """Run scenarios, each with its control and its recovery."""
    from controller.cli.clocks.runner import run_real
    from hil.sim.commands import run_scenarios

    def real(scenarios: list[Scenario], said: Callable[[str], None]) -> list[dict[str, Any]]:
        return run_real(scenarios, repeat, said)

    outcome = run_scenarios(files or [], clock, phases, _say, real)
    cases = outcome[0].get("cases", [])
    bad = [case for case in cases if case["verdict"] != "pass"]
    lines = [f"{len(cases) - len(bad)} of {len(cases)} cases pass"]
    lines += [
        f"{case['id']} seed {case['seed']} step {case['step']}: {case['verdict']}: {case['detail']}"
        for case in bad
    ]
    _answer(outcome, json, "\n".join(lines))


@app.command()
def clocks(
    files: Annotated[list[Path] | None, typer.Argument(help="default: the real-time set")] = None,
    repeat: Annotated[int, typer.Option(min=1, max=1000, help="how often")] = 1,
    json: Json = False,
) -> None:
    """Run scenarios in both clocks and compare verdicts and the order of beam events."""
    from controller.cli.clocks.runner import compare_clocks
    from hil.sim.commands import with_scenarios

    outcome = with_scenarios(files or [], lambda found: compare_clocks(found, repeat, _say))
    rows = outcome[0].get("rows", [])
    lines = [
        f"{row['id']} step {row['step']}: virtual {row['virtual']}, real {row['real']}"
        + (f"; differs: {', '.join(row['differs'])}" if row["differs"] else "")
        for row in rows
    ]
    _answer(outcome, json, "\n".join(lines))


@app.command()
def truth(
    file: Path,
    out: Annotated[Path, typer.Option(help="where the truth log goes")],
    seed: Annotated[int | None, typer.Option()] = None,
    step: Annotated[int, typer.Option(help="of the sweep")] = 0,
    control: Annotated[bool, typer.Option("--control", help="without the fault")] = False,
    json: Json = False,
) -> None:
    """Write the truth log of one case, for `carm referee` and `carm plot`."""
    from hil.sim.commands import truth_of

    outcome = truth_of(file, seed, step, out, control)
    _answer(outcome, json, f"{out}: {outcome[0].get('pulses')} pulses")


@app.command("plot")
def plot_(
    file: Path,
    out: Annotated[Path, typer.Option("-o", "--out", help="a PNG")] = Path("scenario.png"),
    seed: Annotated[int | None, typer.Option()] = None,
    step: Annotated[int, typer.Option(min=0, help="of the sweep")] = 0,
    control: Annotated[bool, typer.Option("--control", help="without the fault")] = False,
    clock: Annotated[str, typer.Option(help="virtual or real")] = "virtual",
    json: Json = False,
) -> None:
    """Draw one case as a logic analyser would: fault, beam, reaction and its limit."""
    from controller.cli.clocks.runner import plot_real
    from hil.sim.commands import plot_of

    outcome = plot_of(file, clock, seed, step, out, control, plot_real)
    _answer(outcome, json, f"{out}: {outcome[0].get('verdict')}")


@app.command("coverage")
def coverage_(json: Json = False) -> None:
    """The 48 faults: scenarios of each, or what it waits for."""
    from hil.sim.commands import fault_coverage

    outcome = fault_coverage()
    rows = outcome[0].get("faults", [])
    lines = [
        f"{row['id']}  {row['status']:<12} "
        f"{len(row['scenarios']):>2}  {row['fault']}"
        + (f" (waits for {row['waiting_for']})" if row["waiting_for"] else "")
        for row in rows
    ]
    _answer(outcome, json, "\n".join(lines))


def campaign(
    out: Annotated[Path, typer.Option(help="directory of this campaign")] = Path("out/campaign"),
    hours: Annotated[float, typer.Option(help="simulated hours of examinations")] = 1.0,
    pairs: Annotated[int, typer.Option(help="seeded phases per ordered pair of faults")] = 0,
    seed: Annotated[int, typer.Option(help="first seed")] = 1,
    workers: Annotated[int, typer.Option(help="0: one per core")] = 0,
    replay: Annotated[int | None, typer.Option(help="do this seed again")] = None,
    pair: Annotated[str, typer.Option(help="with --replay: FIRST,SECOND")] = "",
    examination: Annotated[
        bool, typer.Option("--examination", help="with --replay: one of the calm hours")
    ] = False,
    native: Native = False,
    hashes: Annotated[int, typer.Option(min=0, max=100, help="journals of so many seeds")] = 0,
    python: Annotated[list[str] | None, typer.Option(help="with --hashes: also there")] = None,
    json: Json = False,
) -> None:
    """Many seeds in virtual time; interrupted at any time it goes on where it was."""
    go_on_natively(native)
    from hil.sim import commands
    from hil.sim.plan import Plan

    if replay is not None:
        outcome = commands.replay(replay, pair, examination)
        _answer(outcome, json, "\n".join(outcome[0].get("violations", [])) or "no violation")
        return
    if hashes:
        outcome = commands.compare_pythons(hashes, python or [])
        _answer(outcome, json, _journals(outcome[0]) if "error" not in outcome[0] else "")
        return
    cores = workers or len(os.sched_getaffinity(0))
    with _bar() as said:
        outcome = commands.run_campaign(out, Plan(seed, hours, pairs, cores), said)
    _answer(outcome, json, _words(outcome[0]) if "error" not in outcome[0] else "")


def _journals(body: dict[str, Any]) -> str:
    lines = [f"{name}  {sha256}" for name, sha256 in body["journals"].items()]
    lines += [f"Python {row['python']}: {'equal' if row['equal'] else 'DIFFERS'}"
              for row in body["others"]]  # fmt: skip
    return "\n".join([f"Python {body['python']}", *lines])


@contextmanager
def _bar() -> Iterator[Callable[[int, int, str], None]]:
    """A bar with the time that is left for people; a line now and then for a log."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("campaign", total=None)

        def said(done: int, of: int, wrong: str) -> None:
            progress.update(task, completed=done, total=of)
            if wrong:
                console.print(wrong, markup=False)
            elif not console.is_terminal and done % max(1, of // 20) == 0:
                _say(f"campaign: {done} of {of}")

        yield said


def _words(body: dict[str, Any]) -> str:
    head = (
        f"{body['sim_hours']} h simulated, {body['pulses']} pulses, beam on "
        f"{body['beam_on_fraction']:.0%}, {body['faults']} faults, "
        f"{body['hours_counted']} of {body['hours_planned']} hours count, "
        f"{body['pairs_done']} of {body['pairs_planned']} pairs, "
        f"{body['reruns_identical']} of {body['reruns']} reruns identical, "
        f"×{body['x_realtime']} per core {'on machine code' if body['native'] else 'interpreted'}"
    )
    lines = [head]
    lines += [f"{row['what'][0]}   {row['replay']}" for row in body["violations"]]
    return "\n".join(lines)
