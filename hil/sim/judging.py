"""The verdict on one case of a scenario, in whichever clock it was played.

Lives here: what must be known of a case (`Played`), and the rules by which it counts.  May not live
here: playing one (`case` in virtual time, `controller.cli.clocks` in real time), a reaction, or an
invariant of the referee.

A case counts only when the effect was seen, ended, and struck while the scenario says (`during`);
when every reaction shows in time; when the same timeline without the fault does not show it; when
the referee has nothing to say in either; when the machine comes back to life; and when the scenario
is red with the reaction taken out that it names (`removed`, asked in virtual time only).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from hil.sim.injection import Window
from hil.sim.observed import Observed
from hil.sim.operator import Recovery
from hil.sim.reactions import REACTIONS, Outcome
from hil.sim.scenario import Expectation, Scenario


class Reason(StrEnum):
    """Why a case is not a pass; `none` where it is."""

    NONE = "none"
    NOT_READY = "not_ready"
    EFFECT_NOT_SEEN = "effect_not_seen"
    EFFECT_NOT_CLEARED = "effect_not_cleared"
    NO_RUN = "no_run"
    SHOWS_WITHOUT_FAULT = "shows_without_fault"
    CONTROL_VIOLATED = "control_violated"
    GREEN_WITHOUT_REACTION = "green_without_reaction"
    REACTION = "reaction"
    INVARIANT = "invariant"
    RECOVERY = "recovery"
    UNSUPPORTED = "unsupported"
    RIG_LATE = "rig_late"
    HOST_STALLED = "host_stalled"


# A case that proves nothing is an error; one that the rig or its computer spoiled waits.
WORD_OF: Final[dict[Reason, str]] = {
    Reason.NONE: "pass",
    **dict.fromkeys((Reason.REACTION, Reason.INVARIANT, Reason.RECOVERY), "fail"),
    **dict.fromkeys((Reason.RIG_LATE, Reason.HOST_STALLED), "waiting"),
    **dict.fromkeys((
        Reason.NOT_READY, Reason.EFFECT_NOT_SEEN, Reason.EFFECT_NOT_CLEARED, Reason.NO_RUN,
        Reason.SHOWS_WITHOUT_FAULT, Reason.CONTROL_VIOLATED, Reason.GREEN_WITHOUT_REACTION,
        Reason.UNSUPPORTED,
    ), "error"),
}  # fmt: skip
assert set(WORD_OF) == set(Reason)


class Struck(Protocol):
    """One fault window as it went; times are the rig's, 0: not seen."""

    @property
    def window(self) -> Window:
        """What was asked for."""

    @property
    def effect_ns(self) -> int:
        """When the effect was seen."""

    @property
    def cleared_ns(self) -> int:
        """When it was seen to end."""

    @property
    def beam_at_onset(self) -> bool:
        """High voltage was on at the onset."""

    @property
    def run_at_onset(self) -> bool:
        """A run was armed at the onset."""


class Played(Protocol):
    """A timeline that was played, with its faults or as its control."""

    @property
    def observed(self) -> Observed:
        """What was seen up to the end of the timeline."""

    @property
    def injections(self) -> Sequence[Struck]:
        """The windows, in the order of the file."""

    @property
    def recovery(self) -> Recovery | None:
        """How the machine came back; None where the scenario does not ask."""

    @property
    def violations(self) -> Sequence[str]:
        """What the referee found."""

    @property
    def ready(self) -> bool:
        """The machine was where the timeline starts."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """`reason` decides the word; outcome and expectation are those that were decisive."""

    reason: Reason
    detail: str = ""
    outcome: Outcome | None = None
    expectation: Expectation | None = None

    @property
    def word(self) -> str:
        """pass, fail, error or waiting."""
        return WORD_OF[self.reason]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of `carm scenario run`."""

    id: str
    clock: str
    seed: int
    step: int
    phase: float
    verdict: str
    reason: str
    fault: str
    beam_at_onset: bool
    run_at_onset: bool
    effect_seen_ns: int
    cleared_ns: int
    reaction_ns: int
    limit_ns: int
    journal_sha256: str
    recovery_ready_ns: int
    detail: str
    set_apart: tuple[str, ...] = ()

    def shown(self) -> dict[str, Any]:
        """JSON-able."""
        return {**dataclasses.asdict(self), "set_apart": list(self.set_apart)}


def verdict(
    scenario: Scenario, clock: str, seed: int, step: int, phase: float, played: Played | None,
    ruling: Ruling, sha256: str, set_apart: tuple[str, ...] = (),
) -> Verdict:  # fmt: skip
    """The line of one case; `played` None: it could not be played at all."""
    first = played.injections[0] if played is not None and played.injections else None
    recovery = played.recovery if played is not None else None
    outcome, expectation = ruling.outcome, ruling.expectation
    return Verdict(
        id=scenario.id, clock=clock, seed=seed, step=step, phase=phase,
        verdict=ruling.word, reason=ruling.reason.value, fault=scenario.fault,
        beam_at_onset=bool(first and first.beam_at_onset),
        run_at_onset=bool(first and first.run_at_onset),
        effect_seen_ns=first.effect_ns if first else 0,
        cleared_ns=first.cleared_ns if first else 0,
        reaction_ns=outcome.reaction_ns if outcome else -1,
        limit_ns=expectation.limit_ns if expectation else 0,
        journal_sha256=sha256,
        recovery_ready_ns=recovery.ready_ns if recovery else -1,
        detail=ruling.detail, set_apart=set_apart,
    )  # fmt: skip


def judge(scenario: Scenario, played: Played, control: Callable[[], Played]) -> Ruling:
    """Judge a case; `control` plays the same timeline without any fault, once it is needed."""
    void = _void(scenario, played)
    if void.reason is not Reason.NONE:
        return void
    decisive: tuple[Outcome | None, Expectation | None] = (None, None)
    for expectation in scenario.expectations:
        outcome = outcome_of(played, expectation, played)
        if decisive[0] is None:
            decisive = (outcome, expectation)
        if not outcome.shows:
            detail = f"{expectation.reaction} {expectation.text}: {outcome.detail}".strip()
            return Ruling(Reason.REACTION, detail, outcome, expectation)
        void = _contrast(expectation, played, control)
        if void.reason is not Reason.NONE:
            return dataclasses.replace(void, outcome=outcome, expectation=expectation)
    if played.violations:
        return Ruling(Reason.INVARIANT, played.violations[0], *decisive)
    if played.recovery is not None and not played.recovery.alive:
        return Ruling(Reason.RECOVERY, f"recovery: {played.recovery.detail}", *decisive)
    return Ruling(Reason.NONE, "", *decisive)


def _void(scenario: Scenario, played: Played) -> Ruling:
    """Why the case does not count, `none` when it does."""
    if not played.ready:
        return Ruling(Reason.NOT_READY, "the machine did not become ready for the timeline")
    for injection in played.injections:
        name = f"{injection.window.component} {injection.window.type}"
        if not injection.effect_ns:
            return Ruling(Reason.EFFECT_NOT_SEEN, f"{name}: its effect was never seen")
        if not injection.cleared_ns:
            return Ruling(Reason.EFFECT_NOT_CLEARED, f"{name}: its effect was never seen to end")
    first = played.injections[0] if played.injections else None
    if first is not None and scenario.during == "run" and not first.run_at_onset:
        return Ruling(Reason.NO_RUN, "no run was in progress at the onset")
    return Ruling(Reason.NONE)


def outcome_of(watched: Played, expectation: Expectation, played: Played) -> Outcome:
    """What `watched` shows of a reaction, counted from where the effect was in `played`."""
    effect_ns = watched.observed.t0_ns
    if played.injections:
        # The control has a start of its own, at the same instant of its timeline.
        effect_ns += played.injections[expectation.after].effect_ns - played.observed.t0_ns
    return REACTIONS[expectation.reaction].judge(watched.observed, expectation, effect_ns)


def _contrast(expectation: Expectation, played: Played, control: Callable[[], Played]) -> Ruling:
    if not played.injections or not REACTIONS[expectation.reaction].contrast:
        return Ruling(Reason.NONE)
    without = control()
    if not without.ready:
        return Ruling(Reason.NOT_READY, "the control: the machine did not become ready for it")
    if without.violations:
        return Ruling(Reason.CONTROL_VIOLATED, f"the control itself: {without.violations[0]}")
    if outcome_of(without, expectation, played).shows:
        trips = ", ".join(code for _, code in without.observed.trips) or "none"
        return Ruling(
            Reason.SHOWS_WITHOUT_FAULT,
            f"{expectation.reaction} shows without the fault as well (trips of the control: "
            f"{trips}; it drove {len(without.observed.starts(0, without.observed.end_ns))} pulses)",
        )
    return Ruling(Reason.NONE)
