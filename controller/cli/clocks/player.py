"""One case on a running machine: rest, timeline, recovery, and what was seen of it.

Lives here: the order of things in real time.  May not live here: starting a machine (`runner`), the
faults (`strikes`), what is looked at (`looks`), or a judgement.  A case begins and ends at rest, so
that one machine serves many.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from controller.cli.clocks.classes import CLASSES
from controller.cli.clocks.looks import Looks
from controller.cli.clocks.processes import state_of, wake
from controller.cli.clocks.strikes import Strike
from controller.cli.clocks.truthlog import TruthLog, digest
from controller.cli.machine import PRODUCT
from controller.cli.stage import ARMED, READY_MAX_S, Stage, StageError
from hil.room.records import NEVER, TruthRecord
from hil.sim.case import Judged
from hil.sim.injection import Window
from hil.sim.means import means_of
from hil.sim.observed import Observed
from hil.sim.operator import (
    CLEAN_RUN_NS,
    CLOSING,
    PULSE_MAX_NS,
    READY_MAX_NS,
    SETTLE_NS,
    Recovery,
)
from hil.sim.scenario import SWITCHES, Scenario, Stimulus

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
# From asking the rig for its faults to the start of the timeline.
LEAD_NS: Final = 60 * MS
STEP_NS: Final = 20 * MS
AT_REST: Final = ("STANDBY", "READY", "HOLD", "FAULT")
PEDALS: Final = ("fluoro", "high", "cine")
WAYS_MAX: Final = 4
# Contacts bounce up to 30 ms and a pedal must be seen up for 50 ms before the next press.
REST_S: Final = 0.12
HELD_MAX_S: Final = 1.0
FACTORS: Final = ("kv", "ma", "ms")
STALL: Final = "stall"
# XRAY_ON against PULSE; and the longest from such a trip to a look that finds it.
READBACK: Final = "xray"
TOLD_NS: Final = 300 * MS
BETWEEN_TIMES: Final = frozenset({"no_pulse", "pulses_at_least", "tone", "unaffected"})
PROVOKES_STALL: Final = frozenset({"process", "supervisor", "machine"})


@dataclass(slots=True)
class Played:
    """What one timeline gave.

    `late_ns`, `late_after_ns`: how late the rig was where a reaction is judged, and from the end of
    the timeline on; `late_edge_ns`: how late an edge of it was where a read-back tripped;
    `stalled`: why a turn of the executive was late; `spoiled`: why a window was not what it was
    meant to be; `ends`: why each run ended.
    """

    observed: Observed
    injections: list[Strike]
    recovery: Recovery | None
    violations: list[str]
    sha256: str
    ready: bool
    truth: list[TruthRecord] = field(repr=False)
    late_ns: int = 0
    late_after_ns: int = 0
    late_edge_ns: int = 0
    stalled: str = ""
    spoiled: str = ""
    ends: list[str] = field(default_factory=list)


class Player:
    """Plays cases on one stage; raises StageError when the machine no longer answers."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._log = TruthLog(stage.run_dir / "truth.jsonl")
        first = stage.local("status")
        self._factors = {name: first["technique"][name] for name in FACTORS}
        self._cine_mode = str(first["cine_mode"])

    def play(self, scenario: Scenario, windows: Sequence[Window]) -> Played:
        """One case: to where it starts, its timeline, its recovery."""
        self.rest()
        ready = self._to_start(scenario)
        if scenario.wiring:
            self._stage.rig.wiring(**scenario.wiring)
        looks = Looks(self._stage.run_dir / "local.sock")
        try:
            looks.listen(self._stage, {window.component for window in scenario.windows})
            return self._played(scenario, windows, looks, ready)
        finally:
            looks.deafen()

    def _played(
        self, scenario: Scenario, windows: Sequence[Window], looks: Looks, ready: bool
    ) -> Played:
        self._cut()
        t0_ns = time.monotonic_ns() + LEAD_NS
        period_ns = round(SECOND / scenario.rate)
        strikes = [
            CLASSES[means_of(window).by](self._stage, looks, window, t0_ns, period_ns)
            for window in windows
        ]
        looks.start()
        try:
            end_ns = self._timeline(scenario, strikes, looks, t0_ns)
            recovery = self._recover(scenario, strikes) if scenario.recovers else None
        finally:
            try:
                self._end(strikes)
            finally:
                looks.stop()
        observed = Observed(t0_ns=t0_ns, end_ns=end_ns, period_ns=period_ns)
        return self._gather(scenario, observed, strikes, looks, recovery, ready)

    # ── before ───────────────────────────────────────────────────────────────────────────────

    def rest(self) -> None:
        """Nothing stopped, no fault, every foot off, everything closed."""
        wake(self._stage)
        rig = self._stage.rig
        rig.clear()
        for name in PEDALS:
            rig.do(f"release {name}")
        for words in CLOSING:
            rig.do(words)
        rig.wiring(**dict.fromkeys(SWITCHES, True))
        time.sleep(REST_S)

    def _to_start(self, scenario: Scenario) -> bool:
        stage = self._stage
        stage.make_ready()
        if scenario.start == "boot":
            return self._ended()
        status = stage.local("status")
        wanted = {**self._factors, "rate": scenario.rate}
        now = {name: status["technique"][name] for name in FACTORS}
        now["rate"] = status["technique"]["pulses_per_s"]
        if str(status["cine_mode"]) != self._cine_mode:
            stage.local("select", cine_mode=self._cine_mode)
        if now != wanted or scenario.start == "standby":
            stage.local("set", **wanted)
        if scenario.start == "standby":
            return stage.mode() == "STANDBY"
        stage.make_ready()
        stage.wait("the tube", self._warm, READY_MAX_S)
        return stage.mode() in ARMED

    def _ended(self) -> bool:
        """Everybody but the room has ended by itself; the launcher starts them a moment later."""
        pids = {name: self._stage.pid(name) for name in PRODUCT}
        for name, pid in pids.items():
            self._stage.rig.do(f"signal {name} {pid} TERM")
        self._stage.wait("the end of all", lambda: not any(map(state_of, pids.values())))
        return True

    def _warm(self) -> bool:
        status = self._stage.local("status")
        generator = status.get("generator", {})
        ready = generator.get("rotor_ready") and generator.get("filament_ready")
        return bool(ready and status["committed_id"] is not None)

    def _cut(self) -> None:
        self._stage.rig.flush()
        self._log.begin(time.monotonic_ns())

    # ── the timeline ─────────────────────────────────────────────────────────────────────────

    def _timeline(self, scenario: Scenario, strikes: list[Strike], looks: Looks, t0_ns: int) -> int:
        for strike in strikes:
            strike.begin(time.monotonic_ns())
        due = sorted(scenario.stimuli, key=lambda each: each.at_ns)
        end_ns = t0_ns + scenario.duration_ns
        while (now_ns := time.monotonic_ns()) < end_ns:
            while due and t0_ns + due[0].at_ns <= now_ns:
                self._do(due.pop(0), looks)
            for strike in strikes:
                if strike.due_ns <= now_ns:
                    strike.act(now_ns)
            coming = [t0_ns + due[0].at_ns] if due else []
            coming += [strike.due_ns for strike in strikes]
            next_ns = min([end_ns, now_ns + STEP_NS, *coming])
            time.sleep(max(0, next_ns - time.monotonic_ns()) / 1e9)
        return end_ns

    def _do(self, stimulus: Stimulus, looks: Looks) -> None:
        request = at_board(stimulus.do)
        if request is None:
            self._stage.rig.do(stimulus.do)
        else:
            looks.act(stimulus.do, request)

    def _end(self, strikes: list[Strike]) -> None:
        for strike in strikes:
            strike.end()
        self.rest()

    # ── the liveness phase ───────────────────────────────────────────────────────────────────

    def _recover(self, scenario: Scenario, strikes: list[Strike]) -> Recovery:
        """Faults are off: let go, reset, make ready, one clean run; as in virtual time."""
        stage = self._stage
        self._end(strikes)
        self._restarted(strikes)
        time.sleep(SETTLE_NS / 1e9)
        stage.wait("rest", lambda: stage.mode() in AT_REST, READY_MAX_S)
        begun_ns = time.monotonic_ns()
        for _ in range(WAYS_MAX):
            if stage.mode() in ARMED:
                break
            self._way()
        ready_ns = time.monotonic_ns() - begun_ns
        if stage.mode() not in ARMED:
            return Recovery(False, -1, -1, stage.held())
        if ready_ns > READY_MAX_NS:
            return Recovery(False, ready_ns, -1, f"READY took {ready_ns / MS:.0f} ms")
        run = self._clean_run(scenario, ready_ns)
        return run if run.alive or not self._prove() else self._clean_run(scenario, ready_ns)

    def _restarted(self, strikes: list[Strike]) -> None:
        """Whoever was killed is there again; the launcher does it, we wait."""
        until_ns = time.monotonic_ns() + round(READY_MAX_S * SECOND)
        while any(strike.due_ns < NEVER for strike in strikes):
            now_ns = time.monotonic_ns()
            if now_ns > until_ns:
                raise StageError(f"a restart did not come within {READY_MAX_S:g} s")
            for strike in strikes:
                if strike.due_ns <= now_ns:
                    strike.act(now_ns)
            time.sleep(MS / 1e9)

    def _way(self) -> None:
        """One step towards READY, as the answers tell."""
        stage = self._stage
        if stage.mode() == "FAULT":
            stage.local("reset")
            return
        error = stage.local("ready").get("error", {})
        if str(error.get("code", "")).endswith("_readback"):
            stage.local("selftest")

    def _prove(self) -> bool:
        """A press was refused: what has failed (lamp, buzzer) is proved by the whole self-test."""
        time.sleep(SETTLE_NS / 1e9)
        self._stage.local("selftest")
        return "error" not in self._stage.local("ready")

    def _clean_run(self, scenario: Scenario, ready_ns: int) -> Recovery:
        stage = self._stage
        stage.wait("the tube", self._warm, READY_MAX_S)
        pressed_ns = stage.rig.do("press fluoro")
        limit_ns = PULSE_MAX_NS + round(2 * SECOND / scenario.rate)
        time.sleep((limit_ns + CLEAN_RUN_NS) / 1e9)
        stage.rig.do("release fluoro")
        first_ns = self._first_start(pressed_ns)
        if not 0 <= first_ns <= limit_ns:
            return Recovery(False, ready_ns, first_ns, f"no pulse in {limit_ns / MS:.0f} ms")
        held = self._soon(lambda: stage.mode() == "HOLD")
        return Recovery(held, ready_ns, first_ns, "" if held else f"afterwards: {stage.held()}")

    def _soon(self, is_so: Callable[[], bool]) -> bool:
        try:
            self._stage.wait("HOLD", is_so, HELD_MAX_S)
        except StageError:
            return False
        return True

    def _first_start(self, since_ns: int) -> int:
        self._stage.rig.flush()
        for record in self._log.read():
            if record.kind == "hv" and record.value and record.t_ns >= since_ns:
                return record.t_ns - since_ns
        return -1

    # ── afterwards ───────────────────────────────────────────────────────────────────────────

    def _gather(
        self, scenario: Scenario, observed: Observed, strikes: list[Strike], looks: Looks,
        recovery: Recovery | None, ready: bool,
    ) -> Played:  # fmt: skip
        self._stage.rig.flush()
        cut = self._log.cut()
        judged = Judged()
        for record in cut:
            judged.take(record)
            if record.t_ns <= observed.end_ns:
                observed.truth(record)
        for strike in strikes:
            strike.reckon(cut)
        seen(observed, looks)
        return Played(
            observed, strikes, recovery, judged.violations(), digest(cut), ready, cut,
            rig_late_ns(cut, judged_spans(scenario, strikes, observed)),
            rig_late_ns(cut, [(observed.end_ns, NEVER)]), late_edge_ns(cut, list(looks.trips)),
            _stalled(strikes, looks),
            next((one.spoiled for one in strikes if one.spoiled), ""),
            [words for _, words in looks.ends],
        )  # fmt: skip


def at_board(words: str) -> dict[str, Any] | None:
    """The request of an act at the board; None: an act in the room."""
    parts = words.split()
    match parts:
        case ["ready"] | ["reset"]:
            return {"do": words}
        case ["self", "test"]:
            return {"do": "selftest"}
        case ["reset", "timer"]:
            return {"do": "reset_timer"}
        case ["open", "service"]:
            return {"do": "service_open", "minutes": 5}
        case ["close", "service"]:
            return {"do": "service_close"}
        case ["set", name, number]:
            return {"do": "set", name: float(number)}
        case ["select", *mode]:
            return {"do": "select", "cine_mode": " ".join(mode)}
    return None


def seen(observed: Observed, looks: Looks) -> None:
    """What was seen at the board up to the end of the timeline."""
    for name in ("modes", "faults", "trips", "refusals", "told"):
        kept = getattr(observed, name)
        kept.extend(one for one in sorted(getattr(looks, name)) if one[0] <= observed.end_ns)


def judged_spans(
    scenario: Scenario, strikes: list[Strike], observed: Observed
) -> list[tuple[int, int]]:
    """From each effect, or the time that is given, to the end of the reaction that is judged.

    A rig that is late elsewhere has moved nothing that is judged.
    """
    spans = []
    for one in scenario.expectations:
        effect_ns = strikes[one.after].effect_ns if strikes else 0
        if one.reaction in BETWEEN_TIMES or not effect_ns:
            until_ns = observed.t0_ns + one.to_ns if one.to_ns else observed.end_ns
            from_ns = observed.t0_ns + one.from_ns
            if one.reaction == "unaffected":
                from_ns = max(from_ns, effect_ns - 2 * observed.period_ns)
            spans.append((from_ns, until_ns))
        elif one.limit_ns:
            spans.append((effect_ns, effect_ns + one.limit_ns))
        else:
            last = observed.starts(effect_ns, observed.end_ns)[-1:]
            spans.append((effect_ns, max([effect_ns, *last]) + observed.period_ns))
    return [(from_ns, min(to_ns, observed.end_ns)) for from_ns, to_ns in spans]


def rig_late_ns(records: list[TruthRecord], spans: list[tuple[int, int]]) -> int:
    """How late the rig itself was in any span, at worst; only more than 2 ms is in the log."""
    return _worst_ns(records, "lateness", spans)


def late_edge_ns(records: list[TruthRecord], trips: Sequence[tuple[int, str]]) -> int:
    """How late an edge of the rig was just before a trip on a read-back of X-rays."""
    spans = [(t_ns - TOLD_NS, t_ns) for t_ns, code in trips if READBACK in code]
    return _worst_ns(records, "edge_late", spans)


def _worst_ns(records: list[TruthRecord], name: str, spans: list[tuple[int, int]]) -> int:
    late = [
        int(record.value)
        for record in records
        if (record.kind, record.name) == ("process", name)
        and any(a <= record.t_ns and record.t_ns - record.value <= b for a, b in spans)
    ]
    return max(late, default=0)


def _stalled(strikes: list[Strike], looks: Looks) -> str:
    """The cause of a stall that no window provoked, '' when there was none."""
    provoked = any(strike.window.component in PROVOKES_STALL for strike in strikes)
    if provoked or STALL not in {code for _, code in looks.trips}:
        return ""
    return looks.late_causes[-1][1] if looks.late_causes else "no cause told"
