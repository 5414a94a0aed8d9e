"""`carm service constancy`: what somebody at the board does with a proposed constancy test.

Lives here: options, the local act that sets the technique, words.  May not live here: the
arithmetic (`controller.service.constancy`); and nothing here makes ready or exposes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.answer import GOOD, JUDGED_BAD, refuse, show
from controller.cli.board import request

app = typer.Typer(no_args_is_help=True, help="Constancy tests that service proposed.")
RunDir = Annotated[Path, typer.Option("--run-dir", envvar="CARM_RUN_DIR")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


def _words(one: Mapping[str, Any]) -> str:
    plan = f"{one['kv']:g} kV  {one['ma']:g} mA  {one['ms']:g} ms  {one['pulses']} pulses"
    text = f"{one['name']}  {one['state']}  {plan}  by {one['by']}: {one['reason']}"
    result = one["result"]
    if result is None:
        return text
    verdict = "good" if result["ok"] else "BAD"
    return (f"{text}\n  mean {result['mean_us']:g} µs, spread {result['spread_percent']:g} %, "
            f"drift {result['drift_percent']:g} %: {verdict}")  # fmt: skip


@app.command("list")
def list_(run_dir: RunDir, json: Json = False) -> None:
    """Every proposal with its state and result."""
    from controller.service.constancy import Constancy

    body = {"schema": "carm.constancy/1", **Constancy(run_dir).report()}
    show(body, json, "\n".join(map(_words, body["tests"])) or "none was proposed")


@app.command()
def take(name: str, run_dir: RunDir, json: Json = False) -> None:
    """Set its technique; then: carm service close, carm ready, and press."""
    from controller.core.refusal import Refusal
    from controller.service.constancy import FACTORS, Constancy

    tests = Constancy(run_dir)
    try:
        plan = tests.found(name, "proposed")
        request(run_dir, json, "set", **{key: plan[key] for key in FACTORS})
        test = tests.take(name, time.monotonic_ns())
    except Refusal as refusal:
        refuse(refusal.body, json)
    show({"schema": "carm.constancy_take/1", **test}, json, _words(test))


@app.command()
def conclude(name: str, run_dir: RunDir, json: Json = False) -> None:
    """Judge the pulses since it was taken: exit 0 when constant, 1 when not."""
    from controller.core.refusal import Refusal
    from controller.service.constancy import Constancy
    from controller.service.downloads import black_box_rows

    try:
        test = Constancy(run_dir).conclude(name, black_box_rows(run_dir))
    except Refusal as refusal:
        refuse(refusal.body, json)
    show({"schema": "carm.constancy_conclude/1", **test}, json, _words(test))
    raise typer.Exit(GOOD if test["result"]["ok"] else JUDGED_BAD)
