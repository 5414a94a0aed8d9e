"""`carm rig`: the room alone, acts on it, faults in it, what it knows.

Lives here: options and requests to `rig.sock`.  May not live here: the room (`hil`).
"""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.answer import ask, refusal, refuse, show
from controller.cli.main import ConfigFile, Json, RunDir, _config, leave

app = typer.Typer(help="The room: alone in the foreground, or acts on a running one.")
MaybeRunDir = Annotated[Path | None, typer.Option("--run-dir", envvar="CARM_RUN_DIR")]


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
    reply = ask(run_dir / "rig.sock", {"do": act})
    if "error" in reply:
        refuse(reply, json)
    show({"schema": "carm.rig_do/1", "do": act, "t_ns": reply["t_ns"]}, json, act)
    leave(0)


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
    fault: Annotated[str, typer.Argument(help="F01 … F48, see docs/room.md and docs/rig.md")],
    run_dir: RunDir,
    duration: Annotated[str, typer.Option("--for", help="1s, 250ms")] = "1s",
    target: Annotated[str, typer.Option(help="on what; default: the usual")] = "",
    amount: Annotated[float, typer.Option(help="how much; 0: the usual")] = 0.0,
    phase: Annotated[float | None, typer.Option(help="0 … 1 of the pulse cycle")] = None,
    json: Json = False,
) -> None:
    """Inject a fault of the catalogue, and tell whether its effect was seen."""
    from hil.rig import commands
    from hil.rig.client import RigError

    how: dict[str, Any] = {"for_ms": milliseconds(duration)}
    how |= {"target": target} if target else {}
    how |= {"amount": amount} if amount else {}
    how |= {"phase": phase} if phase is not None else {}
    try:
        body = commands.inject(run_dir, fault, **how)
    except RigError as error:
        refuse({"error": error.error}, json)
    except OSError as error:
        refuse(refusal("no_answer", "machine", "run_dir", str(run_dir), "a running rig",
                       f"carm up or carm rig --run-dir {run_dir} ({error})"), json)  # fmt: skip
    show({"schema": "carm.rig_inject/1", **body}, json, jsonlib.dumps(body, ensure_ascii=False))
    leave(0)


@app.command()
def beam(
    kv: Annotated[float, typer.Option(help="tube voltage, kV")],
    filter_name: Annotated[str, typer.Option("--filter", help="none or 3Al+0.1Cu")] = "3Al+0.1Cu",
    json: Json = False,
) -> None:
    """The room's beam: half-value layer, fluence, kerma."""
    from hil.physics.spectra import OutsideTable
    from hil.rig import commands

    try:
        body = commands.beam(kv, filter_name)
    except OutsideTable as error:
        refuse(refusal("outside_table", "input", "kv", kv, str(error),
                       "choose a voltage and filter of the table"), json)  # fmt: skip
    words = "\n".join(f"{name:>28}  {value:g}" for name, value in body.items())
    show({"schema": "carm.rig_beam/1", **body}, json, words)
    leave(0)


@app.command()
def frames(
    out: Annotated[Path, typer.Option("--out", help="a .npy file; a sidecar .json beside it")],
    n: Annotated[int, typer.Option("--n", help="how many frames")] = 1,
    raw: Annotated[bool, typer.Option("--raw", help="as the panel gives them")] = True,
    mas: Annotated[float | None, typer.Option(help="delivered mAs; default: as set")] = None,
    patient: Annotated[bool, typer.Option(help="with the patient, or an open field")] = True,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Raw frames of the fixed technique, rendered without a running rig."""
    from controller.cli.machine import checked
    from hil.rig import commands

    if not raw:
        refuse(refusal("raw_only", "input", "raw", False, "--raw",
                       "corrected frames come from carm frames"), json)  # fmt: skip
    try:
        body = commands.frames(checked(_config(config), json), n, out, mas, patient)
    except (ValueError, OSError) as error:
        refuse(refusal("frames", "input", "n or out", str(out), "1 … and a writable file",
                       str(error)), json)  # fmt: skip
    show({"schema": "carm.rig_frames/1", **body}, json, str(out))
    leave(0)


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
