"""Fault windows on a running machine: when each begins, how it ends, where its effect was seen.

Lives here: what a window is, and one class for each means (`hil.sim.means`) that strikes no process
and no wire between them (`processes`, `between`).  May not live here: what a fault does (the rig,
the kernel), or what must follow.  The rig keeps its own faults to their instants; what this process
does itself is done a millisecond or so late, and counts from where the truth log has it.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any, Final

from controller.cli.clocks.looks import Looks
from controller.cli.launch import is_alive
from controller.cli.stage import Stage
from hil.room.agenda import PERIOD_MAX_NS, PULSE
from hil.room.records import NEVER, TruthRecord
from hil.sim.injection import Window
from hil.sim.means import Means, means_of

MS: Final = 1_000_000
POLL_NS: Final = MS
SERVICE: Final = "service.sock"
PULSE_MODULUS: Final = 1 << 32
BOARD: Final[dict[str, dict[str, Any]]] = {
    "reset": {"do": "reset"}, "ready": {"do": "ready"}, "self_test": {"do": "selftest"},
    "select": {"do": "select", "cine_mode": "cine"}, "set": {"do": "set", "kv": 80.0},
    "reset_timer": {"do": "reset_timer"},
}  # fmt: skip


class Strike:
    """One window; `act` is called at `due_ns` until that is NEVER."""

    def __init__(self, stage: Stage, looks: Looks, window: Window, t0_ns: int, period_ns: int):
        self.window = window
        self.means: Means = means_of(window)
        self.asked_ns = t0_ns + window.onset_ns
        self.due_ns = NEVER
        self.effect_ns = 0
        self.cleared_ns = 0
        self.beam_at_onset = False
        self.run_at_onset = False
        # Why this window was not what it was meant to be, '' when it was.
        self.spoiled = ""
        self._stage = stage
        self._looks = looks
        # Where the rig does not keep the phase: as far into a period after the onset.
        part = max(0.0, window.phase)
        self._onset_ns = self.asked_ns + round(part * period_ns)

    def begin(self, now_ns: int) -> None:
        """Before the timeline starts: ask for what the rig can keep by itself."""
        self.due_ns = self._onset_ns
        self._begin(now_ns)

    def act(self, now_ns: int) -> None:
        """Do what is due."""
        self._act(now_ns)

    def end(self) -> None:
        """The timeline is over: put right what is still wrong."""
        self._end()

    def reckon(self, records: list[TruthRecord]) -> None:
        """Effect, end and onset, from the truth of the case."""
        self._reckon(records)

    def _begin(self, now_ns: int) -> None: ...

    def _act(self, now_ns: int) -> None:
        self.due_ns = NEVER

    def _end(self) -> None: ...

    def _reckon(self, records: list[TruthRecord]) -> None: ...

    def _found(self, records: list[TruthRecord], onset_ns: int) -> None:
        """What was so at the onset."""
        for record in records:
            if record.t_ns > onset_ns:
                break
            if record.kind == "hv":
                self.beam_at_onset = bool(record.value)
            elif (record.kind, record.name) == ("line", "lamp"):
                # The lamp is lit while a run is armed.
                self.run_at_onset = bool(record.value)

    def _phase(self) -> dict[str, Any]:
        window = self.window
        return {"phase": window.phase, "phase_of": window.phase_of} if window.phase >= 0 else {}


class Injected(Strike):
    """A fault of the room's table: the rig keeps onset, phase and duration."""

    def _begin(self, now_ns: int) -> None:
        self.due_ns = NEVER
        window = self.window
        self._stage.rig.inject(
            self.means.name, target=window.instance, amount=window.amount,
            after_ms=max(0, self.asked_ns - now_ns) / MS, for_ms=window.duration_ns / MS,
            **self._phase(),
        )  # fmt: skip

    def _end(self) -> None:
        self._stage.rig.clear(self.means.name)

    def _reckon(self, records: list[TruthRecord]) -> None:
        for record in records:
            if record.name != self.means.name or record.t_ns < self.asked_ns - POLL_NS:
                continue
            if record.kind == "fault_on":
                self.effect_ns = self.effect_ns or record.t_ns
            elif record.kind == "fault_off" and self.effect_ns:
                self.cleared_ns = self.cleared_ns or record.t_ns
        self._found(records, self._onset_of(records))

    def _onset_of(self, records: list[TruthRecord]) -> int:
        """As the rig's agenda finds it: at a phase of the first fitting pulse."""
        window = self.window
        if window.phase < 0:
            return self.asked_ns
        rose_ns = set_ns = 0
        for record in records:
            rise = (record.kind, record.name, record.value) == ("line", "pulse", 1)
            if record.kind == "photons_on":
                set_ns = int(record.value["set_us"]) * 1000
                if window.phase_of == PULSE and record.t_ns >= self.asked_ns:
                    return record.t_ns + round(window.phase * set_ns)
            elif rise and window.phase_of != PULSE:
                span_ns, rose_ns = record.t_ns - rose_ns, record.t_ns
                if record.t_ns >= self.asked_ns and span_ns <= PERIOD_MAX_NS:
                    return record.t_ns + round(window.phase * span_ns)
        return self.effect_ns or self.asked_ns


class OnBus(Injected):
    """A fault of the bus: the rig keeps onset and duration, not the phase."""

    def _begin(self, now_ns: int) -> None:
        self.due_ns = NEVER
        self._stage.rig.inject(
            self.means.name, target=self.means.target, amount=self._amount(),
            after_ms=max(0, self._onset_ns - now_ns) / MS, for_ms=self.window.duration_ns / MS,
        )  # fmt: skip

    def _amount(self) -> float:
        return self.window.amount if self.means.target == "kv" else 0.0

    def _onset_of(self, records: list[TruthRecord]) -> int:
        return self._onset_ns


class Foot(Strike):
    """A pedal held: pressed at the phase, let go when the window is over."""

    def _act(self, now_ns: int) -> None:
        name = self.window.instance
        if self.due_ns == self._onset_ns:
            self._stage.rig.do(f"press {name}", **self._phase())
            self.due_ns += self.window.duration_ns or NEVER
        else:
            self._stage.rig.do(f"release {name}")
            self.due_ns = NEVER

    def _begin(self, now_ns: int) -> None:
        # The rig waits for the phase itself, so the act is asked for before it.
        self.due_ns = self._onset_ns = self.asked_ns

    def _end(self) -> None:
        self._stage.rig.do(f"release {self.window.instance}")

    def _reckon(self, records: list[TruthRecord]) -> None:
        contact = f"{self.window.instance}_no"
        for record in records:
            if record.t_ns >= self.asked_ns and (record.kind, record.name) == ("contact", contact):
                if record.value:
                    self.effect_ns = self.effect_ns or record.t_ns
                elif self.effect_ns:
                    self.cleared_ns = record.t_ns
        self._found(records, self.effect_ns or self.asked_ns)


class AtBoard(Strike):
    """Somebody asks for something over the local socket."""

    def _act(self, now_ns: int) -> None:
        self._looks.act(self._tag, BOARD[self.window.instance])
        self.due_ns = NEVER

    @property
    def _tag(self) -> str:
        return f"window {self.window.instance}"

    def _reckon(self, records: list[TruthRecord]) -> None:
        for t_ns, words in self._looks.answers:
            if words == self._tag:
                self.effect_ns = self.effect_ns or t_ns
        if self.effect_ns:
            self.cleared_ns = max(self.effect_ns, self._onset_ns + self.window.duration_ns)
        self._found(records, self._onset_ns)


class Wished(AtBoard):
    """A wish of the network, as the service process hands it on once it has verified it."""

    def _act(self, now_ns: int) -> None:
        wish = {"n": 1, "ask": False, "what": self.window.instance, "by": "bench"}
        self._looks.act(self._tag, wish, SERVICE)
        self.due_ns = NEVER


class NoStorage(Strike):
    """The supervisor's files may not grow: every write beyond their end fails."""

    _pid = 0

    def _act(self, now_ns: int) -> None:
        if self.due_ns == self._onset_ns:
            self._pid = self._stage.pid("supervisor")
            self._before = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (1, self._before[1]))
            self.effect_ns = now_ns if file_limit(self._pid) == "1" else 0
            self.due_ns = self._onset_ns + (self.window.duration_ns or NEVER)
        else:
            self._end()
            self.cleared_ns = now_ns if file_limit(self._pid) != "1" else 0
            self.due_ns = NEVER

    def _end(self) -> None:
        if self.effect_ns and is_alive(self._pid):
            resource.prlimit(self._pid, resource.RLIMIT_FSIZE, self._before)

    def _reckon(self, records: list[TruthRecord]) -> None:
        self._found(records, self.effect_ns or self._onset_ns)


class Wrapped(Strike):
    """The generator's counter passes its end by itself; the window only looks."""

    def _begin(self, now_ns: int) -> None:
        self.due_ns = NEVER

    def _reckon(self, records: list[TruthRecord]) -> None:
        for record in records:
            wrapped = record.kind == "hv" and record.pulse_id >= PULSE_MODULUS
            if wrapped and record.t_ns >= self.asked_ns:
                self.effect_ns = self.effect_ns or record.t_ns
        if self.effect_ns:
            self.cleared_ns = max(self.effect_ns, self.asked_ns + self.window.duration_ns)
        self._found(records, self.asked_ns)


def file_limit(pid: int) -> str:
    """The soft limit of file sizes that is in force for a process."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max file size"):
            return line.split()[3]
    return ""
