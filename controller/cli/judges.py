"""Commands whose subject lives in the rig or the stream: rig, frames, referee, plot, conformance.

Lives here: their options, and the rule that a command without its subject is absent.  May not live
here: judging, drawing, or the room.
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.main import ConfigFile, Json, RunDir, _config, leave

Find = Callable[[str], Any]


def _exists(find: Find, module: str) -> bool:
    try:
        return find(module) is not None
    except ModuleNotFoundError:
        return False


def install(app: typer.Typer, find: Find) -> None:
    """Add every command whose subject exists."""
    if _exists(find, "hil.referee.commands"):
        app.command()(referee)
    if _exists(find, "hil.plots.timing"):
        plots = typer.Typer(no_args_is_help=True, help="Pictures of a truth log.")
        plots.command()(timing)
        app.add_typer(plots, name="plot")
    if _exists(find, "controller.stream.subscriber"):
        app.command()(frames)
    if _exists(find, "controller.devices.conformance"):
        app.command()(conformance)
    if _exists(find, "controller.service.department"):
        from controller.cli import service

        service.install(app)
    if _exists(find, "hil.sim.commands"):
        from controller.cli import proof

        proof.install(app)
    if _exists(find, "hil.explore.commands"):
        from controller.cli import exploring

        exploring.install(app, _exists(find, "tests.mutants.__main__"))
    if _exists(find, "hil.rig.world"):
        from controller.cli import room

        app.add_typer(room.app, name="rig")


def referee(
    truth: Path,
    blackbox: Annotated[Path | None, typer.Option(help="black box of the same run")] = None,
    frames: Annotated[Path | None, typer.Option(help="recorded frame headers")] = None,
    mqtt: Annotated[Path | None, typer.Option(help="traffic, by carm service record")] = None,
    json: Json = False,
) -> None:
    """Judge a truth log: exit 1 on any violation."""
    from hil.referee.commands import REFUSED, run_referee, table

    verdict, code = run_referee(truth, blackbox, frames, mqtt)
    if json or code == REFUSED:
        print(jsonlib.dumps(verdict, ensure_ascii=False))
    else:
        print("\n".join(table(verdict)))
    leave(code)


def frames(
    run_dir: Annotated[Path | None, typer.Option("--run-dir", envvar="CARM_RUN_DIR")] = None,
    count: Annotated[int, typer.Option(help="live frames to receive")] = 1,
    endpoint: Annotated[str, typer.Option(help="default: frames.ipc in the run directory")] = "",
    timeout_s: Annotated[float, typer.Option("--timeout")] = 3600.0,
    tail_s: Annotated[float, typer.Option("--tail", help="wait for the tail after the last")] = 0.0,
    png: Annotated[Path | None, typer.Option(help="write the last frame as a picture")] = None,
    json: Json = False,
) -> None:
    """Subscribe and account for every frame."""
    from controller.cli.answer import refusal, refuse, show
    from controller.stream.subscriber import Subscriber, write_png

    if not endpoint and run_dir is None:
        refuse(refusal("missing", "input", "endpoint", None, "--endpoint or --run-dir",
                       "say which stream"), json)  # fmt: skip
    try:
        subscriber = Subscriber(endpoint or f"ipc://{run_dir}/frames.ipc")
    except ValueError as error:
        refuse(refusal("endpoint", "input", "endpoint", endpoint, "ipc:// or tcp://", str(error)),
               json)  # fmt: skip
    try:
        report = subscriber.collect(count, timeout_s, tail_s)
        if png is not None and subscriber.last is not None:
            write_png(png, *subscriber.last)
    finally:
        subscriber.close()
    body = {"schema": "carm.frames/1", **report}
    show(body, json, "\n".join(f"{key:>18}  {value}" for key, value in report.items()))
    leave(0 if report["received"] >= count and not report["crc_bad"] else 1)


def timing(
    truth: Path,
    out: Annotated[Path, typer.Option("-o", "--out")] = Path("timing.png"),
    from_ns: Annotated[int | None, typer.Option("--from", help="first instant, ns")] = None,
    to_ns: Annotated[int | None, typer.Option("--to", help="last instant, ns")] = None,
    around: Annotated[str, typer.Option(help="all, release, kill or a time in ns")] = "all",
    json: Json = False,
) -> None:
    """A logic-analyser picture of a truth log: a run, the release and the kill."""
    from controller.cli.answer import refuse, show
    from hil.plots.timing import run_timing

    body, code = run_timing(truth, out, from_ns, to_ns, None if around == "all" else around)
    if "error" in body:
        refuse(body, json)
    show(body, json, "\n".join([str(out), *body["panels"]]))
    leave(code)


def conformance(
    kind: Annotated[str, typer.Argument(help="generator")],
    name: Annotated[str, typer.Argument(help="driver, e.g. canopen")],
    run_dir: RunDir, config: ConfigFile = None, json: Json = False,
) -> None:  # fmt: skip
    """Hold a device driver, with the device behind it, against its contract."""
    from controller.cli.answer import refusal, refuse, show
    from controller.devices.conformance import CONTRACTS, run_contract

    if kind not in CONTRACTS:
        refuse(refusal("unknown_kind", "input", "kind", kind, ", ".join(CONTRACTS),
                       "choose one of them"), json)  # fmt: skip
    body = run_contract(kind, name, _config(config), run_dir)
    if "error" in body:
        refuse(body, json)
    lines = [f"{'ok ' if row['ok'] else 'BAD'}  {row['id']}  {row['detail']}"
             for row in body["checks"]]  # fmt: skip
    show(body, json, "\n".join(lines))
    leave(0 if all(row["ok"] for row in body["checks"]) else 1)
