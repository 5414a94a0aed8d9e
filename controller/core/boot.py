"""Boot and self-test: waiting for the partners, then the named steps, all dark.

Lives here: the actions of BOOT and SELF_TEST and `arm`, which makes the machine READY.  May not
live here: the order of the steps (`controller.core.selftest`) or the press (`controller.core.run`).
"""

from __future__ import annotations

from typing import Final

from controller.core.condition import Core, Proof
from controller.core.events import (
    BankCommitted,
    Command,
    Commit,
    DarkFrameSeen,
    FromExecutive,
    GateCounted,
    Log,
    Prepare,
    ReadGateCount,
    Reply,
    Tick,
    ToExecutive,
    ToImaging,
)
from controller.core.faults import latched
from controller.core.links import fail
from controller.core.modes import Mode
from controller.core.selftest import EXERCISES, WHOLE, SelfTest, Step
from controller.core.why import Blocks, standing
from realtime.wire.messages import DarkFrame, DarkFrameResult, Exercise, Exercised

ACTIONS: Final = frozenset({
    "boot_tick", "test_tick", "step_answered", "dark_frame_answered", "gate_counted",
})  # fmt: skip
# realtime raises PULSE once outside and once inside the window; one of the two passes the gate.
GATE_PASSES: Final = 1
_GATE_MODULUS: Final = 1 << 32
# Invariant 2 asks for 50 ms; 60 leave room for the reset's own way to realtime.
RELEASED_NS: Final = 60_000_000


def boot_tick(core: Core, event: Tick, now_ns: int) -> list[Command]:
    """Latched from before: FAULT at once.  Otherwise wait for everybody, then test."""
    if latched(core.faults):
        core.mode = Mode.FAULT
        return [Log("warning", "started_latched", {"first": latched(core.faults)[0].id})]
    if standing(core, now_ns, Blocks.TEST):
        return []
    return start(core, WHOLE, Mode.STANDBY, None, now_ns)


def start(
    core: Core, steps: tuple[Step, ...], goal: Mode, token: int | None, now_ns: int
) -> list[Command]:
    """Begin a self-test that leads to `goal`; `token` is answered at its end."""
    core.mode, core.test, core.test_goal, core.test_token = (
        Mode.SELF_TEST,
        SelfTest(steps),
        goal,
        token,
    )
    return _begin(core, now_ns)


def _begin(core: Core, now_ns: int) -> list[Command]:
    assert core.test is not None
    step = core.test.begin(core.next_number(), now_ns)
    if step is Step.PEDALS:
        return _ask_pedals(core)
    if step is Step.BANKS:
        return _commit_bank(core, 0)
    if step is Step.WINDOW_GATE:
        core.test_gate_before = None
        return [ReadGateCount()]
    commands: list[Command] = []
    if step is Step.PANEL_DARK:
        commands.append(ToImaging(DarkFrame(core.test.number)))
    return [*commands, _exercise(core, EXERCISES[step])]


def _ask_pedals(core: Core) -> list[Command]:
    """Ask once all pedals have been seen up for long enough since the last reset or selection."""
    test, state = core.test, core.executive.state
    assert test is not None
    if test.asked or state is None or state.released_ns < RELEASED_NS:
        return []
    if core.voided_ns and state.t_ns < core.voided_ns + RELEASED_NS:
        return []
    test.asked = True
    return [_exercise(core, Exercise.PEDALS)]


def _exercise(core: Core, what: Exercise) -> Command:
    assert core.test is not None
    return ToExecutive(Exercised(core.epoch, core.test.number, what))


def _commit_bank(core: Core, bank: int) -> list[Command]:
    core.committing, core.committing_bank = core.numbered(core.wanted), bank
    return [Commit(bank, core.committing)]


def test_tick(core: Core, event: Tick, now_ns: int) -> list[Command]:
    """A step that takes too long has failed."""
    assert core.test is not None
    if now_ns <= core.test.deadline_ns:
        return _ask_pedals(core) if core.test.current is Step.PEDALS else []
    return finish(core, False, 0.0, "", "no answer in time", now_ns)


def step_answered(core: Core, event: FromExecutive, now_ns: int) -> list[Command]:
    """Realtime did its part; some steps need a second witness."""
    result, test = event.message, core.test
    assert test is not None
    step = test.current
    if step is None or step not in EXERCISES or result.exercise_id != test.number:
        return []
    if result.ok and step is Step.WINDOW_GATE:
        return [ReadGateCount()]
    if result.ok and step is Step.PANEL_DARK:
        test.exercised = True
        return _dark_frame_done(core, now_ns)
    return finish(core, result.ok, result.value, result.unit, result.detail, now_ns)


def dark_frame_answered(core: Core, event: DarkFrameSeen, now_ns: int) -> list[Command]:
    """Imaging looked at the dark frame."""
    result, test = event.message, core.test
    assert test is not None
    if test.current is not Step.PANEL_DARK or result.request_id != test.number:
        return []
    if not result.ok:
        return finish(core, False, result.mean_du, "du", _of_dark(result), now_ns)
    test.dark = result
    return _dark_frame_done(core, now_ns)


def _dark_frame_done(core: Core, now_ns: int) -> list[Command]:
    """Both witnesses: a frame may be looked at while realtime's own exercise still runs."""
    test = core.test
    assert test is not None
    if not test.exercised or test.dark is None:
        return []
    return finish(core, True, test.dark.mean_du, "du", _of_dark(test.dark), now_ns)


def _of_dark(result: DarkFrameResult) -> str:
    return result.detail or f"sigma {result.sigma_du:.1f} du"


def gate_counted(core: Core, event: GateCounted, now_ns: int) -> list[Command]:
    """Before the exercise: remember; after it: exactly one rise passed the gate."""
    assert core.test is not None
    if core.test.current is not Step.WINDOW_GATE:
        return []
    if event.count < 0:
        return finish(core, False, -1.0, "rises", "the generator's count cannot be read", now_ns)
    if core.test_gate_before is None:
        core.test_gate_before = event.count
        return [_exercise(core, Exercise.WINDOW_GATE)]
    passed = (event.count - core.test_gate_before) % _GATE_MODULUS
    ok = passed == GATE_PASSES
    return finish(core, ok, float(passed), "rises", f"{GATE_PASSES} of 2 must pass", now_ns)


def bank_answered(core: Core, event: BankCommitted, now_ns: int) -> list[Command]:
    """Both banks must read back what was written."""
    if core.committing is None or event.technique_id != core.committing.technique_id:
        return []
    core.committing = None
    if event.ok and event.bank == 0:
        return _commit_bank(core, 1)
    return finish(core, event.ok, 2.0 if event.ok else float(event.bank), "banks", event.detail,
                  now_ns)  # fmt: skip


def finish(
    core: Core, ok: bool, value: float, unit: str, detail: str, now_ns: int
) -> list[Command]:
    """Note the step, then the next one, the goal, or FAULT."""
    test = core.test
    assert test is not None and test.current is not None
    test.finish(ok, value, unit, detail)
    result = test.done[-1]
    log = Log("info" if ok else "error", "self_test_step", result.shown())
    if not ok:
        core.results = _merged(core, test)
        core.proof = None
        return [log, *fail(core, "self_test", f"{result.step}: {detail}", now_ns)]
    if not test.passed:
        return [log, *_begin(core, now_ns)]
    core.results = _merged(core, test)
    if test.steps == WHOLE:
        core.proof = Proof(core.executive.epoch, core.generator.ups)
    return [log, *_reach(core, now_ns)]


def _merged(core: Core, test: SelfTest) -> list:  # type: ignore[type-arg]
    fresh = {one.step: one for one in test.done}
    old = {one.step: one for one in core.results}
    return [both[step] for step in Step if step in (both := {**old, **fresh})]


def _reach(core: Core, now_ns: int) -> list[Command]:
    core.test, core.mode = None, core.test_goal
    token, core.test_token = core.test_token, None
    commands: list[Command] = []
    if token is not None:
        body = {"ok": True, "mode": core.mode.value,
                "self_test": [one.shown() for one in core.results]}  # fmt: skip
        commands.append(Reply(token, body))
    return commands + (arm(core, now_ns) if core.mode is Mode.READY else [])


def arm(core: Core, now_ns: int) -> list[Command]:
    """READY: the tube to speed, and the technique into the idle bank."""
    core.generator.prepared_until_ns = now_ns + core.config["supervisor.prep_max_s"] * 1_000_000_000
    return [Prepare(True), *commit(core)]


def commit(core: Core) -> list[Command]:
    """Write the wanted technique, under a fresh id, into the bank that no order names."""
    core.committed = None
    core.wanted = core.numbered(core.wanted)
    core.committing, core.committing_bank = core.wanted, 1 - core.bank
    return [Commit(core.committing_bank, core.committing)]
