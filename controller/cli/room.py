"""`carm rig`: the room alone, acts on it, faults in it, what it knows.

Lives here: options and requests to `rig.sock`.  May not live here: the room (`hil`).
"""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.answer import ask, refuse, show
from controller.cli.main import ConfigFile, Json, RunDir, _config, leave

app = typer.Typer(help="The room: alone in the foreground, or acts on a running one.")
MaybeRunDir = Annotated[Path | None, typer.Option("--run-dir", envvar="CARM_RUN_DIR")]


def _request(run_dir: Path, as_json: bool, request: dict[str, Any]) -> int:
    reply = ask(run_dir / "rig.sock", request)
    if "error" in reply:
        refuse(reply, as_json)
    show(reply, as_json, jsonlib.dumps(reply, ensure_ascii=False))
    return 0


@app.callback(invoke_without_command=True)
def alone(
    context: typer.Context, run_dir: MaybeRunDir = None, config: ConfigFile = None,
    json: Json = False,
) -> None:  # fmt: skip
    """The rig alone, for somebody else's controller; Ctrl-C ends it."""
    if context.invoked_subcommand is not None:
        return
    if run_dir is None:
        raise typer.BadParameter("--run-dir is required")
    from controller.cli import machine

    leave(machine.stay(run_dir, _config(config), machine.ROOM, False, True, json))


@app.command()
def do(act: str, run_dir: RunDir, json: Json = False) -> None:
    """Act on the room: "press fluoro", "open door", "estop", …"""
    leave(_request(run_dir, json, {"do": act}))


def milliseconds(text: str) -> int:
    """`1s`, `250ms` or a number of seconds, in ms; raises typer.BadParameter."""
    for unit, factor in (("ms", 1.0), ("s", 1000.0), ("", 1000.0)):
        if text.endswith(unit):
            try:
                return round(float(text.removesuffix(unit)) * factor)
            except ValueError:
                break
    raise typer.BadParameter(f"{text!r} is not a duration such as 1s or 250ms")


@app.command()
def inject(
    fault: Annotated[str, typer.Argument(help="F01 … F48")],
    run_dir: RunDir,
    duration: Annotated[str, typer.Option("--for", help="1s, 250ms")] = "1s",
    phase: Annotated[float | None, typer.Option(help="0 … 1 of the pulse cycle")] = None,
    json: Json = False,
) -> None:
    """Inject a fault of the catalogue."""
    request: dict[str, Any] = {"inject": fault, "for_ms": milliseconds(duration)}
    if phase is not None:
        request["phase"] = phase
    leave(_request(run_dir, json, request))


@app.command()
def truth(run_dir: RunDir, out: Annotated[Path, typer.Option("--out")], json: Json = False) -> None:
    """Copy the truth log so far."""
    reply = ask(run_dir / "rig.sock", {"truth": "flush"})
    if "error" in reply:
        refuse(reply, json)
    import shutil

    shutil.copyfile(run_dir / "truth.jsonl", out)
    show({"schema": "carm.rig_truth/1", "file": str(out), "bytes": out.stat().st_size}, json,
         str(out))  # fmt: skip
    leave(0)
