"""Figures of the proof: how fast virtual time is, what a pulse costs, and what a campaign finds.

Lives here: which worlds are played how long, and what is read from them.  May not live here: the
worlds (`virtual`), the exploration or the campaign, which are asked by their own commands.
The floor beside a speed is a bare heap loop with as many events in the same run: virtual time could
not be faster than that if nothing at all happened in an event.  Worlds run on machine code, as
campaigns do; what the interpreter needs for the same stands beside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import bench
from bench import virtual
from bench.figure import Reading
from bench.floors import quantile
from bench.harness import CannotMeasure, Experiment, Samples
from bench.virtual import PARTS
from hil import native

COMMAND_MAX_S: Final = 3600
CARM: Final = Path(sys.executable).with_name("carm")
# In the interpreter one sample is taken for so many on machine code.
INTERPRETED: Final = 4
EPISODES_PER_HOUR: Final = 30
SPEEDS: Final = {
    "continuous": "simulated per processor second in continuous 15/s, referee and journal on",
    "typical": "simulated per processor second, beam on a fifth of the time, faults on",
}


def carm(*arguments: str) -> dict[str, Any]:
    """What a `carm … --json` says; raises CannotMeasure when it says nothing."""
    command = [str(CARM), *arguments, "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=COMMAND_MAX_S
    )
    if done.returncode not in (0, 1):
        raise CannotMeasure(
            f"carm {arguments[0]} ended with {done.returncode}: {done.stderr[-200:]}"
        )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


# ── how fast virtual time is ─────────────────────────────────────────────────────────────────


def _worlds(kind: str, count: int) -> Samples:
    """Samples of `bench.virtual` on machine code; in the interpreter where none can be had."""
    try:
        with native.held(native.FOLDER, lambda text: print(text, file=sys.stderr)) as tree:
            return _worlds_on(tree, kind, count)
    except native.NativeUnavailable as lacking:
        raise CannotMeasure(f"no machine code here: {lacking}") from None


def _worlds_on(tree: Path, kind: str, count: int) -> Samples:
    # The compiled folders come before the shipped ones; what is measured with comes from these.
    path = f"{tree.resolve()}{os.pathsep}{Path(bench.__file__).parents[1]}"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bench.virtual", kind, str(count)],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
        timeout=COMMAND_MAX_S,
    )  # fmt: skip
    if done.returncode != 0:
        raise CannotMeasure(f"the worlds ended with {done.returncode}: {done.stderr[-200:]}")
    said: Samples = json.loads(done.stdout)
    return said


def continuous(count: int) -> Samples:
    """So many stretches of one run that never ends, on machine code and, fewer, interpreted."""
    samples = _worlds("continuous", count)
    shipped = virtual.continuous(max(1, count // INTERPRETED))
    samples |= {f"{name}_interpreted": shipped[name] for name in ("x", "pulse_ms")}
    return samples | virtual.parts()


def typical(count: int) -> Samples:
    """So many worlds, each with a few examinations; one in four has a fault and a recovery."""
    samples = _worlds("typical", count)
    samples["x_interpreted"] = virtual.typical(max(1, count // INTERPRETED))["x"]
    return samples


def _speed(kind: str, samples: Samples, n: int, n_full: int, reason: str) -> list[Reading]:
    bare = quantile(samples.get("bare", []), 0.5)
    pair = None if bare is None else ("a bare heap loop of as many events", bare)
    violations = sum(samples["violations"]) if samples.get("violations") else None
    return [
        Reading(f"proof.x_realtime_{kind}", "proof", f"seconds {SPEEDS[kind]}", "ratio",
                quantile(samples.get("x", []), 0.5), n, n_full, pair, reason),
        Reading(f"proof.x_realtime_{kind}_interpreted", "proof", "the same in the interpreter",
                "ratio", quantile(samples.get("x_interpreted", []), 0.5), n, n_full, pair, reason),
        Reading(f"proof.violations_{kind}", "proof", f"invariants violated in the {kind} worlds",
                "count", violations, n, n_full, None, reason),
    ]  # fmt: skip


def read_continuous(samples: Samples, n: int, reason: str) -> list[Reading]:
    """The speed, and one pulse in ms: whole, part by part, and in turns of the executive."""
    n_full = CONTINUOUS.n_full
    bare = quantile(samples.get("bare_ms", []), 0.5)
    pair = None if bare is None else ("a bare heap loop of as many events", bare)
    rows = [
        Reading("proof.pulse_cost", "proof", "processor time of one pulse, everything", "ms",
                quantile(samples.get("pulse_ms", []), 0.5), n, n_full, pair, reason),
        Reading("proof.pulse_cost_interpreted", "proof", "the same in the interpreter", "ms",
                quantile(samples.get("pulse_ms_interpreted", []), 0.5), n, n_full, pair, reason),
        Reading("proof.pulse_turns", "proof", "turns of the executive in one pulse period", "count",
                quantile(samples.get("turns_per_pulse", []), 0.5), n, n_full, None, reason),
    ]  # fmt: skip
    rows += [
        Reading(f"proof.pulse_cost_{part}", "proof", f"of it, in the {part} (interpreted)", "ms",
                quantile(samples.get(part, []), 0.5), n, n_full, None, reason)
        for part, _, _ in PARTS
    ]  # fmt: skip
    return _speed("continuous", samples, n, n_full, reason) + rows


def read_typical(samples: Samples, n: int, reason: str) -> list[Reading]:
    """The speed, how much of the time the beam was on, and how many faults showed."""
    faults = sum(samples["faults"]) if samples.get("faults") else None
    return [
        *_speed("typical", samples, n, TYPICAL.n_full, reason),
        Reading("proof.typical_beam_on", "proof", "part of the time that the beam was on", "ratio",
                quantile(samples.get("share", []), 0.5), n, TYPICAL.n_full, None, reason),
        Reading("proof.typical_faults", "proof", "faults whose effect was seen", "count",
                faults, n, TYPICAL.n_full, None, reason),
    ]  # fmt: skip


# ── every state ──────────────────────────────────────────────────────────────────────────────


def explore(count: int) -> Samples:
    """The whole exploration, over all cores."""
    said = [carm("explore", "--native") for _ in range(count)]
    return {
        "states": [float(body["states"]) for body in said],
        "wall_s": [body["wall_s"] for body in said],
        "open": [float(not body["complete"]) for body in said],
        "broken": [float(sum(not row["holds"] for row in body["properties"])) for body in said],
        "per_s": [body["states"] / body["wall_s"] for body in said],
    }


def read_explore(samples: Samples, n: int, reason: str) -> list[Reading]:
    """States, seconds, frontiers that did not become empty, properties that do not hold."""
    told = (
        ("states", "distinct states, mailbox included", "count"),
        ("wall_s", "until every frontier is empty, all cores", "s"),
        ("open", "explorations that left a frontier", "count"),
        ("broken", "properties that do not hold", "count"),
        ("per_s", "distinct states per second, all cores", "count"),
    )
    return [
        Reading(f"proof.explore_{name}", "proof", what, unit,
                quantile(samples.get(name, []), 0.5), n, EXPLORE.n_full, None, reason)
        for name, what, unit in told
    ]  # fmt: skip


def mailbox(count: int) -> Samples:
    """The study of letters with one letter under way and with two."""
    said = [carm("explore", "--compare-mailbox") for _ in range(count)]
    return {"states": [float(body["mailboxes"][1]["states"]) for body in said],
            "differ": [float(not body["equal"]) for body in said]}  # fmt: skip


def read_mailbox(samples: Samples, n: int, reason: str) -> list[Reading]:
    """States with two letters under way, and comparisons in which a verdict differed."""
    told = (
        ("states", "distinct states with two letters under way", "count"),
        ("differ", "comparisons of one letter with two in which a verdict differs", "count"),
    )
    return [
        Reading(f"proof.mailbox_{name}", "proof", what, unit,
                quantile(samples.get(name, []), 1.0), n, MAILBOX.n_full, None, reason)
        for name, what, unit in told
    ]  # fmt: skip


# ── a campaign ───────────────────────────────────────────────────────────────────────────────


def campaign(count: int) -> Samples:
    """A campaign of so many episodes in a directory of its own."""
    with tempfile.TemporaryDirectory() as folder:
        body = carm(
            "campaign", "--native", "--hours", f"{count / EPISODES_PER_HOUR}", "--out", folder
        )
    names = ("sim_hours", "pulses", "faults", "reruns", "reruns_identical", "x_realtime")
    samples = {name: [float(body[name] or 0)] for name in names}
    samples["violations"] = [float(len(body["violations"]))]
    samples["beam_hours"] = [body["beam_on_fraction"] * body["sim_hours"]]
    return samples


def read_campaign(samples: Samples, n: int, reason: str) -> list[Reading]:
    """What was simulated, what was violated, and whether the same seed is the same journal."""

    def total(name: str) -> float | None:
        return sum(samples[name]) if samples.get(name) else None

    hours, beam, reruns = total("sim_hours"), total("beam_hours"), total("reruns")
    same = total("reruns_identical")
    share = None if not reruns or same is None else 100 * same / reruns
    told: tuple[tuple[str, str, str, float | None], ...] = (
        ("hours", "simulated hours of examinations with faults", "count", hours),
        ("beam_on_fraction", "part of the time that the beam was on", "ratio",
         None if not hours or beam is None else beam / hours),
        ("pulses", "pulses of the campaign", "pulses", total("pulses")),
        ("faults", "faults whose effect was seen", "count", total("faults")),
        ("violations", "seeds in which something was violated", "count", total("violations")),
        ("reruns_identical", "seeds run twice whose journal was the same", "%", share),
        ("x_realtime", "simulated seconds per processor second", "ratio",
         quantile(samples.get("x_realtime", []), 0.5)),
    )  # fmt: skip
    return [
        Reading(f"proof.campaign_{name}", "proof", what, unit, value, n, CAMPAIGN.n_full, None,
                reason)
        for name, what, unit, value in told
    ]  # fmt: skip


CONTINUOUS: Final = Experiment("proof_continuous", 20, 300, 300, continuous, read_continuous)
TYPICAL: Final = Experiment("proof_typical", 6, 100, 100, typical, read_typical)
EXPLORE: Final = Experiment("proof_explore", 1, 3, 1, explore, read_explore)
MAILBOX: Final = Experiment("proof_mailbox", 1, 1, 1, mailbox, read_mailbox)
CAMPAIGN: Final = Experiment("proof_campaign", 11, 720, 720, campaign, read_campaign)


def experiments() -> list[Experiment]:
    """Speed first, then every state, then the campaign."""
    return [CONTINUOUS, TYPICAL, EXPLORE, MAILBOX, CAMPAIGN]
