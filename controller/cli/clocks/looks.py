"""What somebody at the board sees while a case runs: mode, faults, trips, refusals, ends of runs.

Lives here: asking for the status again and again in a thread of its own, and acts at the board that
nobody waits for.  May not live here: acts on the room, or a judgement.  Faults carry their own
stamps; modes and trips are as late as the looks are apart, which the limits in real time allow for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from controller.cli.answer import ask
from controller.cli.clocks.ears import Ear, Events, Frames, Told
from controller.cli.clocks.network import Commands
from controller.cli.stage import Stage
from realtime.loop import BLACK_BOX
from realtime.trips import from_bits
from realtime.wire.record import PAGE, unpack_head

BOARD: Final = "local.sock"
LOOK_S: Final = 0.02
SEEN_MAX: Final = 10_000
ASKED_MAX: Final = 32
TRIP_FAULT: Final = "executive_trip"
Seen = deque[tuple[int, str]]


# Who listens outside, by the component that a window strikes.
EARS: Final[dict[str, Callable[[Stage, Told], Ear]]] = {
    "subscriber": Frames, "broker": Events, "command": Commands,
}  # fmt: skip


def _seen() -> Seen:
    return deque(maxlen=SEEN_MAX)


class Looks:
    """A thread between `start` and `stop`; stamps are CLOCK_MONOTONIC."""

    def __init__(self, board: Path) -> None:
        self._board = board
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="looks")
        self._acts: list[threading.Thread] = []
        self._begun_ns = 0
        self._known: set[tuple[str, int]] = set()
        self._codes: set[str] = set()
        self.modes, self.faults, self.trips, self.refusals = _seen(), _seen(), _seen(), _seen()
        # When each act that has been answered was asked for.
        self.answers: Seen = _seen()
        self.late_causes: Seen = _seen()
        self.ends: Seen = _seen()
        self.told: Seen = _seen()
        self.ears: dict[str, Ear] = {}
        self._run_id = -1

    def start(self) -> None:
        """Begin to look."""
        self._begun_ns = time.monotonic_ns()
        self._thread.start()

    def stop(self) -> None:
        """End looking, and wait for every answer."""
        self._over.set()
        self._thread.join()
        for act in self._acts:
            act.join()

    def listen(self, stage: Stage, components: Iterable[str]) -> None:
        """Whoever listens outside, for windows on these components; raises StageError."""
        for name in sorted(EARS.keys() & set(components)):
            self.ears[name] = EARS[name](stage, self.told)
            self.ears[name].start()

    def deafen(self) -> None:
        """Nobody listens outside any more."""
        for ear in self.ears.values():
            ear.stop()

    def act(self, words: str, request: dict[str, Any], desk: str = BOARD) -> None:
        """Ask at a desk of the supervisor; nobody waits for the answer, which is noted."""
        assert len(self._acts) < ASKED_MAX, "a scenario with too many acts at the board"
        thread = threading.Thread(target=self._ask, args=(words, request, desk), name="desk")
        self._acts.append(thread)
        thread.start()

    def _ask(self, words: str, request: dict[str, Any], desk: str) -> None:
        # What follows from it may be seen, by a look, before its answer is here.
        asked_ns = time.monotonic_ns()
        reply = ask(self._board.with_name(desk), request)
        now_ns = time.monotonic_ns()
        self.answers.append((asked_ns, words))
        if "error" in reply:
            self.refusals.append((now_ns, str(reply["error"]["code"])))
        elif "mode" in reply:
            self._mode(now_ns, str(reply["mode"]))

    def _go_on(self) -> None:
        while not self._over.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        status = ask(self._board, {"do": "status"}, 2.0)
        if "error" in status:
            return
        now_ns = time.monotonic_ns()
        self._mode(now_ns, str(status["mode"]))
        for held in status["faults"]:
            self._fault(str(held["id"]), int(held["t_ns"]), str(held["detail"]))
        executive = status["executive"]
        for code in executive.get("trips", []):
            self._trip(str(code), now_ns)
        self._run(now_ns, status["last_run"])
        for code in latched(self._board.with_name(BLACK_BOX)):
            self._trip(code, now_ns)
        if executive.get("late_cause"):
            self.late_causes.append((now_ns, str(executive["late_cause"])))

    def _mode(self, now_ns: int, mode: str) -> None:
        if not self.modes or self.modes[-1][1] != mode:
            self.modes.append((now_ns, mode))

    def _run(self, now_ns: int, last: dict[str, Any] | None) -> None:
        run_id = int(last["run_id"]) if last else 0
        if self._run_id not in (-1, run_id) and last:
            self.ends.append((now_ns, f"{last['reason']} {last['code']}".strip()))
        self._run_id = run_id

    def _fault(self, name: str, t_ns: int, detail: str) -> None:
        if (name, t_ns) in self._known or t_ns < self._begun_ns:
            return
        self._known.add((name, t_ns))
        self.faults.append((t_ns, name))
        if name == TRIP_FAULT:
            self._trip(detail.partition(":")[0], t_ns)

    def _trip(self, code: str, t_ns: int) -> None:
        if code not in self._codes:
            self._codes.add(code)
            self.trips.append((t_ns, code))


def latched(path: Path) -> list[str]:
    """The trips that a restart of realtime comes up with, as its black box has them now.

    One that breaks cannot tell anybody; what it has latched is told from its file.
    """
    try:
        with path.open("rb") as file:
            return [str(code) for code in from_bits(unpack_head(file.read(PAGE)).latched)]
    except (OSError, ValueError):
        return []
