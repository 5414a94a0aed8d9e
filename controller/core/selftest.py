"""The self-test: named steps in order, all dark, each with its result.

Lives here: the three sequences (whole at boot, short before READY, dry for service), the
steps' time limit, and the pure runner that says which step is next.  May not live here: what a
step sends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from realtime.wire.messages import DarkFrameResult, Exercise

# The longest step is the dark frame: a clearing cycle at the panel's shortest period, then one
# more at its longest, then its processing; the banks are ~30 expedited transfers.
STEP_MAX_NS: Final = 3_000_000_000


class Step(StrEnum):
    """Names as reports show them."""

    PEDALS = "pedals_released"
    MONOSTABLE = "monostable_drops"
    CHAIN = "chain_opens"
    WINDOW_GATE = "window_gate"
    TONE_LAMP = "tone_and_lamp"
    PANEL_DARK = "panel_dark_frame"
    BANKS = "generator_banks"


EXERCISES: Final = {
    Step.PEDALS: Exercise.PEDALS,
    Step.MONOSTABLE: Exercise.MONOSTABLE,
    Step.CHAIN: Exercise.CHAIN,
    Step.WINDOW_GATE: Exercise.WINDOW_GATE,
    Step.TONE_LAMP: Exercise.TONE_LAMP,
    Step.PANEL_DARK: Exercise.PANEL_DARK,
}
WHOLE: Final = tuple(Step)
# F46: what could have failed dangerously since boot is tried again before every READY.
SHORT: Final = (Step.PEDALS, Step.MONOSTABLE, Step.CHAIN)
# Everything but the one step that moves PERMIT; it proves nothing for READY.
DRY: Final = tuple(step for step in Step if step is not Step.MONOSTABLE)
assert set(EXERCISES) | {Step.BANKS} == set(WHOLE)


@dataclass(frozen=True, slots=True)
class StepResult:
    """Outcome of one step, `value` in `unit`."""

    step: Step
    ok: bool
    value: float
    unit: str
    detail: str

    def shown(self) -> dict[str, Any]:
        """For people, JSON-able."""
        return {"id": self.step.value, "ok": self.ok, "value": self.value, "unit": self.unit,
                "detail": self.detail}  # fmt: skip


@dataclass(slots=True)
class SelfTest:
    """A sequence in progress; all but `steps` and `done` is of the current step.

    `asked`: realtime was asked; `exercised`: realtime has answered well; `dark`: so has imaging.
    """

    steps: tuple[Step, ...]
    done: list[StepResult] = field(default_factory=list)
    deadline_ns: int = 0
    number: int = 0
    asked: bool = False
    exercised: bool = False
    dark: DarkFrameResult | None = None

    @property
    def current(self) -> Step | None:
        """The step that is to be done now, None at the end or after a failure."""
        if self.failed or len(self.done) == len(self.steps):
            return None
        return self.steps[len(self.done)]

    @property
    def failed(self) -> StepResult | None:
        """The step that failed."""
        return next((one for one in self.done if not one.ok), None)

    @property
    def passed(self) -> bool:
        """All steps done and good."""
        return len(self.done) == len(self.steps) and self.failed is None

    def begin(self, number: int, now_ns: int) -> Step:
        """Start the current step under a number that its answers must carry."""
        step = self.current
        assert step is not None, "begin after the end"
        self.number, self.deadline_ns, self.asked = number, now_ns + STEP_MAX_NS, False
        self.exercised, self.dark = False, None
        return step

    def finish(self, ok: bool, value: float, unit: str, detail: str) -> None:
        """Note the outcome of the current step."""
        step = self.current
        assert step is not None, "finish after the end"
        self.done.append(StepResult(step, ok, value, unit, detail))
