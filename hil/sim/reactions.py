"""Reactions that a scenario may expect, and how each is judged.

Lives here: the table (`REACTIONS`): what a reaction needs to be told, and the judgement on what was
observed.  May not live here: invariants; the referee judges those on every run as well.  `shows` is
whether the reaction itself shows: the same timeline without the fault must not show it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from hil.sim.observed import Observed

if TYPE_CHECKING:
    from hil.sim.scenario import Expectation

# Two pulses may stand this much farther apart than their period and still be neighbours.
GAP_PER_CENT: Final = 150


@dataclass(frozen=True, slots=True)
class Outcome:
    """`shows`: the reaction is there in time; `reaction_ns` after the effect, −1: never."""

    shows: bool
    reaction_ns: int
    detail: str = ""


Judge = Callable[[Observed, "Expectation", int], Outcome]


@dataclass(frozen=True, slots=True)
class Reaction:
    """`contrast`: the run without the fault must not show it."""

    what: str
    needs: tuple[str, ...]
    contrast: bool
    judge: Judge

    def missing(self, expectation: Expectation) -> str:
        """The first key that is needed and not there, '' when all are."""
        given = {"within_ms": expectation.limit_ns, "text": expectation.text,
                 "to_ms": expectation.to_ns}  # fmt: skip
        return next((key for key in self.needs if not given[key]), "")


def _horizon_ns(observed: Observed, expectation: Expectation) -> int:
    return observed.t0_ns + expectation.to_ns if expectation.to_ns else observed.end_ns


def _dark(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    until_ns = observed.driven_until_ns(effect_ns, _horizon_ns(observed, expectation))
    reaction_ns = max(0, until_ns - effect_ns)
    return Outcome(reaction_ns <= expectation.limit_ns, reaction_ns)


def _at_most(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    starts = observed.starts(effect_ns, _horizon_ns(observed, expectation))
    last_ns = starts[-1] - effect_ns if starts else 0
    return Outcome(len(starts) <= expectation.count, last_ns, f"{len(starts)} pulses")


def _span(observed: Observed, expectation: Expectation) -> list[int]:
    t0_ns = observed.t0_ns
    return observed.starts(t0_ns + expectation.from_ns, t0_ns + expectation.to_ns)


def _none(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    starts = _span(observed, expectation)
    return Outcome(not starts, starts[0] - effect_ns if starts else 0, f"{len(starts)} pulses")


def _at_least(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    starts = _span(observed, expectation)
    return Outcome(len(starts) >= expectation.count, 0, f"{len(starts)} pulses")


def _unaffected(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    end_ns = observed.t0_ns + expectation.to_ns
    starts = observed.starts(effect_ns - 2 * observed.period_ns, end_ns)
    edges = [max(effect_ns - observed.period_ns, observed.t0_ns), *starts, end_ns]
    gap_ns = max(later - earlier for earlier, later in pairwise(edges))
    allowed_ns = observed.period_ns * GAP_PER_CENT // 100
    return Outcome(gap_ns <= allowed_ns, gap_ns, f"longest gap {gap_ns / 1e6:.1f} ms")


def _first(seen: list[tuple[int, str]], effect_ns: int, limit_ns: int, text: str = "") -> Outcome:
    for t_ns, name in seen:
        if t_ns >= effect_ns and (not text or name == text):
            late_ns = t_ns - effect_ns
            return Outcome(late_ns <= limit_ns, late_ns, name)
    return Outcome(False, -1, "never")


def _fault(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    return _first(list(observed.faults), effect_ns, expectation.limit_ns, expectation.text)


def _trip(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    return _first(list(observed.trips), effect_ns, expectation.limit_ns, expectation.text)


def _refused(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    return _first(list(observed.refusals), effect_ns, expectation.limit_ns, expectation.text)


def _told(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    return _first(list(observed.told), effect_ns, expectation.limit_ns, expectation.text)


def _mode(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    return _first(list(observed.modes), effect_ns, expectation.limit_ns, expectation.text)


def _tone(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    from_ns, to_ns = observed.t0_ns + expectation.from_ns, observed.t0_ns + expectation.to_ns
    tones = [t_ns for t_ns, _ in observed.tones if from_ns <= t_ns <= to_ns]
    return Outcome(bool(tones), tones[0] - from_ns if tones else -1, f"{len(tones)} tones")


def _alarm(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    return _first(list(observed.tones), effect_ns, expectation.limit_ns)


def _never_ready(observed: Observed, expectation: Expectation, effect_ns: int) -> Outcome:
    end_ns = observed.t0_ns + expectation.to_ns
    ready = [t_ns for t_ns, mode in observed.modes if mode == "READY" and t_ns <= end_ns]
    return Outcome(not ready, 0, "READY was reached" if ready else "")


REACTIONS: Final[dict[str, Reaction]] = {
    "dark": Reaction("high voltage ends within the limit and does not come back", ("within_ms",),
                     True, _dark),
    "pulses_at_most": Reaction("at most `count` pulses start after the effect", (), True, _at_most),
    "no_pulse": Reaction("no pulse starts between two times", ("to_ms",), False, _none),
    "pulses_at_least": Reaction("at least `count` pulses start between two times", ("to_ms",),
                                False, _at_least),
    "unaffected": Reaction("pulses follow each other at their rate until `to_ms`", ("to_ms",),
                           False, _unaffected),
    "fault": Reaction("the supervisor holds this fault", ("within_ms", "text"), True, _fault),
    "trip": Reaction("the executive latches this trip", ("within_ms", "text"), True, _trip),
    "refused": Reaction("an act at the board is refused with this code", ("within_ms", "text"),
                        True, _refused),
    "told": Reaction("somebody outside is told this", ("within_ms", "text"), True, _told),
    "mode": Reaction("the supervisor's mode becomes this", ("within_ms", "text"), True, _mode),
    "tone": Reaction("the buzzer sounds between two times", ("to_ms",), False, _tone),
    "alarm": Reaction("the buzzer begins to sound within the limit", ("within_ms",), True,
                      _alarm),
    "never_ready": Reaction("READY is not reached until `to_ms`", ("to_ms",), True, _never_ready),
}  # fmt: skip
