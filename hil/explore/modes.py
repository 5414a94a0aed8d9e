"""The supervisor's mode machine under exploration: the shipped `step`, and anything that may come.

Theory of operation.  A state is kept as one concrete core that has it; two cores are the same state
when they agree in what any decision looks at: mode, classes of faults held, what each partner last
said and whether that is too old, the run, the self-test, what is waited for.  Times count only as
before or after their threshold, and the environment has a pause that passes each threshold.  Events
go straight to `step`, as the inbox hands them over, one by one.

Lives here: the events, the canonical form and the rules.  May not live here: what any row does.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import controller
from controller.core import events
from controller.core.boot import RELEASED_NS
from controller.core.condition import EXECUTIVE_AGE_MAX_NS, IMAGING_AGE_MAX_NS, Core
from controller.core.events import Command, Event, Kind, Origin
from controller.core.faults import Action
from controller.core.local import RESET_MAX_NS
from controller.core.machine import Machine
from controller.core.modes import Mode
from controller.core.selftest import Step
from controller.core.technique import from_config
from controller.core.why import proven
from hil.explore.modes_events import EVENTS, WELL, heard, imaging_of, state_of
from realtime.wire.config import load
from realtime.wire.messages import (
    Dark,
    Order,
)

_MS: Final = 1_000_000
_T0_NS: Final = 1_000_000 * _MS
# Design §4: the last pulse whose result was checked, and two more.
CREDIT_AHEAD: Final = 2
# Written from the requirements, apart from the machine's own table (design §7).
_DISTANCE: Final = {"STANDBY": 1, "READY": 2, "HOLD": 2, "PREP": 3, "EXPOSING": 4}
PAUSES: Final = {"tick": 20, "beat": 20, "pause 150 ms": 150, "pause 700 ms": 700,
                 "pause 4 s": 4_000, "pause 31 s": 31_000}  # fmt: skip
# Each rule, and the invariant of safety.md that it is of (a fault where no invariant says it).
INVARIANTS: Final[dict[str, int | str]] = {
    "no network input brings the machine nearer to X-rays": 14,
    "an order goes out only in EXPOSING, on a run; its first with technique and tube ready": 5,
    "no order while a latched fault is held or a partner is missing": 12,
    "READY is reached only through the self-test of a local ready, or back from a run": "F46",
    "FAULT is left only by a local reset that was asked for": 12,
    "a trip, an emergency or a failure of ours leads to FAULT": 12,
    "a run that the supervisor gives up is told dark at once": 12,
    "a latched fault is never held outside of FAULT": 12,
    "no assertion of ours fails": 12,
    "an order grants two pulses at most beyond the last checked result": 5,
}
RULES: Final = tuple(INVARIANTS)


# A study follows its own events; at the first states of every mode all others are judged as well.
PARTNERS: Final = (
    "tick", "beat", "pause 4 s", "executive up", "executive down", "state at rest",
    "state: tripped", "exercise good", "exercise bad", "dark frame good", "gate counted",
    "imaging up", "imaging down", "imaging well", "generator up", "generator down",
    "committed", "reconciled", "records kept", "ready", "reset", "stop",
)  # fmt: skip
RUN: Final = (
    "tick", "beat", "pause 31 s", "state at rest", "press fluoro",
    "run ends: release", "run ends: no image", "pulse", "result",
    "trip", "generator prepared",
    "generator idle", "generator faulty", "emergency", "committed", "commit failed", "set",
    "session opened", "session closed", "imaging down", "generator down",
    "records not kept", "ready", "exercise good", "reset", "imaging up",
    "imaging well", "generator up", "records kept", "reconciled", "gate counted",
    "dark frame good",
)  # fmt: skip
TO_READY: Final = (
    "executive up", "imaging up", "state at rest", "imaging well", "generator up", "records kept",
    "reconciled", "tick", *["exercise good"] * 3, "gate counted", "exercise good", "gate counted",
    "exercise good", "exercise good", "dark frame good", "committed", "committed", "ready",
    *["exercise good"] * 3,
)  # fmt: skip
FIRST_STATES: Final = 12


_OF_A_RUN: Final = frozenset({Mode.READY, Mode.HOLD, Mode.PREP, Mode.EXPOSING})
_EVERY: Final = (*PAUSES, *EVENTS)


class Modes:
    """The subject of the search; `start` are the moves before it begins."""

    always: Mapping[str, int | str] = INVARIANTS
    well = WELL

    def __init__(self, name: str, usual: tuple[str, ...], start: tuple[str, ...] = (),
                 wide: frozenset[Mode] = frozenset(Mode)) -> None:  # fmt: skip
        self.name = f"modes: {name}"
        profile = Path(controller.__file__).parent / "profiles" / "bench.toml"
        self._config = load(profile)
        core = Core(self._config, 3, from_config(self._config))
        core.wanted = core.numbered(core.wanted)
        self.machine = Machine(core)
        self.now_ns = _T0_NS
        self._kept: dict[Any, bytes] = {}
        self._usual = usual
        self._met: dict[Mode, int] = {}
        self._wide = wide
        self._laid: Any = None
        self._peeks = False
        for move in start:
            assert not self.make(move), move

    def starts(self) -> list[Any]:
        """BOOT with nobody there yet, or where the first moves have led."""
        return [self.read()]

    def read(self) -> Any:
        """See `search.Subject`; the first core that has a state stands for it."""
        if self._peeks:
            return self._laid  # judged, and not followed: it is not of this study
        core = self.machine.core
        key = canonical(core, self.now_ns) if core.mode in self._wide else (core.mode,)
        if key not in self._kept:
            core.config = None  # type: ignore[assignment]
            core.results, core.last_run = [], {}
            self._kept[key] = pickle.dumps((core, self.now_ns), pickle.HIGHEST_PROTOCOL)
            core.config = self._config
        return key

    def lay(self, state: Any) -> None:
        """See `search.Subject`."""
        self._laid, self._peeks = state, False
        self.machine.core, self.now_ns = pickle.loads(self._kept[state])
        self.machine.core.config = self._config

    def moves(self) -> tuple[str, ...]:
        """Every event at the first states of each mode, the usual ones at all."""
        mode = self.machine.core.mode
        self._met[mode] = self._met.get(mode, 0) + 1
        if mode not in self._wide:
            return ()  # the other study goes on from here
        return _EVERY if self._met[mode] <= FIRST_STATES else self._usual

    def marks(self) -> tuple[str, ...]:
        """The mode; an ending process and the other study are at their goal."""
        mode = self.machine.core.mode
        over = mode in (Mode.READY, Mode.HOLD, Mode.SHUTDOWN) or mode not in self._wide
        return (f"mode {mode.value}", *(("ready or ended",) if over else ()))

    def make(self, move: str) -> tuple[str, ...]:
        """See `search.Subject`."""
        self._peeks = self._laid is not None and move not in self._usual
        self.now_ns += PAUSES.get(move, 1) * _MS
        try:
            if move == "beat":
                core = self.machine.core
                if core.executive.up:
                    self.machine.step(heard(state_of(self.now_ns)), self.now_ns)
                if core.imaging.up:
                    self.machine.step(events.ImagingSeen(imaging_of(self.now_ns)), self.now_ns)
            if move in PAUSES:
                return self._judged(events.Tick())
            return self._judged(EVENTS[move](self.machine.core, self.now_ns))
        except Exception as error:  # noqa: BLE001 - whatever the shipped step raises is a finding
            return (f"no assertion of ours fails ({type(error).__name__}: {error})",)

    def _judged(self, event: Event) -> tuple[str, ...]:
        core = self.machine.core
        before = core.mode
        asked = core.reset_token is not None
        goal = core.test_goal
        run_before = core.run.run_id if core.run is not None else 0
        up = core.executive.up
        commands = self.machine.step(event, self.now_ns)
        to_executive = [c for c in commands if isinstance(c, events.ToExecutive)]
        orders = [c for c in to_executive if isinstance(c.message, Order)]
        broken = _orders(core, orders, self.now_ns, before) if orders else []
        after = core.mode
        if event.origin is Origin.NETWORK and _far(after) > _far(before):
            broken.append(RULES[0])
        arrived = after is Mode.READY and before not in (Mode.READY, Mode.PREP)
        if arrived and (before is not Mode.SELF_TEST or goal is not Mode.READY):
            broken.append(RULES[3])
        asks = after is Mode.SELF_TEST and core.test_goal is Mode.READY and before is not after
        if asks and event.kind is not Kind.READY:
            broken.append(RULES[3])
        if before is Mode.FAULT and after not in (Mode.FAULT, Mode.SHUTDOWN) and not asked:
            broken.append(RULES[4])
        if event.kind in (Kind.TRIP, Kind.BROKEN) and after not in (Mode.FAULT, Mode.SHUTDOWN):
            broken.append(RULES[5])
        gone = run_before and core.run is None and event.kind is not Kind.RUN_END
        if gone and up and core.executive.up and not _told_dark(commands, run_before):
            broken.append(RULES[6])
        held = any(one.fault.action is Action.FAULT for one in core.faults)
        if held and after not in (Mode.FAULT, Mode.BOOT, Mode.SHUTDOWN):
            broken.append(RULES[7])
        return tuple(broken)


def _far(mode: Mode) -> int:
    return _DISTANCE.get(mode.value, 0)


def _told_dark(commands: list[Command], run_id: int) -> bool:
    return any(isinstance(c, events.ToExecutive) and isinstance(c.message, Dark)
               and c.message.run_id == run_id for c in commands)  # fmt: skip


def _orders(core: Core, orders: list[Any], now_ns: int, before: Mode) -> list[str]:
    order, run, status = orders[0].message, core.run, core.generator.status
    ready = before is Mode.EXPOSING or (
        core.committed is not None and status is not None and status.prepared
    )
    broken = []
    if core.mode is not Mode.EXPOSING or run is None or not ready or order.run_id != run.run_id:
        broken.append(RULES[1])
    if run is not None and order.last_pulse_n > run.checked_n + CREDIT_AHEAD:
        broken.append(RULES[9])
    latched = any(one.fault.action is Action.FAULT for one in core.faults)
    there = core.executive.up and core.imaging.up and core.generator.up
    if latched or not there or now_ns < core.session_until_ns:
        broken.append(RULES[2])
    return broken


def canonical(core: Core, now_ns: int) -> tuple[Any, ...]:
    """What any decision looks at, times as before or after their threshold."""
    held = {one.fault.action for one in core.faults}
    generator, status, run, test = core.generator, core.generator.status, core.run, core.test
    pairing = core.pairing
    if core.mode is Mode.SHUTDOWN:
        return (core.mode,)  # final: nothing is looked at any more
    seen, shown = core.executive.state, core.imaging.state
    return (
        core.mode, Action.FAULT in held, Action.STANDBY in held, Action.RECORD in held,
        (core.executive.up, core.proof is not None and core.executive.epoch,
         seen and (seen.lines_in, bool(seen.trips)),
         seen is not None and now_ns - core.executive.state_ns > EXECUTIVE_AGE_MAX_NS),
        (core.imaging.up, shown and shown.panel_link,
         shown is not None and now_ns - core.imaging.state_ns > IMAGING_AGE_MAX_NS),
        (generator.up, generator.up and status and (status.prepared, bool(status.faults)),
         bool(generator.prepared_until_ns), now_ns > generator.prepared_until_ns),
        core.durable.ok, core.finding is None, core.reconcile_due, pairing.counter is None,
        core.committed is not None and core.committed.technique_id == core.wanted.technique_id,
        core.committed is None, core.committing is None,
        run and (run.came_from, now_ns > run.give_up_ns, run.checked_n >= 0),
        core.lease is None,
        test and (len(test.steps), len(test.done), test.asked, test.exercised, test.dark is None,
                  core.committing_bank, now_ns > test.deadline_ns,
                  core.test_gate_before is None and test.current is Step.WINDOW_GATE,
                  core.test_goal, core.test_token is None),
        proven(core), core.bank,
        bool(core.voided_ns) and seen is not None and seen.t_ns < core.voided_ns + RELEASED_NS,
        core.reset_token is not None and (
            now_ns - core.reset_sent_ns > RESET_MAX_NS,
            seen is not None and seen.t_ns > core.reset_sent_ns),
        now_ns < core.session_until_ns,
        (bool(pairing._reports), bool(pairing._results)),
    )  # fmt: skip


def studies() -> tuple[Modes, ...]:
    """The partners from BOOT on, and the run from READY on."""
    return Modes("partners", PARTNERS), Modes("run", RUN, TO_READY, _OF_A_RUN)
