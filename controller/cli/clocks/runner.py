"""`carm scenario run --clock real` and `carm scenario clocks`: files in, one object and a code out.

Lives here: which cases are run on which machine, the control of each, and what is set apart and
tried again.  May not live here: playing a case (`player`) or judging it (`hil.sim.judging`).

A case in which the rig itself was more than 2 ms late, or in which the computer kept the executive
from its turn (a stall that no window provoked, of a cause outside the process) or spent a press by
one, is neither passed nor failed: it is tried again at most TRIES_MAX times, and every such try is
told.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from controller.cli.clocks.between import RelayedStage
from controller.cli.clocks.network import give_keys
from controller.cli.clocks.player import PROVOKES_STALL, Played, Player
from controller.cli.stage import StageError
from hil.rig.results import Result, ResultStore
from hil.sim.agreement import Side, agreed, compare, order
from hil.sim.case import Cases, windows_at
from hil.sim.installation import PROFILE
from hil.sim.judging import Reason, Ruling, Verdict, judge, verdict
from hil.sim.means import CIRCUMSTANCES, By, means_of
from hil.sim.picture import draw
from hil.sim.reading import ScenarioError
from hil.sim.scenario import Scenario

TRIES_MAX: Final = 4
# A folder with a `sitecustomize` that lets the bench raise an exception in a process (F30).
BREAKABLE: Final = Path(__file__).parent / "breakable"
MS: Final = 1_000_000
# Modes and trips are looked at every 20 ms, and the executive tells its state every 50 ms.
LOOKED_AT: Final = frozenset({"fault", "trip", "refused", "mode", "told"})
ALLOWANCE_NS: Final = 80 * MS
# Causes of lateness that lie outside the executive (docs/lateness.md).
OF_THE_HOST: Final = frozenset({"cpu_starved", "disk", "page_fault", "priority_lost"})
# Ends of a run that no foot, door or fault has asked for, so in a control only a stall has.
CUT_SHORT: Final = frozenset({"no_image", "order", "link", "timeout"})
# Windows on these take lines or loop away themselves: a press that they spend is their effect.
SPENDS: Final = PROVOKES_STALL | {"lines", "wire", "hardware"}
SPENT: Final = Ruling(Reason.HOST_STALLED, "the computer stalled: a press was spent")
# Steps of a sweep by repetition: a stride that meets every phase of 20 in 20 repetitions.
FIRST_STEP: Final = 5
STRIDE: Final = 7
Say = Callable[[str], None]


def step_of(scenario: Scenario, repetition: int) -> int:
    """The step of the sweep that a repetition takes."""
    return (FIRST_STEP + STRIDE * repetition) % scenario.sweep.steps


def unsupported(scenario: Scenario) -> str:
    """Why real time cannot play this scenario; '' when it can."""
    for window in scenario.windows:
        means = means_of(window)
        if not means.supported:
            return f"{window.component} {window.type}: {means.why_not}"
    for name in scenario.circumstances:
        if name not in CIRCUMSTANCES:
            return f"{name}: a real clock or counter is what it is"
    return ""


def allowing(scenario: Scenario) -> Scenario:
    """The scenario with what looking from outside costs added to the limits it touches."""
    expectations = tuple(
        dataclasses.replace(one, limit_ns=one.limit_ns + ALLOWANCE_NS)
        if one.reaction in LOOKED_AT
        else one
        for one in scenario.expectations
    )
    return dataclasses.replace(scenario, expectations=expectations)


def written(path: Path, overrides: dict[str, Any]) -> Path:
    """The bench profile at `path` with some keys, by their dotted name, replaced."""
    lines, section = [], ""
    left = dict(overrides)
    for line in PROFILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        name = f"{section}.{line.partition('=')[0].strip()}".lstrip(".")
        if "=" in line and name in left:
            value = left.pop(name)
            line = f"{line.partition('=')[0].strip()} = {value!r}".replace("'", '"')
        lines.append(line)
    assert not left, f"no such keys: {left}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# The beam is the subject, not the pixels: a small panel leaves the rig its time.
SMALL: Final[dict[str, Any]] = {"panel.width": 256, "panel.height": 256}


class Host:
    """One running machine of one configuration, and its player; a context manager."""

    def __init__(self, scenario: Scenario) -> None:
        self._stage = RelayedStage(PROFILE, wires_of(scenario))
        self._stage.config = written(
            self._stage.run_dir / "scenario.toml", {**SMALL, **scenario.config}
        )
        if scenario.config.get("mqtt.broker", "off") != "off":
            give_keys(self._stage.run_dir)
        counter = scenario.circumstances.get("pulse_counter")
        if counter is not None:
            self._count_from(counter)

    def _count_from(self, counter: int) -> None:
        store = ResultStore(self._stage.run_dir / "rig" / "generator.nv")
        store.add(Result(counter, 0, 0, 0, 0, 0, 0, 0))
        store.close()

    def __enter__(self) -> Self:
        with breakable():
            self._stage.__enter__()
        try:
            self._stage.take_places()
            self.player = Player(self._stage)
        except BaseException:
            self._stage.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._stage.__exit__(kind, error, trace)

    def told(self) -> int:
        """How much the supervisor has said so far, in bytes."""
        return len(self._stage.told())

    def spent(self, told_to: int) -> bool:
        """It has said since then that a press was spent, because nobody could watch it made."""
        return self._stage.spent(told_to)


@contextlib.contextmanager
def breakable() -> Iterator[None]:
    """Processes that are started inside can be struck by an exception."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(BREAKABLE), *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def wires_of(scenario: Scenario) -> frozenset[str]:
    """The wires on which a relay must sit."""
    return frozenset(one.instance for one in scenario.windows if means_of(one).by is By.WIRE)


class RealCases:
    """The cases of scenarios of one configuration on one machine; controls run once each."""

    def __init__(self, host: Host) -> None:
        self._host, self._player = host, host.player
        self._controls: dict[str, Played] = {}
        self.played: Played | None = None

    def control(self, scenario: Scenario) -> Played:
        """The same timeline without any fault; played again where the computer spoiled it.

        A late rig spoils no control, since all that is asked of it is that the reaction is not
        there; but an edge so late that a read-back tripped does, and whatever cut a run short.
        It need not recover, from nothing.
        """
        known = self._controls.get(scenario.id)
        calm = dataclasses.replace(scenario, recovers=False)
        for _ in range(TRIES_MAX):
            if known is not None and not is_spoiled(known):
                break
            known = self._player.play(calm, [])
        assert known is not None
        self._controls[scenario.id] = known
        return known

    def case(self, scenario: Scenario, step: int) -> Verdict:
        """One case, judged; tried again while the rig or its computer spoils it."""
        windows = windows_at(scenario, step)
        phase = windows[0].phase if windows else -1.0
        wanted = allowing(scenario)
        provoked = bool(SPENDS & {window.component for window in windows})
        told: list[str] = []
        while True:
            told_to = self._host.told()
            try:
                played = self.played = self._player.play(wanted, windows)
            except StageError:
                # A window that waits for a beam waits in vain when the press for it was spent.
                if not self._host.spent(told_to) or len(told) + 1 >= TRIES_MAX:
                    raise
                told.append(SPENT.detail)
                continue
            ruling = judge(wanted, played, lambda: self.control(wanted))
            bad = ruling.reason is not Reason.NONE
            reason = apart(played, spoiled=bad)
            if reason is None and bad and not provoked and self._host.spent(told_to):
                reason = SPENT
            if reason is None:
                break
            told.append(reason.detail)
            if len(told) >= TRIES_MAX:
                ruling = reason
                break
        if ruling.reason is not Reason.NONE and played.ends:
            ends = f"{ruling.detail} (runs ended: {', '.join(played.ends)})"
            ruling = dataclasses.replace(ruling, detail=ends)
        return verdict(wanted, "real", scenario.seeds[0], step, phase, played, ruling,
                       played.sha256, tuple(told))  # fmt: skip


def is_spoiled(control: Played) -> bool:
    """This computer has taken something away from a timeline without any fault."""
    cut = any(words.split(" ")[0] in CUT_SHORT for words in control.ends)
    return bool(control.stalled or control.late_edge_ns or cut)


def apart(played: Played, *, spoiled: bool) -> Ruling | None:
    """Why a try is neither passed nor failed; None when it counts."""
    late_ns = max(played.late_ns, played.late_after_ns) if spoiled else played.late_ns
    if late_ns:
        return Ruling(Reason.RIG_LATE, f"the rig was {late_ns / MS:.1f} ms late")
    if spoiled and played.late_edge_ns:
        return Ruling(Reason.RIG_LATE, f"an edge was {played.late_edge_ns / MS:.1f} ms late")
    if spoiled and played.spoiled:
        return Ruling(Reason.HOST_STALLED, f"the computer stalled: {played.spoiled}")
    if spoiled and played.stalled.split(" ")[0] in OF_THE_HOST:
        return Ruling(Reason.HOST_STALLED, f"the computer stalled: {played.stalled}")
    return None


def groups(scenarios: list[Scenario]) -> Iterator[list[Scenario]]:
    """Scenarios that one machine can serve, in the order of the first of each."""
    by_key: dict[str, list[Scenario]] = {}
    for scenario in scenarios:
        key = repr((sorted(scenario.config.items()), sorted(scenario.circumstances.items()),
                    sorted(wires_of(scenario))))  # fmt: skip
        by_key.setdefault(key, []).append(scenario)
    yield from by_key.values()


def real_rows(
    scenarios: list[Scenario], repeat: int, said: Say,
    each: Callable[[Scenario, int, Verdict, Played | None], None], first: int = 0,
) -> None:  # fmt: skip
    """Run every scenario `repeat` times from repetition `first` on; `each` gets what came of it."""
    for scenario in scenarios:
        why_not = unsupported(scenario)
        if why_not:
            ruling = Ruling(Reason.UNSUPPORTED, why_not)
            line = verdict(scenario, "real", scenario.seeds[0], 0, -1.0, None, ruling, "")
            each(scenario, 0, line, None)
            said(f"{scenario.id}: not in real time: {why_not}")
    for group in groups([one for one in scenarios if not unsupported(one)]):
        with Host(group[0]) as host:
            cases = RealCases(host)
            for repetition in range(first, first + repeat):
                for scenario in group:
                    step = step_of(scenario, repetition)
                    line = _case(cases, scenario, step)
                    each(scenario, step, line, cases.played)
                    said(f"{scenario.id} step {step}: {line.verdict} {line.detail}")


def _case(cases: RealCases, scenario: Scenario, step: int) -> Verdict:
    try:
        return cases.case(scenario, step)
    except StageError as error:
        ruling = Ruling(Reason.NOT_READY, str(error)[:200])
        cases.played = None
        return verdict(scenario, "real", scenario.seeds[0], step, -1.0, None, ruling, "")


def run_real(scenarios: list[Scenario], repeat: int, said: Say) -> list[dict[str, Any]]:
    """Rows of `carm scenario run --clock real`."""
    rows: list[dict[str, Any]] = []
    real_rows(scenarios, repeat, said, lambda _s, _n, line, _p: rows.append(line.shown()))
    return rows


def compare_clocks(
    scenarios: list[Scenario], repeat: int, said: Say, first: int = 0
) -> dict[str, Any]:
    """`carm.clocks/1`: each case in both clocks, verdicts and orders side by side.

    Virtual time comes second, when no real machine runs any more that it could disturb.
    """
    real: list[tuple[Scenario, int, Side]] = []

    def each(scenario: Scenario, step: int, line: Verdict, played: Played | None) -> None:
        seen = order(scenario, played) if played is not None else ()
        real.append((scenario, step, Side(line, seen)))

    real_rows(scenarios, repeat, said, each, first)
    rows = [compare(virtual_side(scenario, step), side) for scenario, step, side in real]
    return {"schema": "carm.clocks/1", "rows": rows, "agree": agreed(rows)}


def virtual_side(scenario: Scenario, step: int) -> Side:
    """The same case in virtual time."""
    cases = Cases(scenario)
    line, played = cases.played(scenario.seeds[0], step)
    return Side(line, order(scenario, played))


def plot_real(scenario: Scenario, step: int, out: Path, without_fault: bool) -> dict[str, Any]:
    """Play one case on a machine and draw it; raises ScenarioError where it cannot be played."""
    why_not = unsupported(scenario)
    if why_not and not without_fault:
        raise ScenarioError(scenario.path, 1, "clock", "real", why_not)
    wanted = allowing(scenario)
    with Host(scenario) as host:
        played = host.player.play(wanted, [] if without_fault else windows_at(scenario, step))
        control = host.player.play(wanted, [])
    ruling = judge(wanted, played, lambda: control)
    ruling = apart(played, spoiled=ruling.reason is not Reason.NONE) or ruling
    return draw(wanted, "real", step, played, played.truth, ruling, out)
