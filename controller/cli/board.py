"""Local operation from the command line: status, why, ready, reset, select, set, faults.

Lives here: the requests to `local.sock` and words for their replies.  May not live here: whether an
act is allowed; the supervisor decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controller.cli.answer import ask, refuse, show


def request(run_dir: Path, as_json: bool, do: str, **arguments: Any) -> dict[str, Any]:
    """Ask the supervisor; a refusal ends the command."""
    reply = ask(run_dir / "local.sock", {"do": do, **arguments})
    if "error" in reply:
        refuse(reply, as_json)
    return reply


def act(run_dir: Path, as_json: bool, do: str, **arguments: Any) -> int:
    """An act, and in one line what came of it."""
    reply = request(run_dir, as_json, do, **arguments)
    body = {"schema": f"carm.{do}/1", **reply}
    show(body, as_json, f"{do}: {reply.get('mode', 'done')}")
    return 0


def status(run_dir: Path, as_json: bool) -> int:
    """The state in a few lines."""
    body = request(run_dir, as_json, "status")
    show(body, as_json, "\n".join(_status_lines(body)))
    return 0


def _status_lines(body: Mapping[str, Any]) -> list[str]:
    technique = body["technique"]
    factors = "  ".join(f"{technique[key]:g} {unit}" for key, unit in
                        (("kv", "kV"), ("ma", "mA"), ("ms", "ms")))  # fmt: skip
    parts = ("executive", "imaging", "generator")
    return [
        f"{body['device']}: {body['mode']}",
        f"technique  {factors}  {technique['pulses_per_s']:g}/s  {technique['filter']}",
        *(f"{part:<10} {'up' if body[part]['up'] else 'down'}" for part in parts),
        *(f"fault      {one['id']}: {one['detail'] or one['text']}" for one in body["faults"]),
    ]


def why(run_dir: Path, as_json: bool) -> int:
    """Every reason that keeps the beam dark, in order."""
    body = request(run_dir, as_json, "why")
    lines = [
        f"{n}. {reason['code']}: {reason['value']} (wanted: {reason['limit']}); {reason['remedy']}"
        for n, reason in enumerate(body["reasons"], start=1)
    ]
    show(body, as_json, "\n".join([body["mode"], *lines]))
    return 0


def faults(run_dir: Path | None, as_json: bool) -> int:
    """The catalogue; with a run directory also what is held there."""
    from controller.core.faults import table
    from hil.sim.commands import proved_rows

    body: dict[str, Any] = {"schema": "carm.faults/1", "mode": None, "held": [],
                            "catalogue": table()}  # fmt: skip
    if run_dir is not None:
        body = request(run_dir, as_json, "faults")
    body = {**body, "catalogue": proved_rows(body["catalogue"])}
    held = {one["id"] for one in body["held"]}
    lines = [
        f"{'*' if row['id'] in held else ' '} {row['id']:<20} {row['action']:<8} "
        f"{row['clear']:<12} {row['cause']}"
        for row in body["catalogue"]
    ]
    show(body, as_json, "\n".join(lines))
    return 0
