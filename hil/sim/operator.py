"""Somebody in the room and at the board: brings the machine to READY, acts, and recovers it.

Lives here: acts in words, and the two procedures of every run: getting ready, and what people do
after a fault: let go, close, reset, make ready, press once more.  May not live here: knowledge of
the inside; the mode shown and the answers given are what an operator sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from controller.core.events import Kind
from controller.core.modes import Mode
from hil.room.acts import ACTS
from hil.room.commands import Action
from hil.room.room import PEDAL_NAMES
from hil.sim.circumstances import Shown
from hil.sim.world import World

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
LOOK_NS: Final = 5 * MS
BOOT_MAX_NS: Final = 10 * SECOND
WARM_MAX_NS: Final = 5 * SECOND
# Invariant 18: READY within 2 s after faults cease and a reset; a first pulse within 100 ms and
# two periods of the press, with the rotor at speed.
COMPARING: Final = "records_not_reconciled"
READY_MAX_NS: Final = 2 * SECOND
PULSE_MAX_NS: Final = 100 * MS
SETTLE_NS: Final = 400 * MS
CLEAN_RUN_NS: Final = 300 * MS
CLOSING: Final = (
    "close door", "reset estop", "clear collision", "restore barrier", "start cooling", "key on",
    "panel on", "release reset",
)  # fmt: skip
SESSION: Final[dict[str, tuple[str, dict[str, int]]]] = {
    "open service": ("service_open", {"minutes": 5}), "close service": ("service_close", {}),
}  # fmt: skip
_BOARD: Final = {
    "ready": Kind.READY, "reset": Kind.RESET, "self": Kind.SELF_TEST, "set": Kind.SET,
    "select": Kind.SELECT,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recovery:
    """How the liveness phase went; times −1: never."""

    alive: bool
    ready_ns: int
    first_pulse_ns: int
    detail: str


@dataclass(frozen=True, slots=True)
class Press:
    """From the foot to the first pulse (−1: not within `limit_ns`); `rested`: the tube was."""

    first_pulse_ns: int
    limit_ns: int
    rested: bool


class Operator:
    """Acts in one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def act(self, words: str) -> None:
        """Do what the words say: an act of the room, or one at the board."""
        parts = words.split()
        if words in ACTS:
            self._world.command(Action(0, words, -1.0, ""))
        else:
            self._board(words, parts)

    def _board(self, words: str, parts: list[str]) -> None:
        supervisor = self._world.supervisor
        if words == "reset timer":
            supervisor.ask(Kind.RESET_TIMER, "reset_timer", {})
        elif words in SESSION:
            supervisor.ask(Kind.SERVICE, *SESSION[words])
        elif parts[0] == "set":
            supervisor.ask(Kind.SET, "set", {parts[1]: float(parts[2])})
        elif parts[0] == "select":
            supervisor.ask(Kind.SELECT, "select", {"cine_mode": " ".join(parts[1:])})
        else:
            supervisor.ask(_BOARD[parts[0]], words.replace(" ", "_"), {})

    def wait(self, seen: Callable[[], bool], longest_ns: int, look_ns: int = LOOK_NS) -> bool:
        """Look every `look_ns` until it is seen, at most so long."""
        world = self._world
        end_ns = world.clockwork.now_ns + longest_ns
        while not seen():
            if world.clockwork.now_ns >= end_ns:
                return False
            world.run_until(min(end_ns, world.clockwork.now_ns + look_ns))
        return True

    def mode(self) -> Mode:
        """The mode shown."""
        return self._world.supervisor.core.mode

    def boot(self) -> bool:
        """Wait for the self-test after power-on."""
        return self.wait(lambda: self.mode() in (Mode.STANDBY, Mode.FAULT), BOOT_MAX_NS)

    def make_ready(self, rate: float) -> bool:
        """STANDBY → READY, and the rotor to speed."""
        if rate != self._world.supervisor.core.wanted.pulses_per_s:
            self.act(f"set rate {rate:g}")
        self.act("ready")
        return self.wait(lambda: self.mode() is Mode.READY, READY_MAX_NS) and self.warm()

    def warm(self) -> bool:
        """Wait for rotor, filament, the committed technique and the comparison of the records."""
        core = self._world.supervisor.core
        self._world.supervisor.press_refused = ""

        def seen() -> bool:
            return self._prepared() and core.committed is not None and self._compared()

        return self.wait(seen, WARM_MAX_NS)

    def _prepared(self) -> bool:
        """Rotor and filament are up."""
        status = self._world.supervisor.core.generator.status
        return status is not None and status.prepared

    def press_to_pulse(self) -> Press:
        """Press the pedal and keep the foot down until the first pulse, or until it is too late.

        A tube at rest may come up first; it may also come to rest while the press is debounced.
        """
        world = self._world
        before, pressed_ns = world.room.generator.pulse_count, world.clockwork.now_ns
        rested = not self._prepared()
        self.act("press fluoro")
        period_ns = round(SECOND / world.supervisor.core.wanted.pulses_per_s)
        limit_ns = PULSE_MAX_NS + 2 * period_ns

        def fired() -> bool:
            nonlocal rested
            rested = rested or not self._prepared()
            return world.room.generator.pulse_count > before

        in_time = self.wait(fired, limit_ns) or (rested and self.wait(fired, WARM_MAX_NS))
        first_ns = world.clockwork.now_ns - pressed_ns if in_time else -1
        return Press(first_ns, limit_ns + (WARM_MAX_NS if rested else 0), rested)

    # ── the liveness phase ───────────────────────────────────────────────────────────────────

    def recover(self, spare: Shown | None = None) -> Recovery:
        """Faults are off (but `spare`): let go, restart what is dead, reset, ready, a clean run."""
        world = self._world
        self._tidy_up(spare)
        world.run_until(world.clockwork.now_ns + SETTLE_NS)
        self.wait(self._at_rest, BOOT_MAX_NS)
        start_ns = world.clockwork.now_ns
        for _ in range(4):
            if self.mode() in (Mode.READY, Mode.HOLD):
                break
            # What is answered at once is answered before the look at it begins.
            self.wait(self._compared, READY_MAX_NS)
            seen = self._answered_in_rest()
            self.act(self._next_words())
            self.wait(seen, READY_MAX_NS)
        ready_ns = world.clockwork.now_ns - start_ns
        if self.mode() not in (Mode.READY, Mode.HOLD):
            held = [fault.id for fault in world.supervisor.core.faults]
            refusals = world.supervisor.refusals[-2:]
            return Recovery(False, -1, -1, f"{self.mode()}: {held} {refusals}")
        if ready_ns > READY_MAX_NS:
            return Recovery(False, ready_ns, -1, "READY took too long")
        run = self._clean_run(ready_ns)
        return run if run.alive or not self._prove() else self._clean_run(ready_ns)

    def _next_words(self) -> str:
        """Reset what is latched, prove what has failed to answer, else make ready."""
        if self.mode() is Mode.FAULT:
            return "reset"
        refusals = self._world.supervisor.refusals
        unproven = bool(refusals) and refusals[-1].endswith("_readback")
        refusals.clear()
        return "self test" if unproven else "ready"

    def _prove(self) -> bool:
        """A press was refused: what has failed (lamp, buzzer) is proved by the whole self-test."""
        self._world.run_until(self._world.clockwork.now_ns + SETTLE_NS)
        self.act("self test")
        if not self.wait(lambda: self.mode() is Mode.STANDBY, READY_MAX_NS):
            return False
        self.act("ready")
        return self.wait(lambda: self.mode() is Mode.READY, READY_MAX_NS)

    def _tidy_up(self, spare: Shown | None) -> None:
        world = self._world
        for injection in world.injections:
            if injection is not spare:
                injection.end()
        for name in PEDAL_NAMES:
            self.act(f"release {name}")
        for words in CLOSING:
            self.act(words)
        for name in ("realtime", "supervisor", "imaging"):
            world.restart(name)

    def _at_rest(self) -> bool:
        return self.mode() in (Mode.STANDBY, Mode.READY, Mode.HOLD, Mode.FAULT)

    def _compared(self) -> bool:
        """Nothing is being asked of the generator's memory; the board says to wait until then."""
        return self._world.supervisor.core.finding is not None

    def _answered_in_rest(self) -> Callable[[], bool]:
        supervisor = self._world.supervisor
        before = supervisor.answered
        return lambda: supervisor.answered > before and self._at_rest()

    def told_to_wait(self) -> bool:
        """The last press met the moment in which the records are compared."""
        return self._world.supervisor.press_refused == COMPARING

    def _clean_run(self, ready_ns: int) -> Recovery:
        run = self._one_clean_run(ready_ns)
        return self._one_clean_run(ready_ns) if not run.alive and self.told_to_wait() else run

    def _one_clean_run(self, ready_ns: int) -> Recovery:
        world = self._world
        if not self.warm():
            return Recovery(False, ready_ns, -1, "the tube does not become ready")
        press = self.press_to_pulse()
        if press.first_pulse_ns < 0:
            self.act("release fluoro")
            return Recovery(False, ready_ns, -1, f"no pulse in {press.limit_ns / MS:.0f} ms")
        world.run_until(world.clockwork.now_ns + CLEAN_RUN_NS)
        self.act("release fluoro")
        held = self.wait(lambda: self.mode() is Mode.HOLD, SETTLE_NS)
        detail = "" if held else f"after the clean run: {self.mode()}"
        return Recovery(held, ready_ns, press.first_pulse_ns, detail)
