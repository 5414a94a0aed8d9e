"""Do the two clocks agree on a case?  Verdicts and the order of beam events; never times.

Lives here: what happened in a case, in order, without any time, and the comparison.  May not live
here: playing a case.  The events are what was done, where the effect of each fault was seen, and
whether pulses began between them; how many pulses there were is a time in disguise and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hil.sim.judging import Played, Verdict
from hil.sim.scenario import Scenario

PULSES: Final = "pulses"
# A pulse that began with the effect, give or take this, began before it: neither is the cause.
TOGETHER_NS: Final = 1_000_000
# Nothing holds an act to a phase: whether a pulse comes just before or just after it is a time in
# disguise.  This is the longest that the dead-man rule allows between a release and the dark.
ACT_NS: Final = 20_000_000


def order(scenario: Scenario, played: Played) -> tuple[str, ...]:
    """What happened, in order: acts, effects of faults, and pulses between them."""
    observed = played.observed
    marks = [(observed.t0_ns + each.at_ns, ACT_NS, each.do) for each in scenario.stimuli]
    marks += [
        (each.effect_ns, TOGETHER_NS, f"{each.window.number} {each.window.component}")
        for each in played.injections
        if each.effect_ns and each.effect_ns <= observed.end_ns
    ]
    marks.sort(key=lambda mark: mark[0])
    pulsed = {_place(t_ns, marks) for t_ns in observed.starts(observed.t0_ns, observed.end_ns)}
    told = [PULSES] if 0 in pulsed else []
    for place, (_, _, word) in enumerate(marks, start=1):
        told += [word, PULSES] if place in pulsed else [word]
    return tuple(told)


def _place(t_ns: int, marks: list[tuple[int, int, str]]) -> int:
    """How many marks a pulse comes after."""
    later = (place for place, (at_ns, with_ns, _) in enumerate(marks) if t_ns <= at_ns + with_ns)
    return next(later, len(marks))


@dataclass(frozen=True, slots=True)
class Side:
    """One clock's view of a case."""

    verdict: Verdict
    order: tuple[str, ...]


def compare(virtual: Side, real: Side) -> dict[str, Any]:
    """One row of `carm scenario clocks`.

    `agree` is null where real time has no verdict: the rig was late, or it cannot make the fault.
    """
    words = (virtual.verdict.verdict, real.verdict.verdict)
    judged = words[1] != "waiting" and real.verdict.reason != "unsupported"
    differs = [
        name
        for name, same in (
            ("verdict", words[0] == words[1]),
            ("order", virtual.order == real.order),
        )
        if not same
    ]
    return {
        "id": virtual.verdict.id,
        "step": virtual.verdict.step,
        "virtual": words[0],
        "real": words[1],
        "reason": real.verdict.reason,
        "detail": real.verdict.detail,
        "order_virtual": list(virtual.order),
        "order_real": list(real.order),
        "differs": differs if judged else [],
        "agree": not differs if judged else None,
        "set_apart": list(real.verdict.set_apart),
    }


def agreed(rows: Sequence[dict[str, Any]]) -> bool:
    """No row in which both clocks have a verdict differs."""
    return all(row["agree"] is not False for row in rows)
