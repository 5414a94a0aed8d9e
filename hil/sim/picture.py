"""`carm scenario plot`: a case that was played, in either clock, as a timing picture.

Lives here: what of a case is shaded and marked.  May not live here: drawing (`hil.plots.case`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten
from typing import Any

from hil.plots import case as plot
from hil.referee.truth import Truth
from hil.room.records import TruthRecord
from hil.sim.case import Cases, run, windows_at
from hil.sim.judging import Played, Ruling, judge, outcome_of
from hil.sim.scenario import Expectation, Scenario

SCHEMA = "carm.scenario-plot/1"


def as_truth(records: Iterable[TruthRecord]) -> list[Truth]:
    """Records of the room as a reader of the truth log has them."""
    return [
        Truth(one.t_ns, one.kind, one.name, one.value, one.pulse_id or None, number)
        for number, one in enumerate(records, start=1)
    ]


def picture(
    scenario: Scenario, clock: str, step: int, played: Played, ruling: Ruling
) -> plot.Picture:
    """What is drawn of a case."""
    observed = played.observed
    shades = tuple(
        plot.Shade(one.effect_ns, one.cleared_ns or observed.end_ns, _name(one.window))
        for one in played.injections
        if one.effect_ns
    )
    asked = tuple(_asked(played, one) for one in scenario.expectations)
    told = f"{clock}: {ruling.word}" + (f": {ruling.detail}" if ruling.detail else "")
    return plot.Picture(
        f"{scenario.id} — {shorten(scenario.title, 88)} (step {step} of {scenario.sweep.steps})",
        shorten(told, 150),
        ruling.word == "pass", observed.t0_ns, observed.end_ns, observed.period_ns, shades, asked,
    )  # fmt: skip


def _name(window: Any) -> str:
    words = f"{window.number} {window.component} {window.type}"
    return f"{words} {window.instance}".strip()


def _asked(played: Played, one: Expectation) -> plot.Asked:
    outcome = outcome_of(played, one, played)
    t0_ns, end_ns = played.observed.t0_ns, played.observed.end_ns
    effect_ns = played.injections[one.after].effect_ns if played.injections else t0_ns
    words = f"{one.reaction} {one.text}".strip()
    if one.limit_ns:
        reached = f" after {outcome.reaction_ns / 1e6:.2f} ms" if outcome.reaction_ns >= 0 else ""
        label = f"{words}{reached}, limit {one.limit_ns / 1e6:g} ms"
        at_ns = effect_ns + outcome.reaction_ns if outcome.reaction_ns > 0 else 0
        until_ns = min(effect_ns + one.limit_ns, end_ns)
        return plot.Asked(effect_ns, until_ns, label, outcome.shows, at_ns)
    start_ns = (
        effect_ns if one.reaction in ("pulses_at_most", "unaffected") else t0_ns + one.from_ns
    )
    until_ns = t0_ns + one.to_ns if one.to_ns else end_ns
    told = f"{words} {one.count}" if "pulses_at" in one.reaction else words
    return plot.Asked(start_ns, until_ns, f"{told}: {outcome.detail or 'yes'}", outcome.shows)


def plot_virtual(
    scenario: Scenario, seed: int, step: int, out: Path, without_fault: bool
) -> dict[str, Any]:
    """Play a case in virtual time and draw it; raises OSError."""
    windows = [] if without_fault else windows_at(scenario, step)
    played = run(scenario, seed, windows, keep=True)
    cases = Cases(scenario)
    ruling = judge(scenario, played, lambda: cases.control(seed))
    return draw(scenario, "virtual", step, played, played.truth, ruling, out)


def draw(
    scenario: Scenario, clock: str, step: int, played: Played, records: Iterable[TruthRecord],
    ruling: Ruling, out: Path,
) -> dict[str, Any]:  # fmt: skip
    """Draw a case; raises OSError."""
    panels = plot.draw(picture(scenario, clock, step, played, ruling), as_truth(records), out)
    return {
        "schema": SCHEMA, "id": scenario.id, "clock": clock, "step": step, "out": str(out),
        "verdict": ruling.word, "panels": [panel.title for panel in panels],
    }  # fmt: skip
