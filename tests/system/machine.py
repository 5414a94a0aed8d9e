"""A machine on which occasions are played: something happens at a phase of the beam, then we look.

Lives here: pressing until it shines, acting at a phase, reading the room's truth, and telling "the
product was wrong" (an assertion) from "this computer stalled" (the occasion is played again, a few
times, and told).  May not live here: what an occasion expects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from controller.cli.stage import LIFTED_S, Stage, StageError
from hil.referee.commands import run_referee
from hil.referee.truth import Truth, parse
from tests.plugins.occasions import REPEATED
from tests.plugins.verdict import left_out

MS: Final = 1_000_000
PLAYS_MAX: Final = 5
STRUCK_MAX_S: Final = 1.0
QUIET_S: Final = 0.15
# Latched when this computer did not let realtime, the supervisor, imaging or the rig run in time.
# No occasion that asks `blame` provokes any of these itself.
STALL_MARKS: Final = ("stall", "order_lapsed", "no_image", "result_missing")
READBACK_MARK: Final = "xray"
AT_REST: Final = (
    "forget", "release fluoro", "release high", "release cine", "close door", "reset estop",
    "clear collision", "restore barrier", "start cooling", "key on", "panel on",
)  # fmt: skip


# Every occasion of the session that had to be played again, for the summary.


class Stalled(Exception):
    """This computer, not the product, spoiled the occasion; the words say how that is known."""


class Machine(Stage):
    """A stage whose truth can be asked, and on which occasions are repeated when it stalls."""

    def __init__(self, config: Path, parts: tuple[str, ...] | None = None) -> None:
        if parts is None:
            super().__init__(config)
        else:
            super().__init__(config, parts)
        self.switches = {"preset": True, "backup": True, "chain": True, "window_gate": True}
        self._pressed_ns = 0
        self._records: list[Truth] = []
        self._read_to = 0

    # ── truth ────────────────────────────────────────────────────────────────────────────────

    def truth(self, since_ns: int = 0) -> list[Truth]:
        """Every record from `since_ns` on, by stamp; the newest are fetched first."""
        self.rig.flush()
        return self.written(since_ns)

    def written(self, since_ns: int = 0) -> list[Truth]:
        """The same of what is in the file by now; the rig may have ended."""
        with (self.run_dir / "truth.jsonl").open("rb") as file:
            file.seek(self._read_to)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_to += len(whole)
        first = len(self._records) + 1
        self._records += [
            parse(text, number) for number, text in enumerate(whole.decode().splitlines(), first)
        ]
        return sorted(r for r in self._records[-200_000:] if r.t_ns >= since_ns)

    def seen(self, since_ns: int, kind: str, name: str, value: Any = None) -> Iterator[int]:
        """Stamps of the records that fit."""
        for record in self.truth(since_ns):
            if record.kind == kind and record.name == name and value in (None, record.value):
                yield record.t_ns

    def starts(self, since_ns: int) -> list[int]:
        """When high voltage came on."""
        return list(self.seen(since_ns, "hv", "generator", 1))

    def shone_at(self, t_ns: int) -> bool:
        """High voltage was on at that instant."""
        last = [r.value for r in self.truth() if r.kind == "hv" and r.t_ns <= t_ns]
        return bool(last and last[-1])

    def dark_after_ms(self, t_ns: int) -> float:
        """From an instant under high voltage to the end of that pulse."""
        ends = list(self.seen(t_ns, "hv", "generator", 0))
        assert ends, "high voltage that never ends"
        return (ends[0] - t_ns) / MS

    def room_was_late(self, from_ns: int, to_ns: int, name: str = "lateness") -> bool:
        """The rig itself was late in this stretch: its truth there is no judgement."""
        late = [r for r in self.truth(from_ns) if r.kind == "process" and r.name == name]
        return any(r.t_ns - r.value <= to_ns for r in late)

    # ── acts ─────────────────────────────────────────────────────────────────────────────────

    def rest(self) -> None:
        """Everybody's foot off, everything closed and wired as `switches` say, nothing planned."""
        for act in AT_REST:
            self.rig.do(act)
        self.rig.clear()
        self.rig.wiring(**self.switches)
        time.sleep(LIFTED_S)

    def shine(self, pulses: int = 3) -> None:
        """Press anew and wait for some pulses; Stalled when the beam does not come or stay."""
        self.rest()
        self.make_ready()
        self._pressed_ns = time.monotonic_ns()
        try:
            self.press(pulses)
        except StageError as error:
            self.blame(str(error))
            raise AssertionError(str(error)) from None

    def assert_shines(self) -> None:
        """A fresh press brings pulses; the foot is off afterwards."""
        self.play(lambda: self.shine(1))
        self.rest()

    def blame(self, words: str) -> None:
        """Raise Stalled when what is held now is a stall of this computer.

        A read-back of the room that came too late trips as well: then, and only then, the room
        itself says that an edge was late since the press.
        """
        held = self.held()
        if any(mark in held for mark in STALL_MARKS):
            raise Stalled(f"{words}; {held}")
        now_ns = time.monotonic_ns()
        if READBACK_MARK in held and self.room_was_late(self._pressed_ns, now_ns, "edge_late"):
            raise Stalled(f"{words}; {held}; the rig was late")

    def blame_skips(self) -> None:
        """Raise Stalled when a pulse was left out since the press, as it is when something stalls.

        The room takes the time between the last two pulses for the cycle: twice as long, a phase
        of it lies in another place.
        """
        gaps = [later - before for before, later in pairwise(self.starts(self._pressed_ns))]
        if gaps and 2 * max(gaps) > 3 * min(gaps):
            raise Stalled("a pulse was skipped, so the phase was of another cycle")

    def act(self, act: str, phase: float, phase_of: str, kind: str, name: str, value: Any) -> int:
        """Act at a phase of the beam that is on; when the room saw it, in ns.

        Should the beam end by itself before the phase comes, the room forgets the act and Stalled
        is raised, unless it came just then.
        """
        asked_ns = self.rig.do(act, phase=phase, phase_of=phase_of)
        struck = self._struck(asked_ns, kind, name, value)
        if not struck:
            self.rig.do("forget")
            struck = next(self.seen(asked_ns, kind, name, value), 0)
        if not struck:
            raise Stalled(f"the beam ended before {act!r}: {self.held()}")
        return struck

    def _struck(self, asked_ns: int, kind: str, name: str, value: Any) -> int:
        until_s = time.monotonic() + STRUCK_MAX_S
        while time.monotonic() < until_s:
            for t_ns in self.seen(asked_ns, kind, name, value):
                return t_ns
            time.sleep(0.01)
        return 0

    def quiet(self) -> None:
        """Let the time pass in which something that must not come would come."""
        time.sleep(QUIET_S)

    def play(self, occasion: Callable[[], None]) -> None:
        """Play an occasion; again when this computer stalled, and give up after PLAYS_MAX."""
        for _ in range(PLAYS_MAX):
            try:
                occasion()
            except Stalled as stalled:
                REPEATED.append(str(stalled))
            else:
                return
        left_out(f"this computer stalled {PLAYS_MAX} times in a row: {REPEATED[-1]}")

    # ── judgement ────────────────────────────────────────────────────────────────────────────

    def verdict(self) -> dict[str, Any]:
        """What the referee says of everything so far, beside the black box."""
        self.rig.flush()
        verdict, code = run_referee(self.run_dir / "truth.jsonl", self.run_dir / "blackbox.ring")
        assert code in (0, 1), verdict
        return verdict

    def violations(self) -> list[str]:
        """Every violated invariant with its first examples."""
        verdict = self.verdict()
        return [
            f"{row.get('n', row.get('id'))}: {'; '.join(row['examples'])}"
            for row in [*verdict["invariants"], *verdict["crosschecks"]]
            if row["status"] == "violated"
        ]

    def assert_dark(self, struck_ns: int, limit_ms: float, start_ms: float) -> None:
        """A pulse in progress ended in time, and none began later than `start_ms` after."""
        self.quiet()
        if self.room_was_late(struck_ns, struck_ns + 30 * MS):
            raise Stalled("the rig was late when it mattered")
        if self.shone_at(struck_ns):
            assert self.dark_after_ms(struck_ns) <= limit_ms
        late_ms = [(t_ns - struck_ns) / MS for t_ns in self.starts(struck_ns)]
        assert [ms for ms in late_ms if ms > start_ms] == []

    def assert_judged_good(self) -> None:
        """No invariant was violated in all that happened."""
        self.rest()
        assert not (broken := self.violations()), broken
